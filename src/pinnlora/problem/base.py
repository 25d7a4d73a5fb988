"""What a problem is: coordinates, fields, a task with its distribution, a residual, conditions, a reference.

A problem is written as a class; the argument names of its functions say what they need (`u`, `u_x`,
`u_xy`, a coordinate, a task parameter) and are resolved once, when the class is built.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.calls import rows_of
from pinnlora.problem.channels import Channels
from pinnlora.problem.declare import declare
from pinnlora.problem.domain.base import Domain, Shape, seeded
from pinnlora.problem.interpolate import fourier, spline
from pinnlora.problem.signature import BoundCondition, Condition, Periodic, Signature, Values, lookup

EDGE = 1e-6
"""How far outside of its domain a point still belongs to it, as a share of its size: those on the boundary."""
SCATTERED = 10_000
"""Random points that take the grid's place in many dimensions."""
GRID = 50_000
"""Points of the default evaluation grid, at most, in three dimensions and more."""


class Problem:
    """Base class of all problems; see docs/own-problem.md."""

    coords: ClassVar[Domain]
    fields: ClassVar[tuple[str, ...]]
    task: ClassVar[Any]
    conditions: ClassVar[list[Condition | Periodic]] = []
    grid: ClassVar[dict[str, int]] = {}
    potentials: ClassVar[tuple[str, ...]] = ()
    files: ClassVar[tuple[str, ...]] = ()
    needs_symmetry: ClassVar[bool] = False
    formulations: ClassVar[dict[str, type[Problem]]] = {}

    unknowns: ClassVar[tuple[str, ...]]
    residual_signature: ClassVar[Signature]
    bound_conditions: ClassVar[tuple[BoundCondition, ...]]
    exact_signature: ClassVar[Signature | None]
    weight_signature: ClassVar[Signature | None]
    observe_signature: ClassVar[Signature | None]

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        declare(cls)

    @property
    def name(self) -> str:
        """The problem's name in files and configuration: its class name in lower case."""
        return type(self).__name__.lower()

    @property
    def title(self) -> str:
        """The first line of the class's own docstring, or its name."""
        return (type(self).__doc__ or self.name).strip().splitlines()[0]

    def formulated(self, name: str) -> Problem:
        """The same problem for networks of other unknowns (`formulations`); 'default' is this one."""
        if name == "default":
            return self
        if name not in self.formulations:
            known = ", ".join(("default", *self.formulations))
            raise UserError(f"network.formulation: {name}, but problem {self.name} is formulated as: {known}")
        return self.formulations[name]()

    def function_values(self, name: str, values: Tensor, coords: Tensor, order: int = 0) -> Tensor:
        """A function-valued task at points: values (task, m), coords (task or 1, point, dim) -> (task, point).

        By its Fourier series where it is periodic, else by a cubic spline; twice differentiable in coords. `order`
        is that of the derivative along the function's coordinate.
        """
        field = self.task.functions[name]
        low, high = field.interval
        place = (coords[..., self.coords.names.index(field.on)] - low) / (high - low)
        return (fourier if field.wraps else spline)(values, place, order) / (high - low) ** order

    def embed(self, values: Values) -> Any:
        """What a hypernetwork reads: (task, size), by default the distribution's own scaling."""
        return self.task.embed(values)

    def canonical(self, values: Values) -> tuple[Values, Values | None]:
        """The task moved to a standard position by a symmetry, and the move (None: no symmetry is used)."""
        return values, None

    def lift(self, coords: Tensor, values: Values, channels: Channels) -> tuple[Tensor, Tensor]:
        """An ansatz that holds conditions exactly: unknowns = offset + factor * network.

        Returns the jets of offset (task, channel, point, unknown) and factor (task or 1, channel, point, 1).
        """
        raise UserError(f"network.lift: true, but problem {self.name} has no lift(); set it to false")

    def ease(self, values: Values, start: Mapping[str, float | Tensor], progress: float) -> Values:
        """Continuation: tasks on the way from easy ones (`start`) at progress 0 to themselves at 1.

        A start is a number, or a task's own value, (1,) or (1, points). Scalars move geometrically when start and
        value are positive, else linearly; functions linearly from a function, or from a number as amplitude.
        """
        if progress >= 1 or not start:
            return values
        eased = dict(values)
        for name, first in start.items():
            if name not in values:
                raise UserError(f"continuation: no task parameter {name!r}, expected {', '.join(values)}")
            value = values[name]
            first = torch.as_tensor(first, dtype=value.dtype, device=value.device)
            if value.ndim > 1 and first.ndim == 0:
                first = first * value
            if value.ndim == 1 and bool((first > 0).all() and (value > 0).all()):
                eased[name] = first ** (1 - progress) * value**progress
            else:
                eased[name] = first * (1 - progress) + value * progress
        return eased

    def move(self, coords: Tensor, move: Values) -> Tensor:
        """Coordinates (task, point, dim) in the frame of the canonical task; overridden with `canonical`."""
        return coords

    def restore(self, fields: Tensor, move: Values) -> Tensor:
        """Fields (task, point, field) of the canonical task in the frame of the given one."""
        return fields

    @property
    def has_solver(self) -> bool:
        """Whether `reference` is the problem's own solver."""
        return type(self).reference is not Problem.reference

    def reference(self, values: Values) -> dict[str, np.ndarray] | None:
        """Fields on the evaluation grid for tasks given as numpy arrays: name -> (task, *grid), float64.

        By default the exact solution, None without one; a problem may override this with a solver.
        """
        return None if self.exact_signature is None else self._exact_on(self.places(), values)

    def places(self) -> np.ndarray:
        """All points of the evaluation grid, (point, dim)."""
        axes = self.axes()
        if self.coords.vectors:
            return self._scattered(len(axes["point"]))
        return np.stack(np.meshgrid(*axes.values(), indexing="ij"), -1).reshape(-1, len(axes))

    def _scattered(self, count: int) -> np.ndarray:
        """Uniform in the domain, always the same."""
        return self.coords.scale(self.coords.uniform(seeded(self.coords, 1), count, {}))[0].numpy()

    def _exact_on(self, points: np.ndarray, values: Values) -> dict[str, np.ndarray]:
        coords = torch.from_numpy(points)
        shape = tuple(len(axis) for axis in self.axes().values())
        count = len(next(iter(values.values())))
        out = {name: np.empty((count, *shape)) for name in self.fields}
        inside = self.inside(values)
        for k in range(count):
            one = {name: torch.from_numpy(np.asarray(value[k : k + 1])) for name, value in values.items()}
            exact = self.exact_at(coords.unsqueeze(0), one)
            for name in self.fields:
                out[name][k] = exact[name].numpy().reshape(shape)
                if inside is not None:
                    out[name][k][~inside[k]] = np.nan
        return out

    def inside(self, values: Values, slack: float = EDGE) -> np.ndarray | None:
        """Which points of the evaluation grid are in the domain of each task, (task, *grid), up to `slack` times its
        size outside; None where all are, in a box or in many dimensions."""
        if not isinstance(self.coords, Shape) or self.coords.vectors:
            return None
        axes = [torch.as_tensor(axis, dtype=torch.float64) for axis in self.axes().values()]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        found, points = [], grid.reshape(1, -1, len(axes))
        for k in range(len(next(iter(values.values())))):
            one = {
                name: torch.as_tensor(np.asarray(v[k : k + 1]), dtype=torch.float64)
                for name, v in values.items()
            }
            inside = self.coords.contains(points, one, slack * self.coords.size)
            found.append(inside.reshape(grid.shape[:-1]).numpy())
        return np.stack(found)

    def reference_floor(self, values: Values, fields: Mapping[str, np.ndarray]) -> tuple[float, str]:
        """The mean squared error of the reference solutions themselves, and how it is known.

        By default what rounding does to an exact solution, its change when every coordinate moves by an ulp; nan
        for an own solver that overrides `reference` but not this.
        """
        if self.has_solver:
            return math.nan, "the problem's own solver, of unknown error"
        moved = self.places() * (1 + 2.0**-52)
        few = {name: value[:4] for name, value in values.items()}
        again = self._exact_on(moved, few)
        inside = self.inside(few)
        where = True if inside is None else inside
        change = np.mean(
            [np.mean((again[name] - fields[name][:4]) ** 2, where=where) for name in self.fields]
        )
        return float(change), "analytic; what the rounding of its coordinates to float64 changes"

    def axes(self) -> dict[str, np.ndarray]:
        """The evaluation grid, one axis a coordinate; `grid` holds the numbers of points.

        By default 101, or as many as make at most GRID points in all where there are three coordinates or more. In
        many dimensions the one axis is that of random points, whose coordinates are those of `places`.
        """
        box = self.coords
        if box.vectors:
            return {"point": np.arange(self.grid.get("point", SCATTERED))}
        count, left = 101, len(box.names) - len(self.grid)
        if left and len(box.names) > 2:
            count = max(2, min(101, int((GRID / math.prod(self.grid.values())) ** (1 / left) + 1e-9)))
        return {
            name: np.linspace(low, high, self.grid.get(name, count))
            for name, low, high in zip(box.names, box.low, box.high, strict=True)
        }

    def front(self, values: Values, fields: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Which grid points (task, *grid) belong to a front where errors are reported apart; None: no front."""
        return None

    def exact_at(self, coords: Tensor, values: Values) -> dict[str, Tensor]:
        """The exact solution at points (task, point, dim): name -> (task, point), in the order of the fields."""
        where, shape = f"{type(self).__name__}.exact", (len(next(iter(values.values()))), coords.shape[1])
        signature = self.exact_signature
        if signature is None:
            raise UserError(f"{type(self).__name__} has no exact()")
        exact = rows_of(where, lambda: signature(self, lookup(self, coords, values)), shape, full=False)
        if set(exact) != set(self.fields):
            raise UserError(f"{where} returns {', '.join(exact)}, expected {', '.join(self.fields)}")
        return {name: exact[name] for name in self.fields}
