"""Reference solutions on the evaluation grid, in the frame of the networks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .ansatz import fields_at
from .data import TaskSet
from .lora import Parametrisation


@dataclass(frozen=True)
class Solutions:
    """Reference fields (task, point, field) of some tasks on the evaluation grid (1, point, dim)."""

    tasks: TaskSet
    grid: Tensor
    fields: Tensor

    def sample(self, chosen: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Network-frame coordinates and given-frame targets of tasks `chosen` at grid `points` (indices)."""
        tasks = self.tasks.take(chosen)
        coords = tasks.to_network(self.grid[:, points]).expand(len(chosen), -1, -1)
        return coords, self.fields[chosen][:, points]

    def error(self, theta: Tensor, parametrisation: Parametrisation, points: Tensor) -> Tensor:
        """Mean squared error of each task at grid `points`: (task,)."""
        everything = torch.arange(len(self.tasks), device=theta.device)
        coords, targets = self.sample(everything, points)
        with torch.no_grad():
            weights, tasks = parametrisation.weights(theta), self.tasks
            fields = fields_at(tasks.problem, parametrisation.network, weights, coords, tasks.values)
            return (tasks.from_network(fields) - targets).square().mean((-1, -2))
