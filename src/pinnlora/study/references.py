"""What predictions are compared with: exact or solved, a file of the user's, or each task refined by its physics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from scipy.interpolate import CubicSpline

from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.problem.base import Problem
from pinnlora.problem.domain.base import Shape
from pinnlora.problem.signature import Values
from pinnlora.problem.solver import DEEP, solved_grid
from pinnlora.study.stored import read_fits
from pinnlora.train.data import fields_of, grid_coords, task_set
from pinnlora.train.loop import train
from pinnlora.train.settings import StageSettings
from pinnlora.train.setup import device_of, draw_of
from pinnlora.train.single import TaskFits

STEPS = (25, 25, 50, 100, 200)
"""Refining steps: each entry doubles their number."""
SOLVED = 1e-20
"""Mean square of residuals and mismatches below which a task counts as solved: rounding is near."""
POINTS = 500
"""Collocation points of refining, at least."""
SAME = 1e-6
"""Relative distance below which two parameters are the same."""


@dataclass(frozen=True)
class References:
    """Fields on the evaluation grid by name, (task, *grid), nan for tasks that have none; empty if no task has any.

    kind: none, exact, solver, refined or file; floor: their own mean squared error, nan if it is not known; note:
    how it is known, or what else there is to say.
    """

    kind: str = "none"
    fields: dict[str, np.ndarray] = field(default_factory=dict)
    floor: float = np.nan
    note: str = "there is no reference solution"


def own_references(problem: Problem, values: Values) -> References:
    """The problem's exact solution or solver, if it has one."""
    fields = solved_grid(problem, values)
    if fields is None:
        return References()
    fields, kind = _blank(problem, values, fields), "solver" if problem.has_solver else "exact"
    return References(kind, fields, *problem.reference_floor(values, fields))


