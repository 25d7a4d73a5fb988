"""The job `hypernetwork`: one mode at one rank, written as a bundle that can be queried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..build import problem_of
from ..data import read_tasks
from ..hyperfitting import fit_hypernetwork
from ..stored import read_base
from ..surrogate import save_bundle


def run(
    settings: dict[str, Any],
    tasks: Path,
    reference: Path,
    base: Path,
    output: Path,
    teachers: Path | None = None,
) -> None:
    """Write the bundle."""
    problem = problem_of(settings)
    values, splits = read_tasks(tasks, problem)
    surrogate, history = fit_hypernetwork(
        problem, settings, values, splits, reference, read_base(base), teachers
    )
    save_bundle(surrogate, output, settings, history)
