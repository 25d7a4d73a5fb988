"""Parts of a boundary that conditions are given on: faces of a box, and sides of shapes; points and normals there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.domain.numbers import Values
from pinnlora.problem.domain.surface import Surface

if TYPE_CHECKING:
    from pinnlora.problem.domain.base import Domain, Unit

NEAR = 1e-6
"""The step, as a share of the domain's size, by which it is found out in double precision whether a surface has the
domain on one side."""
SIX_DIGITS = 1e-5
"""How far from an end, as a share of its interval, a number may be that is written as the end is."""


@dataclass(frozen=True)
class Face:
    """One face of a box or a cylinder: coordinate number `axis` held at `value`."""

    axis: int
    value: float

    def project(self, coords: Tensor) -> Tensor:
        """The points (..., dim) with this face's coordinate set to its value."""
        coords = coords.clone()
        coords[..., self.axis] = self.value
        return coords

    def place(self, domain: Domain, unit: Unit, count: int, values: Values) -> Tensor:
        """`count` points of it for each task, (task, count, dim), uniform."""
        return self.project(domain.scale(domain.uniform(unit, count, values)))

    def words(self, domain: Domain) -> str:
        """As in `Condition(..., on=...)`."""
        return f"{domain.names[self.axis]}={self.value:g}"


@dataclass(frozen=True)
class Side:
    """The part of a domain's boundary that lies on some surfaces; share: how much of these, at least."""

    name: str
    surfaces: tuple[Surface, ...]
    share: float = 1.0
    doubled: bool = False

    axis = None

    def place(self, domain: Domain, unit: Unit, count: int, values: Values) -> Tensor:
        """`count` points of it for each task, (task, count, dim), uniform."""
        return accepted(lambda many: self.candidates(domain, unit(many), values), count, self.share)

    def candidates(self, domain: Domain, unit: Tensor, values: Values) -> tuple[Tensor, Tensor]:
        """Points of the unit cube (task, point, dim) to points of the surfaces, and whether the domain ends there."""
        coords, good = self._found(domain, unit.double(), {k: v.double() for k, v in values.items()})
        return coords.to(unit.dtype), good

    def _found(self, domain: Domain, unit: Tensor, values: Values) -> tuple[Tensor, Tensor]:
        low, high = domain.bounds(values, unit)
        whole, coords, normal = high - low, torch.zeros_like(unit), torch.zeros_like(unit)
        seen = torch.zeros_like(unit[..., 0], dtype=torch.bool)
        sizes = torch.cat([_extent(domain, s, whole, values, unit) for s in self.surfaces], 1)
        chosen = torch.searchsorted(sizes.cumsum(1) / sizes.sum(1, keepdim=True), unit[..., 0].contiguous())
        for number, surface in enumerate(self.surfaces):
            axes = columns(domain, surface)
            others = [axis for axis in range(len(domain.names)) if axis not in axes]
            there = torch.empty_like(unit)
            there[..., axes] = surface.at(unit[..., 1 : len(axes)], values)
            ends = low[:, None, others], whole[:, None, others]
            there[..., others] = ends[0] + ends[1] * unit[..., len(axes) :]
            outward = torch.zeros_like(unit)
            outward[..., axes] = surface.normal(there[..., axes], values)
            new = self.doubled & self._seen(domain, number, there, outward, values)
            if number == 0:
                coords, normal, seen = there, outward, new
            else:
                here = chosen.unsqueeze(-1) == number
                coords, normal = torch.where(here, there, coords), torch.where(here, outward, normal)
                seen = torch.where(here[..., 0], new, seen)
        return coords, _ends(domain, coords, normal, values) & ~seen

    def _seen(self, domain: Domain, number: int, coords: Tensor, normal: Tensor, values: Values) -> Tensor:
        """Which points lie on a surface before, with the domain on the same side of it, and must not count twice."""
        seen = torch.zeros_like(coords[..., 0], dtype=torch.bool)
        for surface in self.surfaces[:number] if self.doubled else ():
            axes = columns(domain, surface)
            gap = surface.distance(coords[..., axes], values)
            along = (surface.normal(coords[..., axes], values) * normal[..., axes]).sum(-1)
            seen |= (gap < 0.5 * NEAR * domain.size) & (along > 0)
        return seen

    def over(self, domain: Domain, values: Values) -> Side:
        """As it is for a family of tasks, of which `values` are many; TypeError where it is nothing for one."""
        tasks = max((len(value) for value in values.values()), default=1)
        generator = torch.Generator().manual_seed(0)
        unit = torch.rand(tasks, 512, len(domain.names), generator=generator, dtype=torch.float64)
        good = self.candidates(domain, unit, values)[1]
        strict = replace(self, doubled=True)
        once = strict.candidates(domain, unit, values)[1]
        share = float(once.double().mean(-1).min())
        if share == 0:
            raise TypeError(
                f"on={self.name!r}: nothing of it, or nearly, is left on the boundary of the domain"
            )
        return replace(self, share=share, doubled=not torch.equal(good, once))

    def words(self, domain: Domain) -> str:
        """As in `Condition(..., on=...)`."""
        return self.name


