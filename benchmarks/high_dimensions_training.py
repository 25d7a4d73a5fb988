"""Errors of one task of the Hamilton-Jacobi-Bellman equation during equal times of Adam, by four ways to derivatives.

The end in time is held exactly by all, values on the faces of the cube are in the loss, points are fresh at every
step, the rate falls as a cosine of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from common import CPU, SEED
from high_dimensions_ways import (
    LAYERS,
    MU,
    PLAIN,
    POINTS,
    RATE,
    SIGMA,
    STEIN,
    WIDTH,
    bellman,
    plain_rows,
    points_of,
    way_of,
)
from opponents import plain_network
from torch import Tensor

from pinnlora.loss.residuals import Residuals
from pinnlora.loss.terms import interior
from pinnlora.nets.adapters import Full
from pinnlora.nets.ansatz import fields_at
from pinnlora.nets.mlp import MLP
from pinnlora.problem.base import Problem
from pinnlora.train.data import fields_of, grid_coords, task_set
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of

FACES = 10.0
"""What the mean square on the faces counts beside that of the residual."""
FEW, FIRST = 1000, 0.5
"""Points of the errors on the way, and seconds until the first of them; each next one after twice the time."""


def lifted(coords: Tensor, value: Tensor) -> Tensor:
    """The end held exactly: what the package's trial function does for this problem."""
    return ((1 + coords[:, :-1].square().sum(-1)) / 2).log() + (1 - coords[:, -1]) * value


def relative(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Relative L2 and relative L1 error."""
    gap = found - truth
    return float(np.linalg.norm(gap) / np.linalg.norm(truth)), float(np.abs(gap).sum() / np.abs(truth).sum())


def trained(method: str, dimension: int, seconds: float) -> dict[str, Any]:
    """Errors at the points of the problem after so many seconds of CPU time in steps, and on the way there."""
    problem, generator = bellman(dimension), torch.Generator().manual_seed(SEED)
    network = network_of(problem, NetworkSettings(width=WIDTH, hidden_layers=LAYERS, unadapted=()))
    network = replace(network, smoothing=SIGMA if method == STEIN else 0.0)
    start = Full(network).initial(1, generator).float()
    parameters, loss = _loss(method, problem, network, start, generator)
    adam, tasks = torch.optim.Adam(parameters, RATE), _tasks(problem)
    grid, truth = grid_coords(problem, CPU, torch.float32), problem.reference({"mu": np.array([MU])})["u"][0]

    def errors(count: int | None = None) -> tuple[float, float]:
        theta = torch.cat([p.detach().flatten() for p in parameters]).view(1, -1)
        fields = fields_of(Full(network), theta, tasks, grid[:, :count])[0, :, 0]
        return relative(fields.double().numpy(), truth[:count])

    used, count, due, curve = 0.0, 0, FIRST, [(0.0, *errors(FEW))]
    while used < seconds:
        began = time.process_time()
        adam.param_groups[0]["lr"] = RATE * (0.5 + 0.5 * np.cos(np.pi * used / seconds)) + 1e-6
        adam.zero_grad()
        loss(points_of(problem, POINTS, generator)).backward()
        adam.step()
        used, count = used + time.process_time() - began, count + 1
        if used >= due:
            due = 2 * used
            curve.append((used, *errors(FEW)))
    l2, l1 = errors()
    found = {"d": dimension, "method": method, "steps": count, "used": used, "l2": l2, "l1": l1}
    return found | {"start": curve[0][1], "curve": curve}


def _tasks(problem: Problem) -> Any:
    return task_set(problem, {"mu": np.array([MU])}, False, CPU, torch.float32)


def _loss(
    method: str, problem: Problem, network: MLP, start: Tensor, generator: torch.Generator
) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """What is trained, and the mean square of the residual at points (1, point, dim)."""
    if method == PLAIN:
        plain = plain_network(network, start)

        def at_once(coords: Tensor) -> Tensor:
            inside = plain_rows(plain, coords[0], lifted).square().mean()
            where, wanted = _faces(problem, generator)
            return inside + FACES * (lifted(where[0], plain(where[0])[:, 0]) - wanted).square().mean()

        return list(plain.parameters()), at_once
    theta, way = start.clone().requires_grad_(), way_of(method, generator)
    values = {"mu": torch.full((1,), MU)}

    def loss(coords: Tensor) -> Tensor:
        block = interior(problem, network, values, coords, derivatives=way)
        inside = Residuals((block,), Full(network)).total(theta).sum()
        where, wanted = _faces(problem, generator)
        found = fields_at(problem, network, network.unflatten(theta), where, values)[0, :, 0]
        return inside + FACES * (found - wanted).square().mean()

    return [theta], loss


def _faces(problem: Problem, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points (1, point, dim) on the faces of the cube, and the solution there, (point,)."""
    coords = points_of(problem, POINTS, generator)
    axis = torch.randint(0, coords.shape[-1] - 1, (POINTS,), generator=generator)
    coords[0, torch.arange(POINTS), axis] = torch.randint(0, 2, (POINTS,), generator=generator) * 2.0 - 1
    exact = problem.exact_at(coords.double(), {"mu": torch.full((1,), MU, dtype=torch.float64)})
    return coords, exact["u"][0].float()
