"""Do the conditions of a problem contradict each other?"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor

from pinnlora.problem.channels import Channels
from pinnlora.problem.domain.sides import Face, Side
from pinnlora.problem.pointwise import pointwise_jet
from pinnlora.problem.probe import Finding, Probe
from pinnlora.problem.statements import NORMAL, Statement, statements

AGREE = 1e-6
"""Relative difference up to which two conditions agree."""


def agreeing_conditions(probe: Probe) -> list[Finding]:
    """Conditions that give one field differently: an error on one face, a warning where two faces meet."""
    found, given = [], [g for g in statements(probe) if not g.asked]
    for one, other in combinations(given, 2):
        if one.number == other.number and one.condition is not other.condition:
            found += _compared(probe, one, other)
    for periodic in probe.problem.bound_conditions:
        if periodic.periodic is None:
            continue
        axis = probe.problem.coords.names[periodic.periodic]
        for g in (g for g in given if isinstance(g.face, Face) and g.face.axis != periodic.periodic):
            (coords, low), (_, high) = (g.at(probe, end) for end in periodic.faces)
            both = f"{probe.where(g.function)}, at both ends of the periodic {axis},"
            size = _size(probe, g)
            found += _differ(probe, "warning", f"{both} give {g.target}", low, high, coords, size)
    once = {finding.text.partition(" as ")[0]: finding for finding in reversed(found)}  # one place is enough
    return list(reversed(once.values()))


def _compared(probe: Probe, one: Statement, other: Statement) -> list[Finding]:
    """Values against values on one face or where two meet, or the slope of values on one face against that given."""
    same = bool(_common(one.face, other.face))
    first, second = (one, other) if one.order == () else (other, one)
    if same and one.order != other.order:
        return []
    apart = one.face.axis == other.face.axis or NORMAL in (one.order, other.order)
    if not same and (apart or first.order or first.face.axis in second.order):
        return []
    both_on = _common(one.face, other.face) if same else (first.face, second.face)
    coords, order = probe.coords(*both_on), () if same else second.order
    jets = pointwise_jet(lambda at: probe.targets(first.condition, at), coords, Channels.of([order]))
    values = jets[first.target].get(order, torch.zeros(()).expand(coords.shape[:-1]))
    both = f"{probe.where(one.function)} and {other.function} give {second.target}"
    size = max(_size(probe, one), _size(probe, other))
    wanted = probe.targets(second.condition, coords)[second.target]
    return _differ(probe, "error" if same else "warning", both, values, wanted, coords, size)


def _common(one: Face | Side, other: Face | Side) -> tuple[Face | Side, ...]:
    """What two parts of the boundary have in common, or nothing."""
    if isinstance(one, Side) and isinstance(other, Side):
        surfaces = tuple(surface for surface in one.surfaces if surface in other.surfaces)
        return (replace(one, surfaces=surfaces),) if surfaces else ()
    return (one,) if one == other else ()


def _size(probe: Probe, given: Statement) -> float:
    """How large a condition's values are on the whole of its face."""
    return float(given.at(probe)[1].detach().abs().max())


def _differ(
    probe: Probe, severity: str, both: str, first: Tensor, second: Tensor, coords: Tensor, size: float
) -> list[Finding]:
    bad = (first - second).detach().abs() > AGREE * size
    if not bad.any():
        return []
    task, point = bad.nonzero()[0].tolist()
    numbers = f"{first[task, point].item():.4g} and {second[task, point].item():.4g}"
    text = (
        f"{both} as {numbers} at {probe.example(coords, bad)}; no smooth solution meets both: make them agree"
    )
    return [Finding(severity, text)]
