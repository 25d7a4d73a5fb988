"""The job `reference`: reference solutions of tasks on the evaluation grid, as far as there are any."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pinnlora.errors import UserError
from pinnlora.files import read_netcdf, write_netcdf
from pinnlora.problem.base import Problem
from pinnlora.problem.code import sum_of_file
from pinnlora.problem.load import load_problem
from pinnlora.query.scattered import scattered
from pinnlora.study.references import References, given_references, own_references, refined_references
from pinnlora.train.data import read_tasks


def run(
    settings: dict[str, Any],
    tasks: Path,
    output: Path,
    base: Path | None = None,
    device: str = "auto",
    provenance: str = "",
) -> None:
    """Write reference.nc, fields in float64; `base` is where refining starts, and not used without it.

    The attribute `reference` says what the fields are: none, exact, solver, refined or file.
    """
    problem = load_problem(settings["problem"])
    splits = read_tasks(tasks, problem)[1]
    start = time.perf_counter()
    found = _found(settings, problem, tasks, base, device)
    seconds = time.perf_counter() - start
    axes = problem.axes()
    dataset = xr.Dataset(coords={"split": ("task", splits, {"long_name": "split of the task"})})
    for name, axis in axes.items():
        described = {"long_name": f"coordinate {name}", "units": "1"}
        dataset = dataset.assign_coords({name: (name, axis, described)})
    if problem.coords.vectors:
        dataset = dataset.assign_coords(scattered(problem, problem.places()))
    given = read_netcdf(tasks)
    dataset = dataset.assign({name: given[name] for name in problem.task.names})
    for name, field in found.fields.items():
        dataset[name] = (("task", *axes), field, {"long_name": f"reference solution {name}", "units": "1"})
    dataset.attrs.update(
        problem=settings["problem"], reference=found.kind, seconds=seconds, reference_note=found.note,
        provenance=provenance,
    )  # fmt: skip
    if np.isfinite(found.floor):
        dataset.attrs.update(floor_reference=found.floor, floor_reference_note=found.note)
    write_netcdf(dataset, output, title=f"reference solutions of {problem.name}")
    floor = f"error {found.floor:.1e}, " if np.isfinite(found.floor) else ""
    print(f"reference of {problem.name}: {found.kind}, in {seconds:.1f} s: {floor}{found.note}")


def _found(
    settings: dict[str, Any], problem: Problem, tasks: Path, base: Path | None, device: str
) -> References:
    """The references that the settings ask for."""
    kind = settings["reference"]
    values, splits = read_tasks(tasks, problem)
    match kind:
        case "auto":
            return own_references(problem, values)
        case "none":
            return References()
        case "refined":
            if base is None:
                raise UserError("reference: refined starts from the base network: give --base DIR")
            return refined_references(problem, values, splits, base, settings["seed"], device)
        case _:
            if sum_of_file(kind) != settings["sha256"]:
                raise UserError(f"reference: {kind} changed after the job was planned; run it again")
            return given_references(Path(kind), problem, values, splits)
