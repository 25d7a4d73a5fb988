"""What all domains share: named coordinates, a bounding box, who is inside, points, sides; and their algebra."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnlora.problem.domain.numbers import Values, constant
from pinnlora.problem.domain.sides import SIX_DIGITS, Face, Side, accepted, end_at, tidy
from pinnlora.problem.domain.surface import Flat, Surface

RESERVED = ("method", "rank", "seed", "split", "task", "field", "sample")
"""Names that results use."""
PROBES = 1024
"""Points by which a domain's share of its bounding box is estimated."""

Unit = Callable[[int], Tensor]
"""From a number of points to so many, (task, point, dim), uniform in the unit cube."""


class Domain(ABC):
    """A set of points with named coordinates; `|`, `&`, `-` make others of it, and `*` adds coordinates.

    low and high are the ends of the box around it, over all tasks; cycles are the coordinates that close on
    themselves; vectors are the coordinates of many components, x of x1, x2 ..., by their first and last axis. Points
    are (task or 1, point, dim), values those of a problem's task.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    cycles: tuple[str, ...] = ()
    vectors: tuple[tuple[str, int, int], ...] = ()

    @abstractmethod
    def contains(self, coords: Tensor, values: Values, slack: float = 0.0) -> Tensor:
        """Whether points lie in the domain, or at most `slack` outside (inside by that, where negative)."""

    @abstractmethod
    def bounds(self, values: Values, like: Tensor) -> tuple[Tensor, Tensor]:
        """Low and high ends of the box around the domain of each task, (task or 1, dim)."""

    @abstractmethod
    def level(self, coords: Tensor, values: Values) -> Tensor | None:
        """A function (task or 1, point), positive inside, negative outside, zero on all of the boundary in space and
        smooth but at corners; None where space is not bounded."""

    @abstractmethod
    def surfaces(self, outward: float = 1.0) -> tuple[Surface, ...]:
        """The pieces of the boundary in space, cut or not by other shapes."""

    def boxes(self) -> dict[str, tuple[float, float]]:
        """The intervals of those coordinates in which the domain is a cylinder."""
        return {}

    @abstractmethod
    def named(self, name: str) -> Domain:
        """The same shape, its boundary called so: `Box(...) - Disk(...).named("hole")`."""

    def until(self, end: float) -> Domain:
        """Up to a time."""
        return self

    def asked(self) -> frozenset[str]:
        """The task parameters that it depends on."""
        return frozenset()

    def over(self, values: Values) -> Domain:
        """As it is for a family of tasks, of which `values` are many; TypeError where it is none for one of them."""
        return self

    def components(self, name: str) -> slice | None:
        """The axes of a coordinate that is a vector; None for other names."""
        return next((slice(first, last + 1) for own, first, last in self.vectors if own == name), None)

    @property
    def looked_at(self) -> list[int]:
        """The axes along which functions are looked at: of a vector's one."""
        others = {axis for _, first, last in self.vectors for axis in range(first + 1, last + 1)}
        return [axis for axis in range(len(self.names)) if axis not in others]

    @property
    def time(self) -> int | None:
        """Which coordinate is time."""
        return self.names.index("t") if "t" in self.names else None

    @property
    def size(self) -> float:
        """The longest extent in space, or in time where there is no space."""
        sides = {n: b - a for n, a, b in zip(self.names, self.low, self.high, strict=True)}
        return max((side for name, side in sides.items() if name != "t"), default=sides.get("t", 0.0))

    def scale(self, unit: Tensor) -> Tensor:
        """Map points of the unit cube (..., dim) into the box around the domain."""
        low, high = constant(self.low, unit), constant(self.high, unit)
        return low + (high - low) * unit

    def uniform(self, unit: Unit, count: int, values: Values) -> Tensor:
        """`count` points for each task of `values`, (task, count, dim), that `scale` maps to uniform ones inside."""
        return unit(count)

    def face(self, text: str) -> Face | Side:
        """The part of the boundary that a condition calls 't=0' or by a name; TypeError for what is none."""
        name = tidy(text)
        axis, _, value = (part.strip() for part in text.partition("="))
        ends = {n: pair for n, pair in self.boxes().items() if n not in self.cycles}.get(axis, ())
        try:
            end = end_at(value, ends)
        except ValueError:
            end = None
        if end is not None:
            return Face(self.names.index(axis), end)
        found = _meant(name, value, [surface for surface in self.surfaces() if name in surface.aliases])
        if not found:
            raise TypeError(f"on={text!r}: expected one of {', '.join(self.parts())}")
        return Side(name, found)

    def faces(self, text: str) -> tuple[Face | Side, ...]:
        """The same, taken apart: the flat ends of a cylinder, all of a box, are faces of their own."""
        part, ends, rest = self.face(text), [], []
        if isinstance(part, Face):
            return (part,)
        for surface in part.surfaces:
            if isinstance(surface, Flat) and (name := surface.names[surface.axis]) in self.boxes():
                ends.append(Face(self.names.index(name), surface.value))
            else:
                rest.append(surface)
        return (*ends, replace(part, surfaces=tuple(rest))) if rest else tuple(ends)

    def parts(self) -> tuple[str, ...]:
        """All that `face` knows."""
        flat = [f"{n}={end:g}" for n, ends in self.boxes().items() if n not in self.cycles for end in ends]
        return tuple(dict.fromkeys((*flat, *(name for s in self.surfaces() for name in s.aliases))))

    def __or__(self, other: Domain) -> Domain:
        return _combined("or", self, other)

    def __and__(self, other: Domain) -> Domain:
        return _combined("and", self, other)

    def __sub__(self, other: Domain) -> Domain:
        return _combined("minus", self, other)

    def __mul__(self, other: Domain) -> Domain:
        return _combined("times", self, other)


