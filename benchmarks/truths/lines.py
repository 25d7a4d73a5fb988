"""The method of lines: second-order differences in x, LSODA in time, and Richardson extrapolation over three grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp

from pinnlora.errors import UserError
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import BoundCondition, lookup
from truths import Solved, distance, one_by_one

CELLS = (800, 1600, 3200)
"""Of the three grids; multiples of the cells of the grid that is asked for."""


def solve(problem: Problem, values: dict[str, np.ndarray], axes: list[np.ndarray]) -> Solved:
    """Any equation u_t = f(u, u_x, u_xx) on the grid (x, t); the difference of the two extrapolations is the error."""
    once, twice = [], []
    for one in one_by_one(values):
        coarse, middle, fine = (on_lines(problem, one, axes, cells) for cells in CELLS)
        once.append((4 * middle - coarse).reshape(-1, 1) / 3)
        twice.append((4 * fine - middle).reshape(-1, 1) / 3)
    return Solved(np.stack(twice), distance(np.stack(once), np.stack(twice)), "method of lines")


def on_lines(problem: Problem, one: dict[str, np.ndarray], axes: list[np.ndarray], cells: int) -> np.ndarray:
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
