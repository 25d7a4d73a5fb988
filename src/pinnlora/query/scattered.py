"""Points in many dimensions: given by vectors, and named again in a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from pinnlora.errors import UserError, did_you_mean
from pinnlora.problem.base import Problem
from pinnlora.problem.distributions import reals


def scattered(problem: Problem, points: np.ndarray) -> dict[str, xr.Variable]:
    """Coordinates of points (point, dim) by name: x(point, x_component) for a vector, t(point) for others."""
    found = {}
    for name, axes in _columns(problem).items():
        about = {"long_name": f"coordinate {name}", "units": "1"}
        dims = ("point",) if isinstance(axes, int) else ("point", f"{name}_component")
        found[name] = xr.Variable(dims, points[:, axes], about)
    return found


def scattered_places(
    problem: Problem, at: Mapping[str, Any] | xr.Dataset | None
) -> tuple[np.ndarray, dict[str, xr.Variable]]:
    """Points (point, dim) as `at` has them, the evaluation points for None: a vector as (point, d), (d,) for one place,
    or by its components x1, x2 ...; others as numbers or (point,). UserError where that is not so."""
    if at is None:
        points = problem.places()
        return points, scattered(problem, points)
    columns = _columns(problem)
    _check_dims(problem, at)
    for name in at if not isinstance(at, xr.Dataset) else ():
        if name not in columns and name not in problem.coords.names:
            raise UserError(f"at: no coordinate {name!r}{did_you_mean(str(name), list(columns))}")
    parts = [_part(problem, at, name, axes) for name, axes in columns.items()]
    count = max(len(part) for part in parts)
    if any(len(part) not in (1, count) for part in parts):
        sizes = ", ".join(f"{name} {len(part)}" for name, part in zip(columns, parts, strict=True))
        raise UserError(f"at: different numbers of points ({sizes}); expected one number of points")
    points = np.concatenate([np.broadcast_to(part, (count, part.shape[1])) for part in parts], 1)
    if not np.isfinite(points).all():
        raise UserError("at: some coordinates are NaN or infinite")
    return points, scattered(problem, points)


def _check_dims(problem: Problem, at: Mapping[str, Any] | xr.Dataset) -> None:
    """UserError unless all labelled coordinates lie along one dimension, the same for all tasks."""
    sizes = {name: _size(axes) for name, axes in _columns(problem).items()}
    labelled = {name: at[name] for name in (*sizes, *problem.coords.names) if name in at}
    dims: set[str] = set()
    for name, array in labelled.items():
        if isinstance(array, xr.DataArray):
            inner = _components(name, array, sizes.get(name, 1))
            dims |= {
                str(dim) for dim, size in array.sizes.items() if dim != inner and (size > 1 or dim == "task")
            }
    if "task" in dims or len(dims) > 1:
        raise UserError(
            f"at: coordinates over {', '.join(sorted(dims))}; in many dimensions expected points along one dimension, "
            "the same for all tasks"
        )


def _components(name: str, array: xr.DataArray, size: int) -> Any:
    """The dimension of a vector's components: by its name, else the last one if it has their number; "" for none."""
    if (own := f"{name}_component") in array.dims:
        return own
    return array.dims[-1] if size > 1 and array.ndim and array.shape[-1] == size else ""


def _size(axes: int | slice) -> int:
    return 1 if isinstance(axes, int) else axes.stop - axes.start


def _columns(problem: Problem) -> dict[str, int | slice]:
    """The axis of each coordinate, or the axes of a vector, in order."""
    coords = problem.coords
    found: list[tuple[int, str, int | slice]] = [
        (first, name, slice(first, last + 1)) for name, first, last in coords.vectors
    ]
    taken = {axis for _, first, last in coords.vectors for axis in range(first, last + 1)}
    found += [(axis, name, axis) for axis, name in enumerate(coords.names) if axis not in taken]
    return {name: axes for _, name, axes in sorted(found, key=lambda entry: entry[0])}


def _part(problem: Problem, at: Mapping[str, Any] | xr.Dataset, name: str, axes: int | slice) -> np.ndarray:
    """What is given of one coordinate, (point or 1, components)."""
    size = _size(axes)
    components = [] if size == 1 else list(problem.coords.names[axes])
    if name not in at and components and all(own in at for own in components):
        parts = [np.atleast_1d(_numbers(at, own)) for own in components]
        if any(part.shape != parts[0].shape for part in parts):
            raise UserError(f"at: {components[0]} .. {components[-1]} are of different lengths")
        given = np.stack(parts, -1)
    elif name not in at:
        raise UserError(f"at: no coordinate {name!r}; expected {', '.join(_columns(problem))}")
    else:
        given = _numbers(at, name)
    if size == 1 and given.ndim < 2:
        given = given.reshape(-1, 1)
    given = np.atleast_2d(given)
    if given.ndim != 2 or given.shape[1] != size:
        raise UserError(f"at: {name} has shape {given.shape}; expected (point, {size})")
    return given


def _numbers(at: Mapping[str, Any] | xr.Dataset, name: str) -> np.ndarray:
    value, own = at[name], f"{name}_component"
    if isinstance(value, xr.DataArray) and own in value.dims:
        value = value.transpose(..., own)
    return reals(f"at: {name}", value.values if isinstance(value, xr.DataArray) else value)
