"""What the own problems' benchmark measures against: tasks with the ends of their ranges, exact or accurate solutions.

Where a problem has no exact solution it is solved by the method of lines: second-order differences in x, LSODA in
time, and Richardson extrapolation over three grids, the difference of whose two extrapolations is the error given.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp

from pinnlora.errors import UserError
from pinnlora.problem.base import Problem
from pinnlora.problem.scalars import LogUniform
from pinnlora.problem.signature import BoundCondition, lookup

POINTS = {1: 1001, 2: 201, 3: 41}
"""Of the grid that errors are taken over, a coordinate."""
LADDER = {1: 9, 2: 5, 3: 3}
"""Tasks a parameter, evenly spread as the problem embeds it, both ends of the range among them."""
CELLS = (800, 1600, 3200)
"""Of the three grids of the method of lines; multiples of POINTS[2] - 1."""


@dataclass(frozen=True)
class Truth:
    """Tasks, name -> (task,); the grid as points (point, dim); solutions (task, point, field); their relative error."""

    values: dict[str, np.ndarray]
    points: np.ndarray
    fields: np.ndarray
    error: float
    kind: str

    def errors(self, found: np.ndarray) -> np.ndarray:
        """Relative L2 error (task,) of `found` (task, point, field), of the worst field."""
        missed = np.sqrt(((found - self.fields) ** 2).mean(1))
        return (missed / np.sqrt((self.fields**2).mean(1))).max(1)


def placed(task: Any, unit: Any) -> dict[str, Any]:
    """Parameters by name, (...), from the unit cube (..., parameter) of arrays or tensors: the inverse of `embed`."""
    found = {}
    for factor in getattr(task, "factors", (task,)):
        if factor.functions:
            raise UserError(f"the benchmark's tasks are numbers, but {factor.description} is a function")
        for name, low, high in factor.ranges:
            u = unit[..., len(found)]
            logarithm = isinstance(factor, LogUniform)
            found[name] = low * (high / low) ** u if logarithm else low + (high - low) * u
    return found


def truth_of(problem: Problem) -> Truth:
    """The solutions of all tasks of the ladder, on the grid."""
    unit = np.linspace(0, 1, LADDER[problem.task.size])
    values = placed(problem.task, np.array(list(itertools.product(unit, repeat=problem.task.size))))
    box = problem.coords
    axes = [
        np.linspace(low, high, POINTS[len(box.names)]) for low, high in zip(box.low, box.high, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    count = len(next(iter(values.values())))
    tasks = [{name: value[k : k + 1] for name, value in values.items()} for k in range(count)]
    if problem.exact_signature is not None:
        return Truth(values, points, np.stack([_exact(problem, points, one) for one in tasks]), 0.0, "exact")
    finer, error = [], 0.0
    for one in tasks:
        coarse, middle, fine = (_lines(problem, one, axes, cells) for cells in CELLS)
        once, twice = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
        finer.append(twice.reshape(-1, 1))
        error = max(error, float(np.linalg.norm(once - twice) / np.linalg.norm(twice)))
    return Truth(values, points, np.stack(finer), error, "method of lines")


def _exact(problem: Problem, points: np.ndarray, one: dict[str, np.ndarray]) -> np.ndarray:
    values = {name: torch.from_numpy(value) for name, value in one.items()}
    found = problem.exact_at(torch.from_numpy(points).unsqueeze(0), values)
    return torch.stack(list(found.values()), -1)[0].numpy()


def _lines(problem: Problem, one: dict[str, np.ndarray], axes: list[np.ndarray], cells: int) -> np.ndarray:
    """One task on the grid (x, t), by the method of lines with so many cells in x."""
    if problem.coords.names != ("x", "t") or len(problem.fields) != 1:
        raise UserError(f"{problem.name}: the method of lines here is for one field in x and t")
    (field,), (x, t) = problem.fields, axes
    values = {name: torch.from_numpy(value) for name, value in one.items()}
    nodes = torch.linspace(x[0], x[-1], cells + 1, dtype=torch.float64)
    h = float(nodes[1] - nodes[0])
    walls = [
        _prescribed(problem, values, torch.tensor([[end, t[0]]], dtype=torch.float64), axis=0)
        for end in (x[0], x[-1])
    ]
    coords = torch.stack([nodes, torch.full_like(nodes, t[0])], -1)
    start = _prescribed(problem, values, coords, axis=1)[field]

    def rate(_, state: np.ndarray) -> np.ndarray:
        u = torch.from_numpy(state)
        left = u[1] - 2 * h * float(walls[0].get(f"{field}_x", torch.zeros(1)))
        right = u[-2] + 2 * h * float(walls[1].get(f"{field}_x", torch.zeros(1)))
        wide = torch.cat([left.view(1), u, right.view(1)])
        known = {field: u, f"{field}_t": torch.zeros_like(u), "x": nodes} | values
        known[f"{field}_x"] = (wide[2:] - wide[:-2]) / (2 * h)
        known[f"{field}_xx"] = (wide[2:] - 2 * u + wide[:-2]) / h**2
        (row,) = problem.residual_signature(problem, known.__getitem__).values()
        change = -row  # the residual is u_t less its rate
        for place, wall in zip((0, -1), walls, strict=True):
            if field in wall:
                change[place] = 0.0
        return change.numpy()

    done = solve_ivp(rate, (t[0], t[-1]), start.numpy(), "LSODA", t, rtol=1e-9, atol=1e-11, lband=1, uband=1)
    if not done.success:
        raise UserError(f"{problem.name}: the method of lines failed ({done.message})")
    return done.y[:: cells // (len(x) - 1)]


def _prescribed(problem: Problem, values: Any, coords: torch.Tensor, axis: int) -> dict[str, torch.Tensor]:
    """What the conditions prescribe at coords (point, dim) on the face of `axis` where these lie: name -> (point,)."""
    found = {}
    for condition in problem.bound_conditions:
        if any(face.axis == axis and face.value == float(coords[0, axis]) for face in condition.faces):
            found |= targets_at(problem, condition, coords, values)
    return found


def targets_at(
    problem: Problem, condition: BoundCondition, coords: torch.Tensor, values: Any
) -> dict[str, torch.Tensor]:
    """The numbers that a condition prescribes at coords (point, dim) for values (point,) or (1,): name -> (point,)."""
    known = {*problem.coords.names, *problem.task.names}
    if condition.signature is None or not known.issuperset(condition.signature.names):
        raise UserError(
            f"{problem.name}: condition {condition.name} prescribes no numbers, which is not supported here"
        )
    each = {name: value.expand(len(coords)) for name, value in values.items()}
    targets = condition.signature(problem, lookup(problem, coords.unsqueeze(1), each))
    return {
        name: torch.as_tensor(target, dtype=coords.dtype).expand(len(coords), 1)[:, 0]
        for name, target in targets.items()
    }
