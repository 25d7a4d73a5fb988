"""Errors of everything a problem's study trained, gathered into the one dataset that tables and figures read_fits."""

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
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.study.stored import Stored, read_fits
from pinnlora.surrogate import Surrogate, fields_of, load, refine
from pinnlora.train.data import TaskSet, grid_coords, of_split, task_set
from pinnlora.train.settings import StageSettings
from pinnlora.train.setup import draw_of, dtype_of
from pinnlora.train.single import TaskFits

SPLITS = ("train", "validation", "test")
SAMPLE = 5000
"""Grid points on which train and validation errors are taken; test errors use the whole grid."""


@dataclass(frozen=True)
class Truth:
    """Reference solutions: parameters, splits, and fields (task, point, field) on the flattened grid."""

    problem: Problem
    values: Values
    splits: np.ndarray
    fields: np.ndarray

    def chosen(self, split: str) -> np.ndarray:
        """Reference fields of a split."""
        return self.fields[self.splits == split]


@dataclass
class Result:
    """What is known of one (method, rank)."""

    method: str
    rank: str
    numbers: dict[str, float]
    history: xr.Dataset
    settings: dict[str, Any]
    errors: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    showcase: np.ndarray | None = None


def measure(
    truth: Truth, fields: np.ndarray, split: str, points: np.ndarray | slice
) -> dict[str, np.ndarray]:
    """mse, relative_l2 and mse_front, (task, field) each, of fields (task, point, field) at grid `points`."""
    reference = truth.chosen(split)[:, points]
    squares = (fields - reference) ** 2
    norm = (reference**2).mean(1)
    out = {"mse": squares.mean(1), "relative_l2": np.sqrt(squares.mean(1) / norm)}
    named = {name: reference[..., k] for k, name in enumerate(truth.problem.fields)}
    band = truth.problem.front(of_split(truth.values, truth.splits, split), named)
    if band is not None:
        weight = band[..., None] / np.maximum(band.sum(1), 1)[:, None, None]
        empty = ~band.any(1)
        out["mse_front"] = np.where(empty[:, None], np.nan, (squares * weight).sum(1))
    return out


def evaluate_fit(path: Path, truth: Truth, device: torch.device, showcase: int) -> Result:
    """Errors of a directory of per-task fits on the test tasks."""
    stored = read_fits(path, truth.problem, device)
    metadata = stored.metadata
    symmetry = metadata["network"]["symmetry"]
    tasks = tasks_of(truth, stored.problem, "test", symmetry, device, stored.theta.dtype)
    grid = grid_coords(truth.problem, device, stored.theta.dtype)
    fields = fields_of(stored.parametrisation, stored.theta, tasks, grid).double().cpu().numpy()
    numbers = {
        "parameters": stored.parametrisation.size,
        "seconds": metadata["seconds"],
        "iterations": metadata["iterations"],
        "seconds_new_task": _seconds_alone(stored, tasks, device),
    }
    history = read_netcdf(path / "history.nc")
    settings = {key: metadata[key] for key in ("network", "stage")}
    result = Result(metadata["method"], str(metadata["rank"]), numbers, history, settings)
    result.showcase = fields[showcase]
    result.errors["test"] = measure(truth, fields, "test", slice(None))
    return result


def evaluate_surrogate(
    path: Path, truth: Truth, device: torch.device, showcase: int, settings: dict[str, Any]
) -> Result:
    """Errors of a bundle on all splits, and on the test tasks after a few refining steps where that is asked for."""
    surrogate = load(path, str(device))
    config = surrogate.config
    grid = grid_coords(truth.problem, device, surrogate.dtype)
    numbers = {
        "parameters": surrogate.parametrisation.size,
        "seconds": config["seconds"],
        "iterations": config["iterations"],
    }
    trained = {key: config[key] for key in ("network", "hypernetwork", "stage")}
    result = Result(config["mode"], str(config["rank"]), numbers, read_netcdf(path / "history.nc"), trained)
    for split in SPLITS:
        tasks = tasks_of(truth, surrogate.problem, split, surrogate.symmetry, device, surrogate.dtype)
        points = slice(None) if split == "test" else _sample(grid.shape[1])
        fields = fields_of(surrogate.parametrisation, surrogate.numbers(tasks), tasks, grid[:, points])
        fields = fields.double().cpu().numpy()
        result.errors[split] = measure(truth, fields, split, points)
        if split == "test":
            result.showcase = fields[showcase]
    numbers["seconds_new_task"] = _seconds_predicting(surrogate, tasks, grid)
    if (
        config["mode"] == "physics"
        and str(config["rank"]) == str(settings["figure_rank"])
        and settings["refine_steps"]
    ):
        _refine(result, surrogate, tasks, grid, truth, settings)
    return result


def _refine(
    result: Result, surrogate: Surrogate, tasks: TaskSet, grid: Tensor, truth: Truth, settings
) -> None:
    steps, points = settings["refine_steps"], settings["refine_points"]
    parametrisation, theta = refine(surrogate, tasks, steps, points)
    exact = tasks_of(truth, surrogate.problem, "test", surrogate.symmetry, theta.device, torch.float64)
    fields = fields_of(parametrisation, theta, exact, grid.double()).cpu().numpy()
    result.errors["test"]["mse_refined"] = measure(truth, fields, "test", slice(None))["mse"]
    start = time.perf_counter()
    refine(surrogate, tasks.take(torch.tensor([0], device=theta.device)), steps, points)
    result.numbers["seconds_refine"] = time.perf_counter() - start


def tasks_of(
    truth: Truth, problem: Problem, split: str, symmetry: bool, device: torch.device, dtype: torch.dtype
) -> TaskSet:
    """The tasks of a split as tensors, of the problem in the formulation that was trained."""
    return task_set(problem, of_split(truth.values, truth.splits, split), symmetry, device, dtype)


def _sample(points: int) -> np.ndarray:
    return np.sort(np.random.default_rng(0).permutation(points)[:SAMPLE])


def _seconds_predicting(surrogate: Surrogate, tasks: TaskSet, grid: Tensor) -> float:
    """Median time from one task to its fields on the whole grid."""
    one = tasks.take(torch.tensor([0], device=grid.device))
    times = []
    for _ in range(4):  # the first warms up
        start = time.perf_counter()
        fields_of(surrogate.parametrisation, surrogate.numbers(one), one, grid).cpu()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def _seconds_alone(stored: Stored, tasks: TaskSet, device: torch.device, steps: int = 3) -> float:
    """Time of one task's fit alone: its measured time a step, times the iterations that the batch took."""
    own = {"continuation": {}, "continuation_steps": 0}  # which changes the task, not the time
    stage = StageSettings(**stored.metadata["stage"] | own)
    one = tasks.take(torch.tensor([0], device=device))
    draw = draw_of(0, "timing", device, dtype_of(stage.dtype))
    learner = TaskFits(stored.problem, stored.parametrisation, one, stored.theta[:1], stage, draw)
    times = []
    for step in range(steps + 1):
        start = time.perf_counter()
        float(next(iter(learner.step(step).values())).sum())  # waits for the device
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:])) * stored.metadata["iterations"]
