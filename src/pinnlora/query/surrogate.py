"""A trained hypernetwork: what it can be asked."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.problem.base import Problem
from pinnlora.problem.distributions import check_names, reals
from pinnlora.problem.signature import Values
from pinnlora.query.answer import inverted_dataset
from pinnlora.query.calibration import Calibration
from pinnlora.query.export import SolutionModule
from pinnlora.query.invert import inverted
from pinnlora.query.march import marched
from pinnlora.query.networks import Networks, in_precision
from pinnlora.query.observations import read_observations
from pinnlora.query.predict import predicted, refined_dataset
from pinnlora.query.refine import POINTS, refine
from pinnlora.query.solved import save_networks
from pinnlora.train.data import TaskSet, task_set


@dataclass(frozen=True)
class Surrogate:
    """A hypernetwork with its base network: tasks in, fields out."""

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

    def to(self, dtype: torch.dtype) -> Surrogate:
        """The same in another precision, on the CPU."""
        body = copy.deepcopy(self.hypernetwork).to("cpu", dtype)
        parametrisation = in_precision(self.parametrisation, dtype, torch.device("cpu"))
        return replace(self, hypernetwork=body, parametrisation=parametrisation)

    def predict(
        self,
        at: Mapping[str, Any] | xr.Dataset | None = None,
        fields: Sequence[str] | None = None,
        estimate: str = "auto",
        **task: Any,
    ) -> xr.Dataset:
        """Fields of one or many tasks, with residual, mismatch, in_range and the estimated error with its interval.

        Example: `surrogate.predict(re=42.0)`, `surrogate.predict(re=[30, 40], at={"x": [0.1, 0.2], "y": 0.5},
        fields=["u", "u_x", "u_re"])`. at: the evaluation grid, points (a dict of arrays), or an xarray.Dataset with
        the coordinates. estimate: "residual", "refined" (slower; with a map of the error), "auto" or "none".
        """
        return predicted(self.networks(**task), at, fields, estimate)

    def march(
        self,
        until: float,
        at: Mapping[str, Any] | xr.Dataset | None = None,
        times: Sequence[float] | None = None,
        fields: Sequence[str] | None = None,
        estimate: str = "auto",
        **task: Any,
    ) -> xr.Dataset:
        """As `predict`, on to a time beyond the trained one: the state at its end is the next window's task.

        Example: `surrogate.march(until=5, u0=u0)`, with `times=[1, 2.5, 5]`, or `at` as for `predict`. What `predict`
        says of a task stands here over `window`: `in_range` is 0 for the windows whose state is none that training
        drew from, and `accumulated_error` adds up the windows' estimated errors.
        """
        return marched(self.networks, task, until, at, times, fields, estimate)

    def refine(
        self,
        tolerance: float | None = None,
        steps: int | None = None,
        points: int = POINTS,
        seed: int = 0,
        at: Mapping[str, Any] | xr.Dataset | None = None,
        fields: Sequence[str] | None = None,
        save: str | Path | None = None,
        **task: Any,
    ) -> xr.Dataset:
        """As `predict`, after Levenberg-Marquardt steps on each task's own physics (no data needed).

        10 steps, or as many as bring the estimated error below `tolerance`; `refinement` says how it ended. `save` is
        a directory for the refined networks: `pinnlora.load(save).predict()` needs no hypernetwork.
        """
        found = refine(self.networks(**task), tolerance, steps, points, seed)
        if save is not None:
            save_networks(found.networks, Path(save))
        return refined_dataset(found, at, fields)

    def explore(self, output: str | Path) -> None:
        """Write one HTML page with sliders for the task and the fields by this network: no network access needed."""
        from pinnlora.query.explore import write_page

        write_page(self, Path(output))

    def module(self, **task: Any) -> SolutionModule:
        """One task's solution as a plain torch module: coordinates (point, dim) -> fields (point, field)."""
        return SolutionModule(self.networks(**task))

    def invert(
        self,
        observations: xr.Dataset | Mapping[str, Any],
        noise: float | Mapping[str, float] = 0.01,
        seed: int = 0,
    ) -> xr.Dataset:
        """The task that explains measurements of some fields at some points, and how well it is known.

        observations: fields over `point` with coordinates (nan: not measured), or a dict of arrays; with a dimension
        `task`, many sets at once. noise: their standard deviation, or one for each field. The answer has `re`, `re_low`
        and `re_high` of the 90 % interval, the covariance, the misfit (about 1) and a warning, empty where all is well.
        """
        data = read_observations(self.problem, observations)
        found = inverted(self, data, noise, seed)
        return inverted_dataset(self.problem, found, data.measured.sum((1, 2)).numpy(), data.alone)
