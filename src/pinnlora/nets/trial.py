"""Where a trial function is tried: a few tasks, points of boundaries, and lines along which a target may be rough."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pinnlora.problem.base import Problem
from pinnlora.problem.domain.base import Shape
from pinnlora.problem.domain.sides import Face, Side
from pinnlora.problem.mismatch import prescribed
from pinnlora.problem.pointwise import along, is_smooth
from pinnlora.problem.signature import BoundCondition, Signature, Values

TASKS, POINTS = 3, 64


def few_tasks(problem: Problem) -> dict[str, Tensor]:
    """TASKS of the problem's, float64."""
    sample = problem.task.sample(TASKS, np.random.default_rng(0))
    return {name: torch.as_tensor(np.asarray(value), dtype=torch.float64) for name, value in sample.items()}


def face_points(problem: Problem, face: Face | Side, generator: torch.Generator) -> Tensor:
    """Points (task, point, dim) of a face, half of them on its edges and at its corners."""
    if isinstance(problem.coords, Shape) or isinstance(face, Side):
        return _part_points(problem, face, generator)
    shape = (TASKS, POINTS, len(problem.coords.names))
    unit, edge = (torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    unit = torch.where(edge < 0.3, unit.round(), unit)
    return face.project(problem.coords.scale(unit))


def _part_points(problem: Problem, part: Face | Side, generator: torch.Generator) -> Tensor:
    """Points (task, point, dim) of a part of the boundary of a shape, half of them where it meets other parts."""
    domain, values = problem.coords, few_tasks(problem)

    def unit(many: int) -> Tensor:
        return torch.rand(TASKS, many, len(domain.names), generator=generator, dtype=torch.float64)

    parts = dict.fromkeys(p for condition in problem.bound_conditions for p in condition.faces)
    faces = [p for p in parts if isinstance(p, Face)]
    half = part.place(domain, unit, POINTS // 2, values)
    if isinstance(part, Face):
        sides = [p.place(domain, unit, POINTS // 2, values) for p in parts if isinstance(p, Side)]
        return torch.cat((half, *(part.project(side) for side in sides)), 1)
    return torch.cat((half, faces[0].project(half) if faces else half), 1)


def rough(problem: Problem, condition: BoundCondition, target: str, values: Values) -> str:
    """Says so when a target is not smooth along its faces, as far as the residual looks at it."""

    def targets(where: Tensor) -> dict[str, Tensor]:
        return prescribed(problem, condition, where, values)

    generator = torch.Generator().manual_seed(3)
    unit = torch.rand(TASKS, len(problem.coords.names), generator=generator, dtype=torch.float64)
    signature = problem.residual_signature
    for face in condition.faces:
        for axis in problem.coords.looked_at:
            if axis != face.axis:
                through = along(problem.coords, axis, unit)
                through = face.project(through) if isinstance(face, Face) else through
                if not is_smooth(targets, target, through, axis, _looked_at(signature, axis)):
                    return (
                        f"not smooth along {problem.coords.names[axis]}, or its derivatives are not torch's"
                    )
    return ""


def _looked_at(signature: Signature, axis: int) -> int:
    """The order of the highest derivative along an axis that equations ask for, by Laplacians and gradients too."""
    own = max(len(order) for order in signature.channels.orders if set(order) <= {axis})
    if axis not in signature.channels.space:
        return own
    return max(own, 2 if any(name.startswith("laplacian_") for name in signature.names) else 1)
