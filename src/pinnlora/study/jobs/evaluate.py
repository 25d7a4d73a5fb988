"""The job `evaluate`: errors of all fits and bundles of one problem, in one NetCDF file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pinnlora.files import machine, read_netcdf, write_netcdf
from pinnlora.problem.load import load_problem
from pinnlora.study.evaluation import Truth, evaluate_base, evaluate_fit, evaluate_surrogate
from pinnlora.study.floors import floors
from pinnlora.study.gather import gather
from pinnlora.study.stored import read_fits
from pinnlora.train.data import read_reference, read_tasks
from pinnlora.train.setup import device_of

REFERENCE = ("reference", "reference_note", "floor_reference", "floor_reference_note")
"""Attributes of reference.nc that evaluation.nc has too."""


def run(
    settings: dict[str, Any],
    tasks: Path,
    reference: Path,
    base: Path,
    output: Path,
    fit: Sequence[Path] = (),
    surrogate: Sequence[Path] = (),
    device: str = "auto",
    provenance: str = "",
) -> None:
    """Write evaluation.nc."""
    problem = load_problem(settings["problem"])
    values, splits = read_tasks(tasks, problem)
    truth = Truth(problem, values, splits, read_reference(reference, problem, values, np.arange(len(splits))))
    where, own = device_of(device), settings["evaluation"]
    start = read_fits(base, problem, where)
    results = evaluate_base(truth, start, settings["seed"])
    shown = {"full", str(own["lora_rank"])}
    results += [evaluate_fit(path, truth, start.theta, where, shown) for path in fit]
    results += [evaluate_surrogate(path, truth, where, own, settings["seed"]) for path in surrogate]
    known = read_netcdf(reference).attrs
    share = _share(known, splits)
    for r in results:
        r.numbers["seconds_base"] = np.nan if r.method in ("pinn", "ansatz") else start.metadata["seconds"]
        r.numbers["seconds_reference"] = share if r.method == "data" else np.nan
        again = "" if r.seed == settings["seed"] else f", seed {r.seed}"
        print(f"{r.method:10s} rank {r.rank:>4}{again}: test {_means(r.errors['test'])}", flush=True)
    dataset = gather(results, truth)
    trainings = [start.metadata, *(r.settings for r in results)]
    machines = [machine(where), *(each["machine"] for each in trainings if "machine" in each)]
    trained = {f"{r.method} {r.rank}": r.settings for r in results if r.seed == settings["seed"]}
    dataset.attrs.update(
        problem=settings["problem"],
        study=output.resolve().parent.parent.name,
        settings=json.dumps(settings | {"trained": trained}),
        seed=settings["seed"],
        machine="; ".join(dict.fromkeys(machines)),
        threads=torch.get_num_threads(),
        **{name: known[name] for name in REFERENCE if name in known},
        **floors(truth, {r.settings["stage"]["dtype"] for r in results if "stage" in r.settings}),
        provenance=provenance,
    )
    write_netcdf(dataset, output, title=f"errors of all methods on {problem.name}")


def _share(known: dict[str, Any], splits: np.ndarray) -> float:
    """Seconds of the references that `data` learns from; nan for those of a file, as nobody knows what they took."""
    return np.nan if known["reference"] == "file" else float((splits == "train").mean()) * known["seconds"]


def _means(errors: dict[str, np.ndarray]) -> str:
    """The mean error where there is a reference, residual and mismatch where there is not."""
    means = {
        name: np.nanmean(errors[name])
        for name in ("mse", "residual", "mismatch")
        if not np.isnan(errors[name]).all()
    }
    return "  ".join(f"{name} {mean:.3e}" for name, mean in means.items())
