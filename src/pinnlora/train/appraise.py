"""Is it solved? What a trained prediction shows of itself at fresh points, and a plain verdict.

A small loss is not enough. Residuals are measured against the equation's own terms, mismatches against what is
prescribed, at points that were never trained on. And what they are worth only the equation knows: the linearised
error equation J d = -r is solved in the tangent space of all the network's weights, with conditions that count much
more than the equation, and the fields' change along d is the estimated error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.residuals import Workspace
from pinnlora.loss.sampler import by_size, take
from pinnlora.loss.terms import interior, physics
from pinnlora.nets.adapters import Full, Parametrisation
from pinnlora.nets.ansatz import fields_at, lifted
from pinnlora.optimise.levenberg_marquardt import solve
from pinnlora.problem.base import Problem
from pinnlora.problem.channels import Channels
from pinnlora.problem.mismatch import found_and_wanted
from pinnlora.problem.signature import BoundCondition, Values, lookup
from pinnlora.train.data import TaskSet, fields_of, grid_coords, known_and_there

Jets = Callable[[Tensor, Channels], Tensor]
NOTHING = np.empty(0)

TOLERANCE, PEAK = 1e-2, 0.2
"""Largest relative error of a converged task, and of the residual at a single point."""
FALLING = 0.5
"""A validation loss that loses more than this share in the last fifth of the steps is not at its end."""
POINTS, FACE_POINTS, FEW = 3000, 300, 200
"""Fresh points of the equations, and of each condition, a task; of the equations where derivatives are costly."""
FLOOR = 1e-2
"""An equation or a field counts as no smaller than this share of the largest: one that vanishes has no size."""
ROWS, STRICT, DAMPING = 600, 1e4, 1e-8
"""Of the error equation: its rows, the weight of conditions, and the damping relative to the rows' mean square."""


@dataclass(frozen=True)
class Verdict:
    """Relative errors by name, (task,) each, and what is wrong (nothing: converged)."""

    measured: dict[str, np.ndarray]
    wrong: tuple[str, ...]
    advice: str

    @property
    def text(self) -> str:
        """In a sentence."""
        if not self.wrong:
            return "converged"
        return f"not converged: {'; '.join(self.wrong)}. Try {self.advice}"

    def table(self) -> list[str]:
        """Mean and worst task of everything measured."""
        lines = [f"{'relative, on test tasks':<44} {'mean':>8} {'worst':>8}"]
        for name, value in self.measured.items():
            lines.append(f"{name:<44} {value.mean():8.1e} {value.max():8.1e}")
        return lines


def appraise(
    parametrisation: Parametrisation,
    theta: Tensor,
    tasks: TaskSet,
    reference: np.ndarray | None = None,
    validation: np.ndarray = NOTHING,
) -> Verdict:
    """The verdict on theta (task, size) of `tasks`; reference (task, point, field), nan where it is not known.

    validation: the loss over the training. What is measured is relative, per task.
    """
    rows, workspace = [], Workspace()
    for k in range(len(tasks)):
        one = tasks.take(torch.tensor([k], device=theta.device))
        weights = parametrisation.weights(theta[k : k + 1]).flat()
        full = Full(parametrisation.network), weights.double(), one.to(theta.device, torch.float64)
        rows.append(_residuals(*full))
        if not _costly(full[0], full[2]):
            rows[-1]["estimated error"] = _estimated(*full, workspace)
    measured = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    values = {name: value.cpu().numpy() for name, value in tasks.values.items()}
    if reference is None:
        return _verdict(measured, validation)
    known, there = known_and_there(tasks.problem, values, reference)
    if known.any():
        some = torch.from_numpy(np.flatnonzero(known)).to(theta.device)
        grid = grid_coords(tasks.problem, theta.device, theta.dtype)
        found = fields_of(parametrisation, theta[some], tasks.take(some), grid).double().cpu().numpy()
        where = there if there is True else there[known]
        measured["error (relative L2)"] = _distance(found, reference[known], where)
        if tasks.problem.coords.vectors:
            measured["error (relative L1)"] = _distance_l1(found, reference[known])
    return _verdict(measured, validation)


def _costly(parametrisation: Parametrisation, task: TaskSet) -> bool:
    """Whether derivatives at a point take a thousand values or channels: in many dimensions, or by Stein's identity."""
    return bool(task.problem.coords.vectors or parametrisation.network.smoothing)


def _verdict(measured: dict[str, np.ndarray], validation: np.ndarray) -> Verdict:
    bounds = {name: PEAK if name.startswith("largest") else TOLERANCE for name in measured}
    wrong = [
        f"{name} {value.max():.1e} in the worst task, above {bounds[name]:g}"
        for name, value in measured.items()
        if not value.max() <= bounds[name]  # nan too
    ]
    fallen = _fallen(validation)
    near = [name for name, value in measured.items() if not value.max() <= 0.1 * bounds[name]]
    if fallen > FALLING and any("residual" not in name for name in near):
        wrong.append(f"the loss still fell by {fallen:.0%} over the last fifth of the steps")
    soft = any(name.startswith("mismatch") for name in wrong)
    advice = "more --minutes" if fallen > 0.1 else "a higher --rank or a wider network, and more --minutes"
    if soft:
        advice += "; a larger condition_weight, for the conditions that the log says are in the loss"
    return Verdict(measured, tuple(wrong), f"{advice}; for single tasks `pinnlora refine`")


