"""Is the exact solution one, and does a reference solver give what is expected of it?

Derivatives come from automatic differentiation, apart from the jets of networks.
"""

from __future__ import annotations

from itertools import product as every

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.base import Problem
from pinnlora.problem.calls import guarded
from pinnlora.problem.channels import Channels
from pinnlora.problem.pointwise import pointwise_jet
from pinnlora.problem.probe import Finding, Probe
from pinnlora.problem.signature import BoundCondition, Values, lookup, parse

EXACT, NEARLY = 1e-9, 1e-6
"""Residuals relative to the size of their terms up to which an exact solution is one; is one with a warning."""


def exact_jet(problem: Problem, coords: Tensor, values: Values, channels: Channels) -> Tensor:
    """The jet (task, channel, point, field) of the exact solution at coords (task, point, dim), float64."""
    jets = pointwise_jet(lambda at: problem.exact_at(at, values), coords, channels).values()
    columns = [[jet.get(order, torch.zeros_like(jet[()])) for order in channels.orders] for jet in jets]
    return torch.stack([torch.stack(column, 1) for column in columns], -1).detach()


def residual_of_exact(
    problem: Problem, values: Values, points: int = 200, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Each equation's largest residual of the exact solution, and the size of its terms.

    The size is the largest change of the residual when one derivative or field is set to zero.
    """
    generator = torch.Generator().manual_seed(seed)
    tasks = len(next(iter(values.values())))
    unit = torch.rand(tasks, points, len(problem.coords.names), generator=generator, dtype=torch.float64)
    coords, channels = problem.coords.scale(unit), problem.residual_signature.channels
    jet = exact_jet(problem, coords, values, channels)

    def residual(jet: Tensor) -> dict[str, Tensor]:
        return problem.residual_signature(problem, lookup(problem, coords, values, jet, channels))

    rows = residual(jet)
    sizes = dict.fromkeys(rows, 0.0)
    for channel in range(jet.shape[1]):
        for field in range(jet.shape[3]):
            without = jet.clone()
            without[:, channel, :, field] = 0
            for name, row in residual(without).items():
                sizes[name] = max(sizes[name], float((row - rows[name]).abs().max()))
    return {name: (float(row.abs().max()), sizes[name]) for name, row in rows.items()}


def exact_solves(probe: Probe) -> list[Finding]:
    """Does the exact solution solve the equations?"""
    problem, where = probe.problem, probe.where("exact")
    if problem.exact_signature is None or problem.potentials:
        return []
    coords = probe.coords()
    found = probe.not_finite(where, problem.exact_at(coords, probe.values), coords, "mend the formula there")
    if found:
        return found
    probe.residual(coords, probe.jet(problem.residual_signature.channels))
    values = {name: value.detach() for name, value in probe.values.items()}
    for name, (residual, size) in residual_of_exact(problem, values).items():
        numbers = f"residual {residual:.1e}, terms of size {size:.1e}"
        found.append(_judged(where, residual, size, f"solves {name}", f"solve {name} of residual()", numbers))
    return found


def exact_meets(probe: Probe) -> list[Finding]:
    """Does the exact solution meet the conditions, values and derivatives?"""
    problem, where = probe.problem, probe.where("exact")
    if problem.exact_signature is None or problem.potentials:
        return []
    found = []
    for condition in problem.bound_conditions:
        gap, size, place = _mismatch(probe, condition)
        numbers = f"difference {gap:.1e}, size {size:.1e}{place if gap else ''}"
        found.append(_judged(where, gap, size, f"meets {condition.name}", f"meet {condition.name}", numbers))
    return found


def _mismatch(probe: Probe, condition: BoundCondition) -> tuple[float, float, str]:
    """The largest difference of the exact solution to a condition, the size of such values, and where it is."""
    problem, channels, values = probe.problem, condition.channels, probe.values
    sides = [exact_jet(problem, probe.coords(face), values, channels) for face in condition.faces]
    usual = exact_jet(problem, probe.coords(), values, channels).abs().amax((0, 2))
    worst, size, place = 0.0, 0.0, ""
    for face, jet in zip(condition.faces, sides, strict=True):
        coords = probe.coords(face)
        if condition.periodic is not None:
            pairs = every(range(jet.shape[1]), range(jet.shape[3]))
            wanted = {(c, k): sides[0][:, c, :, k] for c, k in pairs}
        else:
            rows = probe.targets(condition, coords, jet)
            places = {name: parse(problem, name) for name in rows}
            wanted = {
                (channels.position(places[n][1]), places[n][0]): row.detach() for n, row in rows.items()
            }
        for (channel, number), target in wanted.items():
            gap = (jet[:, channel, :, number] - target).abs().nan_to_num(nan=torch.inf)
            size = max(size, float(usual[channel, number]), float(target.abs().max()))
            if float(gap.max()) > worst:
                worst, place = float(gap.max()), f", at {probe.example(coords, gap == gap.max())}"
    return worst, size, place


def _judged(where: str, gap: float, size: float, good: str, bad: str, numbers: str) -> Finding:
    if gap <= EXACT * size:
        return Finding("note", f"{where}: {good}: {numbers}")
    if gap <= NEARLY * size:
        return Finding("warning", f"{where}: {good} nearly: {numbers}")
    return Finding("error", f"{where}: does not {bad}: {numbers}; one of the two is wrong")


def reference_fits(probe: Probe) -> list[Finding]:
    """Is there something to compare with, and if it is an own solver, does one task's solution fit the grid?"""
    problem, where = probe.problem, probe.where("reference")
    if not problem.has_solver:
        if problem.exact_signature is None:
            text = "there is neither exact() nor reference(): errors will be residuals"
            return [Finding("note", f"{type(problem).__name__}: {text}")]
        return []
    one = {name: value[:1].detach().numpy() for name, value in probe.values.items()}
    found = guarded(where, lambda: problem.reference(one))
    expected = (1, *(len(axis) for axis in problem.axes().values()))
    if not isinstance(found, dict) or set(found) != set(problem.fields):
        raise UserError(f"{where}: expected a dict of {', '.join(problem.fields)}, arrays (task, *grid)")
    for name, array in found.items():
        if np.shape(array) != expected:
            text = f"has shape {np.shape(array)} for one task; expected {expected}: task, then axes()"
            raise UserError(f"{where}: {name!r} {text}")
        if not np.isfinite(np.asarray(array, dtype=float)).all():
            raise UserError(f"{where}: {name!r} holds NaN or infinite values")
    return [Finding("note", f"{where}: gives {', '.join(found)} of shape {expected} for one task")]
