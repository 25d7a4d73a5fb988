"""The job `hypernetwork`: one mode at one rank, written as a bundle that can be queried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pinnlora.study.stored import read_base, read_fits
from pinnlora.surrogate import Surrogate, save_bundle
from pinnlora.train.data import read_tasks
from pinnlora.train.hyperfit import fit_hypernetwork
from pinnlora.train.setup import embedding_of, problem_of


def run(
    settings: dict[str, Any],
    tasks: Path,
    reference: Path,
    base: Path,
    output: Path,
    teachers: Path | None = None,
    device: str = "auto",
    provenance: str = "",
) -> None:
    """Write the bundle."""
    problem = problem_of(settings)
    values, splits = read_tasks(tasks, problem)
    start = read_base(base)
    taught = None if teachers is None else read_fits(teachers, problem, torch.device("cpu")).theta
    hypernetwork, parametrisation, history = fit_hypernetwork(
        problem, settings, values, splits, reference, start, taught, device
    )
    embed = embedding_of(problem, settings["hypernetwork"]["embedding"])
    surrogate = Surrogate(
        problem, parametrisation, hypernetwork, embed, start, settings["network"]["symmetry"]
    )
    save_bundle(surrogate, output, settings, history, provenance)
