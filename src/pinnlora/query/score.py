"""What a network shows of itself at fresh points: residuals, mismatches, and the loss that errors are judged by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.residuals import Block
from pinnlora.loss.terms import physics
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.mlp import MLP, Weights
from pinnlora.problem.base import Problem
from pinnlora.problem.channels import Channels
from pinnlora.problem.signature import Values
from pinnlora.query.networks import Networks
from pinnlora.train.settings import StageSettings

FRESH = 4
"""The seed of the points; 1 to 3 are those of validation, of fixed points to train on, and of the tables."""
INTERIOR, EACH, FEW = 400, 100, 100
"""Points in the domain, and of each condition; in the domain where derivatives are costly."""
TOGETHER = 16
"""Tasks that are measured at once: what bounds the memory."""
Forward = Callable[[MLP, Weights, Tensor, Channels], Tensor]


@dataclass(frozen=True)
class Score:
    """Root mean squares (task,): of the equations' residuals, of the conditions' mismatches (nan without conditions),
    and the root of the `loss`, both together as training weighs them, without `balance`."""

    residual: np.ndarray
    mismatch: np.ndarray
    loss: np.ndarray


def conditions_in_training(config: dict[str, Any], points: int) -> dict[str, Any]:
    """How a stage of `points` points treats conditions: as training by physics did, if that is how it was trained."""
    found: dict[str, Any] = {"condition_points": max(40, points // 3)}
    if config.get("mode") == "physics":
        trained = StageSettings(**config["stage"])
        share, count = points / trained.points, trained.condition_points
        if isinstance(count, int):
            found["condition_points"] = math.ceil(share * count)
        else:
            found["condition_points"] = {name: math.ceil(share * each) for name, each in count.items()}
        same = ("condition_weight", "adaptive", "residual_weight", "balance")
        found |= {name: getattr(trained, name) for name in same}
    return found


def costly(problem: Problem, network: MLP) -> bool:
    """Whether derivatives cost so much that FEW points have to do."""
    return bool(problem.coords.vectors) or bool(network.smoothing)


@torch.no_grad()
def score(networks: Networks, seed: int = FRESH, interior: int = INTERIOR, each: int = EACH) -> Score:
    """Measure every task at one fixed set of points that nothing was trained on; what overflows is inf."""
    if costly(networks.problem, networks.parametrisation.network):
        interior = min(interior, FEW)
    parts = [
        _scored(networks.take(some), seed, interior, each)
        for some in np.split(np.arange(len(networks)), range(TOGETHER, len(networks), TOGETHER))
    ]
    columns = torch.cat(parts, 1).double().cpu().numpy()
    return Score(*columns)


def _scored(networks: Networks, seed: int, interior: int, each: int) -> Tensor:
    problem, theta = networks.problem, networks.theta
    values, draw = networks.tasks.values, fixed_draw(theta, seed)
    points = draw_points(problem, draw, values, interior, each)
    return measured(problem, networks.parametrisation, theta, values, points, networks.config, MLP.forward)


def fixed_draw(theta: Tensor, seed: int = FRESH) -> Draw:
    """What draws one fixed set of points, in the precision and on the device of `theta`."""
    return Draw(torch.Generator(theta.device), theta.device, theta.dtype).frozen(seed)


def measured(
    problem: Problem, parametrisation: Parametrisation, theta: Tensor, values: Values, points: Values,
    config: dict[str, Any], forward: Forward,
) -> Tensor:  # fmt: skip
    """Residual, mismatch and loss, (3, task), at points as `draw_points` gives them, of canonical tasks `values`;
    `forward` pushes jets through the network."""
    network = parametrisation.network
    bare = replace(parametrisation, network=replace(network, hard=replace(network.hard, held=())))
    trained = conditions_in_training(config, points["interior"].shape[1])
    weight, own = trained.get("condition_weight", 1.0), trained.get("residual_weight", True)
    first, *others = physics(problem, bare, values, points, None, weight, 0.0, own).blocks
    weights = parametrisation.weights(theta)
    squares, loss = _squares([first], network, weights, forward)
    missed, more = _squares(others, network, weights, forward)
    missed = _finite(missed) if others else missed  # nan: there are no conditions
    return torch.stack([_finite(squares), missed, _finite(loss + more)]).sqrt()


def _squares(
    blocks: Sequence[Block], network: MLP, weights: Weights, forward: Forward
) -> tuple[Tensor, Tensor]:
    """The mean square of all rows' terms, (task,), nan without any, and the weighted sum of squares."""
    means, loss = [], weights.biases[0].new_zeros(len(weights.biases[0]))
    for block in blocks:
        jet = forward(network, weights, block.coords, block.channels)
        rows = block.terms(jet)
        weight = block.frozen_weight(jet, rows)
        for row in rows.values():
            means.append(row.square().mean(-1))
            loss = loss + (weight * row.square()).sum(-1)
    return torch.stack(means).mean(0) if means else torch.full_like(loss, torch.nan), loss


def _finite(values: Tensor) -> Tensor:
    return torch.nan_to_num(values, nan=torch.inf, posinf=torch.inf)
