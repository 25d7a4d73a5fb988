"""Tasks and reference solutions as tensors, in the frame the networks work in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.ansatz import fields_at
from pinnlora.problem.base import Problem
from pinnlora.problem.domain.base import Shape
from pinnlora.problem.signature import Values
from pinnlora.problem.solver import DEEP

CHUNK = 2048
"""Points of a task evaluated at once: what lies between two products stays in the cache."""


@dataclass(frozen=True)
class TaskSet:
    """Tasks of one split: canonical `values`, and the `move` back to the given ones (None: no symmetry used)."""

    problem: Problem
    values: Values
    move: Values | None

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def take(self, keep: Tensor) -> TaskSet:
        """Some of the tasks, by index."""
        move = None if self.move is None else {name: value[keep] for name, value in self.move.items()}
        return TaskSet(self.problem, {name: value[keep] for name, value in self.values.items()}, move)

    def to(self, device: torch.device, dtype: torch.dtype) -> TaskSet:
        """The same tasks on another device or in another precision."""

        def there(part: Values) -> Values:
            return {name: sent(value.to(dtype), device) for name, value in part.items()}

        return TaskSet(self.problem, there(self.values), None if self.move is None else there(self.move))

    def to_network(self, coords: Tensor) -> Tensor:
        """Given coordinates (task or 1, point, dim) in the network's frame."""
        return coords if self.move is None else self.problem.move(coords, self.move)

    def from_network(self, fields: Tensor) -> Tensor:
        """Network fields (task, point, field) in the given frame."""
        return fields if self.move is None else self.problem.restore(fields, self.move)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; from the CPU to a GPU without waiting for what that is doing."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.contiguous().pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def task_set(
    problem: Problem, values: Values, symmetry: bool, device: torch.device, dtype: torch.dtype
) -> TaskSet:
    """Tasks from numpy arrays; with `symmetry` they are moved to the problem's canonical position."""
    tensors = {
        name: torch.as_tensor(np.asarray(value), dtype=torch.float64) for name, value in values.items()
    }
    still: tuple[Values, Values | None] = (tensors, None)
    return TaskSet(problem, *(problem.canonical(tensors) if symmetry else still)).to(device, dtype)


def fresh_tasks(problem: Problem, count: int, rng: np.random.Generator, margin: float) -> Values:
    """New tasks, as numpy arrays, on ranges that are longer by `margin`; what the domain depends on stays within its
    own, for which alone that is known to be one."""
    again = deepcopy(rng)
    found = problem.task.spread(count, rng, margin)
    if not (asked := problem.coords.asked()):
        return found
    within = problem.task.spread(count, again)
    return {name: within[name] if name in asked else value for name, value in found.items()}


def read_tasks(path: Path, problem: Problem) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Task parameters as numpy arrays, and each task's split."""
    dataset = read_netcdf(path, required=("split", *problem.task.names))
    return {name: dataset[name].values for name in problem.task.names}, dataset["split"].values.astype(str)


def of_split(values: Values, splits: np.ndarray, split: str) -> dict[str, np.ndarray]:
    """The tasks of one split."""
    chosen = splits == split
    if not chosen.any():
        raise UserError(f"tasks file has no task of split {split!r}: it has {', '.join(sorted(set(splits)))}")
    return {name: value[chosen] for name, value in values.items()}


