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
        dims = ("task",) if value.ndim == 1 else ("task", "x")
        dataset[name] = (dims, value, {"long_name": f"task parameter {name}", "units": "1"})
        if value.ndim > 1:
            grid = np.asarray(problem.task.grid)
            dataset = dataset.assign_coords(x=("x", grid, {"long_name": "coordinate x", "units": "1"}))
    dataset.attrs.update(
        problem=settings["problem"], seed=settings["seed"], distribution=problem.task.description,
        provenance=provenance,
    )  # fmt: skip
    write_netcdf(dataset, output, title=f"tasks of {problem.name}")
    print(f"{len(splits)} tasks of {problem.name}")
