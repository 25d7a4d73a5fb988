"""A trained hypernetwork: load it, predict a new task's solution, refine it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.files import load_weights
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.problem.base import Problem
from pinnlora.problem.load import Spec, load_problem
from pinnlora.train.data import TaskSet, fields_of, grid_coords, task_set
from pinnlora.train.loop import train
from pinnlora.train.settings import NetworkSettings, StageSettings
from pinnlora.train.setup import (
    base_weights,
    device_of,
    draw_of,
    embedding_of,
    network_of,
    parametrisation_of,
)
from pinnlora.train.single import TaskFits


@dataclass(frozen=True)
class Surrogate:
    """A hypernetwork with its base network: tasks in, fields out."""

    problem: Problem
    parametrisation: Parametrisation
    hypernetwork: Hypernetwork
    embed: Callable[[dict[str, Tensor]], Tensor]
    base: Tensor
    symmetry: bool = False
    config: dict[str, Any] | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The precision it was trained in."""
        return next(self.hypernetwork.parameters()).dtype

    def tasks(self, **task: Any) -> TaskSet:
        """Tasks given by name (a number, a function's values, or arrays of them), checked."""
        values = self.problem.task.check(task)
        device = next(self.hypernetwork.parameters()).device
        return task_set(self.problem, values, self.symmetry, device, self.dtype)

    def _one(self, task: dict[str, Any]) -> TaskSet:
        tasks = self.tasks(**task)
        if len(tasks) != 1:
            raise UserError(f"one task at a time, got {len(tasks)}: call it once a task")
        return tasks

    @torch.no_grad()
    def numbers(self, tasks: TaskSet) -> Tensor:
        """The trained numbers the hypernetwork predicts: (task, size)."""
        return self.hypernetwork(self.embed(tasks.values))

    def predict(self, **task: Any) -> xr.Dataset:
        """Fields of one task on the evaluation grid; UserError when the task is not one of the family.

        Example: `surrogate.predict(re=42.0)`. The attribute `in_range` says whether it was trained there.
        """
        tasks = self._one(task)
        return self.dataset(tasks, self.numbers(tasks), task)

    def refine(self, steps: int = 10, points: int = 300, seed: int = 0, **task: Any) -> xr.Dataset:
        """As `predict`, after a few Levenberg-Marquardt steps on the task's own physics (no data needed)."""
        tasks = self._one(task)
        parametrisation, theta = refine(self, tasks, steps, points, seed)
        out = self.dataset(tasks.to(theta.device, torch.float64), theta, task, parametrisation)
        out.attrs["refinement_steps"] = steps
        return out

    def dataset(
        self,
        tasks: TaskSet,
        theta: Tensor,
        task: dict[str, Any],
        parametrisation: Parametrisation | None = None,
    ) -> xr.Dataset:
        """The fields that `theta` (1, size) stands for, on the evaluation grid."""
        axes = self.problem.axes()
        grid = grid_coords(self.problem, theta.device, theta.dtype)
        fields = fields_of(parametrisation or self.parametrisation, theta, tasks, grid)
        out = xr.Dataset()
        for name, axis in axes.items():
            out = out.assign_coords({name: (name, axis, {"long_name": f"coordinate {name}", "units": "1"})})
        for k, name in enumerate(self.problem.fields):
            values = fields[0, :, k].reshape([len(axis) for axis in axes.values()]).cpu().numpy()
            out[name] = (tuple(axes), values, {"long_name": f"predicted {name}", "units": "1"})
        values = self.problem.task.check(task)
        out.attrs.update(problem=self.problem.name, in_range=int(self.problem.task.inside(values)[0]))
        out.attrs.update({name: float(value[0]) for name, value in values.items() if value.ndim == 1})
        return out


def refine(
    surrogate: Surrogate, tasks: TaskSet, steps: int, points: int, seed: int = 0
) -> tuple[Parametrisation, Tensor]:
    """At most `steps` Levenberg-Marquardt steps in float64 from the predicted numbers.

    Returns what the numbers parametrise, in float64, and the numbers (task, size).
    """
    network = surrogate.parametrisation.network
    theta = surrogate.numbers(tasks).double()
    base = base_weights(network, surrogate.base, theta.device, torch.float64)
    rank = getattr(surrogate.parametrisation, "rank", "full")
    unadapted = getattr(surrogate.parametrisation, "unadapted", ())
    settings = NetworkSettings(hidden_layers=network.hidden_layers, unadapted=unadapted)
    parametrisation = parametrisation_of(network, rank, base, settings)
    exact = tasks.to(theta.device, torch.float64)
    stage = _refining(surrogate.config or {}, steps, points)
    draw = draw_of(seed, "refine", theta.device, torch.float64)
    learner = TaskFits(surrogate.problem, parametrisation, exact, theta, stage, draw)
    train(learner, stage.report_every, quiet=True)
    return parametrisation, learner.theta.detach()


def _refining(config: dict[str, Any], steps: int, points: int) -> StageSettings:
    """The stage of `refine`: conditions count as they did in training by physics, if that is how it was trained."""
    conditions: dict[str, Any] = {"condition_points": max(40, points // 3)}
    if config.get("mode") == "physics":
        trained = StageSettings(**config["stage"])
        share, count = points / trained.points, trained.condition_points
        if isinstance(count, int):
            conditions["condition_points"] = math.ceil(share * count)
        else:
            conditions["condition_points"] = {name: math.ceil(share * each) for name, each in count.items()}
        same = ("condition_weight", "adaptive", "residual_weight", "balance")
        conditions |= {name: getattr(trained, name) for name in same}
    return StageSettings(
        optimiser="levenberg_marquardt", dtype="float64", steps=steps, points=points, damping=1e-4, report_every=1,
        **conditions,
    )  # fmt: skip


def load(path: str | Path, device: str = "cpu") -> Surrogate:
    """Read a bundle; UserError when it is not one."""
    path = Path(path)
    if not (path / "config.json").is_file():
        raise UserError(f"{path} is no bundle: expected a directory with config.json and model.safetensors")
    config = json.loads((path / "config.json").read_text())
    spec = Spec.of(config["problem"])
    problem = load_problem(spec.name if spec.file is None else f"{path / spec.file}:{spec.name}")
    where = device_of(device)
    tensors, about = load_weights(path / "model.safetensors", str(where))
    if about.get("provenance") != config.get("provenance"):
        raise UserError(
            f"{path}: model.safetensors and config.json are of different trainings: copy the bundle again"
        )
    if not all(bool(part.isfinite().all()) for part in tensors.values()):
        raise UserError(f"{path}: model.safetensors holds numbers that are not finite: train it anew")
    settings = NetworkSettings(**config["network"])
    problem = problem.formulated(settings.formulation)
    network = network_of(problem, settings)
    dtype = tensors["hypernetwork.head.weight"].dtype
    weights = base_weights(network, tensors["base"], where, dtype)
    parametrisation = parametrisation_of(network, config["rank"], weights, settings)
    shape = config["hypernetwork"]
    body = Hypernetwork(
        config["inputs"], tuple(shape["body"]), torch.zeros(config["outputs"]), shape["activation"]
    )
    body = body.to(where, dtype)
    body.load_state_dict(
        {name.removeprefix("hypernetwork."): p for name, p in tensors.items() if name != "base"}
    )
    embed = embedding_of(problem, shape["embedding"])
    return Surrogate(problem, parametrisation, body, embed, tensors["base"], settings.symmetry, config)
