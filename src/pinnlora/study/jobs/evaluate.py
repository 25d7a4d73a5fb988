"""The job `evaluate`: errors of all fits and bundles of one problem, in one NetCDF file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pinnlora.files import machine, write_netcdf
from pinnlora.problem.load import load_problem
from pinnlora.study.evaluation import Truth, evaluate_fit, evaluate_surrogate
from pinnlora.study.gather import gather
from pinnlora.train.data import read_reference, read_tasks
from pinnlora.train.setup import device_of


def run(
    settings: dict[str, Any],
    tasks: Path,
    reference: Path,
    fit: list[Path],
    surrogate: list[Path],
    output: Path,
    device: str = "auto",
    provenance: str = "",
) -> None:
    """Write evaluation.nc."""
    problem = load_problem(settings["problem"])
    values, splits = read_tasks(tasks, problem)
    truth = Truth(problem, values, splits, read_reference(reference, problem, np.arange(len(splits))))
    where, own = device_of(device), settings["evaluation"]
    showcase = 0
    results = []
    for path in fit:
        results.append(evaluate_fit(path, truth, where, showcase))
        _say(results[-1])
    for path in surrogate:
        results.append(evaluate_surrogate(path, truth, where, showcase, own))
        _say(results[-1])
    dataset = gather(results, truth, showcase, str(own["figure_rank"]))
    dataset.attrs.update(
        problem=settings["problem"],
        study=output.resolve().parent.parent.name,
        settings=json.dumps(settings | {"trained": {f"{r.method} {r.rank}": r.settings for r in results}}),
        seed=settings["seed"],
        machine=machine(where),
        dtype="as trained",
        floor_reference=problem.reference_floor(),
        provenance=provenance,
    )
    write_netcdf(dataset, output, title=f"errors of all methods on {problem.name}")


def _say(result) -> None:
    error = result.errors["test"]["mse"].mean()
    print(f"{result.method:10s} rank {result.rank:>4}: test mse {error:.3e}", flush=True)
