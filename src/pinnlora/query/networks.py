"""Networks of some tasks, predicted by a hypernetwork or refined: their fields and derivatives anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.nets.adapters import Full, LowRank, Parametrisation
from pinnlora.nets.ansatz import fields_at
from pinnlora.nets.mlp import Weights
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.query.calibration import Calibration
from pinnlora.query.derivatives import Order, derivative, task_directions
from pinnlora.train.data import TaskSet, task_set

ROWS, NUMBERS = 2**16, 2**24
"""Points, and weights, of all tasks together that are evaluated at once: what bounds the memory."""


def in_precision(
    parametrisation: Parametrisation, dtype: torch.dtype, device: torch.device | None = None
) -> Parametrisation:
    """The same in another precision, on the same device or another."""
    if not isinstance(parametrisation, LowRank):
        return parametrisation
    parts = (parametrisation.base.matrices, parametrisation.base.biases)
    base = Weights(*(tuple(each.to(device or each.device, dtype) for each in part) for part in parts))
    return replace(parametrisation, base=base)


@dataclass(frozen=True)
class Networks:
    """theta (task, size), the trained numbers of the networks for the tasks `given`: name -> (task,) or (task, points).

    `alone`: one task that was given without a task axis. `numbers` is the hypernetwork, from canonical tasks to
    theta, None where theta is not its prediction. `config` is that of the bundle; `refined` is what no interval was
    calibrated for.
    """

    problem: Problem
    parametrisation: Parametrisation
    theta: Tensor
    given: dict[str, np.ndarray]
    alone: bool
    symmetry: bool
    config: dict[str, Any]
    calibration: Calibration | None = None
    numbers: Callable[[Values], Tensor] | None = None
    refined: bool = False

    def __len__(self) -> int:
        return len(self.theta)

    @cached_property
    def tasks(self) -> TaskSet:
        """The tasks in the frame and the precision of the networks."""
        return task_set(self.problem, self.given, self.symmetry, self.theta.device, self.theta.dtype)

    @property
    def inside(self) -> np.ndarray:
        """Which tasks lie in the range that was trained, (task,)."""
        return self.problem.task.inside(self.given)

    def take(self, keep: np.ndarray) -> Networks:
        """Some of the tasks, by index."""
        given = {name: value[keep] for name, value in self.given.items()}
        return replace(self, theta=self.theta[torch.as_tensor(keep, device=self.theta.device)], given=given)

    def double(self) -> Networks:
        """The same networks in float64, which no hypernetwork predicts any more."""
        parametrisation = in_precision(self.parametrisation, torch.float64)
        return replace(self, parametrisation=parametrisation, theta=self.theta.double(), numbers=None)

    def full(self) -> Networks:
        """The same networks with all their weights as the trained numbers."""
        theta = self.parametrisation.weights(self.theta).flat()
        return replace(self, parametrisation=Full(self.parametrisation.network), theta=theta, numbers=None)

    @torch.no_grad()
    def fields(self, points: np.ndarray | Tensor, orders: Sequence[Order] | None = None) -> Tensor:
        """Fields at given-frame points (1 or task, point, dim), or their derivatives: (task, point, field or order).

        An order is a field's number with the names of coordinates and task parameters that it is differentiated in.
        """
        points = torch.as_tensor(points).to(self.theta)
        orders = orders or [(k, ()) for k in range(len(self.problem.fields))]
        chunk = max(1, ROWS >> max(len(names) for _, names in orders))
        count, weights = points.shape[1], NUMBERS // self.parametrisation.network.size
        together = max(1, min(chunk // max(1, count), weights))
        out = points.new_empty(len(self), count, len(orders))
        for first in range(0, len(self), together):
            some = slice(first, first + together)
            part = self if together >= len(self) else self.take(np.arange(len(self))[some])
            for start in range(0, count, chunk):
                where = points[some if len(points) > 1 else slice(None), start : start + chunk]
                out[some, start : start + chunk] = part._at(where, orders)
        return out

    def _at(self, points: Tensor, orders: Sequence[Order]) -> Tensor:
        found: dict[tuple[str, ...], Tensor] = {}
        for names in {names for _, names in orders}:
            found[names] = self._derived(points, names) if names else self._values(points)
        return torch.stack([found[names][..., number] for number, names in orders], -1)

    def _values(self, points: Tensor) -> Tensor:
        tasks = self.tasks
        weights = self.parametrisation.weights(self.theta)
        fields = fields_at(
            self.problem, self.parametrisation.network, weights, tasks.to_network(points), tasks.values
        )
        return tasks.from_network(fields)

    def _given(self, values: Values) -> Tensor:
        return self.theta

    def _derived(self, points: Tensor, names: tuple[str, ...]) -> Tensor:
        points = points.expand(len(self), -1, -1)
        given = {name: torch.from_numpy(value).to(self.theta.device) for name, value in self.given.items()}
        inward, numbers = set(names) & set(task_directions(self.problem)), self.numbers
        if not inward:
            numbers = self._given
        elif numbers is None:
            raise UserError(
                f"fields: no derivative in {min(inward)}: refined networks are of their tasks alone"
            )
        return derivative(self.problem, self.parametrisation, numbers, self.symmetry, given, points, names)
