"""What hypernetworks learn from without an equation: known fields, at points that are drawn anew for each step."""

from __future__ import annotations

import torch
from torch import Tensor

from pinnlora.loss.draw import Draw
from pinnlora.loss.points import inside
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.ansatz import fields_at
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.train.data import Solutions


@torch.no_grad()
def of_teachers(
    problem: Problem,
    parametrisation: Parametrisation,
    teachers: Tensor,
    values: Values,
    draw: Draw,
    count: int,
) -> tuple[Tensor, Tensor]:
    """Points of the domain (task, count, dim), the same for all tasks, and there the fields (task, count, field) of the
    teachers (task, size)."""
    coords = problem.coords.scale(inside(draw, 1, count, values, problem.coords))
    coords = coords.expand(len(teachers), -1, -1)
    weights = parametrisation.weights(teachers)
    return coords, fields_at(problem, parametrisation.network, weights, coords, values)


def of_references(training: Solutions, chosen: Tensor, draw: Draw, count: int) -> tuple[Tensor, Tensor]:
    """Grid points (task, count, dim) of the chosen tasks, and there the reference solutions (task, count, field), both
    in the network's frame."""
    coords, targets = training.sample(chosen, training.drawn(chosen, count, draw.generator))
    tasks = training.tasks.take(chosen)
    if tasks.move is not None:  # restore() is affine with slope +-1
        offset = tasks.from_network(torch.zeros_like(targets))
        slope = tasks.from_network(torch.ones_like(targets)) - offset
        targets = (targets - offset) / slope
    return coords, targets
