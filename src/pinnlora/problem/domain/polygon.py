"""Polygons in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnlora.problem.domain.base import Shape, check_coordinates
from pinnlora.problem.domain.numbers import Number, Values, asked, row
from pinnlora.problem.domain.surface import Surface

FREE = "polygon"
"""What the edges of a polygon are called that have no name of their own."""


MANY = 8
"""Edges from which on a product over them would be too flat, and their corners are too blunt to matter."""


@dataclass(frozen=True)
class Ring:
    """The corners of a polygon, one after the other, first and second coordinate."""

    first: tuple[Number, ...]
    second: tuple[Number, ...]

    def corners(self, values: Values, like: Tensor) -> Tensor:
        """(task or 1, corner, 2)."""
        return torch.stack(
            torch.broadcast_tensors(*(row(r, values, like) for r in (self.first, self.second))), -1
        )

    def turns_left(self, corners: Tensor) -> Tensor:
        """1 where the corners run against the clock, else -1: (task or 1, 1)."""
        return _cross(corners, corners.roll(-1, 1)).sum(1, keepdim=True).sign()


@dataclass(frozen=True)
class Edges(Surface):
    """Some edges of a polygon, by number; edge k runs from corner k to corner k + 1."""

    ring: Ring
    numbers: tuple[int, ...]

    def _ends(self, values: Values, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where the edges begin, what they span, and their outward normals, (task or 1, edge, 2) each."""
        corners, chosen = self.ring.corners(values, like), list(self.numbers)
        start, along = corners[:, chosen], (corners.roll(-1, 1) - corners)[:, chosen]
        away = torch.stack((along[..., 1], -along[..., 0]), -1) / along.norm(dim=-1, keepdim=True)
        return start, along, self.outward * self.ring.turns_left(corners).unsqueeze(-1) * away

    def measure(self, values: Values, like: Tensor) -> Tensor:
        return self._ends(values, like)[1].norm(dim=-1).sum(1, keepdim=True)

    def at(self, unit: Tensor, values: Values) -> Tensor:
        start, along, _ = self._ends(values, unit)
        length = along.norm(dim=-1)
        until = (length.cumsum(1) / length.sum(1, keepdim=True)).expand(len(unit), -1).contiguous()
        place = unit[..., 0].contiguous()
        chosen = torch.searchsorted(until[:, :-1].contiguous(), place, right=True)
        share = torch.diff(until, dim=1, prepend=until.new_zeros(len(until), 1))
        part = 1 - (until.gather(1, chosen) - place) / share.gather(1, chosen)
        return _of(start, chosen) + part.unsqueeze(-1) * _of(along, chosen)

    def _gaps(self, coords: Tensor, values: Values) -> tuple[Tensor, Tensor]:
        """Distance to each edge (task or 1, point, edge), and the edges' normals (task or 1, edge, 2)."""
        start, along, normal = self._ends(values, coords)
        return _segment_distance(coords, start, along), normal

    def distance(self, coords: Tensor, values: Values) -> Tensor:
        return self._gaps(coords, values)[0].amin(-1)

    def normal(self, coords: Tensor, values: Values) -> Tensor:
        gaps, normal = self._gaps(coords, values)
        return _of(normal, gaps.argmin(-1))

    def level(self, coords: Tensor, values: Values) -> Tensor:
        """Above 0 off the edges: the product of the distances to the lines of those on the convex hull, smooth at outer
        corners, and of the others together the inverse of the sum of 1 / a + 4 / length, a being the trimmed distance.
        """
        if len(self.numbers) > MANY:
            return self.potential(coords, values).abs()
        apart, length, hull = self._apart(coords, values)
        inner = torch.where(hull, 0, 1 / torch.where(hull, 1, apart) + 4 / length).sum(-1)
        inner = torch.where(hull.all(-1), 1, 1 / torch.where(hull.all(-1), 1, inner))
        return torch.where(hull, apart, 1).prod(-1) * inner

    def potential(self, coords: Tensor, values: Values) -> Tensor:
        """Of a whole ring the mean value potential 2 / sum (1 / a + 1 / b) tan(alpha / 2), a and b being the distances
        of an edge's ends, alpha the angle under which it is seen: above 0 inside, below 0 outside, to first order the
        distance (Belyaev, Fayolle & Pasko, Graph. Models 2013, p = 1)."""
        corners = self.ring.corners(values, coords)
        first = corners.unsqueeze(1) - coords.unsqueeze(2)
        second, chosen = first.roll(-1, 2), list(self.numbers)
        first, second = first[:, :, chosen], second[:, :, chosen]
        tiny = torch.finfo(coords.dtype).tiny ** 0.5
        a, b = (v.square().sum(-1).clamp_min(tiny).sqrt() for v in (first, second))
        dot, cross = (first * second).sum(-1), _cross(first, second)
        near = dot < 0  # two forms of one tangent, each where it loses no digits
        cross = torch.where(cross.abs() < tiny, tiny, cross)
        tangent = torch.where(near, a * b - dot, cross) / torch.where(near, cross, a * b + dot)
        total = ((1 / a + 1 / b) * tangent).sum(-1) * self.ring.turns_left(corners)
        return 2 * self.outward / total

    def _apart(self, coords: Tensor, values: Values) -> tuple[Tensor, Tensor, Tensor]:
        """How far points are from each edge (task or 1, point, edge), the lengths, and whether edges are on the hull,
        (task or 1, 1, edge).

        On the convex hull of the domain that is f, the distance to the edge's line, and else the trimmed distance
        sqrt(f^2 + (sqrt(t^2 + f^4) - t)^2 / 4) with t above 0 in the disk around the edge (Sukumar & Srivastava,
        Comput. Methods Appl. Mech. Eng. 2022).
        """
        start, along, normal = self._ends(values, coords)
        length, tiny = along.norm(dim=-1).unsqueeze(1), torch.finfo(coords.dtype).tiny ** 0.5
        from_middle = coords.unsqueeze(2) - (start + along / 2).unsqueeze(1)
        f = (from_middle * normal.unsqueeze(1)).sum(-1)
        t = length / 4 - from_middle.square().sum(-1) / length
        trim = (t**2 + f**4).clamp_min(tiny).sqrt() - t
        trimmed = (f**2 + trim**2 / 4).clamp_min(tiny).sqrt()
        corners = self.ring.corners(values, coords)
        beyond = ((corners.unsqueeze(2) - start.unsqueeze(1)) * normal.unsqueeze(1)).sum(-1).amax(1)
        hull = ((self.outward > 0) & (beyond <= 1e-6 * length[:, 0])).unsqueeze(1)
        return torch.where(hull, -f, trimmed), length, hull


