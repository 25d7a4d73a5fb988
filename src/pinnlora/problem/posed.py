"""Is a problem well posed, as far as counting tells: are there enough conditions?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pinnlora.problem.bounded import bare_sides
from pinnlora.problem.domain.sides import Face
from pinnlora.problem.probe import Finding, Probe
from pinnlora.problem.signature import spelled
from pinnlora.problem.statements import Statement, statements


def enough_conditions(probe: Probe) -> list[Finding]:
    """An error for every coordinate in which the equations ask for more conditions than there are.

    Time asks for as many as its highest derivative; space, from the second on, for as many too, at both ends together,
    but for half of them or less where the factor of that derivative vanishes at an end. A field may make up with
    conditions to spare for another's lack: a clamped plate as a system has two for u and none for its Laplacian; and
    what ties one field to another, as stress at an outflow does, counts for either.
    """
    problem, where = probe.problem, probe.where("conditions")
    effect, given, found, judged = _effect(probe), statements(probe), [], []
    for axis in (problem.coords.names.index(name) for name in problem.coords.boxes()):
        here = [g for g in given if g.face.axis == axis]
        lacking, missing, spare = [], 0, sum(bool(g.asked - {g.number}) for g in here)
        periodic = any(condition.periodic == axis for condition in problem.bound_conditions)
        for number in range(len(problem.unknowns)):
            order = _order(probe, effect, number, axis)
            own = [
                (g.face, g.order.count(axis))
                for g in here
                if g.number == number and not (axis == problem.coords.time and _is_no_start(g, axis, order))
            ]
            have = {(face.value, order) for face, order in own if isinstance(face, Face)}
            needed = 0 if periodic else _needed(probe, given, number, axis, order)
            short = max(0, needed - len(have))
            missing, spare = missing + short, spare + max(0, len(have) - order)
            if short:
                lacking.append(_lack(probe, problem.unknowns[number], axis, order, have))
            elif needed == order > 1:
                judged += _from_one_end(probe, effect, number, axis, {end for end, _ in have})
        found += [f"{where}: {words}" for words in lacking if missing > spare]
    found += [f"{where}: {words}" for words in bare_sides(probe, given, _orders(probe, effect))]
    if not found and not problem.bound_conditions and effect[1:].any():
        found.append(f"{where}: there are none, so the solution is any of many")
    judged += _constants(probe, effect, given) + _times(probe, effect)
    return [*(Finding("error", text) for text in found), *judged]


def _from_one_end(probe: Probe, effect: Tensor, number: int, axis: int, ends: set[float]) -> list[Finding]:
    """A warning where a field is only known at one end of a coordinate in space though others, or time, bend or move it
    too, as in Hadamard's example."""
    domain, unknown = probe.problem.coords, probe.problem.unknowns[number]
    orders = {other: _order(probe, effect, number, other) for other in domain.looked_at if other != axis}
    too = [(other,) * order for other, order in orders.items() if order > (0 if other == domain.time else 1)]
    if axis == domain.time or len(ends) != 1 or not too:
        return []
    held, name = " and ".join(spelled(domain.names, unknown, order) for order in too), domain.names[axis]
    text = (
        f"all conditions of {unknown} in {name} are at {name}={min(ends):g}, but the equations hold {held} too: errors "
        f"grow without bound from there, unless {name} runs like time; give one at the other end"
    )
    return [Finding("warning", f"{probe.where('conditions')}: {text}")]


def _is_no_start(given: Statement, axis: int, order: int) -> bool:
    """Whether it prescribes what the equations give by themselves: a derivative in time of no lower order."""
    return given.target in given.condition.targets and given.order.count(axis) >= order > 0


def _effect(probe: Probe, *faces: Face, given: Sequence[Statement] = ()) -> Tensor:
    """The largest derivative of the equations by each channel of each unknown, (channel, unknown), for unknowns that
    are what is `given`."""
    channels = probe.problem.residual_signature.channels
    jet = probe.jet(channels).detach()
    for g in given:
        if g.order in channels.orders:
            jet[:, channels.position(g.order), :, g.number] = g.at(probe)[1].detach()
    coords = probe.coords(*faces)
    effect, finite = _slopes(probe, coords, jet)
    return effect if finite else torch.maximum(effect, _slopes(probe, coords, jet.abs())[0])


def _slopes(probe: Probe, coords: Tensor, jet: Tensor) -> tuple[Tensor, bool]:
    """The same for one jet, of all points where there is a slope; and whether the equations are finite at all."""
    rows = torch.stack(list(probe.residual(coords, jet.requires_grad_()).values()))
    mix = torch.randn(rows.shape, generator=torch.Generator().manual_seed(2), dtype=rows.dtype)
    gradient = (
        torch.autograd.grad((rows * mix).sum(), jet)[0] if rows.requires_grad else torch.zeros_like(jet)
    )
    return gradient.abs().nan_to_num(nan=0.0, posinf=math.inf).amax((0, 2)), bool(rows.isfinite().all())