def _blank(problem: Problem, values: Values, fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fields (task, *grid), nan outside of the domain."""
    inside = problem.inside(values)
    if inside is None:
        return fields
    return {name: np.where(inside, field, np.nan) for name, field in fields.items()}


def refined_references(
    problem: Problem, values: Values, splits: np.ndarray, base: Path, seed: int, device: str
) -> References:
    """Validation and test tasks, each refined from the base network by Levenberg-Marquardt on its own physics.

    The steps are doubled until the loss is SOLVED, falls by less than half, or STEPS are done. The floor is the
    mean square of what the last doubling changed.
    """
    start = read_fits(base, problem, device_of(device), torch.float64)
    like, chosen = start.theta, np.isin(splits, ("validation", "test"))
    wanted = {name: value[chosen] for name, value in values.items()}
    tasks = task_set(start.problem, wanted, start.metadata["network"]["symmetry"], like.device, torch.float64)
    draw = draw_of(seed, "reference points", like.device, torch.float64)
    theta = like.repeat(len(tasks), 1)
    stage = _stage(start.metadata["stage"])
    learner = TaskFits(start.problem, start.parametrisation, tasks, theta, stage, draw)
    grid, began, done = grid_coords(problem, like.device, torch.float64), time.perf_counter(), 0
    found, loss = fields_of(start.parametrisation, learner.theta, tasks, grid), learner.validate()
    for steps in STEPS:
        learner.steps, before, loss_before = steps, found, loss
        train(learner, max(1, steps // 5), quiet=True)
        found, loss = fields_of(start.parametrisation, learner.theta, tasks, grid), learner.validate()
        change, done = _changed(problem, wanted, found, before), done + steps
        print(
            f"{len(tasks)} tasks refined by {done} steps  {time.perf_counter() - began:7.1f} s  "
            f"loss of the worst {float(loss.max()):.1e}  change {change:.1e}",
            flush=True,
        )
        if not bool(((loss > SOLVED) & (loss < loss_before / 2)).any()):
            break
    on_grid = found.cpu().numpy().reshape(len(tasks), *(len(axis) for axis in problem.axes().values()), -1)
    fields = _blank(problem, wanted, {name: on_grid[..., k] for k, name in enumerate(problem.fields)})
    fields = {name: _spread(field, chosen) for name, field in fields.items()}
    worst = f"{float(loss.max()):.0e} at worst"
    note = f"each task refined by {done} steps on its own physics, to a loss of {worst}; what the last {steps} changed"
    return References("refined", fields, change, note)


def _changed(problem: Problem, values: Values, found: torch.Tensor, before: torch.Tensor) -> float:
    """The mean square of what has changed in fields (task, grid point, field), in the domain."""
    change, inside = (found - before).square(), problem.inside(values)
    if inside is not None:
        change = change[torch.from_numpy(inside.reshape(change.shape[:2])).to(change.device)]
    return float(change.mean())


def _stage(base: dict) -> StageSettings:
    """A stage that refines, its terms and points those of the base network's; points are new in every round of steps,
    so that what the last one changes includes what they miss, or at every step where they follow the residual."""
    stage = StageSettings(**base)
    same = ("condition_points", "condition_weight", "adaptive", "residual_weight")
    return StageSettings(
        optimiser="levenberg_marquardt", dtype="float64", damping=1e-10, points=max(stage.points, POINTS),
        resample=1 if stage.adaptive else sum(STEPS), **{name: getattr(stage, name) for name in same},
    )  # fmt: skip


def _spread(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Values of chosen tasks in the places of all, nan elsewhere."""
    out = np.full((len(chosen), *values.shape[1:]), np.nan)
    out[chosen] = values
    return out


def given_references(path: Path, problem: Problem, values: Values, splits: np.ndarray) -> References:
    """Solutions of a NetCDF file: fields (task, *coordinates) and parameters (task, ...), matched to `values`.

    On another grid than the problem's they are interpolated by cubic splines. UserError where names, shapes or
    values are not as expected, the grid does not cover the problem's, or none of the tasks is one of these.
    """
    if problem.coords.vectors:
        raise UserError(f"{path}: in many dimensions a file is no reference: write exact() or reference()")
    names = (*problem.coords.names, *problem.task.names, *problem.fields)
    dataset = read_netcdf(path, required=names, ours=False)
    for name in names:
        inner: tuple[str, ...] = (name,) if name in problem.coords.names else ("task",)
        inner = ("task", *problem.coords.names) if name in problem.fields else inner
        got = dataset[name].dims
        if set(got) != set(inner) if name not in problem.task.functions else got[:1] != ("task",):
            raise UserError(f"{path}: {name} is on ({', '.join(got)}), expected ({', '.join(inner)})")
    rows = _matches(path, dataset, values)
    chosen = rows >= 0
    fields, how = {}, ""
    for name in problem.fields:
        there = dataset[name].transpose("task", *problem.coords.names).values[rows[chosen]].astype(float)
        on_grid, how = _on_grid(path, dataset, problem, there)
        own = {key: value[chosen] for key, value in values.items()}
        inside, on_grid = problem.inside(own, DEEP), _blank(problem, own, {name: on_grid})[name]
        if not np.isfinite(there if inside is None else on_grid[inside]).all():
            raise UserError(f"{path}: {name} holds nan or infinite values in a task of this study")
        fields[name] = _spread(on_grid, chosen)
    counts = ", ".join(
        f"{int(chosen[splits == s].sum())} of {int((splits == s).sum())} {s} tasks"
        for s in ("train", "validation", "test")
    )
    return References("file", fields, np.nan, f"{Path(path).name}: {counts}{how}")


def _matches(path: Path, dataset: xr.Dataset, values: Values) -> np.ndarray:
    """For each task the row of the file with the same parameters, -1 where there is none."""
    count, rows = len(next(iter(values.values()))), dataset.sizes["task"]
    same = np.ones((count, rows), dtype=bool)
    for name, value in values.items():
        there = dataset[name].values.reshape(rows, -1)
        if there.shape[1] != value.reshape(count, -1).shape[1]:
            points = value.reshape(count, -1).shape[1]
            raise UserError(f"{path}: {name} has {there.shape[1]} numbers a task, expected {points}")
        own = value.reshape(count, 1, -1)
        same &= (np.abs(there - own) <= SAME * np.abs(own).max(-1, keepdims=True)).all(-1)
    if not same.any():
        name = next(iter(values))
        raise UserError(
            f"{path}: none of its {rows} tasks is one of this study's {count}: take {name} from tasks.nc"
        )
    return np.where(same.any(1), same.argmax(1), -1)


def _on_grid(path: Path, dataset: xr.Dataset, problem: Problem, fields: np.ndarray) -> tuple[np.ndarray, str]:
    """Fields (task, *the file's coordinates) on the problem's grid, and what to say about it."""
    axes = problem.axes()
    span = dict(zip(problem.coords.names, np.subtract(problem.coords.high, problem.coords.low), strict=True))
    pairs = [
        (name, axis, dataset[name].values.astype(float), 1e-9 * span[name]) for name, axis in axes.items()
    ]
    if all(len(a) == len(b) and np.allclose(a, b, rtol=0, atol=room) for _, a, b, room in pairs):
        return fields, ""
    for name, axis, given, room in pairs:
        covers = len(given) and given[0] <= axis[0] + room and given[-1] >= axis[-1] - room
        if len(given) < 4 or not (np.diff(given) > 0).all() or not covers:
            raise UserError(
                f"{path}: {name} should rise, with 4 points or more, from {axis[0]:g} to {axis[-1]:g}; it has "
                f"{len(given)} from {given.min():g} to {given.max():g}"
            )
    if isinstance(problem.coords, Shape):
        raise UserError(f"{path}: expected solutions on the grid of the problem, as its domain is no box")
    if not np.isfinite(fields).all():
        raise UserError(f"{path}: nan or infinite values in a task of this study")
    for k, (_, axis, given, _) in enumerate(pairs, start=1):
        fields = CubicSpline(given, fields, axis=k)(axis.clip(given[0], given[-1]))
    return fields, "; interpolated from its own grid by cubic splines, whose error is not known"
