"""Trial functions u = G + D N on a box: G takes prescribed values on its faces, D vanishes there, N is the network.

G is the Boolean sum of one Hermite interpolation an axis (Gordon's transfinite interpolation, the Coons patch in
two dimensions). With P_a the interpolation between the faces of axis a, it is the sum over non-empty sets S of
axes of (-1)^(|S| + 1) prod_{a in S} P_a: each part is a function prescribed on a face, at an edge or corner of it,
times one polynomial an axis of S. The two depend on different coordinates, so that jets need no product rule.
Where two faces that both prescribe normal derivatives meet, as around a clamped plate, the function on the first is
differentiated along it, across the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from itertools import product as every

import numpy as np
import torch
from torch import Tensor

from pinnlora.problem.base import Problem
from pinnlora.problem.channels import Channels, Index
from pinnlora.problem.domain.base import Domain
from pinnlora.problem.mismatch import prescribed
from pinnlora.problem.pointwise import pointwise_jet
from pinnlora.problem.signature import Values

Polynomial = tuple[float, ...]
"""Coefficients in s = (x - low) / (high - low), constant first."""


@dataclass(frozen=True)
class Given:
    """What one condition prescribes of one unknown on one face: its value (order 0) or a derivative in `axis`."""

    axis: int
    high: bool
    order: int
    condition: int
    target: str


@dataclass(frozen=True)
class Part:
    """One summand of G: sign times a polynomial an axis times what a condition says at the coordinates `at`: its
    `target`, at edges differentiated along the face by `across`."""

    sign: int
    condition: int
    target: str
    at: tuple[tuple[int, float], ...]
    blends: tuple[tuple[int, Polynomial], ...]
    across: Index = ()

    def split(self, order: Index) -> tuple[Index, Index]:
        """A derivative of the summand: that of what the condition says, `across` included, and of the polynomials."""
        held = {axis for axis, _ in self.at}
        free = (axis for axis in order if axis not in held)
        return tuple(sorted((*free, *self.across))), tuple(axis for axis in order if axis in held)


@dataclass(frozen=True)
class Patch:
    """G, as its parts, and D, as a polynomial an axis, of one unknown."""

    parts: tuple[Part, ...] = ()
    envelope: tuple[tuple[int, Polynomial], ...] = ()


def blends(low: int, high: int, length: float) -> list[Polynomial]:
    """Hermite polynomials of the conditions (order 0 .. low - 1 at s = 0, then order 0 .. high - 1 at s = 1)."""
    size = low + high
    rows = []
    for s, count in ((0.0, low), (1.0, high)):
        for order in range(count):
            unit = np.polynomial.polynomial.polyder(np.eye(size), order)
            rows.append(np.polynomial.polynomial.polyval(s, unit) / length**order)
    return [tuple(column) for column in np.linalg.inv(np.array(rows)).T]


def envelope(low: int, high: int) -> Polynomial:
    """c s^low (1 - s)^high, at most 1 on [0, 1]."""
    total, powers = low + high, np.polynomial.polynomial.polypow
    top = (low / total) ** low * (high / total) ** high
    return (*np.zeros(low), *(powers((1.0, -1.0), high) / top))


def _counts(given: Sequence[Given], axis: int) -> tuple[int, int]:
    low, high = (sum(g.axis == axis and g.high == end for g in given) for end in (False, True))
    return low, high


def patch_of(given: Sequence[Given], box: Domain) -> Patch:
    """What takes all that is given of one unknown; at edges the data of the axis that is given first rule."""
    options: dict[int, list[tuple[Given, float, Polynomial]]] = {}
    for axis in dict.fromkeys(g.axis for g in given):
        here = sorted((g for g in given if g.axis == axis), key=lambda g: (g.high, g.order))
        polynomials = blends(*_counts(given, axis), box.high[axis] - box.low[axis])
        ends = [(box.high if g.high else box.low)[axis] for g in here]
        options[axis] = list(zip(here, ends, polynomials, strict=True))
    sets = chain.from_iterable(combinations(options, size) for size in range(1, len(options) + 1))
    parts = []
    for chosen in sets:
        for corner in every(*(options[axis] for axis in chosen)):
            first = corner[0][0]
            at = tuple((g.axis, end) for g, end, _ in corner)
            factors = tuple((g.axis, polynomial) for g, _, polynomial in corner)
            across = tuple(sorted(g.axis for g, *_ in corner[1:] for _ in range(g.order)))
            parts.append(Part((-1) ** (len(chosen) + 1), first.condition, first.target, at, factors, across))
    return Patch(tuple(parts), tuple((axis, envelope(*_counts(given, axis))) for axis in options))


def transfinite(
    problem: Problem, patches: Sequence[Patch], coords: Tensor, values: Values, channels: Channels
) -> tuple[Tensor, Tensor]:
    """Jets of G (task, channel, point, unknown) and D (task or 1, channel, point, unknown).

    One patch an unknown; coords (task or 1, point, dim).
    """
    axis_jet = _polynomials(problem.coords, coords)
    parts = {part for patch in patches for part in patch.parts}
    data = _prescribed(problem, parts, coords, values, channels)
    offsets, factors = [], []
    for patch in patches:
        factors.append(_separable(patch.envelope, axis_jet, channels, torch.ones_like(coords[..., 0])))
        offset = torch.zeros_like(factors[-1])
        for part in patch.parts:
            for k, order in enumerate(channels.orders):
                said, rest = part.split(order)
                if said in data[part]:
                    term = part.sign * data[part][said] * _at_order(part.blends, axis_jet, rest)
                    offset = _added(offset, k, term)
        offsets.append(offset)
    tasks = max(len(offset) for offset in offsets)
    return torch.stack([o.expand(tasks, -1, -1) for o in offsets], -1), torch.stack(factors, -1)


def _added(jet: Tensor, channel: int, term: Tensor) -> Tensor:
    if len(term) > len(jet):
        jet = jet.repeat(len(term), 1, 1)
    jet[:, channel] += term
    return jet


def _polynomials(box: Domain, coords: Tensor) -> Callable[[int, Polynomial, int], Tensor | float]:
    """A function (axis, polynomial, order) -> its derivative at the points (task or 1, point), each made once."""
    made: dict[tuple[int, Polynomial, int], Tensor | float] = {}

    def at(axis: int, polynomial: Polynomial, order: int) -> Tensor | float:
        key = (axis, polynomial, order)
        if key not in made:
            length = box.high[axis] - box.low[axis]
            s = (coords[..., axis] - box.low[axis]) / length
            derivative = np.polynomial.polynomial.polyder(polynomial, order) / length**order
            *lower, result = derivative.tolist()
            for coefficient in reversed(lower):
                result = result * s + coefficient
            made[key] = result
        return made[key]

    return at


def _at_order(shapes, axis_jet, order: Index) -> Tensor | float:
    """A derivative of a product of polynomials of different coordinates."""
    result = 1.0
    for axis, polynomial in shapes:
        result = result * axis_jet(axis, polynomial, order.count(axis))
    return result


def _separable(shapes, axis_jet, channels: Channels, one: Tensor) -> Tensor:
    """The jet (task or 1, channel, point) of a product of polynomials, each of its own coordinate."""
    held = {axis for axis, _ in shapes}
    rows = [
        _at_order(shapes, axis_jet, order) * one if held.issuperset(order) else torch.zeros_like(one)
        for order in channels.orders
    ]
    return torch.stack(rows, 1)


def _prescribed(
    problem: Problem, parts: set[Part], coords: Tensor, values: Values, channels: Channels
) -> dict[Part, dict[Index, Tensor]]:
    """part -> derivatives of what its condition says (task, point), all faces of a condition in one call."""
    found: dict[Part, dict[Index, Tensor]] = {}
    tasks, points = max(len(coords), *(len(value) for value in values.values())), coords.shape[1]
    for number in sorted({part.condition for part in parts}):
        mine = [part for part in parts if part.condition == number]
        places = sorted({part.at for part in mine}, key=lambda at: (len(at), at))
        there = torch.cat([_projected(coords, at) for at in places], 1).expand(tasks, -1, -1)
        condition = problem.bound_conditions[number]

        def targets(where: Tensor, condition=condition) -> dict[str, Tensor]:
            return prescribed(problem, condition, where, values)

        wanted = Channels.of(part.split(order)[0] for part in mine for order in channels.orders)
        jets = pointwise_jet(targets, there, wanted, sorted({part.target for part in mine}))
        for part in mine:
            start = places.index(part.at) * points
            found[part] = {order: jet[:, start : start + points] for order, jet in jets[part.target].items()}
    return found


def _projected(coords: Tensor, at: Sequence[tuple[int, float]]) -> Tensor:
    coords = coords.clone()
    for axis, value in at:
        coords[..., axis] = value
    return coords
