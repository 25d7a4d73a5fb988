"""What the ways to derivatives race on: a task of an equation, and how its conditions are met without the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from common import HERE
from high_dimensions_ways import MU, POINTS, bellman, points_of
from torch import Tensor

from pinnlora import Ball, Vector
from pinnlora.nets.distance import curved
from pinnlora.nets.mlp import MLP
from pinnlora.problem.base import Problem
from pinnlora.problem.channels import VALUE
from pinnlora.problem.load import load_problem

BELLMAN, SINE = "bellman", "sine_gordon"
RACES = {BELLMAN: "Hamilton-Jacobi-Bellman", SINE: "sine-Gordon"}

Lift = Callable[[Tensor, Tensor], Tensor]
"""From coords (point, dim) and the network's values there, (point,), to u."""


class Race(NamedTuple):
    """An equation in some number of dimensions, its task, and whether values on faces are in the loss; `lift` makes
    u of a network's values as the package's trial function does."""

    problem: Problem
    task: dict[str, float]
    faces: bool
    lift: Callable[[MLP], Lift]


def race_of(name: str, dimension: int) -> Race:
    """One of RACES in so many dimensions."""
    if name == BELLMAN:
        return Race(bellman(dimension), {"mu": MU}, True, lambda network: _ended)
    example = type(load_problem(f"{HERE.parent}/examples/sine_gordon.py:SineGordon"))
    body = {"coords": Ball(x=Vector(dimension), radius=1), "grid": {"point": 10_000}}
    problem = type("SineGordon", (example,), body)()
    return Race(problem, {"a": 1.0}, False, lambda network: _rimmed(problem, network))


def _ended(coords: Tensor, value: Tensor) -> Tensor:
    """The end held exactly."""
    return ((1 + coords[:, :-1].square().sum(-1)) / 2).log() + (1 - coords[:, -1]) * value


def _rimmed(problem: Problem, network: MLP) -> Lift:
    """Zero on the sphere: what the package has for the distance to it, up to its value at the centre."""
    centre = torch.zeros(1, 1, len(problem.coords.names))
    _, factor = curved(problem, network.hard.patches, network.hard.kept, centre, {"a": torch.ones(1)}, VALUE)

    def distance(coords: Tensor) -> Tensor:
        level = (1 - coords.square().sum(-1)) / 2
        return level / (1 + level.square()).sqrt()

    size = float(factor) / float(distance(centre))
    return lambda coords, value: size * distance(coords) * value


def on_faces(race: Race, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points (1, point, dim) on the faces of the cube, and the solution there, (point,)."""
    coords = points_of(race.problem, POINTS, generator)
    axis = torch.randint(0, coords.shape[-1] - 1, (POINTS,), generator=generator)
    coords[0, torch.arange(POINTS), axis] = torch.randint(0, 2, (POINTS,), generator=generator) * 2.0 - 1
    task = {name: torch.full((1,), value, dtype=torch.float64) for name, value in race.task.items()}
    return coords, race.problem.exact_at(coords.double(), task)["u"][0].float()
