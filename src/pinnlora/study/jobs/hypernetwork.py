"""The job `hypernetwork`: one mode at one rank, written as a bundle that can be queried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pinnlora.study.bundle import save_bundle
from pinnlora.study.stored import read_base, read_fits
from pinnlora.surrogate import Surrogate
from pinnlora.train.budget import suited
from pinnlora.train.data import Solutions, of_split, read_reference, read_tasks, task_set
from pinnlora.train.hyperfit import fit_hypernetwork
from pinnlora.train.settings import HypernetworkStage
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
    """Write the bundle; its model card has the error of the saved weights on the test tasks."""
    problem = problem_of(settings)
    stage = suited(HypernetworkStage(**settings["stage"]), problem)
    settings = settings | {"stage": stage.model_dump(mode="json")}
    values, splits = read_tasks(tasks, problem)
    start, taught = read_base(base), None
    if teachers is not None:
        stored = read_fits(teachers, problem, torch.device("cpu"))
        taught, settings = stored.theta, settings | {"seconds_teachers": stored.metadata["seconds"]}
    hypernetwork, parametrisation, history = fit_hypernetwork(
        problem, settings, values, splits, reference, start, taught, device
    )
    embed = embedding_of(problem, settings["hypernetwork"]["embedding"])
    symmetry = settings["network"]["symmetry"]
    surrogate = Surrogate(problem, parametrisation, hypernetwork, embed, start, symmetry)
    like = next(hypernetwork.parameters())
    test = task_set(problem, of_split(values, splits, "test"), symmetry, like.device, like.dtype)
    error = Solutions.of(test, read_reference(reference, problem, splits == "test"))
    test_mse = float(error.everywhere(surrogate.numbers(test), parametrisation).mean())
    save_bundle(surrogate, output, settings, history, test_mse, provenance)
