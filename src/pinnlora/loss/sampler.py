"""Points of the physics loss, new at every step: evenly spread, or where the residual and the conditions are steep.

Adaptive points remember: half of the candidates lie near the points chosen in the step before, so that a front is
found once and then followed, however thin it is. Of a task nothing is asked but its residual and its conditions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnlora.loss.draw import Draw
from pinnlora.loss.points import count_of, draw_points, on_faces, on_grid
from pinnlora.problem.base import Problem
from pinnlora.problem.box import Box
from pinnlora.problem.signature import BoundCondition, Values, lookup

CANDIDATES = 6
"""Candidates for each point that is chosen among them by residual or error."""
FACE_CANDIDATES = 20
"""Candidates for each point on a face: prescribed values cost no network."""
REACH = (3e-4, 0.1)
"""Shortest and longest step from a remembered point to a candidate, in sides of the box."""


@dataclass(frozen=True)
class Points:
    """Coordinates (task, point, dim) and weights (task, point) of mean 1, by "interior" and condition; where
    weights are missing they are 1."""

    coords: dict[str, Tensor]
    importance: dict[str, Tensor] = field(default_factory=dict)

    def take(self, keep: Tensor) -> Points:
        """Those of some tasks, by index."""
        coords = {name: value[keep] for name, value in self.coords.items()}
        return Points(coords, {name: value[keep] for name, value in self.importance.items()})

    def to(self, device: torch.device) -> Points:
        """The same on another device."""
        parts = (self.coords, self.importance)
        return Points(*({name: value.to(device) for name, value in part.items()} for part in parts))


@dataclass
class Sampler:
    """Draws the points of one stage; `remembered` (task, point, dim), in the unit cube, are those chosen last.

    With `together` all tasks share one memory, which they must where every step has other tasks. Of `conditions`
    only those in the loss need points; `box` is the part of the domain that is drawn from, all of it by default.
    """

    problem: Problem
    draw: Draw
    interior: int
    per_condition: int | Mapping[str, int]
    adaptive: bool = False
    grid: bool = False
    together: bool = False
    conditions: Sequence[BoundCondition] | None = None
    remembered: Tensor | None = None
    box: Box | None = None

    def points(self, values: Values, size: Callable[[Tensor], Tensor] | None = None) -> Points:
        """New points for tasks of `values`; `size` maps candidates (task, point, dim) to sizes
        (task, point), and is not asked unless points are adaptive."""
        problem, draw, box = self.problem, self.draw, self.box or self.problem.coords
        conditions = problem.bound_conditions if self.conditions is None else self.conditions
        tasks = len(next(iter(values.values())))
        if not self.adaptive:
            coords = draw_points(problem, draw, values, self.interior, self.per_condition, conditions, box)
            if self.grid:
                coords["interior"] = on_grid(problem, draw, tasks, self.interior)
            return Points(coords)
        unit = self._candidates(tasks)
        chosen, weight = by_size(size(box.scale(unit)), self.interior, draw.generator)
        self.remembered = take(unit, chosen)
        points = Points({"interior": box.scale(self.remembered)}, {"interior": weight})
        for condition in conditions:
            self._on_faces(points, values, condition, tasks, box)
        return points

    def _candidates(self, tasks: int) -> Tensor:
        """Half spread evenly, half near the remembered points; all evenly when there are none. In the unit cube."""
        draw, dim, total = self.draw, len(self.problem.coords.names), CANDIDATES * self.interior
        if self.remembered is None:
            return draw.unit(tasks, total, dim)
        near = total // 2
        pool = self.remembered.reshape(1, -1, dim).expand(tasks, -1, -1) if self.together else self.remembered
        like = {"generator": draw.generator, "device": draw.device}
        origin = take(pool, torch.randint(pool.shape[1], (tasks, near), **like))
        shortest, longest = (math.log(reach) for reach in REACH)
        scale = torch.rand(tasks, near, 1, dtype=draw.dtype, **like) * (longest - shortest) + shortest
        moved = origin + scale.exp() * torch.randn(tasks, near, dim, dtype=draw.dtype, **like)
        reflected = (1 - (1 - moved.abs()).abs()).clamp(0, 1)
        return torch.cat((draw.unit(tasks, total - near, dim), reflected), 1)

    def _on_faces(
        self, points: Points, values: Values, condition: BoundCondition, tasks: int, box: Box
    ) -> None:
        """Add a condition's points, chosen where the prescribed values are steep if they depend on the place."""
        count = count_of(self.per_condition, condition.name)
        known = {*self.problem.coords.names, *values}
        if condition.signature is not None and known.issuperset(condition.signature.names):
            parts = on_faces(self.problem, self.draw, tasks, condition, FACE_CANDIDATES * count, box)
            slopes = [
                steepness(self.problem, condition, values, part, face.axis)
                for part, face in zip(parts, condition.faces, strict=True)
            ]
            if any(bool(slope.any()) for slope in slopes):
                chosen, weight = by_size(torch.cat(slopes, 1), count, self.draw.generator)
                points.coords[condition.name] = take(torch.cat(parts, 1), chosen)
                points.importance[condition.name] = weight
                return
        points.coords[condition.name] = torch.cat(
            on_faces(self.problem, self.draw, tasks, condition, count, box), 1
        )


def steepness(
    problem: Problem, condition: BoundCondition, values: Values, coords: Tensor, axis: int
) -> Tensor:
    """Length of the gradient of a condition's prescribed values along a face across `axis`, in sides of the box:
    coords (task, point, dim) -> (task, point); zero where they are constant."""
    coords = coords.detach().requires_grad_()
    squares = torch.zeros_like(coords[..., 0])
    side = coords.new_tensor(problem.coords.high) - coords.new_tensor(problem.coords.low)
    side[axis] = 0
    with torch.enable_grad():
        for target in condition.signature(problem, lookup(problem, coords, values)).values():
            if torch.is_tensor(target) and target.requires_grad:
                (slope,) = torch.autograd.grad(target.sum(), coords, retain_graph=True)
                squares += (slope * side).square().sum(-1)
    return squares.detach().sqrt()


def by_size(size: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`count` indices drawn in proportion to size (task, point) + its mean, and their weights, (task, count) each."""
    # a task that blew up gets points too: its way back leads over them
    tiny = torch.finfo(size.dtype).tiny
    size = torch.nan_to_num(size, posinf=0.0)
    size = size / size.amax(-1, keepdim=True).clamp_min(tiny)  # sums of huge sizes must not overflow
    density = size + size.mean(-1, keepdim=True) + tiny
    share = density.cumsum(-1)
    # evenly spaced quantiles with one random shift a task: each index is drawn as often as it should, up to one
    shift = torch.rand((len(size), 1), generator=generator, dtype=size.dtype, device=size.device)
    even = (torch.arange(count, dtype=size.dtype, device=size.device) + shift) / count
    chosen = torch.searchsorted(share / share[:, -1:], even)
    return chosen, density.mean(-1, keepdim=True) / density.gather(1, chosen)


def take(pool: Tensor, chosen: Tensor) -> Tensor:
    """Entries (task, count, size) of pool (task, point, size), by index (task, count)."""
    return pool.gather(1, chosen.unsqueeze(-1).expand(-1, -1, pool.shape[-1]))
