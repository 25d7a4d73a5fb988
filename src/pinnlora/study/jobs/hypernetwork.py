"""The job `hypernetwork`: one mode at one rank, written as a bundle that can be queried."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pinnlora.files import machine, read_netcdf
from pinnlora.loss.measure import physics_errors
from pinnlora.problem.carry import snapshot
from pinnlora.query.family import Family
from pinnlora.query.trust import calibrate, coverage
from pinnlora.study.bundle import save_bundle
from pinnlora.study.stored import read_base, read_fits
from pinnlora.train.budget import suited
from pinnlora.train.checkpoint import MINUTES, checkpointed
from pinnlora.train.data import Solutions, of_split, read_reference, read_tasks
from pinnlora.train.hyperfit import fit_hypernetwork
from pinnlora.train.settings import HypernetworkStage
from pinnlora.train.setup import device_of, embedding_of, numpy_generator, problem_of

SHARE = 0.05
"""Of the training time, for the refined solutions of the calibration."""


def run(
    settings: dict[str, Any],
    tasks: Path,
    reference: Path,
    base: Path,
    output: Path,
    teachers: Path | None = None,
    device: str = "auto",
    provenance: str = "",
    checkpoint_minutes: float = MINUTES,
) -> None:
    """Write the bundle, with the problem's code as it is now; its model card has the error of the saved weights on the
    test tasks."""
    code, problem = snapshot(settings["problem"]), problem_of(settings)
    stage = suited(HypernetworkStage(**settings["stage"]), problem)
    settings = settings | {"stage": stage.model_dump(mode="json")}
    values, splits = read_tasks(tasks, problem)
    start, taught = read_base(base), None
    if teachers is not None:
        stored = read_fits(teachers, problem, torch.device("cpu"), start=start)
        taught, settings = stored.theta, settings | {"seconds_teachers": stored.metadata["seconds"]}

    def known(split: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        return of_split(values, splits, split), read_reference(reference, problem, values, splits == split)

    with checkpointed(output, provenance, device_of(device), checkpoint_minutes) as checkpoint:
        hypernetwork, parametrisation, history = fit_hypernetwork(
            problem, settings, values, splits, reference, start, taught, device, checkpoint
        )
        embed = embedding_of(problem, settings["hypernetwork"]["embedding"])
        symmetry = settings["network"]["symmetry"]
        surrogate = Family(problem, parametrisation, hypernetwork, embed, start, symmetry, settings)
        rng = numpy_generator(settings["seed"], f"{settings['mode']} {settings['rank']} calibration")
        calibration = calibrate(surrogate, *known("validation"), rng, SHARE * history.seconds)
        surrogate = replace(surrogate, calibration=calibration)
        measured = _measured(surrogate, *known("test"), read_netcdf(reference).attrs)
        settings = settings | {"machine": machine(device_of(device)), "taken": history.taken}
        save_bundle(surrogate, output, settings, history, measured, provenance, code)


def _measured(
    surrogate: Family, values: dict[str, np.ndarray], reference: np.ndarray, known: dict[str, Any]
) -> dict[str, float | str]:
    """What is known of a surrogate on the test tasks, as `save_bundle` takes it; what is not finite is left out."""
    solutions = Solutions.of(surrogate.tasks(**values), reference)
    theta, parametrisation = surrogate.numbers(solutions.tasks), surrogate.parametrisation
    found = physics_errors(surrogate.problem, parametrisation, theta, solutions.tasks.values)
    numbers = dict(
        zip(("test_residual", "test_mismatch"), (float(each.mean()) for each in found), strict=True)
    )
    if bool(solutions.known.any()):
        numbers["test_mse"] = float(solutions.everywhere(theta, parametrisation).mean())
        numbers["test_coverage"] = coverage(surrogate.networks(**values), reference)
    about = {name: known[name] for name in ("reference", "reference_note") if name in known}
    return about | {name: value for name, value in numbers.items() if math.isfinite(value)}
