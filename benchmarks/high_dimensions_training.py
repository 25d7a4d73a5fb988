"""Errors of one task during equal times of Adam, by four ways to derivatives.

Conditions at the end in time and on a sphere are held exactly by all, values on the faces of a cube are in the loss,
points are fresh at every step, the rate falls as a cosine of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from common import CPU, SEED
from high_dimensions_races import Race, on_faces, race_of
from high_dimensions_ways import (
    EXACT,
    LAYERS,
    PLAIN,
    POINTS,
    RATE,
    SIGMA,
    STEIN,
    WIDTH,
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
from pinnlora.train.data import fields_of, grid_coords, task_set
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of

NO_EQUATION = "faces"
"""Beside the ways to derivatives: trained on the values on the faces alone, which says how much those give away."""
FACES = 10.0
"""What the mean square on the faces counts beside that of the residual."""
FEW, TIMES, FIRST = 1000, 12, 1 / 250
"""Points of the errors on the way, how many of them, each after the same multiple of the time of the one before, and
the share of the time at which the first is due."""


def relative(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Relative L2 and relative L1 error."""
    gap = found - truth
    return float(np.linalg.norm(gap) / np.linalg.norm(truth)), float(np.abs(gap).sum() / np.abs(truth).sum())


def trained(method: str, name: str, dimension: int, seconds: float) -> dict[str, Any]:
    """Errors at the points of the problem after so many seconds of CPU time in steps, and on the way there: the curve
    has seconds, relative L2, relative L1, and the mean loss of the steps since the entry before."""
    race, generator = race_of(name, dimension), torch.Generator().manual_seed(SEED)
    network = network_of(race.problem, NetworkSettings(width=WIDTH, hidden_layers=LAYERS, unadapted=()))
    network = replace(network, smoothing=SIGMA if method == STEIN else 0.0)
    start = Full(network).initial(1, generator).float()
    parameters, loss_at = loss_of(method, race, network, start, generator)
    adam, errors = torch.optim.Adam(parameters, RATE), _judge(race, network, parameters)
    used, count, losses = 0.0, 0, []
    due, curve = list(seconds * np.geomspace(FIRST, 1, TIMES)), [(0.0, *errors(FEW), None)]
    while used < seconds:
        began = time.process_time()
        adam.param_groups[0]["lr"] = RATE * (0.5 + 0.5 * np.cos(np.pi * used / seconds)) + 1e-6
        adam.zero_grad()
        loss = loss_at(points_of(race.problem, POINTS, generator))
        loss.backward()
        adam.step()
        used, count = used + time.process_time() - began, count + 1
        losses.append(float(loss.detach()))
        if due and used >= due[0]:
            curve.append((used, *errors(FEW), float(np.mean(losses))))
            due, losses = [later for later in due if later > used], []
    l2, l1 = errors(None)
    found = {
        "problem": name,
        "d": dimension,
        "method": method,
        "steps": count,
        "used": used,
        "l2": l2,
        "l1": l1,
    }
    return found | {"start": curve[0][1], "curve": curve}


def _judge(race: Race, network: MLP, parameters: list[Tensor]) -> Callable[[int | None], tuple[float, float]]:
    """The errors at so many of the problem's points, or at all of them, of what the parameters are by then."""
    task = {name: np.array([value]) for name, value in race.task.items()}
    tasks, truth = (
        task_set(race.problem, task, False, CPU, torch.float32),
        race.problem.reference(task)["u"][0],
    )
    grid = grid_coords(race.problem, CPU, torch.float32)

    def errors(count: int | None) -> tuple[float, float]:
        theta = torch.cat([p.detach().flatten() for p in parameters]).view(1, -1)
        fields = fields_of(Full(network), theta, tasks, grid[:, :count])[0, :, 0]
        return relative(fields.double().numpy(), truth[:count])

    return errors


def loss_of(
    method: str, race: Race, network: MLP, start: Tensor, generator: torch.Generator
) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """What is trained, and the mean square of the residual at points (1, point, dim), and of what faces miss."""
    values = {name: torch.full((1,), value) for name, value in race.task.items()}
    if method == PLAIN:
        plain, lift = plain_network(network, start), race.lift(network)
        parameters = list(plain.parameters())

        def inside(coords: Tensor) -> Tensor:
            return plain_rows(race.problem, race.task, plain, coords[0], lift).square().mean()

        def u(where: Tensor) -> Tensor:
            return lift(where[0], plain(where[0])[:, 0])

    else:
        theta = start.clone().requires_grad_()
        way = way_of(EXACT if method == NO_EQUATION else method, generator)
        parameters = [theta]

        def inside(coords: Tensor) -> Tensor:
            block = interior(race.problem, network, values, coords, derivatives=way)
            return Residuals((block,), Full(network)).total(theta).sum()

        def u(where: Tensor) -> Tensor:
            return fields_at(race.problem, network, network.unflatten(theta), where, values)[0, :, 0]

    def loss(coords: Tensor) -> Tensor:
        if not race.faces:
            return inside(coords)
        where, wanted = on_faces(race, generator)
        outside = FACES * (u(where) - wanted).square().mean()
        return outside if method == NO_EQUATION else inside(coords) + outside

    return parameters, loss
