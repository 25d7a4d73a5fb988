"""Trial functions on shapes: u = G + D N with D a smooth function that vanishes where values are prescribed.

On the sides of a shape D is the product of what vanishes on each, smooth at corners too, or where that vanishes inside
as well the R-function of the whole domain; G joins the prescribed values g_i by transfinite interpolation, sum_i g_i
w_i, w_i proportional to the product of all D_j but D_i (Rvachev et al. 2001; Sukumar & Srivastava 2022). What faces
prescribe, as t=0 does, comes first: with P their own interpolation, G is that of the faces + (1 - P) that of the
sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, mul

import torch
from torch import Tensor

from pinnlora.nets.transfinite import Patch, transfinite
from pinnlora.problem.base import Problem
from pinnlora.problem.binding import tasks_of
from pinnlora.problem.channels import Channels, product
from pinnlora.problem.domain.base import Domain
from pinnlora.problem.domain.sides import Side, columns
from pinnlora.problem.domain.vector import Walls
from pinnlora.problem.mismatch import prescribed
from pinnlora.problem.pointwise import pointwise_jet
from pinnlora.problem.signature import BoundCondition, Values, parse

SAMPLES = 512
"""Points inside by which it is found out whether a function vanishes nowhere inside, and how large it is."""
CHUNKS, GROWING = 8, 1.3
"""The largest second derivative at so many times as many points, over that at fewer: at corners where it grows with
one over the distance it is the root of CHUNKS times as large, and where it is bounded hardly larger."""
SINGULAR = 2.0
"""The same of what is prescribed, which may be steep: by the angle alone it grows as the inverse square of distance."""
MEET, DIFFER = 0.02, 0.1
"""Relative distance up to which two sides meet, and difference, relative to the largest of their values, from which
they contradict each other there."""
ROUNDING = 1e-12
"""A difference that is none, of values that all vanish."""


@dataclass(frozen=True)
class Kept:
    """The value of one unknown that one condition prescribes on sides; whole: on all of them, so that the domain's own
    R-function vanishes there; size: the largest value of that function."""

    condition: int
    target: str
    whole: bool
    size: float = 1.0

    def distance(self, problem: Problem, coords: Tensor, values: Values) -> Tensor:
        """What vanishes on its sides and is positive inside, at most about 1: (task or 1, point)."""
        domain = problem.coords
        whole = domain.level(coords, values) if self.whole else None
        if whole is not None:
            return whole / self.size
        found, wide = torch.full_like(coords[..., 0], 1.0 / self.size), _width(domain) / 2
        for surface in surfaces_of(problem.bound_conditions[self.condition]):
            level = surface.level(coords[..., columns(domain, surface)], values) / wide
            found = found * level / (1 + level**2).sqrt()  # a far end of a long domain is no reason to grow
        return found

    def value(self, problem: Problem, coords: Tensor, values: Values) -> Tensor:
        """What it prescribes, taken everywhere: (task, point)."""
        found = prescribed(problem, problem.bound_conditions[self.condition], coords, values)[self.target]
        return torch.as_tensor(found, dtype=coords.dtype, device=coords.device).expand(coords.shape[:-1])


def _width(domain: Domain) -> float:
    """The shortest extent in space."""
    ends = zip(domain.names, domain.low, domain.high, strict=True)
    return min(high - low for name, low, high in ends if name != "t")


def surfaces_of(condition: BoundCondition) -> list:
    """The surfaces of a condition's sides."""
    return [surface for part in condition.faces if isinstance(part, Side) for surface in part.surfaces]


def kept_of(
    problem: Problem, number: int, target: str, before: Sequence[Kept], insist: bool
) -> tuple[Kept | None, str]:
    """How a condition's sides can be held beside those `before`, or None and why they cannot, or without `insist`
    should not: what is not smooth at corners makes equations of second order rough there."""
    domain, condition, values = problem.coords, problem.bound_conditions[number], tasks_of(type(problem), 64)
    generator = torch.Generator().manual_seed(4)

    def unit(many: int) -> Tensor:
        return torch.rand(64, many, len(domain.names), generator=generator, dtype=torch.float64)

    inside = domain.scale(domain.uniform(unit, SAMPLES, values))
    ends = {f"{name}={end:g}" for name, pair in domain.boxes().items() for end in pair}
    if any(isinstance(surface, Walls) for surface in surfaces_of(condition)):
        return None, "what vanishes on all faces of a box nearly vanishes inside too, in many dimensions"
    sides = {surface for surface in domain.surfaces() if not ends & set(surface.aliases)}
    flat = set(domain.boxes()) - {"t", *domain.cycles}  # on whose ends the R-function vanishes too
    for whole in (False, True) if not flat and sides <= set(surfaces_of(condition)) else (False,):
        found = Kept(number, target, whole)
        size = found.distance(problem, inside, values)
        if bool((size > 0).all()):
            found = Kept(number, target, whole, float(size.max()))
            why = "" if insist or domain.vectors else _roughness(problem, found, unit, values)
            why = why or _contradiction(problem, found, before, unit, values)
            return (None, why) if why else (found, "")
    return None, "no smooth function is known that vanishes there and nowhere else"


def _roughness(problem: Problem, kept: Kept, unit, values: Values) -> str:
    """Says so where what vanishes on sides, or what is prescribed there, is not smooth inside."""
    if _growth(problem, kept.distance, unit, values) > GROWING:
        return "what vanishes there is not smooth at inner corners (network.conditions: hard holds it)"
    if _growth(problem, kept.value, unit, values) > SINGULAR:
        return "what it prescribes is not smooth inside, where it would be taken (network.conditions: hard holds it)"
    return ""