@dataclass(frozen=True, kw_only=True)
class Shape(Domain):
    """A domain that is less than the box around it, which its own points are drawn from until enough are inside.

    fill is the smallest share of a task's box that is inside; both are found out by `over`.
    """

    names: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    fill: float = 1.0
    alias: str = ""

    def named(self, name: str) -> Domain:
        return replace(self, alias=name)

    def check(self, values: Values) -> None:
        """TypeError where it is no shape for one of the tasks."""

    def over(self, values: Values) -> Domain:
        self.check(values)
        generator, tasks = torch.Generator().manual_seed(0), max((len(v) for v in values.values()), default=1)
        unit = torch.rand(tasks, PROBES, len(self.names), generator=generator, dtype=torch.float64)
        low, high = self.bounds(values, unit)
        if not bool((torch.isfinite(low) & torch.isfinite(high) & (low < high)).all()):
            raise TypeError(f"the domain has no extent in some of {', '.join(self.names)}, or no bounds")
        found = self.contains(low.unsqueeze(1) + (high - low).unsqueeze(1) * unit, values).double().mean(-1)
        if float(found.min()) == 0:
            where = {name: float(values[name][int(found.argmin())]) for name in sorted(self.asked())}
            raise TypeError(f"the domain is empty, or nearly: {where or 'its shapes do not meet'}")
        ends = tuple(low.amin(0).tolist()), tuple(high.amax(0).tolist())
        return replace(self, low=ends[0], high=ends[1], fill=float(found.min()))

    def uniform(self, unit: Unit, count: int, values: Values) -> Tensor:
        def draw(many: int) -> tuple[Tensor, Tensor]:
            points = unit(many)
            low, high = self.bounds(values, points)
            points = torch.addcmul(low.unsqueeze(1), (high - low).unsqueeze(1), points)
            return points, self.contains(points, values)

        points = accepted(draw, count, self.fill)
        low, high = constant(self.low, points), constant(self.high, points)
        return (points - low) / (high - low)


def _meant(name: str, value: str, found: list[Surface]) -> tuple[Surface, ...]:
    """Of walls that messages write alike, 'x=1e+06', those at the end that `value` is, up to rounding."""
    walls = [surface for surface in found if isinstance(surface, Flat) and surface.aliases[0] == name]
    if len({wall.value for wall in walls}) < 2:
        return tuple(found)
    end = end_at(value, [wall.value for wall in walls])
    near = SIX_DIGITS * min(wall.high[wall.axis] - wall.low[wall.axis] for wall in walls)
    return tuple(wall for wall in walls if end is not None and abs(wall.value - end) <= near)


def _combined(kind: str, first: Domain, second: Domain) -> Domain:
    from pinnlora.problem.domain.combination import combined

    return combined(kind, first, second)


def seeded(domain: Domain, tasks: int) -> Unit:
    """Random points for so many tasks, always the same."""
    generator, dim = torch.Generator().manual_seed(0), len(domain.names)
    return lambda many: torch.rand(tasks, many, dim, generator=generator, dtype=torch.float64)


def check_coordinates(names: Iterable[str]) -> None:
    """TypeError for a coordinate's name that means something else."""
    names = tuple(names)
    for name in names:
        if name.lower() == "time":
            raise TypeError(f"coordinate {name!r}: time is the coordinate named t; rename it")
        if "_" in name or name in RESERVED:
            raise TypeError(
                f"coordinate {name!r}: choose another name, without underscores (u_xi_xi is a derivative) and "
                f"none of {', '.join(RESERVED)}, which results use"
            )
        if len(name) > 1 and set(name) <= set(names):
            raise TypeError(
                f"coordinate {name!r}: u_{name} could also mean the derivative in {' and '.join(name)}; rename it"
            )