def _ends(domain: Domain, coords: Tensor, normal: Tensor, values: Values) -> Tensor:
    """Whether the domain lies behind points (task, point, dim), seen along their normals, and not before them."""
    step = _step(domain, coords) * normal
    inward, outward = (where.double() for where in (coords - step, coords + step))
    values = {name: value.double() for name, value in values.items()}
    return domain.contains(inward, values) & ~domain.contains(outward, values)


def _step(domain: Domain, coords: Tensor) -> float:
    """A step that leaves a surface, though points on it are rounded."""
    return max(NEAR * domain.size, 16 * torch.finfo(coords.dtype).eps * float(coords.abs().max()))


def accepted(draw: Callable[[int], tuple[Tensor, Tensor]], count: int, share: float) -> Tensor:
    """The first `count` points (task, count, dim) that are accepted, of as many as it takes.

    draw: from a number to so many points and which of them are good (task, point); share of them, at least.
    """
    many, seen = math.ceil(1.1 * count / share) + 8, torch.tensor(False)
    for turn in range(12):
        points, good = draw(many)
        points, number = points.expand(len(good), -1, -1), good.cumsum(-1)
        if int(number[:, -1].min()) >= count:
            kept = good & (number <= count)
            return points[kept].view(len(points), count, points.shape[-1])
        many, seen = 2 * many, seen | good.any(-1)
        if turn == 2 and not bool(seen.all()):
            raise UserError(
                "nothing, or nearly, is left of a task's domain, or of a part of its boundary: choose tasks for which "
                "its shapes meet"
            )
    raise UserError(f"of {many // 2} points in the box around the domain not even {count} are inside")


def columns(domain: Domain, surface: Surface) -> list[int]:
    """The axes of the domain that are a surface's own."""
    return [domain.names.index(name) for name in surface.names]


def _extent(domain: Domain, surface: Surface, whole: Tensor, values: Values, like: Tensor) -> Tensor:
    """A surface's measure, times the box around the domain in the other coordinates: (task, 1)."""
    axes = columns(domain, surface)
    others = [axis for axis in range(len(domain.names)) if axis not in axes]
    return (surface.measure(values, like) * whole[:, others].prod(-1, keepdim=True)).expand(len(like), 1)


def outward_normal(domain: Domain, parts: Sequence[Face | Side], coords: Tensor, values: Values) -> Tensor:
    """The outward unit normals (task or 1, point, dim) of the nearest of some parts, zero in time; where two that are
    as near look in opposite ways, as where shapes touch, that of the one behind which the domain lies."""
    found = []
    for part in parts:
        if isinstance(part, Face):
            normal = torch.zeros_like(coords)
            normal[..., part.axis] = 1.0 if part.value == domain.high[part.axis] else -1.0
            found.append(((coords[..., part.axis] - part.value).abs(), normal))
            continue
        for surface in part.surfaces:
            axes = columns(domain, surface)
            own = coords[..., axes]
            outward = surface.normal(own, values)
            normal = outward.new_zeros(*outward.shape[:-1], coords.shape[-1])
            normal[..., axes] = outward
            found.append((surface.distance(own, values), normal))
    if len(found) == 1:
        return found[0][1]
    nearest, normal = found[0]
    for gap, other in found[1:]:
        closer = gap < nearest
        against = ((gap - nearest).abs() < _step(domain, coords)) & ((normal * other).sum(-1) < -0.5)
        if bool(against.any()):
            closer = torch.where(against, _ends(domain, coords, other, values), closer)
        normal = torch.where(closer.unsqueeze(-1), other, normal)
        nearest = torch.minimum(gap, nearest)
    return normal


def end_at(value: str, ends: Sequence[float]) -> float | None:
    """Which of an interval's ends a text means: that number, else the one end that messages write just so, else the
    nearest one written so that is near for the interval; None for neither, ValueError where it is no number."""
    number = float(value)
    if number in ends:
        return number
    alike = [end for end in ends if f"{end:g}" == f"{number:g}"]
    if len(alike) == 1 and number == float(f"{number:g}"):
        return alike[0]
    near = SIX_DIGITS * (max(ends, default=0.0) - min(ends, default=0.0))
    alike = [end for end in alike if abs(end - number) <= near]
    return min(alike, key=lambda end: abs(end - number), default=None)


def tidy(text: str) -> str:
    """'x = 0.50' as 'x=0.5', other names as they are."""
    name, sign, value = (part.strip() for part in text.partition("="))
    try:
        return f"{name}={float(value):g}" if sign else name
    except ValueError:
        return text
