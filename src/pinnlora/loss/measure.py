"""How well fields solve their problem, measured at points of its own: what can be said without a solution."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.residuals import Block, Residuals
from pinnlora.loss.terms import interior, physics
from pinnlora.nets.adapters import Parametrisation
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values

FRESH = 3
"""The seed of the points; 1 and 2 are those of validation and of fixed points to train on."""
INTERIOR, EACH = 500, 100
"""Points in the domain, and on the faces of each condition."""


@torch.no_grad()
def physics_errors(
    problem: Problem, parametrisation: Parametrisation, theta: Tensor, values: Values
) -> tuple[Tensor, Tensor]:
    """Root mean squares of the equations' residuals and of the conditions' mismatches: theta (task, size) ->
    (task,) and (task,), the second nan where there are no conditions.

    All terms count alike, without weights; conditions that the trial function holds are measured too. The points
    are a fixed set that nothing is trained on.
    """
    network = parametrisation.network
    bare = replace(parametrisation, network=replace(network, hard=replace(network.hard, held=())))
    draw = Draw(torch.Generator(theta.device), theta.device, theta.dtype).frozen(FRESH)
    residuals, mismatches = [], []
    for k in range(len(theta)):  # task by task, in bounded memory
        one = {name: value[k : k + 1] for name, value in values.items()}
        points = draw_points(problem, draw, one, INTERIOR, EACH)
        first, *others = physics(problem, bare, one, points, residual_weight=False).blocks
        residuals.append(_root_mean_square([first], parametrisation, theta[k : k + 1]))
        mismatches.append(_root_mean_square(others, parametrisation, theta[k : k + 1]))
    return torch.cat(residuals), torch.cat(mismatches)


def _root_mean_square(blocks: list[Block], parametrisation: Parametrisation, theta: Tensor) -> Tensor:
    squares = [Residuals((block,), parametrisation).losses(theta) for block in blocks]
    terms = [term for block in squares for term in block.values()]
    if not terms:
        return theta.new_full((len(theta),), torch.nan)
    return torch.nan_to_num(torch.stack(terms).mean(0).sqrt(), nan=torch.inf, posinf=torch.inf)


@torch.no_grad()
def residual_map(
    problem: Problem, parametrisation: Parametrisation, theta: Tensor, values: Values, coords: Tensor
) -> Tensor:
    """Root mean square over the equations of one task's residuals at each of coords (1, point, dim): (1, point)."""
    parts = []
    for some in coords.split(16384, 1):
        block = interior(problem, parametrisation.network, values, some, residual_weight=False)
        jet = parametrisation.network.forward(parametrisation.weights(theta), some, block.channels)
        parts.append(torch.stack([row.square() for row in block.terms(jet).values()]).mean(0).sqrt())
    return torch.cat(parts, 1)
