"""The job `reference`: reference solutions of all tasks on the evaluation grid."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import xarray as xr

from pinnlora.files import write_netcdf
from pinnlora.problem.load import load_problem
from pinnlora.train.data import read_tasks


def run(settings: dict[str, Any], tasks: Path, output: Path, provenance: str = "") -> None:
    """Write reference.nc, fields in float64."""
    problem = load_problem(settings["problem"])
    values, splits = read_tasks(tasks, problem)
    axes = problem.axes()
    dataset = xr.Dataset(coords={"split": ("task", splits, {"long_name": "split of the task"})})
    for name, axis in axes.items():
        dataset = dataset.assign_coords(
            {name: (name, axis, {"long_name": f"coordinate {name}", "units": "1"})}
        )
    start = time.perf_counter()
    fields = problem.reference(values)
    seconds = time.perf_counter() - start
    for name, field in fields.items():
        dataset[name] = (("task", *axes), field, {"long_name": f"reference solution {name}", "units": "1"})
    floor, note = problem.reference_floor(values, fields)
    dataset.attrs.update(
        problem=settings["problem"],
        seconds=seconds,
        floor_reference=floor,
        floor_reference_note=note,
        provenance=provenance,
    )
    write_netcdf(dataset, output, title=f"reference solutions of {problem.name}")
    print(
        f"{len(splits)} reference solutions of {problem.name} in {seconds:.1f} s: error {floor:.1e}, {note}"
    )
