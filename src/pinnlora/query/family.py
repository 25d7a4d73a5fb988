"""A trained hypernetwork and its base network: from tasks to their networks, and nothing more.

What trains and measures hypernetworks needs no more than this, so that an edit of what else a surrogate can be asked
makes no training invalid.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.problem.base import Problem
from pinnlora.problem.distributions import check_names, reals
from pinnlora.problem.gaussian_field import GaussianField
from pinnlora.problem.signature import Values
from pinnlora.query.calibration import Calibration
from pinnlora.query.networks import Networks, in_precision
from pinnlora.train.data import TaskSet, task_set


@dataclass(frozen=True)
class Family:
    """A hypernetwork with its base network: tasks in, their networks out."""

    problem: Problem
    parametrisation: Parametrisation
    hypernetwork: Hypernetwork
    embed: Callable[[Values], Tensor]
    base: Tensor
    symmetry: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The precision it was trained in."""
        return next(self.hypernetwork.parameters()).dtype

    def tasks(self, **task: Any) -> TaskSet:
        """Tasks given by name (a number, a function's values, or arrays of them), checked."""
        device = next(self.hypernetwork.parameters()).device
        return task_set(self.problem, self._read(task)[0], self.symmetry, device, self.dtype)

    def _read(self, task: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], bool]:
        """Values with a task axis, what is given once serving all tasks, and whether none had one."""
        check_names(task, self.problem.task.names)
        for name, function in self.problem.task.functions.items():
            _check_place(name, task[name], function)
        task = {name: reals(name, value) for name, value in task.items()}
        depth = {name: np.ndim(value) - (name in self.problem.task.functions) for name, value in task.items()}
        alone = all(axes <= 0 for axes in depth.values())
        count = max((len(task[name]) for name, axes in depth.items() if axes > 0), default=1)
        if not count:
            raise UserError("there is no task in empty arrays; expected one value a task")
        spread = {
            name: value if alone or depth[name] > 0 else np.stack([np.asarray(value)] * count)
            for name, value in task.items()
        }
        return self.problem.task.check(spread), alone

    @torch.no_grad()
    def numbers(self, tasks: TaskSet) -> Tensor:
        """The trained numbers the hypernetwork predicts: (task, size)."""
        return self.predict_numbers(tasks.values)

    def predict_numbers(self, values: Values) -> Tensor:
        """The same from canonical tasks, differentiable in them."""
        return self.hypernetwork(self.embed(values))

    def networks(self, **task: Any) -> Networks:
        """The networks of one or many tasks; UserError when a task is not one of the family."""
        values, alone = self._read(task)
        theta = self.numbers(self.tasks(**values))
        return Networks(
            self.problem, self.parametrisation, theta, values, alone, self.symmetry, self.config, self.calibration,
            self.predict_numbers,
        )  # fmt: skip

    def to(self, dtype: torch.dtype) -> Self:
        """The same in another precision, on the CPU."""
        body = copy.deepcopy(self.hypernetwork).to("cpu", dtype)
        parametrisation = in_precision(self.parametrisation, dtype, torch.device("cpu"))
        return replace(self, hypernetwork=body, parametrisation=parametrisation)


def _check_place(name: str, given: Any, function: GaussianField) -> None:
    """UserError for a function that says itself that it is given elsewhere than on its grid."""
    if not isinstance(given, xr.DataArray) or not given.ndim or given.shape[-1] != len(function.grid):
        return
    along = given.dims[-1]  # called otherwise, as by a table's index, it is no place
    if along not in given.coords or along not in (function.on, f"{name}_{function.on}"):
        return
    places, grid = reals(name, given[along]), np.asarray(function.grid)
    if not np.allclose(places, grid, rtol=0, atol=1e-6 * np.ptp(grid) + 1e-6 * np.abs(grid).max()):
        raise UserError(
            f"{name} is given at other {function.on} than expected, {places[0]:g} to {places[-1]:g}; interpolate it to "
            f"{name}_{function.on} of a prediction, {function.grid[0]:g} to {function.grid[-1]:g}"
        )
