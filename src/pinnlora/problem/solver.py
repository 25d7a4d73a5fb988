"""What a problem's own reference() gives, looked at before it is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pinnlora.errors import UserError
from pinnlora.problem.calls import guarded
from pinnlora.problem.domain.sides import Face
from pinnlora.problem.mismatch import is_unknown, prescribed
from pinnlora.problem.probe import Finding, Probe
from pinnlora.problem.signature import BoundCondition, Values

if TYPE_CHECKING:
    from pinnlora.problem.base import Problem

TRIED, APART = 2, 0.3
"""Tasks that a solver is tried with; how far from prescribed values, relative to its size, its solution cannot be."""
DEEP = -1e-5
"""How far inside of a domain points have to have a solution, as a share of its size: nearer to the boundary two
precisions may disagree on who is inside."""


def solved_grid(problem: Problem, values: Values) -> dict[str, np.ndarray] | None:
    """Fields by name, (task, *grid), that `problem.reference` gives for tasks as numpy arrays; None where it has none.

    UserError where it raises, or where names, shapes or values are not as expected.
    """
    where, count = f"{type(problem).__name__}.reference", len(next(iter(values.values())))
    found = guarded(where, lambda: problem.reference(values))
    if found is None and not problem.has_solver:
        return None
    expected = (count, *(len(axis) for axis in problem.axes().values()))
    if not isinstance(found, dict) or set(found) != set(problem.fields):
        raise UserError(f"{where}: expected a dict of {', '.join(problem.fields)}, arrays (task, *grid)")
    inside, out = problem.inside(values, DEEP), {}
    for name in problem.fields:
        if np.shape(found[name]) != expected:
            text = (
                f"has shape {np.shape(found[name])} for {count} tasks; expected {expected}: task, then axes()"
            )
            raise UserError(f"{where}: {name!r} {text}")
        out[name] = np.asarray(found[name], dtype=float)
        broken = ~np.isfinite(out[name]) & (True if inside is None else inside)
        _refuse_broken(f"{where}: {name!r}", broken.reshape(count, -1).any(1), values)
    return out


def _refuse_broken(what: str, broken: np.ndarray, values: Values) -> None:
    """UserError where a solution is not finite for some tasks (task,)."""
    if broken.any():
        first = int(broken.argmax())
        numbers = {name: value[first] for name, value in values.items() if np.ndim(value) == 1}
        task = ", ".join(f"{name}={number:g}" for name, number in numbers.items()) or f"number {first}"
        raise UserError(
            f"{what} holds NaN or infinite values for {broken.sum()} of {len(broken)} tasks, first {task}; mend it, or "
            "leave such tasks out of the distribution"
        )


def reference_fits(probe: Probe) -> list[Finding]:
    """Is there something to compare with, and if it is an own solver, do its solutions fit grid and conditions?"""
    problem, where = probe.problem, probe.where("reference")
    if not problem.has_solver:
        if problem.exact_signature is None:
            text = "there is neither exact() nor reference(): errors will be residuals"
            return [Finding("note", f"{type(problem).__name__}: {text}")]
        return []
    few = {name: value[:TRIED].detach().numpy() for name, value in probe.values.items()}
    found = solved_grid(problem, few) or {}
    for condition in problem.bound_conditions:
        _meets_on_grid(problem, condition, found, few, where)
    grid = tuple(len(axis) for axis in problem.axes().values())
    return [Finding("note", f"{where}: gives {', '.join(found)} of shape {grid} for each of {TRIED} tasks")]


def _meets_on_grid(
    problem: Problem, condition: BoundCondition, found: dict[str, np.ndarray], values: dict, where: str
) -> None:
    """UserError where what a solver gives on a face of the grid has nothing to do with what is prescribed there, as
    when its axes are swapped; how well it solves the equation is not asked."""
    unknown = (*condition.rows, *(name for name in condition.signature.names if is_unknown(problem, name)))
    if condition.periodic is not None or unknown or problem.potentials or problem.coords.vectors:
        return
    axes = [np.asarray(axis, dtype=float) for axis in problem.axes().values()]
    inside = problem.inside(values, DEEP)
    given = {name: torch.as_tensor(value) for name, value in values.items()}
    for face in condition.faces:
        if not isinstance(face, Face) or face.value not in axes[face.axis]:
            continue
        place = axes[face.axis].tolist().index(face.value)
        mesh = np.meshgrid(*(a if k != face.axis else a[place] for k, a in enumerate(axes)), indexing="ij")
        coords = torch.from_numpy(np.stack([part.ravel() for part in mesh], -1))[None]
        for name, target in prescribed(problem, condition, coords, given).items():
            if name in problem.fields:
                there = np.take(found[name], [place], 1 + face.axis).reshape(len(found[name]), -1)
                wanted = np.broadcast_to(torch.as_tensor(target).numpy(), there.shape)
                known = (
                    True if inside is None else np.take(inside, [place], 1 + face.axis).reshape(there.shape)
                )
                gap, size = (_root_mean_square(each, known) for each in (there - wanted, wanted))
                size = max(size, _root_mean_square(found[name], True if inside is None else inside))
                if gap > APART * size:
                    raise UserError(
                        f"{where}: {name!r} differs by {gap:.2g} from what {condition.name} prescribes, and is of size "
                        f"{size:.2g}; is it on the axes ({', '.join(problem.coords.names)}), in this order?"
                    )


def _root_mean_square(values: np.ndarray, where: np.ndarray | bool) -> float:
    chosen = np.broadcast_to(where, values.shape)
    return float(np.sqrt(np.mean(values[chosen] ** 2))) if chosen.any() else 0.0
