"""Errors of everything a problem's study trained, gathered into the one dataset that tables and figures read."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pinnlora.files import read_netcdf
from pinnlora.loss.measure import physics_errors, residual_map
from pinnlora.nets.adapters import Full, Parametrisation
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.query.load import load_surrogate
from pinnlora.query.refine import improved
from pinnlora.query.surrogate import Surrogate
from pinnlora.study.stored import Stored, read_fits
from pinnlora.train.data import TaskSet, fields_of, grid_coords, known_and_there, of_split, task_set
from pinnlora.train.fit import fit
from pinnlora.train.settings import NetworkSettings, StageSettings
from pinnlora.train.setup import network_of

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Truth:
    """Reference solutions: parameters, splits, and fields (task, point, field) on the flattened grid."""

    problem: Problem
    values: Values
    splits: np.ndarray
    fields: np.ndarray

    def chosen(self, split: str) -> np.ndarray:
        """Reference fields of a split, nan for tasks that have none."""
        return self.fields[self.splits == split]

    def inside(self, split: str) -> np.ndarray | None:
        """Which points (task, point) of the grid are in the domain of each task; None: all."""
        found = self.problem.inside(of_split(self.values, self.splits, split))
        return None if found is None else found.reshape(len(found), -1)

    def tasks(self, problem: Problem, split: str, symmetry: bool, like: Tensor) -> TaskSet:
        """The tasks of a split as tensors like `like`, of the problem in the formulation that was trained."""
        return task_set(problem, of_split(self.values, self.splits, split), symmetry, like.device, like.dtype)


@dataclass
class Result:
    """What is known of one (method, rank, seed); `errors` by split and name are (task, field), or (task,) for
    residuals and mismatches. `showcase` (point, field) and `showcase_residual` (point,) are the first test task's on
    the grid, where figures show this one."""

    method: str
    rank: str
    seed: int
    numbers: dict[str, float]
    history: xr.Dataset | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    showcase: np.ndarray | None = None
    showcase_residual: np.ndarray | None = None

    def add(
        self,
        truth: Truth,
        split: str,
        parametrisation: Parametrisation,
        theta: Tensor,
        tasks: TaskSet,
        show: bool = False,
    ) -> None:
        """Measure theta (task, size): fields on the whole grid, residuals and mismatches at fresh points; `show` the
        first task."""
        grid = grid_coords(truth.problem, theta.device, theta.dtype)
        fields = fields_of(parametrisation, theta, tasks, grid).double().cpu().numpy()
        found = physics_errors(tasks.problem, parametrisation, theta, tasks.values)
        physical = zip(("residual", "mismatch"), (each.double().cpu().numpy() for each in found), strict=True)
        self.errors[split] = measure(truth, fields, split) | dict(physical)
        if show:
            one = tasks.take(torch.tensor([0], device=theta.device))
            where, first = one.to_network(grid), theta[:1]
            residual = residual_map(tasks.problem, parametrisation, first, one.values, where)
            self.showcase, self.showcase_residual = fields[0], residual[0].double().cpu().numpy()
            inside = truth.inside("test")
            if inside is not None:
                self.showcase = np.where(inside[0][:, None], self.showcase, np.nan)
                self.showcase_residual = np.where(inside[0], self.showcase_residual, np.nan)


def measure(truth: Truth, fields: np.ndarray, split: str) -> dict[str, np.ndarray]:
    """mse, relative_l2, relative_l1 and mse_front, (task, field), of fields (task, point, field) on the whole grid.

    A field that is zero everywhere has no size to be relative to: that of all fields of its task is taken. A task
    without reference has nan, one that diverged inf.
    """
    reference = truth.chosen(split)
    values = of_split(truth.values, truth.splits, split)
    whole, there = known_and_there(truth.problem, values, reference)
    known = whole[:, None]
    squares, norm = (fields - reference) ** 2, (reference**2).mean(1, where=there)
    norm = np.where(norm > 0, norm, norm.mean(1, keepdims=True))
    norm = np.where(norm > 0, norm, 1.0)
    mean = _told(squares.mean(1, where=there), known)
    out = {"mse": mean, "relative_l2": np.sqrt(mean / norm)}
    size = np.abs(reference).mean(1, where=there)
    size = np.where(size > 0, size, np.sqrt(norm))
    out["relative_l1"] = _told(np.abs(fields - reference).mean(1, where=there), known) / size
    named = {name: reference[..., k] for k, name in enumerate(truth.problem.fields)}
    band = truth.problem.front(values, named)
    if band is not None:
        weight = band[..., None] / np.maximum(band.sum(1), 1)[:, None, None]
        out["mse_front"] = _told((squares * weight).sum(1, where=there), band.any(1, keepdims=True) & known)
    return out


def _told(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Infinite where a task has diverged, nan where nothing is known of it."""
    return np.where(known, np.nan_to_num(values, nan=np.inf, posinf=np.inf), np.nan)


