"""Points spread evenly: in the domain, on its evaluation grid, and on the faces of conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.problem.base import Problem
from pinnlora.problem.domain.base import Domain, Shape
from pinnlora.problem.signature import BoundCondition, Values


def draw_points(
    problem: Problem,
    draw: Draw,
    values: Values,
    interior: int,
    per_condition: int | Mapping[str, int],
    conditions: Sequence[BoundCondition] | None = None,
    box: Domain | None = None,
) -> dict[str, Tensor]:
    """Coordinates (task, point, dim) under "interior" and each condition's name (faces share the points).

    By default of all `conditions`, and in all of the domain; `box` is the part of it that they are drawn from.
    """
    tasks, box = len(next(iter(values.values()))), box or problem.coords
    points = {"interior": box.scale(inside(draw, tasks, interior, values, box))}
    for condition in problem.bound_conditions if conditions is None else conditions:
        count = count_of(per_condition, condition.name)
        points[condition.name] = torch.cat(on_faces(problem, draw, values, condition, count, box), 1)
    return points


def inside(draw: Draw, tasks: int, count: int, values: Values, box: Domain, salt: int = 0) -> Tensor:
    """`count` points for each task, (task, count, dim), in the unit cube, that `box.scale` maps into the domain."""
    return box.uniform(lambda many: draw.unit(tasks, many, len(box.names), salt), count, values)


def count_of(per_condition: int | Mapping[str, int], name: str) -> int:
    """The number of points of one condition; UserError when it has none."""
    if isinstance(per_condition, int):
        return per_condition
    if name not in per_condition:
        raise UserError(
            f"condition_points: no number for condition {name!r}, only for {', '.join(per_condition)}"
        )
    return per_condition[name]


def on_faces(
    problem: Problem, draw: Draw, values: Values, condition: BoundCondition, count: int, box: Domain
) -> list[Tensor]:
    """At least `count` points on a condition's parts of the boundary, as many on each, a tensor (task, point, dim) a
    part; periodic faces each have all."""
    tasks, faces = len(next(iter(values.values()))), condition.faces
    salt = 1 + problem.bound_conditions.index(condition)
    if condition.periodic is not None:  # the same points on both faces
        base = box.scale(inside(draw, tasks, count, values, box, salt))
        return [face.project(base) for face in condition.ends]
    parts, share = [], -(-count // len(faces))
    for k, face in enumerate(faces):

        def unit(many: int, salt: int = 100 * salt + k) -> Tensor:
            return draw.unit(tasks, many, len(box.names), salt)

        parts.append(face.place(box, unit, share, values))
    return parts


def on_grid(problem: Problem, draw: Draw, values: Values, count: int) -> Tensor:
    """`count` different points of the evaluation grid, (task, count, dim), the same for all tasks.

    UserError when the grid has fewer inside the domain of every task.
    """
    grid = torch.as_tensor(problem.places())
    if isinstance(problem.coords, Shape):
        whole = {name: value.cpu().double() for name, value in values.items()}
        grid = grid[problem.coords.contains(grid.unsqueeze(0), whole).all(0)]
    if count > len(grid):
        raise UserError(f"points: {count} with points_on: grid, but the grid has {len(grid)} points only")
    chosen = torch.randperm(len(grid), generator=draw.stream(), device=draw.device)[:count]
    tasks = len(next(iter(values.values())))
    return grid.to(draw.device, draw.dtype)[chosen].expand(tasks, -1, -1)
