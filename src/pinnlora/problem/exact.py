"""Is the exact solution one?

Derivatives come from automatic differentiation, apart from the jets of networks.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from pinnlora.problem.base import Problem
from pinnlora.problem.channels import Channels
from pinnlora.problem.domain.base import seeded
from pinnlora.problem.mismatch import found_and_wanted
from pinnlora.problem.pointwise import jet_in_space, pointwise_jet
from pinnlora.problem.probe import TASKS, Finding, Probe
from pinnlora.problem.signature import BoundCondition, Values, lookup
from pinnlora.problem.solver import DEEP

EXACT, NEARLY = 1e-9, 1e-6
"""Residuals relative to the size of their terms up to which an exact solution is one; is one with a warning."""
POINTS, FEW = 200, 20
"""Points at which that is looked at, and in many dimensions, where each takes a product with a Hessian an axis."""


def exact_jet(problem: Problem, coords: Tensor, values: Values, channels: Channels) -> Tensor:
    """The jet (task, channel, point, field) of the exact solution at coords (task, point, dim), float64."""
    if channels.space:
        found = jet_in_space(lambda at: problem.exact_at(at, values), coords, channels).values()
        return torch.stack(list(found), -1).detach()
    jets = pointwise_jet(lambda at: problem.exact_at(at, values), coords, channels).values()
    columns = [[jet.get(order, torch.zeros_like(jet[()])) for order in channels.orders] for jet in jets]
    return torch.stack([torch.stack(column, 1) for column in columns], -1).detach()


def residual_of_exact(problem: Problem, values: Values) -> dict[str, tuple[float, float]]:
    """Each equation's largest residual of the exact solution, and the size of its terms.

    The size is the largest change of the residual when one derivative or field is set to zero, or halved, for a row may
    divide by it.
    """
    tasks, domain = len(next(iter(values.values()))), problem.coords
    coords = domain.scale(domain.uniform(seeded(domain, tasks), FEW if domain.vectors else POINTS, values))
    channels = problem.residual_signature.channels
    jet = exact_jet(problem, coords, values, channels)

    def residual(jet: Tensor) -> dict[str, Tensor]:
        return problem.residual_signature(problem, lookup(problem, coords, values, jet, channels))

    rows = residual(jet)
    sizes = dict.fromkeys(rows, 0.0)
    for channel, field, share in product(range(jet.shape[1]), range(jet.shape[3]), (0.0, 0.5)):
        less = jet.clone()
        less[:, channel, :, field] *= share
        for name, row in residual(less).items():
            change = (row - rows[name]).abs()
            sizes[name] = max(sizes[name], float(change.where(change.isfinite(), 0.0).max()))
    return {name: (float(row.abs().max()), sizes[name]) for name, row in rows.items()}


def exact_solves(probe: Probe) -> list[Finding]:
    """Does the exact solution solve the equations? One of fields made of potentials, which these are not of, is only
    looked at."""
    problem, where = probe.problem, probe.where("exact")
    if problem.exact_signature is None:
        return []
    coords = probe.coords()
    hint = "mend the formula there"
    found = probe.not_finite(where, problem.exact_at(coords, probe.values), coords, hint)
    found = found or probe.not_finite(where, *_exact_on_grid(probe), hint)
    if found or problem.potentials:
        return found
    probe.residual(coords, probe.jet(problem.residual_signature.channels))
    values = {name: value.detach() for name, value in probe.values.items()}
    for name, (residual, size) in residual_of_exact(problem, values).items():
        numbers = f"residual {residual:.1e}, terms of size {size:.1e}"
        found.append(_judged(where, residual, size, f"solves {name}", f"solve {name} of residual()", numbers))
    return found


def _exact_on_grid(probe: Probe) -> tuple[dict[str, Tensor], Tensor]:
    """The exact solution (task, point) on the evaluation grid, zero outside of the domain, and its coordinates."""
    problem, values = probe.problem, {name: value.detach() for name, value in probe.values.items()}
    coords = torch.as_tensor(problem.places(), dtype=torch.float64).expand(TASKS, -1, -1)
    inside = problem.inside({name: value.numpy() for name, value in values.items()}, DEEP)
    there = torch.tensor(True) if inside is None else torch.from_numpy(inside).flatten(1)
    return {name: row.where(there, 0.0) for name, row in problem.exact_at(coords, values).items()}, coords


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
    places = [probe.coords(face) for face in condition.faces]
    jets = [exact_jet(problem, coords, values, channels) for coords in places]
    size = _usual(probe, condition)
    worst, place = 0.0, ""
    for coords, jet in zip(places, jets, strict=True):
        if condition.periodic is not None:
            pairs: list[tuple[Tensor, Tensor | float]] = [
                (jet[:, c], jets[0][:, c]) for c in range(jet.shape[1])
            ]
        else:
            probe.targets(condition, coords, jet)  # says what is wrong with them
            pairs = [*found_and_wanted(problem, condition, coords, values, jet).values()]
        for found, target in pairs:
            target = torch.as_tensor(target, dtype=found.dtype).detach()
            gap = (found - target).detach().abs().nan_to_num(nan=torch.inf)
            gap = gap if gap.ndim == 2 else gap.amax(-1)
            size = max(size, float(target.abs().max()))
            if float(gap.max()) > worst:
                worst, place = float(gap.max()), f", at {probe.example(coords, gap == gap.max())}"
    return worst, size, place


def _usual(probe: Probe, condition: BoundCondition) -> float:
    """How large the quantities that a condition holds are inside the domain."""
    problem, coords = probe.problem, probe.coords()
    jet = exact_jet(problem, coords, probe.values, condition.channels)
    if condition.periodic is not None:
        return float(jet[:, [0, condition.channels.position((condition.periodic,))]].abs().max())
    found = found_and_wanted(problem, condition, coords, probe.values, jet)
    return max(float(value.detach().abs().max()) for value, _ in found.values())


def _judged(where: str, gap: float, size: float, good: str, bad: str, numbers: str) -> Finding:
    if gap <= EXACT * size:
        return Finding("note", f"{where}: {good}: {numbers}")
    if gap <= NEARLY * size:
        return Finding("warning", f"{where}: {good} nearly: {numbers}")
    return Finding("error", f"{where}: does not {bad}: {numbers}; one of the two is wrong")