def evaluate_fit(path: Path, truth: Truth, base: Tensor, device: torch.device, shown: set[str]) -> Result:
    """Errors of a directory of per-task fits on the test tasks; of the ranks `shown`, one task is timed alone."""
    stored = read_fits(path, truth.problem, device)
    known = stored.metadata
    numbers = {"parameters": stored.parametrisation.size} | {k: known[k] for k in ("seconds", "iterations")}
    if str(known["rank"]) in shown:
        numbers["seconds_new_task"] = _seconds_alone(stored, truth, base, device)
    which = known["method"], str(known["rank"]), known["seed"]
    result = Result(*which, numbers, read_netcdf(path / "history.nc"), _kept(known))
    tasks = truth.tasks(stored.problem, "test", known["network"]["symmetry"], stored.theta)
    show = str(known["rank"]) in shown and known["method"] != "pinn"
    result.add(truth, "test", stored.parametrisation, stored.theta, tasks, show)
    return result


def _kept(metadata: dict[str, Any]) -> dict[str, Any]:
    """What the tables say of a training."""
    return {key: metadata[key] for key in ("network", "stage", "taken", "machine") if key in metadata}


def evaluate_base(truth: Truth, start: Stored, seed: int) -> list[Result]:
    """What training adds to: the base network alone for every task, and the ansatz without a network."""
    base, known = start.theta, _kept(start.metadata)
    settings = NetworkSettings(**known["network"])
    problem = truth.problem.formulated(settings.formulation)
    full = Full(network_of(problem, settings))
    numbers = {"parameters": 0.0}
    results = [
        Result("base", "full", seed, numbers | {"iterations": start.metadata["iterations"]}, None, known)
    ]
    if full.network.ansatz:
        results.append(Result("ansatz", "full", seed, numbers, None, {"network": known["network"]}))
    for result in results:
        theta = base if result.method == "base" else torch.zeros_like(base)
        for split in SPLITS:
            tasks = truth.tasks(problem, split, settings.symmetry, base)
            result.add(truth, split, full, theta.expand(len(tasks), -1), tasks)
    return results


def evaluate_surrogate(
    path: Path, truth: Truth, device: torch.device, settings: dict[str, Any], seed: int
) -> Result:
    """Errors of a bundle on all splits, and on the test tasks after a few refining steps where that is asked for; its
    first test task is shown if it is of the rank that figures show, and trained with this seed."""
    surrogate = load_surrogate(path, str(device), trust=True)
    config = surrogate.config
    numbers = {
        "parameters": surrogate.parametrisation.size,
        "seconds": config["seconds"],
        "iterations": config["iterations"],
        "coverage": config.get("test_coverage", float("nan")),
        "seconds_teachers": config.get("seconds_teachers", float("nan")),
    }
    kept = {"network", "hypernetwork", "stage", "taken", "ranks", "machine"}
    trained: dict[str, Any] = {key: value for key, value in config.items() if key in kept}
    which = config["mode"], str(config["rank"]), config["seed"]
    result = Result(*which, numbers, read_netcdf(path / "history.nc"), trained)
    shown = result.rank == str(settings["figure_rank"])
    for split in SPLITS:
        tasks = truth.tasks(surrogate.problem, split, surrogate.symmetry, surrogate.base.to(surrogate.dtype))
        theta, show = surrogate.numbers(tasks), shown and result.seed == seed and split == "test"
        result.add(truth, split, surrogate.parametrisation, theta, tasks, show)
    numbers["seconds_new_task"] = _seconds_predicting(surrogate, tasks)
    costly = surrogate.problem.coords.vectors or surrogate.parametrisation.network.smoothing
    if shown and config["mode"] == "physics" and settings["refine_steps"] and not costly:
        _refine(result, surrogate, truth, settings)
    return result


def _refine(result: Result, surrogate: Surrogate, truth: Truth, settings: dict[str, Any]) -> None:
    steps, points = settings["refine_steps"], settings["refine_points"]
    networks = surrogate.networks(**of_split(truth.values, truth.splits, "test"))
    better = improved(networks, steps, points)
    refined = Result("refined", result.rank, result.seed, {})
    refined.add(truth, "test", better.parametrisation, better.theta, better.tasks)
    for name in ("mse", "residual", "mismatch"):
        result.errors["test"][f"{name}_refined"] = refined.errors["test"][name]
    start = time.perf_counter()
    improved(networks.take(np.array([0])), steps, points)
    result.numbers["seconds_refine"] = time.perf_counter() - start


def _seconds_predicting(surrogate: Surrogate, tasks: TaskSet) -> float:
    """Median time from one task to its fields on the whole grid."""
    grid = grid_coords(surrogate.problem, surrogate.base.device, surrogate.dtype)
    one, times = tasks.take(torch.tensor([0], device=grid.device)), []
    for _ in range(4):  # the first warms up
        start = time.perf_counter()
        fields_of(surrogate.parametrisation, surrogate.numbers(one), one, grid).cpu()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def _seconds_alone(stored: Stored, truth: Truth, base: Tensor, device: torch.device) -> float:
    """Time of the first test task's training alone, from start to end, validation included."""
    known = stored.metadata
    values = {name: value[:1] for name, value in of_split(truth.values, truth.splits, "test").items()}
    _, history = fit(
        stored.problem, values, StageSettings(**known["stage"]), NetworkSettings(**known["network"]),
        known["method"], known["rank"], known["seed"], str(device), base,
        origin=of_split(truth.values, truth.splits, "base"),
    )  # fmt: skip
    return history.seconds
