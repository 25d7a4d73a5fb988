"""The job `tasks`: sample the tasks of every split and the base task T0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pinnlora.files import write_netcdf
from pinnlora.problem.distributions import sample_splits
from pinnlora.problem.load import load_problem


def run(settings: dict[str, Any], output: Path, provenance: str = "") -> None:
    """Write tasks.nc."""
    problem = load_problem(settings["problem"])
    values, splits = sample_splits(problem.task, settings["tasks"], settings["seed"])
    dataset = xr.Dataset(
        coords={"split": ("task", np.asarray(splits, dtype=str), {"long_name": "split of the task"})}
    )
    for name, value in values.items():
        described = {"long_name": f"task parameter {name}", "units": "1"}
        field = problem.task.functions.get(name)
        if field is None:
            dataset[name] = ("task", value, described)
            continue
        along = f"{name}_{field.on}"
        dataset[name] = (("task", along), value, described)
        where = {"long_name": f"{field.on} at which {name} is given", "units": "1"}
        dataset = dataset.assign_coords({along: (along, field.grid, where)})
    dataset.attrs.update(
        problem=settings["problem"], seed=settings["seed"], distribution=problem.task.description,
        provenance=provenance,
    )  # fmt: skip
    write_netcdf(dataset, output, title=f"tasks of {problem.name}")
    print(f"{len(splits)} tasks of {problem.name}")
