"""Points of the physics loss, new at every step: evenly spread, or where the residual and the conditions are steep.

Adaptive points remember: half of the candidates lie near the points chosen in the step before, so that a front is
found once and then followed, however thin it is. Of a task nothing is asked but its residual and its conditions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pinnlora.loss.draw import Draw
from pinnlora.loss.points import count_of, draw_points, inside, on_faces, on_grid
from pinnlora.problem.base import Problem
from pinnlora.problem.domain.base import Domain, Shape
from pinnlora.problem.domain.numbers import constant
from pinnlora.problem.domain.sides import Face, Side, outward_normal
from pinnlora.problem.mismatch import prescribed
from pinnlora.problem.signature import BoundCondition, Values

CANDIDATES = 6
"""Candidates for each point that is chosen among them by residual or error."""
FACE_CANDIDATES = 20
"""Candidates for each point on a face: prescribed values cost no network."""
REACH = (3e-4, 0.1)
"""Shortest and longest step from a remembered point to a candidate, in sides of the box."""


@dataclass(frozen=True)
class Points:
    """Coordinates (task, point, dim) and weights (task, point) of mean 1, by "interior" and condition; where
    weights are missing they are 1. At those `held_out` estimates of derivatives are the same at every call."""

    coords: dict[str, Tensor]
    importance: dict[str, Tensor] = field(default_factory=dict)
    held_out: bool = False

    def take(self, keep: Tensor) -> Points:
        """Those of some tasks, by index."""
        coords = {name: value[keep] for name, value in self.coords.items()}
        importance = {name: value[keep] for name, value in self.importance.items()}
        return replace(self, coords=coords, importance=importance)

    def to(self, device: torch.device) -> Points:
        """The same on another device."""
        coords = {name: value.to(device) for name, value in self.coords.items()}
        importance = {name: value.to(device) for name, value in self.importance.items()}
        return Points(coords, importance, self.held_out)


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
    box: Domain | None = None

    def points(self, values: Values, size: Callable[[Tensor], Tensor] | None = None) -> Points:
        """New points for tasks of `values`; `size` maps candidates (task, point, dim) to sizes
        (task, point), and is not asked unless points are adaptive."""
        problem, draw, box = self.problem, self.draw, self.box or self.problem.coords
        conditions = problem.bound_conditions if self.conditions is None else self.conditions
        if not self.adaptive or size is None:
            coords = draw_points(problem, draw, values, self.interior, self.per_condition, conditions, box)
            if self.grid:
                coords["interior"] = on_grid(problem, draw, values, self.interior)
            return Points(coords)
        unit = self._candidates(values, box)
        chosen, weight = by_size(size(box.scale(unit)), self.interior, draw.generator)
        self.remembered = take(unit, chosen)
        points = Points({"interior": box.scale(self.remembered)}, {"interior": weight})
        for condition in conditions:
            self._on_faces(points, values, condition, box)
        return points

    def _candidates(self, values: Values, box: Domain) -> Tensor:
        """Half spread evenly, half near the remembered points; all evenly when there are none. In the unit cube."""
        draw, dim, total = self.draw, len(self.problem.coords.names), CANDIDATES * self.interior
        tasks = len(next(iter(values.values())))
        if self.remembered is None:
            return inside(draw, tasks, total, values, box)
        near = total // 2
        pool = self.remembered.reshape(1, -1, dim).expand(tasks, -1, -1) if self.together else self.remembered
        own, device, dtype = draw.generator, draw.device, draw.dtype
        origin = take(pool, torch.randint(pool.shape[1], (tasks, near), generator=own, device=device))
        shortest, longest = (math.log(reach) for reach in REACH)
        scale = torch.rand(tasks, near, 1, generator=own, device=device, dtype=dtype)
        scale = scale * (longest - shortest) + shortest
        moved = origin + scale.exp() * torch.randn(
            tasks, near, dim, generator=own, device=device, dtype=dtype
        )
        reflected = (1 - (1 - moved.abs()).abs()).clamp(0, 1)
        even = inside(draw, tasks, total - near, values, box)
        if isinstance(box, Shape):  # what has left the domain is drawn evenly
            kept = box.contains(box.scale(reflected), values)
            reflected = torch.where(kept.unsqueeze(-1), reflected, even[:, :near])
        return torch.cat((even, reflected), 1)

    def _on_faces(self, points: Points, values: Values, condition: BoundCondition, box: Domain) -> None:
        """Add a condition's points, chosen where the prescribed values are steep if they depend on the place."""
        count = count_of(self.per_condition, condition.name)
        known = {*self.problem.coords.names, *values}
        if condition.periodic is None and known.issuperset(condition.signature.names):
            parts = on_faces(self.problem, self.draw, values, condition, FACE_CANDIDATES * count, box)
            slopes = [
                steepness(self.problem, condition, values, part, face)
                for part, face in zip(parts, condition.faces, strict=True)
            ]
            if any(slope is not None for slope in slopes):
                sizes = [
                    torch.zeros_like(part[..., 0]) if slope is None else slope
                    for part, slope in zip(parts, slopes, strict=True)
                ]
                chosen, weight = by_size(torch.cat(sizes, 1), count, self.draw.generator)
                points.coords[condition.name] = take(torch.cat(parts, 1), chosen)
                points.importance[condition.name] = weight
                return
        points.coords[condition.name] = torch.cat(
            on_faces(self.problem, self.draw, values, condition, count, box), 1
        )


def steepness(
    problem: Problem, condition: BoundCondition, values: Values, coords: Tensor, part: Face | Side
) -> Tensor | None:
    """Length of the gradient of a condition's prescribed values along a part of the boundary, in sides of the box:
    coords (task, point, dim) -> (task, point); None where they do not depend on the place."""
    coords = coords.detach().requires_grad_()
    squares = None
    side = constant(problem.coords.high, coords) - constant(problem.coords.low, coords)
    normal = outward_normal(problem.coords, [part], coords.detach(), values)
    with torch.enable_grad():
        for target in prescribed(problem, condition, coords, values).values():
            if torch.is_tensor(target) and target.requires_grad:
                (slope,) = torch.autograd.grad(target.sum(), coords, retain_graph=True)
                slope = slope - (slope * normal).sum(-1, keepdim=True) * normal
                square = (slope * side).square().sum(-1)
                squares = square if squares is None else squares + square
    return None if squares is None else squares.detach().sqrt()


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
