"""The job `teachers`: PINNs of the training tasks, for the modes that learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..build import problem_of
from ..data import of_split, read_reference, read_tasks
from ..fitting import fit
from ..network_settings import Network as NetworkSettings
from ..stage_settings import StageSettings
from ..stored import read_base, save


def run(settings: dict[str, Any], tasks: Path, reference: Path, base: Path, output: Path) -> None:
    """Write the directory of teachers."""
    problem = problem_of(settings)
    values, splits = read_tasks(tasks, problem)
    method = "finetuned" if settings["rank"] == "full" else "lora"
    theta, history = fit(
        problem, of_split(values, splits, "train"), StageSettings(**settings["stage"]),
        NetworkSettings(**settings["network"]), method, settings["rank"], settings["seed"], settings["device"],
        read_base(base), read_reference(reference, problem, splits == "train"), name="teachers",
    )  # fmt: skip
    metadata = {key: settings[key] for key in ("problem", "rank", "network", "stage")} | {
        "method": "teachers"
    }
    save(output, theta, None if settings["rank"] == "full" else read_base(base), metadata, history)
