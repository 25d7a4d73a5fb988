"""Measurements of some fields at some points, as an inversion reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.base import EDGE, Problem
from pinnlora.problem.distributions import reals
from pinnlora.problem.domain.base import Shape
from pinnlora.query.places import check_labels, places_of


@dataclass(frozen=True)
class Observations:
    """Measured values (set, point, field), nan where not measured, at points (set, point, dim); `alone`: one set, given
    without a task axis."""

    points: Tensor
    values: Tensor
    alone: bool

    @property
    def measured(self) -> Tensor:
        """Which values there are."""
        return self.values.isfinite()


def read_observations(problem: Problem, given: xr.Dataset | Mapping[str, Any]) -> Observations:
    """Fields and coordinates over `point` or a grid, perhaps with `task` for many sets; or a dict of arrays.

    UserError without a field or a coordinate, where nothing was measured, or outside of the domain.
    """
    if not isinstance(given, Mapping):
        raise UserError(
            f"observations: a {type(given).__name__}; expected a dict of arrays, or an xarray.Dataset"
        )
    if not isinstance(given, xr.Dataset):
        vectors = [name for name, _, _ in problem.coords.vectors]
        unknown = [n for n in given if n not in (*problem.fields, *problem.coords.names, *vectors)]
        if unknown:
            raise UserError(
                f"observations: {unknown[0]!r} is neither a field ({', '.join(problem.fields)}) nor a coordinate "
                f"({', '.join(problem.coords.names)})"
            )
        check_labels("observations", given)
        given = _dataset(given)
    names = [name for name in problem.fields if name in given]
    if not names:
        raise UserError(f"observations: no field; expected one or more of {', '.join(problem.fields)}")
    count = given.sizes.get("task", 1)
    if not count:
        raise UserError("observations: no set of measurements, the dimension task is empty")
    try:
        places = places_of(problem, given.reset_coords(), count)
    except UserError as error:
        raise UserError(f"observations:{str(error).removeprefix('at:')}") from None
    template = xr.DataArray(np.zeros((count, *places.shape)), dims=("task", *places.dims))
    values = np.full((count, places.points.shape[1], len(problem.fields)), np.nan)
    for name in names:
        spread = _spread(given[name], name, template)
        values[..., problem.fields.index(name)] = spread.reshape(count, -1)
    if np.isinf(values).any() or not np.isfinite(values).any((1, 2)).all():
        raise UserError("observations: infinite values, or no value at all; nan is what was not measured")
    points = np.broadcast_to(places.points, (count, *places.points.shape[1:]))
    found = Observations(torch.tensor(points), torch.from_numpy(values), "task" not in given.dims)
    _check_domain(problem, found)
    return found


def _spread(measured: xr.DataArray, name: str, template: xr.DataArray) -> np.ndarray:
    """Values of a field, for all sets and places of `template`; UserError for another shape."""
    for dim, size in measured.sizes.items():
        if dim not in template.dims:
            raise UserError(
                f"observations: {name} has the dimension {str(dim)!r}, the coordinates have {template.dims[1:]}"
            )
        if size != template.sizes[dim]:
            raise UserError(
                f"observations: {name} has {size} values along {dim}, the coordinates have {template.sizes[dim]}"
            )
    array = xr.DataArray(reals(f"observations: {name}", measured.values), dims=measured.dims)
    return array.broadcast_like(template).transpose(*template.dims).values


def _check_domain(problem: Problem, found: Observations) -> None:
    """Refuse measurements where no task of the problem has a solution."""
    domain = problem.coords
    if not isinstance(domain, Shape) or domain.asked():
        return
    outside = ~domain.contains(found.points, {}, EDGE * domain.size) & found.measured.any(-1)
    if bool(outside.any()):
        example = ", ".join(
            f"{n} = {x:g}" for n, x in zip(domain.names, found.points[outside][0], strict=True)
        )
        raise UserError(
            f"observations: {int(outside.sum())} points with values lie outside the domain, first {example}; leave "
            "them out, or nan there"
        )


def _dataset(given: Mapping[str, Any]) -> xr.Dataset:
    try:
        arrays = {name: reals(f"observations: {name}", value) for name, value in given.items()}
        dims = {name: ("point", f"{name}_component")[: value.ndim] for name, value in arrays.items()}
        return xr.Dataset({name: (dims[name], value) for name, value in arrays.items()})
    except UserError:
        raise
    except (TypeError, ValueError):
        raise UserError("observations: expected numbers, arrays of one length by name") from None