def grid_coords(problem: Problem, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The evaluation grid as points (1, point, dim)."""
    return torch.as_tensor(problem.places()[None], dtype=torch.float64).to(device, dtype)


def read_reference(
    path: Path, problem: Problem, values: Values, chosen: np.ndarray | Sequence[int]
) -> np.ndarray:
    """Reference fields of some tasks (mask or indices), (task, point, field) in the order of `grid_coords`; nan for
    tasks without one. UserError where the file is of other tasks than `values`, all of them, or of another grid."""
    dataset = read_netcdf(path, required=problem.task.names)
    for name in problem.task.names:
        if not np.array_equal(dataset[name].values, values[name]):
            raise UserError(
                f"{path} is of other tasks, or of the same in another order: {name} is not as in tasks.nc"
            )
    wanted = tuple(len(axis) for axis in problem.axes().values())
    if dataset.attrs.get("reference") == "none":
        return np.full((len(dataset["split"][chosen]), math.prod(wanted), len(problem.fields)), np.nan)
    for name in problem.fields:
        if name not in dataset or dataset[name].shape[1:] != wanted:
            raise UserError(f"{path} has no {name} on the evaluation grid of {problem.name}: make it anew")
    stacked = [dataset[name].values[chosen] for name in problem.fields]
    return np.stack([field.reshape(len(field), -1) for field in stacked], -1)


def known_and_there(
    problem: Problem, values: Values, reference: np.ndarray
) -> tuple[np.ndarray, np.ndarray | Literal[True]]:
    """Which tasks have a reference (task, point, field) everywhere in their domain: (task,); and where to compare with
    it, (task, point, field), or True where that is everywhere."""
    inside = problem.inside(values, DEEP)
    if inside is None:
        return np.isfinite(reference).all((1, 2)), True
    finite = np.isfinite(reference)
    known = (finite | ~inside.reshape(len(inside), -1, 1)).all((1, 2)) & finite.any((1, 2))
    return known, finite | ~known[:, None, None]


@torch.no_grad()
def fields_of(parametrisation: Parametrisation, theta: Tensor, tasks: TaskSet, coords: Tensor) -> Tensor:
    """Fields at given-frame points: coords (task or 1, point, dim) -> (task, point, field), in bounded memory.

    Where theta is one network's, expanded, and tells tasks apart by nothing else, it is evaluated once.
    """
    problem, network = tasks.problem, parametrisation.network
    alike = theta.stride(0) == 0 and coords.shape[0] == 1 and tasks.move is None
    alike = alike and not network.ansatz and problem.observe_signature is None
    out = []
    for k in range(1 if alike else len(tasks)):
        one = tasks.take(torch.tensor([k], device=theta.device))
        weights = parametrisation.weights(theta[k : k + 1])
        where = one.to_network(coords if coords.shape[0] == 1 else coords[k : k + 1])
        parts = [fields_at(problem, network, weights, part, one.values) for part in where.split(CHUNK, 1)]
        out.append(one.from_network(torch.cat(parts, 1)))
    return torch.cat(out).expand(len(tasks), -1, -1)


@dataclass(frozen=True)
class Solutions:
    """Reference fields (task, point, field) of some tasks on the evaluation grid (1, point, dim), nan where a task
    has none."""

    tasks: TaskSet
    grid: Tensor
    fields: Tensor

    @classmethod
    def of(cls, tasks: TaskSet, reference: np.ndarray) -> Solutions:
        """References (task, point, field) as read, on the device and in the precision of the tasks."""
        some = next(iter(tasks.values.values()))
        fields = torch.as_tensor(reference).to(some.device, some.dtype)
        return cls(tasks, grid_coords(tasks.problem, some.device, some.dtype), fields)

    @cached_property
    def known(self) -> Tensor:
        """Which tasks have a reference, (task,)."""
        values = {name: value.cpu().numpy() for name, value in self.tasks.values.items()}
        known, _ = known_and_there(self.tasks.problem, values, self.fields.cpu().numpy())
        return torch.from_numpy(known).to(self.fields.device)

    def take(self, keep: Tensor) -> Solutions:
        """Those of some tasks, by index."""
        return Solutions(self.tasks.take(keep), self.grid, self.fields[keep])

    def drawn(self, chosen: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Random points of the grid by index, (count,), or (task, count) where tasks have domains of their own."""
        if not isinstance(self.tasks.problem.coords, Shape):
            shape, device = (count,), self.grid.device
            return torch.randint(self.grid.shape[1], shape, generator=generator, device=device)
        inside = self.fields[chosen].isfinite().all(-1).to(self.fields.dtype)
        return torch.multinomial(inside, count, replacement=True, generator=generator)

    def sample(self, chosen: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Network-frame coordinates and given-frame targets of tasks `chosen` at grid `points`, by index as `drawn`."""
        tasks = self.tasks.take(chosen)
        if points.ndim == 2:
            places = points.unsqueeze(-1).expand(-1, -1, self.fields.shape[-1])
            return tasks.to_network(self.grid[0][points]), self.fields[chosen].gather(1, places)
        coords = tasks.to_network(self.grid[:, points]).expand(len(chosen), -1, -1)
        return coords, self.fields[chosen][:, points]

    def error(self, theta: Tensor, parametrisation: Parametrisation, points: Tensor) -> Tensor:
        """Mean squared error of each task at grid `points`: (task,)."""
        everything = torch.arange(len(self.tasks), device=theta.device)
        coords, targets = self.sample(everything, points)
        with torch.no_grad():
            weights, tasks = parametrisation.weights(theta), self.tasks
            fields = fields_at(tasks.problem, parametrisation.network, weights, coords, tasks.values)
            return self._mean((tasks.from_network(fields) - targets).square(), targets)

    def everywhere(self, theta: Tensor, parametrisation: Parametrisation) -> Tensor:
        """Mean squared error on the whole grid of each task with a reference, at least one, task by task: (task,)."""
        own = self.take(self.known.nonzero()[:, 0])
        found = fields_of(parametrisation, theta[self.known], own.tasks, own.grid)
        return self._mean((found - own.fields).square(), own.fields)

    def _mean(self, squares: Tensor, targets: Tensor) -> Tensor:
        """The mean (task,) of (task, point, field), over where there is a target in a domain that is no box."""
        if not isinstance(self.tasks.problem.coords, Shape):
            return squares.mean((-1, -2))
        there = targets.isfinite()
        return torch.where(there, squares, 0).sum((-1, -2)) / there.sum((-1, -2))


@dataclass(frozen=True)
class Monitor:
    """Mean squared error of trained numbers against solutions, on some points of the grid: for the record only."""

    solutions: Solutions
    points: Tensor

    @classmethod
    def of(cls, solutions: Solutions, points: int = 500) -> Monitor | None:
        """Watch at most `points` of the grid's points, evenly spread; None where no task has a reference."""
        if not bool(solutions.known.any()):
            return None
        inside = solutions.fields.isfinite().any(-1).any(0).nonzero()[:, 0]
        count = len(inside)
        chosen = torch.linspace(0, count - 1, min(points, count), device=solutions.grid.device).long()
        return cls(solutions, inside[chosen])

    def __call__(self, theta: Tensor, parametrisation: Parametrisation) -> float:
        """theta (task, size) -> its error, the mean over the tasks that have a reference."""
        return float(self.solutions.error(theta, parametrisation, self.points)[self.solutions.known].mean())
