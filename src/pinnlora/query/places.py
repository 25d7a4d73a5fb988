"""Where fields are asked for: the evaluation grid, another grid, or scattered points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr

from pinnlora.errors import UserError, did_you_mean
from pinnlora.problem.base import EDGE, Problem
from pinnlora.problem.distributions import reals
from pinnlora.problem.domain.base import Shape
from pinnlora.query.scattered import scattered_places


@dataclass(frozen=True)
class Places:
    """Points (1 or task, point, dim), and the named dimensions and coordinates that results get back."""

    points: np.ndarray
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, xr.Variable]


def places_of(problem: Problem, at: Mapping[str, Any] | xr.Dataset | None, tasks: int) -> Places:
    """Read `at`: None is the evaluation grid; a dict of numbers and arrays of one length is scattered points, a
    vector's array being (point, d).

    An xarray.Dataset says it by its dimensions: x(x), y(y) is a grid, x(point), y(point) are points, x(task, point)
    are other points for each task. Beyond the ends of a coordinate that closes on itself points are moved by whole
    turns. UserError where a coordinate is missing, or points lie outside the domain.
    """
    names = problem.coords.names
    if not isinstance(at, Mapping | None):
        raise _no_places(at)
    if problem.coords.vectors:
        points, coords = scattered_places(problem, at)
        return Places(_inside(problem, points[None]), ("point",), points.shape[:1], coords)
    given = coordinates_of(problem, xr.Dataset(coords=problem.axes()) if at is None else at)
    sizes = {dim: size for array in given.values() for dim, size in array.sizes.items()}
    mesh = [array.set_dims(sizes) for array in given.values()]
    dims = tuple(str(dim) for dim in mesh[0].dims if dim != "task")
    own = "task" in mesh[0].dims
    if own and mesh[0].sizes["task"] != tasks:
        raise UserError(f"at: points for {mesh[0].sizes['task']} tasks, but there are {tasks}")
    stacked = np.stack([part.transpose(*(["task"] if own else []), *dims).values for part in mesh], -1)
    points = _inside(problem, stacked.reshape(tasks if own else 1, -1, len(names)))
    shape = tuple(mesh[0].sizes[dim] for dim in dims)
    described = {
        name: xr.Variable(array.dims, array.values, {"long_name": f"coordinate {name}", "units": "1"})
        for name, array in given.items()
    }
    return Places(points, dims, shape, described)


def coordinates_of(problem: Problem, at: Mapping[str, Any] | xr.Dataset) -> dict[str, xr.Variable]:
    """Each coordinate of `at` by name, finite numbers along named dimensions that agree in their
    sizes; UserError where one is missing."""
    if not isinstance(at, Mapping):
        raise _no_places(at)
    names = problem.coords.names
    for name in names:
        if name not in at:
            raise UserError(f"at: no coordinate {name!r}; expected {', '.join(names)}")
    for name in () if isinstance(at, xr.Dataset) else at:
        if name not in names:
            raise UserError(f"at: no coordinate {name!r}{did_you_mean(name, list(names))}")
    if not isinstance(at, xr.Dataset):
        check_labels("at", {name: at[name] for name in names})
    found = {name: _variable(name, at[name]) for name in names}
    sizes: dict[Any, int] = {}
    for array in found.values():
        for dim, size in array.sizes.items():
            if sizes.setdefault(dim, size) != size:
                lengths = ", ".join(f"{name} {found[name].size}" for name in names)
                raise UserError(f"at: arrays of different lengths ({lengths}); expected arrays of one length")
            if dim in found and not found[dim].ndim:
                raise UserError(
                    f"at: points along a dimension called {dim!r}, which is one number: rename it"
                )
    return found


def check_labels(what: str, arrays: Mapping[str, Any]) -> None:
    """Values belong together by their place: where two arrays label the same dimension in two ways they would not."""
    seen: dict[Any, Any] = {}
    for name, array in arrays.items():
        for dim, labels in array.indexes.items() if isinstance(array, xr.DataArray) else ():
            if not seen.setdefault(dim, labels).equals(labels):
                raise UserError(
                    f"{what}: {name} has other labels along {dim!r} than another array; align them first"
                )


def _no_places(at: Any) -> UserError:
    return UserError(f"at: a {type(at).__name__}; expected a dict of coordinates, or an xarray.Dataset")


def _variable(name: str, value: Any) -> xr.Variable:
    if isinstance(value, xr.DataArray):
        found = value.variable.copy(data=reals(f"at: {name}", value.values))
    else:
        numbers = reals(f"at: {name}", value)
        if numbers.ndim > 1:
            raise UserError(f"at: {name} has shape {numbers.shape}; expected one number a point")
        found = xr.Variable(("point",)[: numbers.ndim], numbers)
    if not np.isfinite(found.values).all():
        raise UserError(f"at: {name} holds NaN or infinite values")
    return found


def in_domain(
    problem: Problem, points: np.ndarray, given: Mapping[str, np.ndarray]
) -> np.ndarray | Literal[True]:
    """Which points (1 or task, point, dim) lie in the domain of each task, (task, point); True where its shape is a
    box, of which no point is refused by `places_of` and outside."""
    domain = problem.coords
    if not isinstance(domain, Shape):
        return True
    values = {name: torch.as_tensor(value) for name, value in given.items()}
    inside = domain.contains(torch.as_tensor(points), values, EDGE * domain.size).numpy()
    return np.broadcast_to(inside, (len(next(iter(given.values()))), inside.shape[1]))


def closed_axes(problem: Problem) -> set[int]:
    """The coordinates that close on themselves, by their number."""
    conditions = {each.periodic for each in problem.bound_conditions if each.periodic is not None}
    return conditions | {problem.coords.names.index(name) for name in problem.coords.cycles}


def _inside(problem: Problem, points: np.ndarray) -> np.ndarray:
    """The points (1 or task, point, dim), moved by whole turns where a coordinate closes on itself and they lie beyond
    its ends, as networks need not be periodic there; at the ends of others where they lie beyond by rounding alone, as
    those of float32 may, UserError for points further out."""
    box, points, closed = problem.coords, points.copy(), closed_axes(problem)
    for axis, (name, low, high) in enumerate(zip(box.names, box.low, box.high, strict=True)):
        reach = EDGE * (high - low)
        beyond = (points[..., axis] < low - reach) | (points[..., axis] > high + reach)
        if axis in closed:
            turned = low + (points[..., axis] - low) % (high - low)
            points[..., axis] = np.where(beyond, turned, points[..., axis])
        elif beyond.any():
            example = points[..., axis][beyond][0]
            raise UserError(
                f"at: {beyond.sum()} of {beyond.size} points lie outside the domain, "
                f"{name} = {example:.9g}; expected {low:g} to {high:g}"
            )
        else:
            points[..., axis] = points[..., axis].clip(low, high)
    return points
