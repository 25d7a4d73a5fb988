"""What the examples are measured against: tasks with the ends of their ranges, exact or accurate solutions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from common import SEED
from truths import Solved, one_by_one

from pinnlora.problem.base import EDGE, Problem
from pinnlora.problem.domain.base import Shape

POINTS = {1: 1001, 2: 201, 3: 41}
"""Of the grid that errors are taken over, a coordinate."""
LADDER = {1: 9, 2: 5, 3: 3}
"""Tasks a parameter, evenly spread as the problem embeds it, both ends of the range among them."""
DRAWN = 9
"""Tasks that are drawn where a task holds a function, whose range has no ends."""


@dataclass(frozen=True)
class Truth:
    """Tasks, name -> (task, ...); the axes of the grid, and the grid as points (point, dim); what is known there."""

    values: dict[str, np.ndarray]
    axes: list[np.ndarray]
    points: np.ndarray
    solved: Solved

    def errors(self, found: np.ndarray) -> np.ndarray:
        """Relative L2 error (task,) of `found` (task, point, field), of the worst field."""
        missed = np.sqrt(np.nanmean((found - self.solved.fields) ** 2, 1))
        return (missed / np.sqrt(np.nanmean(self.solved.fields**2, 1))).max(1)


def tasks_of(problem: Problem) -> dict[str, np.ndarray]:
    """The tasks that errors are measured at."""
    if problem.task.functions:
        return problem.task.sample(DRAWN, np.random.default_rng(SEED))
    ladder = np.linspace(-1, 1, LADDER[problem.task.size])
    return problem.task.decode(np.array(list(itertools.product(ladder, repeat=problem.task.size))))


def truth_of(problem: Problem, module: str) -> Truth:
    """The solutions of all tasks on the grid: exact ones, or those of a module of truths/."""
    values, box = tasks_of(problem), problem.coords
    count = POINTS[len(box.names)]
    axes = [np.linspace(low, high, count) for low, high in zip(box.low, box.high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    solve = exact if module == "exact" else import_module(f"truths.{module}").solve
    solved = solve(problem, values, axes)
    known = [_inside(problem, points, one) for one in one_by_one(values)]
    fields = np.where(np.stack(known)[..., None], solved.fields, np.nan)
    return Truth(values, axes, points, Solved(fields, solved.error, solved.kind))


def exact(problem: Problem, values: dict[str, np.ndarray], axes: list[np.ndarray]) -> Solved:
    """The exact solutions, without an error; outside of the domain they mean nothing."""
    points = torch.from_numpy(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(1, -1, len(axes)))
    found = []
    for one in one_by_one(values):
        fields = problem.exact_at(points, {name: torch.from_numpy(value) for name, value in one.items()})
        found.append(torch.stack(list(fields.values()), -1)[0].numpy())
    return Solved(np.stack(found), 0.0, "exact")


def _inside(problem: Problem, points: np.ndarray, one: dict[str, np.ndarray]) -> np.ndarray:
    """Which points (point,) are in the domain of a task."""
    if not isinstance(problem.coords, Shape):
        return np.ones(len(points), dtype=bool)
    values = {name: torch.from_numpy(value) for name, value in one.items()}
    return problem.coords.contains(torch.from_numpy(points)[None], values, EDGE * problem.coords.size)[
        0
    ].numpy()