def _fallen(validation: np.ndarray) -> float:
    """The share of the loss that the last fifth of the training took away; 0 where it was hardly watched."""
    best = np.minimum.accumulate(validation[np.isfinite(validation)])
    if len(best) < 5 or best[-1] <= 0:
        return 0.0
    return float(1 - best[-1] / best[-1 - len(best) // 5])


def _residuals(parametrisation: Parametrisation, theta: Tensor, task: TaskSet) -> dict[str, float]:
    """Relative residuals and mismatches of one task, theta (1, size), at fresh points."""
    problem, network = task.problem, parametrisation.network
    count = FEW if _costly(parametrisation, task) else POINTS
    coords = draw_points(problem, _fresh(theta, 11), task.values, count, FACE_POINTS)
    weights = parametrisation.weights(theta)

    def jet(at: Tensor, channels: Channels) -> Tensor:
        with torch.no_grad():
            outputs = network.forward(weights, at, channels)
            return lifted(problem, network, at, task.values, channels)(outputs)

    found = _of_equations(problem, coords["interior"], task.values, jet)
    for condition in problem.bound_conditions:
        few = coords["interior"][:, :FACE_POINTS]
        inside = jet(few, condition.channels)
        found |= _of_condition(problem, condition, coords[condition.name], task.values, jet, (few, inside))
    return found


def _estimated(full: Full, theta: Tensor, task: TaskSet, workspace: Workspace) -> float:
    """The relative size of the error that the linearised equations have for their residual, of the worst field."""
    problem, network, draw = task.problem, full.network, _fresh(theta, 12)
    count = max(100, ROWS // len(problem.unknowns))
    points = draw_points(problem, draw, task.values, POINTS, count // 4, network.hard.left(problem))
    where = points["interior"]
    size = interior(problem, network, task.values, where).size(full, theta)
    chosen, weight = by_size(size, count, draw.stream())
    points["interior"], importance = take(where, chosen), {"interior": weight}
    objective = physics(problem, full, task.values, points, importance, STRICT)
    _, r, jacobian, _ = objective.linearise(theta, workspace)
    move, _ = solve(jacobian, r, DAMPING * jacobian.square().sum((1, 2)) / r.shape[1])
    near = 1e-3 * (theta.norm() + 1e-3) / move.norm().clamp_min(1e-300)
    part, fields = min(1.0, float(near)), []  # so small that all is linear
    with torch.no_grad():
        for numbers in (theta, theta + part * move):
            fields.append(
                fields_at(problem, network, full.weights(numbers), where, task.values).cpu().numpy()
            )
    return float(_distance(fields[1], fields[0])[0] / np.float64(part))


def _fresh(like: Tensor, seed: int) -> Draw:
    """Points that no training has drawn."""
    return Draw(torch.Generator(like.device).manual_seed(seed), like.device, like.dtype).frozen(seed)


def _of_equations(problem: Problem, coords: Tensor, values: Values, jet_at: Jets) -> dict[str, float]:
    """Each equation's residual over the size of its terms: derivatives times what they multiply, and its source."""
    signature = problem.residual_signature
    jet = jet_at(coords, signature.channels).requires_grad_()
    nothing = torch.zeros_like(jet)
    with torch.enable_grad():
        rows = signature(problem, lookup(problem, coords, values, jet, signature.channels))
    sources = signature(problem, lookup(problem, coords, values, nothing, signature.channels))
    squares = {}
    for name, row in rows.items():
        (slope,) = torch.autograd.grad(row.sum(), jet, retain_graph=True)
        source = sources[name].nan_to_num(0, 0, 0)
        squares[name] = (slope * jet.detach()).square().sum((1, 3)) + source.square()
    found, largest = {}, max(terms.mean().sqrt() for terms in squares.values())
    for name, row in rows.items():
        terms = squares[name]
        size = torch.maximum(terms.mean().sqrt(), FLOOR * largest)
        found[f"residual of {name}"] = float(row.detach().square().mean().sqrt() / size)
        found[f"largest residual of {name}"] = float((row.detach().abs() / (size + terms.sqrt())).max())
    return found


def _of_condition(
    problem: Problem, condition: BoundCondition, coords: Tensor, values: Values, jet_at: Jets, within: tuple
) -> dict[str, float]:
    """Each prescribed value's mismatch over its size and that of the same quantity `within` the domain, at points
    there, whose jet is given with them."""
    few, inside = within
    jet = jet_at(coords, condition.channels)
    if condition.periodic is not None:
        half = coords.shape[1] // 2
        jump = (jet[:, 0, :half] - jet[:, 0, half:]).square().mean((0, 1)).sqrt()
        size = inside[:, 0].square().mean((0, 1)).sqrt()
        size = torch.maximum(size, FLOOR * size.max())
        return {f"mismatch of {condition.name}": float((jump / size).max())}
    found, least = {}, FLOOR * inside[:, 0].square().mean((0, 1)).max().sqrt()
    usual = found_and_wanted(problem, condition, few, values, inside)
    for name, (value, target) in found_and_wanted(problem, condition, coords, values, jet).items():
        target = torch.as_tensor(target, dtype=jet.dtype, device=jet.device)
        missed = (value - target).square().mean().sqrt()
        size = target.square().mean().sqrt() + usual[name][0].square().mean().sqrt() + least
        found[f"mismatch of {condition.name} ({name})"] = float(missed / size) if missed else 0.0
    return found


def _distance(found: np.ndarray, target: np.ndarray, where: np.ndarray | Literal[True] = True) -> np.ndarray:
    """Relative L2 distance (task,) of fields (task, point, field), each field relative to its own size, the worst;
    over the points in `where`."""
    norm = np.sqrt((target**2).mean(1, where=where))
    norm = np.maximum(norm, FLOOR * norm.max(1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.sqrt(((found - target) ** 2).mean(1, where=where)) / norm).max(1)


def _distance_l1(found: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Relative L1 distance (task,), likewise, of fields known everywhere."""
    norm = np.abs(target).mean(1)
    return (np.abs(found - target).mean(1) / np.maximum(norm, FLOOR * norm.max(1, keepdims=True))).max(1)
