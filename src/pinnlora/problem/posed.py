"""Is a problem well posed, as far as counting tells: enough conditions, and none that contradict each other?"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from pinnlora.problem.box import Face
from pinnlora.problem.probe import Finding, Probe, slope
from pinnlora.problem.signature import BoundCondition, parse, spelled, split

AGREE = 1e-6
"""Relative difference up to which two conditions agree."""


def enough_conditions(probe: Probe) -> list[Finding]:
    """An error for every coordinate in which the equations ask for more conditions than there are.

    Time asks for as many as its highest derivative; space, from the second on, for half of them at each end, but
    none where the factor of that derivative vanishes. A field may make up with conditions to spare for another's
    lack: a clamped plate as a system has two for u and none for its Laplacian.
    """
    problem, box = probe.problem, probe.problem.coords
    effect = _effect(probe, probe.coords())
    found = []
    for axis in range(len(box.names)):
        lacking, missing, spare = [], 0, _shared(probe, axis)
        for unknown in problem.unknowns:
            order = _order(probe, effect, unknown, axis)
            given = {(v, n) for field, a, v, n in _given(probe) if (field, a) == (unknown, axis)}
            periodic = any(condition.periodic == axis for condition in problem.bound_conditions)
            needed = _needed(probe, unknown, axis, order)
            short = 0 if periodic else max(0, needed - len(given))
            missing, spare = missing + short, spare + max(0, len(given) - order)
            if short:
                lacking.append(_lack(probe, unknown, axis, order, given))
        if missing > spare:
            found += [Finding("error", f"{probe.where('conditions')}: {words}") for words in lacking]
    if not found and not problem.bound_conditions and effect[1:].any():
        found.append(
            Finding("error", f"{probe.where('conditions')}: there are none, so the solution is any of many")
        )
    return found + _constants(probe, effect)


def _effect(probe: Probe, coords: Tensor) -> Tensor:
    """The largest derivative of the equations by each channel of each unknown, (channel, unknown)."""
    jet = probe.jet(probe.problem.residual_signature.channels)
    rows = torch.stack(list(probe.residual(coords, jet).values()))
    mixed = (
        rows * torch.randn(rows.shape, generator=torch.Generator().manual_seed(2), dtype=rows.dtype)
    ).sum()
    if not mixed.requires_grad:
        return torch.zeros(jet.shape[1], jet.shape[3])
    (gradient,) = torch.autograd.grad(mixed, jet, allow_unused=True)
    return torch.zeros_like(jet[0, :, 0]) if gradient is None else gradient.abs().amax((0, 2))


def _order(probe: Probe, effect: Tensor, unknown: str, axis: int) -> int:
    """The highest derivative of an unknown along a coordinate that the equations depend on."""
    orders, column = (
        probe.problem.residual_signature.channels.orders,
        effect[:, probe.problem.unknowns.index(unknown)],
    )
    felt = column > 1e-12 * effect.max()
    return max((order.count(axis) for order, present in zip(orders, felt, strict=True) if present), default=0)


def _given(probe: Probe) -> set[tuple[str, int, float, int]]:
    """(unknown, axis, end, order of the normal derivative) of all that the conditions prescribe."""
    problem, given = probe.problem, set()
    for condition in problem.bound_conditions:
        for face in condition.faces if condition.periodic is None else ():
            for target in condition.targets:
                number, order = parse(problem, target)
                given.add((problem.unknowns[number], face.axis, face.value, order.count(face.axis)))
    return given


def _shared(probe: Probe, axis: int) -> int:
    """Conditions that tie one field to another, as stress at an outflow does: they count for either."""
    names, unknowns, count = probe.problem.coords.names, set(probe.problem.unknowns), 0
    for condition in probe.problem.bound_conditions:
        faces = sum(face.axis == axis for face in condition.faces)
        asked = (
            {split(names, name)[0] for name in condition.signature.names} if condition.signature else set()
        )
        count += faces * sum(
            bool(asked & unknowns - {split(names, target)[0]}) for target in condition.targets
        )
    return count


def _needed(probe: Probe, unknown: str, axis: int, order: int) -> int:
    box = probe.problem.coords
    if axis == box.time or order < 2:
        return order if axis == box.time else 0
    ends = (Face(axis, box.low[axis]), Face(axis, box.high[axis]))
    return (
        order
        // 2
        * sum(_order(probe, _effect(probe, probe.coords(end)), unknown, axis) == order for end in ends)
    )


def _lack(probe: Probe, unknown: str, axis: int, order: int, given: set[tuple[float, int]]) -> str:
    box = probe.problem.coords
    name, low, high = box.names[axis], box.low[axis], box.high[axis]
    highest = spelled(box.names, unknown, (axis,) * order)
    if axis == box.time:
        wanted = " and ".join(spelled(box.names, unknown, (axis,) * k) for k in range(order))
        return (
            f"the equations hold {highest}, so {unknown} needs {order} condition{'s'[: order > 1]} in {name} but has "
            f"{len(given)}; give {wanted} at the start by Condition(..., on='{name}={low:g}')"
        )
    bare = [f"{name}={end:g}" for end in (low, high) if end not in {end for end, _ in given}]
    where, example = " and ".join(bare) or "one", bare[-1] if bare else f"{name}=..."
    return (
        f"the equations hold {highest}, so {unknown} needs a condition at both ends of {name} but has none at {where}; "
        f"add Condition(..., on='{example}'), or Periodic({name!r})"
    )


def _constants(probe: Probe, effect: Tensor) -> list[Finding]:
    """A warning for each field of which only derivatives occur, if no condition gives its value."""
    problem, found = probe.problem, []
    valued = {target for condition in problem.bound_conditions for target in condition.targets}
    for column, unknown in enumerate(problem.unknowns):
        if effect[1:, column].any() and not effect[0, column] and not {unknown, *problem.potentials} & valued:
            found.append(
                f"{probe.where('conditions')}: the equations hold derivatives of {unknown} only and no condition gives "
                f"{unknown}, so it is known up to a constant; give its value somewhere"
            )
    return [] if problem.potentials else [Finding("warning", text) for text in found]


def agreeing_conditions(probe: Probe) -> list[Finding]:
    """Conditions that give one field differently: an error on one face, a warning where two faces meet."""
    found = []
    given = [(c, face) for c in probe.problem.bound_conditions if _prescribes(probe, c) for face in c.faces]
    for (one, at), (other, to) in combinations(given, 2):
        if one.name != other.name and (at == to or at.axis != to.axis):
            found += _compared(probe, one, other, at, to)
    for periodic in (c for c in probe.problem.bound_conditions if c.periodic is not None):
        for condition, face in given:
            if face.axis != periodic.periodic:
                found += _around(probe, condition, face, periodic)
    once = {finding.text.partition(" as ")[0]: finding for finding in reversed(found)}  # one place is enough
    return list(reversed(once.values()))


def _prescribes(probe: Probe, condition: BoundCondition) -> bool:
    """Does the condition give values that the unknowns have no part in?"""
    if condition.signature is None:
        return False
    known = {*probe.problem.coords.names, *probe.problem.task.names}
    return known.issuperset(condition.signature.names)


def _compared(probe: Probe, one: BoundCondition, other: BoundCondition, at: Face, to: Face) -> list[Finding]:
    coords, found = probe.coords(at, to), []
    for name, first in probe.targets(one, coords).items():
        for again, second in probe.targets(other, coords).items():
            (number, order), (second_number, second_order) = (
                parse(probe.problem, name),
                parse(probe.problem, again),
            )
            if number != second_number or (at == to and order != second_order):
                continue
            if at == to or order == second_order == ():
                pair = (first, second)
            elif order == () and at.axis not in second_order:
                pair = (slope(first, coords, second_order), second)
            elif second_order == () and to.axis not in order:
                pair = (first, slope(second, coords, order))
            else:
                continue
            label = again if order == () else name
            both = f"{probe.where(one.signature.function.__name__)} and {other.signature.function.__name__}"
            size = max(_size(probe, one, at, name), _size(probe, other, to, again))
            found += _differ(probe, both, label, pair, coords, "error" if at == to else "warning", size)
    return found


def _size(probe: Probe, condition: BoundCondition, face: Face, name: str) -> float:
    """How large a condition's values are on the whole of a face."""
    return float(probe.targets(condition, probe.coords(face))[name].detach().abs().max())