@dataclass(frozen=True, kw_only=True)
class Straight(Shape):
    """The inside of a ring; edges: the name of each edge."""

    ring: Ring
    edges: tuple[str, ...]

    def asked(self) -> frozenset[str]:
        return frozenset(name for number in (*self.ring.first, *self.ring.second) for name in asked(number))

    def check(self, values: Values) -> None:
        import shapely

        corners = self.ring.corners(values, torch.zeros((), dtype=torch.float64))
        twice = (corners == corners.roll(-1, 1)).all(-1).any(0)
        if bool(twice.any()):
            place = int(twice.nonzero()[0])
            raise TypeError(
                f"Polygon: corner {place + 1} of {len(twice)} is given twice; the last edge closes the ring by itself"
            )
        for shape in map(shapely.Polygon, corners.numpy(force=True)):
            if not shape.is_valid:
                raise TypeError(
                    f"Polygon of a task with corners {[tuple(c) for c in shape.exterior.coords[:-1]]}: "
                    f"{shapely.is_valid_reason(shape)}; edges may not touch or cross"
                )

    def contains(self, coords: Tensor, values: Values, slack: float = 0.0) -> Tensor:
        corners = self.ring.corners(values, coords)
        start, along = corners, corners.roll(-1, 1) - corners
        away = coords.unsqueeze(2) - start.unsqueeze(1)
        rise = along[..., 1].unsqueeze(1)
        crosses = (away[..., 1] >= 0) != (away[..., 1] >= rise)
        place = away[..., 1] * (along[..., 0] / along[..., 1]).unsqueeze(1)
        inside = (crosses & (away[..., 0] < place)).sum(-1) % 2 == 1
        if slack:
            near = _segment_distance(coords, start, along).amin(-1) <= abs(slack)
            inside = inside | near if slack > 0 else inside & ~near
        return inside

    def bounds(self, values: Values, like: Tensor) -> tuple[Tensor, Tensor]:
        corners = self.ring.corners(values, like)
        return corners.amin(1), corners.amax(1)

    def level(self, coords: Tensor, values: Values) -> Tensor:
        return Edges(self.names, (), 1.0, self.ring, tuple(range(len(self.edges)))).potential(coords, values)

    def surfaces(self, outward: float = 1.0) -> tuple[Surface, ...]:
        groups = {name: [k for k, own in enumerate(self.edges) if own == name] for name in self.edges}
        common = (self.alias, "boundary") if self.alias else (FREE, "boundary")
        return tuple(
            Edges(self.names, tuple(dict.fromkeys((name, *common))), outward, self.ring, tuple(numbers))
            for name, numbers in groups.items()
        )


def Polygon(*, edges: Sequence[str] = (), **corners: Sequence[Number]) -> Straight:
    """A polygon by its corners, Polygon(x=(0, 1, 0), y=(0, 0, "height")), in either direction.

    Numbers may be task parameters' names or functions of these. edges: names, the first that of the edge from the
    first corner to the second; without them all are "polygon".
    """
    lengths = {len(numbers) for numbers in corners.values()}
    if len(corners) != 2 or "t" in corners or len(lengths) != 1 or min(lengths) < 3:
        raise TypeError(
            "Polygon: expected two coordinates of three corners or more, Polygon(x=(0, 1, 0), y=(0, 0, 1))"
        )
    check_coordinates(corners)
    ring = Ring(*(tuple(numbers) for numbers in corners.values()))
    for number in (*ring.first, *ring.second):
        asked(number)
    count = len(ring.first)
    if edges and len(edges) != count:
        raise TypeError(f"Polygon: {len(edges)} names in edges, expected {count}, one a corner, or none")
    return Straight(names=tuple(corners), ring=ring, edges=tuple(edges) or (FREE,) * count)


def _cross(first: Tensor, second: Tensor) -> Tensor:
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def _of(rows: Tensor, chosen: Tensor) -> Tensor:
    """Rows (task or 1, row, 2) by number (task or 1, point): (task, point, 2)."""
    tasks = max(len(rows), len(chosen))
    chosen = chosen.unsqueeze(-1).expand(tasks, -1, 2)
    return rows.expand(tasks, -1, -1).gather(1, chosen)


def _segment_distance(coords: Tensor, start: Tensor, along: Tensor) -> Tensor:
    """(task or 1, point, segment)."""
    away, along = coords.unsqueeze(2) - start.unsqueeze(1), along.unsqueeze(1)
    part = ((away * along).sum(-1) / along.square().sum(-1)).clamp(0, 1)
    return (away - part.unsqueeze(-1) * along).norm(dim=-1)