def _growth(problem: Problem, function: Callable[..., Tensor], unit, values: Values) -> float:
    """How much larger second derivatives of a function are at CHUNKS times as many points, in the median of tasks."""
    axes, domain = range(len(problem.coords.names)), problem.coords
    channels = Channels.of([(axis, axis) for axis in axes])
    values = {name: value[:CHUNKS] for name, value in values.items()}
    coords = domain.scale(domain.uniform(lambda many: unit(many)[:CHUNKS], CHUNKS * SAMPLES, values))
    jet = pointwise_jet(
        lambda at: {"D": function(problem, at, values).expand(at.shape[:-1])}, coords, channels
    )["D"]
    second = sum((jet[axis, axis].abs() for axis in axes if (axis, axis) in jet), coords.new_zeros(()))
    if second.ndim == 0:
        return 0.0
    largest = second.unflatten(-1, (CHUNKS, SAMPLES)).amax(-1)
    growth = largest.amax(-1) / (largest.median(-1).values + 1e-6 / domain.size**2)
    return float(growth.median())


def _contradiction(problem: Problem, new: Kept, before: Sequence[Kept], unit, values: Values) -> str:
    """Says so where a new side meets one that is held already with another value."""

    def places(kept: Kept) -> list[Tensor]:
        parts = problem.bound_conditions[kept.condition].faces
        return [part.place(problem.coords, unit, SAMPLES, values) for part in parts]

    for old in before:
        size = float(max(k.value(problem, at, values).abs().max() for k in (old, new) for at in places(k)))
        for coords in places(new):
            near = old.distance(problem, coords, values) < MEET
            gap = (old.value(problem, coords, values) - new.value(problem, coords, values)).abs()
            if bool((near & (gap > DIFFER * size + ROUNDING)).any()):
                return "it contradicts what is held already where they meet"
    return ""


def curved(
    problem: Problem,
    patches: Sequence[Patch],
    kept: Sequence[Sequence[Kept]],
    coords: Tensor,
    values: Values,
    channels: Channels,
) -> tuple[Tensor, Tensor]:
    """Jets of G and D (task, channel, point, unknown), of what each unknown's patch and sides prescribe."""
    offset, factor = transfinite(problem, patches, coords, values, channels)
    if not any(kept):
        return offset, factor
    tasks = max(len(coords), *(len(value) for value in values.values()))

    def functions(where: Tensor) -> dict[str, Tensor]:
        found = {}
        for k, sides in enumerate(kept):
            if sides:
                found[f"D{k}"] = _envelope(problem, sides, where, values)
                found[f"G{k}"] = _extended(problem, patches[k], sides, where, values)
        return found

    jets = pointwise_jet(functions, coords.expand(tasks, -1, -1), channels)
    columns = []
    for k, sides in enumerate(kept):
        own = [jet[..., k : k + 1].expand(tasks, -1, -1, -1) for jet in (offset, factor)]
        if sides:
            own[0] = own[0] + _stacked(jets[f"G{k}"], channels)
            own[1] = product(own[1], _stacked(jets[f"D{k}"], channels), channels)
        columns.append(own)
    return torch.cat([o for o, _ in columns], -1), torch.cat([f for _, f in columns], -1)


def _stacked(jet: dict, channels: Channels) -> Tensor:
    """(task, channel, point, 1); what is left out vanishes."""
    found = [jet.get(order, torch.zeros_like(jet[()])) for order in channels.orders]
    return torch.stack(found, 1).unsqueeze(-1)


def _envelope(problem: Problem, sides: Sequence[Kept], coords: Tensor, values: Values) -> Tensor:
    return reduce(mul, (side.distance(problem, coords, values) for side in sides)).expand(coords.shape[:-1])


def _joined(problem: Problem, sides: Sequence[Kept], coords: Tensor, values: Values) -> Tensor:
    """The sides' values, each at its own side, equal shares of them at a corner, and smooth between."""
    if len(sides) == 1:
        return sides[0].value(problem, coords, values)
    least = torch.finfo(coords.dtype).eps  # added, for derivatives on the sides stay those beside them
    apart = [side.distance(problem, coords, values) + least for side in sides]
    weights = []
    for k in range(len(sides)):
        others = [distance for j, distance in enumerate(apart) if j != k]
        weights.append(torch.stack(torch.broadcast_tensors(*others)).prod(0))
    total = reduce(add, weights).clamp_min(torch.finfo(coords.dtype).tiny)
    shares = zip(weights, sides, strict=True)
    return reduce(add, (weight / total * side.value(problem, coords, values) for weight, side in shares))


def _extended(
    problem: Problem, patch: Patch, sides: Sequence[Kept], coords: Tensor, values: Values
) -> Tensor:
    """(1 - P) of the sides' values, P being the interpolation between the faces of the patch."""
    box, found = problem.coords, _joined(problem, sides, coords, values)
    for part in patch.parts:
        if parse(problem, part.target)[1]:  # a slope on a face: that of the sides' values is taken to be zero
            continue
        where, blend = coords.clone(), torch.ones_like(coords[..., 0])
        for axis, value in part.at:
            where[..., axis] = value
        for axis, polynomial in part.blends:
            s = (coords[..., axis] - box.low[axis]) / (box.high[axis] - box.low[axis])
            blend = blend * sum(coefficient * s**power for power, coefficient in enumerate(polynomial))
        found = found - part.sign * blend * _joined(problem, sides, where, values)
    return found
