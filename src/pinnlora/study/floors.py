"""How small an error can be seen at all: what the grid and the precision of the numbers hide."""

from __future__ import annotations

import numpy as np

from pinnlora.study.evaluation import Truth
from pinnlora.train.data import known_and_there, of_split


def floors(truth: Truth, dtypes: set[str]) -> dict[str, float | str]:
    """Floors of the lowest precision among `dtypes`, as mean squared errors on the test tasks that have a reference;
    none where no task has one.

    floor_precision: the exact fields, rounded. floor_grid: the exact fields at the grid's points as a network of
    that precision is given them, to first order in the rounding of the coordinates.
    """
    lowest = "float32" if "float32" in dtypes else "float64"
    fields, axes = truth.chosen("test"), truth.problem.axes()
    known, _ = known_and_there(truth.problem, of_split(truth.values, truth.splits, "test"), fields)
    fields = fields[known]
    if not len(fields):
        return {}
    shape = tuple(len(axis) for axis in axes.values())
    moved = np.zeros_like(fields)
    for k, axis in enumerate(axes.values() if not truth.problem.coords.vectors else ()):
        rounding = axis.astype(lowest).astype(float) - axis
        if rounding.any():
            on_grid = fields.reshape(len(fields), *shape, -1)
            slope = np.gradient(on_grid, axis, axis=k + 1)
            moved += (slope * rounding.reshape(-1, *(1,) * (len(shape) - k))).reshape(fields.shape)
    rounded = fields.astype("float32").astype(float) - fields if lowest == "float32" else 2.0**-53 * fields
    by_rounding: dict[str, float | str] = {"floor_grid": float(np.nanmean(moved**2))}
    return ({} if truth.problem.coords.vectors else by_rounding) | {
        "floor_precision": float(np.nanmean(rounded**2)),
        "floor_precision_dtype": lowest,
    }