def _around(probe: Probe, condition: BoundCondition, face: Face, periodic: BoundCondition) -> list[Finding]:
    """Are values on another face the same at both ends of a periodic coordinate?"""
    low, high = (probe.targets(condition, probe.coords(face, end)) for end in periodic.faces)
    both, coords = probe.where(condition.signature.function.__name__), probe.coords(face)
    axis = probe.problem.coords.names[periodic.periodic]
    where = f"{both}, at both ends of the periodic {axis},"
    found = []
    for name in low:
        pair, size = (low[name], high[name]), _size(probe, condition, face, name)
        found += _differ(probe, where, name, pair, coords, "warning", size)
    return found


def _differ(
    probe: Probe,
    both: str,
    name: str,
    pair: tuple[Tensor, Tensor],
    coords: Tensor,
    severity: str,
    size: float,
) -> list[Finding]:
    first, second = (values.detach() for values in pair)
    bad = (first - second).abs() > AGREE * size
    if not bad.any():
        return []
    task, point = bad.nonzero()[0].tolist()
    numbers = f"{float(first[task, point]):.4g} and {float(second[task, point]):.4g}"
    text = f"{both} give {name} as {numbers} at {probe.example(coords, bad)}; no smooth solution meets both"
    return [Finding(severity, f"{text}: make them agree")]