def _order(probe: Probe, effect: Tensor, number: int, axis: int) -> int:
    """The highest derivative of an unknown along a coordinate that the equations depend on."""
    felt = (effect[:, number] > 1e-12 * effect.where(effect.isfinite(), 0.0).max()).tolist()
    channels = probe.problem.residual_signature.channels
    in_space = [2 * felt[-1], 1 * any(felt[channels.rays])] if axis in channels.space else []
    plain = zip(channels.orders, felt, strict=False)
    return max((*in_space, *(order.count(axis) for order, present in plain if present)), default=0)


def _orders(probe: Probe, effect: Tensor) -> list[int]:
    """The highest derivative of each unknown along the coordinates in which the domain is bounded by its sides."""
    domain = probe.problem.coords
    axes = [axis for axis in domain.looked_at if domain.names[axis] not in ("t", *domain.boxes())]
    unknowns = range(len(probe.problem.unknowns))
    return [max((_order(probe, effect, number, axis) for axis in axes), default=0) for number in unknowns]


def _needed(probe: Probe, given: Sequence[Statement], number: int, axis: int, order: int) -> int:
    box = probe.problem.coords
    if axis == box.time or order < 2:
        return order if axis == box.time else 0
    felt = 0
    for end in (Face(axis, box.low[axis]), Face(axis, box.high[axis])):
        here = [g for g in given if g.face == end and not g.asked]
        felt += _order(probe, _effect(probe, end, given=here), number, axis) == order
    return order * felt // 2


def _lack(probe: Probe, unknown: str, axis: int, order: int, have: set[tuple[float, int]]) -> str:
    box = probe.problem.coords
    name, low, high = box.names[axis], box.low[axis], box.high[axis]
    highest = spelled(box.names, unknown, (axis,) * order)
    if axis == box.time:
        wanted = " and ".join(spelled(box.names, unknown, (axis,) * k) for k in range(order))
        return (
            f"the equations hold {highest}, so {unknown} needs {order} condition{'s'[: order > 1]} in {name} but has "
            f"{len(have)}; give {wanted} at the start by Condition(..., on='{name}={low:g}')"
        )
    bare = [f"{name}={end:g}" for end in (low, high) if end not in {end for end, _ in have}]
    if order > 2:
        return (
            f"the equations hold {highest}, so {unknown} needs {order} conditions in {name}, both ends together, but "
            f"has {len(have)}; give derivatives too, {unknown} and {spelled(box.names, unknown, (axis,))} by one "
            f"Condition(..., on='{bare[-1] if bare else f'{name}={high:g}'}') for example, or Periodic({name!r})"
        )
    where, example = " and ".join(bare) or "one", bare[-1] if bare else f"{name}=..."
    return (
        f"the equations hold {highest}, so {unknown} needs a condition at both ends of {name} but has none at {where}; "
        f"add Condition(..., on='{example}'), or Periodic({name!r})"
    )


def _constants(probe: Probe, effect: Tensor, given: list[Statement]) -> list[Finding]:
    """A warning for each field of which only derivatives occur, if no condition gives or asks for its value."""
    problem, valued, found = probe.problem, {g.number for g in given if g.order == ()}, []
    asked = {name for g in given for name in g.condition.signature.names}
    valued |= {number for number, name in enumerate(problem.unknowns) if name in asked}
    for number, name in enumerate(problem.unknowns):
        if (
            effect[1:, number].any()
            and not effect[0, number]
            and number not in valued
            and not problem.potentials
        ):
            text = f"the equations hold derivatives of {name} only and no condition gives it: known up to a constant"
            found.append(Finding("warning", f"{probe.where('conditions')}: {text}; give its value"))
    return found


def _times(probe: Probe, effect: Tensor) -> list[Finding]:
    """A note where no coordinate is time, for one that is called like it, or the one along which no field is bent."""
    domain, unknowns = probe.problem.coords, range(len(probe.problem.unknowns))
    orders = {
        domain.names[axis]: max(_order(probe, effect, number, axis) for number in unknowns)
        for axis in domain.looked_at
    }
    straight = [name for name, order in orders.items() if order == 1 < max(orders.values())]
    like = [name for name, order in orders.items() if order and name.lower() in ("t", "tau")]
    found = like or (straight if len(straight) == 1 else [])
    text = "is taken for space and needs no start; time is the coordinate named t"
    where = probe.where("coords")
    return [Finding("note", f"{where}: {name} {text}") for name in found if domain.time is None]
