"""Points of the physics loss: drawn in the domain and on its faces, near fronts, and by residual."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.ansatz import lifted
from pinnlora.problem.base import Problem
from pinnlora.problem.box import Face
from pinnlora.problem.channels import Channels
from pinnlora.problem.signature import BoundCondition, Values, lookup

POOL = 3
"""Candidates for each point that is chosen among them."""


def draw_points(
    problem: Problem, draw: Draw, values: Values, interior: int, per_condition: int | Mapping[str, int]
) -> dict[str, Tensor]:
    """Coordinates (task, point, dim) under "interior" and each condition's name (faces share the points)."""
    tasks = len(next(iter(values.values())))
    dim = len(problem.coords.names)
    points = {"interior": _focused(problem, draw, values, draw.unit(tasks, interior, dim))}
    for salt, condition in enumerate(problem.bound_conditions, start=1):
        points[condition.name] = _on_faces(
            problem, draw, values, condition, _count(per_condition, condition.name), salt
        )
    return points


def _count(per_condition: int | Mapping[str, int], name: str) -> int:
    if isinstance(per_condition, int):
        return per_condition
    if name not in per_condition:
        raise UserError(
            f"condition_points: no number for condition {name!r}, only for {', '.join(per_condition)}"
        )
    return per_condition[name]


def _focused(problem: Problem, draw: Draw, values: Values, unit: Tensor, face: Face | None = None) -> Tensor:
    """Candidates moved towards what is steep; a fixed set is moved in the same way for every task."""
    coords, axis = problem.coords.scale(unit), None
    if face is not None:
        coords, axis = face.project(coords), face.axis
    if not draw.fixed:
        return problem.focus(coords, values, draw.stream(), axis)
    each = [
        problem.focus(coords[k : k + 1], {n: v[k : k + 1] for n, v in values.items()}, draw.stream(), axis)
        for k in range(len(coords))
    ]
    return torch.cat(each)


def _on_faces(
    problem: Problem, draw: Draw, values: Values, condition: BoundCondition, count: int, salt: int
) -> Tensor:
    tasks = len(next(iter(values.values())))
    dim = len(problem.coords.names)
    if condition.periodic is not None:  # the same points on both faces
        base = problem.coords.scale(draw.unit(tasks, count, dim, salt))
        return torch.cat([face.project(base) for face in condition.faces], 1)
    parts = []
    for k, face in enumerate(condition.faces):
        share = count // len(condition.faces) + (k < count % len(condition.faces))
        unit = draw.unit(tasks, share, dim, 100 * salt + k)
        parts.append(_focused(problem, draw, values, unit, face))
    return torch.cat(parts, 1)


def by_residual(
    problem: Problem,
    parametrisation: Parametrisation,
    theta: Tensor,
    values: Values,
    pool: Tensor,
    count: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """`count` points of `pool` (task, point, dim), drawn in proportion to |residual| + its mean.

    Returns them, (task, count, dim), and their importance weights (task, count), of mean about 1.
    """
    signature = problem.residual_signature
    channels = signature.channels
    if problem.weight_signature is not None:
        channels = Channels.of([*channels.orders, *problem.weight_signature.channels.orders])
    with torch.no_grad():
        network = parametrisation.network
        jet = network.forward(parametrisation.weights(theta), pool, channels)
        jet = lifted(problem, network, pool, values, channels)(jet)
        find = lookup(problem, pool, values, jet, channels)
        size = torch.stack([row.square() for row in signature(problem, find).values()]).sum(0)
        if problem.weight_signature is not None:
            size = size * problem.weight_signature(problem, find)
        chosen, importance = by_size(size.sqrt(), count, generator)
        return take(pool, chosen), importance


def by_size(size: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`count` indices drawn in proportion to size (task, point) + its mean, and their weights, (task, count) each."""
    # a task that blew up gets points too: its way back leads over them
    size = torch.nan_to_num(size, posinf=0.0)
    density = size + size.mean(-1, keepdim=True) + torch.finfo(size.dtype).tiny
    chosen = torch.multinomial(density, count, replacement=True, generator=generator)
    return chosen, density.mean(-1, keepdim=True) / density.gather(1, chosen)


def take(pool: Tensor, chosen: Tensor) -> Tensor:
    """Entries (task, count, size) of pool (task, point, size), by index (task, count)."""
    return pool.gather(1, chosen.unsqueeze(-1).expand(-1, -1, pool.shape[-1]))
