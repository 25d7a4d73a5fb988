"""The job `fit`: one per-task method at one rank, for all test tasks at once."""

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
    """Write the directory of fits."""
    problem = problem_of(settings)
    values, splits = read_tasks(tasks, problem)
    theta, history = fit(
        problem, of_split(values, splits, "test"), StageSettings(**settings["stage"]),
        NetworkSettings(**settings["network"]), settings["method"], settings["rank"], settings["seed"],
        settings["device"], read_base(base), read_reference(reference, problem, splits == "test"),
    )  # fmt: skip
    metadata = {key: settings[key] for key in ("problem", "method", "rank", "network", "stage")}
    save(output, theta, None if settings["rank"] == "full" else read_base(base), metadata, history)
