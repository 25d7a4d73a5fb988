"""The job `base`: the network of task T0, from random weights, by its physics alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..build import problem_of
from ..data import of_split, read_tasks
from ..fitting import fit
from ..network_settings import Network as NetworkSettings
from ..stage_settings import StageSettings
from ..stored import save


def run(settings: dict[str, Any], tasks: Path, output: Path) -> None:
    """Write the base network's directory."""
    problem = problem_of(settings)
    values = of_split(*read_tasks(tasks, problem), "base")
    stage = StageSettings(**settings["stage"])
    network = NetworkSettings(**settings["network"])
    theta, history = fit(
        problem, values, stage, network, "base", "full", settings["seed"], settings["device"]
    )  # fmt: skip
    metadata = {
        "problem": settings["problem"],
        "method": "base",
        "rank": "full",
        "network": settings["network"],
    }
    metadata["stage"] = settings["stage"]
    save(output, theta, None, metadata, history)
