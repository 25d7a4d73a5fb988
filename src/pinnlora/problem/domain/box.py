"""Boxes: one interval a coordinate, of which some may close on themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from pinnlora.problem.domain.base import Domain, check_coordinates
from pinnlora.problem.domain.numbers import Values, constant
from pinnlora.problem.domain.sides import Face, Side, end_at
from pinnlora.problem.domain.surface import Flat, Surface
from pinnlora.problem.domain.vector import Vector, Walls, packed, unpacked


def _is_interval(ends: Any) -> bool:
    try:
        low, high = (float(end) for end in ends)
    except (TypeError, ValueError):
        return False
    return -math.inf < low < high < math.inf


@dataclass(frozen=True)
class Cycle:
    """An interval whose ends are one place: Box(x=Cycle(0, 1), t=(0, 1)) makes everything periodic in x."""

    low: float
    high: float

    def __iter__(self):
        return iter((self.low, self.high))


@dataclass(frozen=True, init=False)
class Box(Domain):
    """A box, one named interval a coordinate: Box(x=(0, 1), t=(0, 1)); the coordinate named t is time."""

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    cycles: tuple[str, ...]
    vectors: tuple[tuple[str, int, int], ...]
    alias: str

    def __init__(self, **intervals: tuple[float, float] | Cycle | Vector) -> None:
        if not intervals:
            raise TypeError("Box() names no coordinate; write for example Box(x=(0, 1), t=(0, 1))")
        vectors, single = unpacked(intervals)
        check_coordinates(single)
        for name, ends in single.items():
            if not _is_interval(ends):
                raise TypeError(f"coordinate {name}: expected (low, high) with low < high, got {ends!r}")
        pairs = {name: tuple(float(end) for end in ends) for name, ends in single.items()}
        object.__setattr__(self, "names", tuple(single))
        object.__setattr__(self, "low", tuple(low for low, _ in pairs.values()))
        object.__setattr__(self, "high", tuple(high for _, high in pairs.values()))
        cycles = tuple(name for name, ends in single.items() if isinstance(ends, Cycle))
        if "t" in cycles:
            raise TypeError("coordinate t: time is no Cycle; name a periodic coordinate otherwise")
        if cycles and vectors:
            raise TypeError(f"coordinate {cycles[0]}: no Cycle beside a Vector")
        object.__setattr__(self, "cycles", cycles)
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "alias", "")

    def intervals(self) -> dict[str, tuple[float, float] | Cycle | Vector]:
        """What it was made of."""
        ends = zip(self.names, self.low, self.high, strict=True)
        single = {name: Cycle(a, b) if name in self.cycles else (a, b) for name, a, b in ends}
        return packed(single, self.vectors)

    def named(self, name: str) -> Box:
        box = Box(**self.intervals())
        object.__setattr__(box, "alias", name)
        return box

    def until(self, end: float) -> Box:
        if self.time is None:
            return self
        box = Box(**(self.intervals() | {"t": (self.low[self.time], end)}))
        object.__setattr__(box, "alias", self.alias)
        return box

    def boxes(self) -> dict[str, tuple[float, float]]:
        many = {
            axis for _, first, last in self.vectors for axis in range(first, last + 1)
        }  # perhaps of all space
        ends = enumerate(zip(self.names, self.low, self.high, strict=True))
        return {name: (low, high) for axis, (name, low, high) in ends if axis not in many}

    def face(self, text: str) -> Face | Side:
        """Read 't=0': a coordinate held at one end of its interval; 'boundary', or its own name, is all in space."""
        if self._walled() and text.strip() in (self.alias or "boundary", "boundary"):
            return Side(text.strip(), self.surfaces())
        name, _, value = (part.strip() for part in text.partition("="))
        known = ", ".join(self.parts())
        if name in self.cycles:
            raise TypeError(f"on={text!r}: {name} is a Cycle and has no ends; expected one of {known}")
        try:
            axis = self.names.index(name)
            end = end_at(value, (self.low[axis], self.high[axis]))
        except ValueError:
            end = None
        if end is None:
            raise TypeError(f"on={text!r}: expected one of {known}")
        return Face(axis, end)

    def contains(self, coords: Tensor, values: Values, slack: float = 0.0) -> Tensor:
        low, high = constant(self.low, coords), constant(self.high, coords)
        if slack < 0:  # nothing is outside of time
            walled = self._walled()
            coords, low, high = coords[..., walled], low[walled], high[walled]
        return ((coords >= low - slack) & (coords <= high + slack)).all(-1)

    def bounds(self, values: Values, like: Tensor) -> tuple[Tensor, Tensor]:
        return constant(self.low, like)[None], constant(self.high, like)[None]

    def level(self, coords: Tensor, values: Values) -> Tensor | None:
        found = None
        for axis in self._walled():
            x, low, high = coords[..., axis], self.low[axis], self.high[axis]
            new = (x - low) * (high - x) / (high - low)
            if found is None:
                found = new
            else:
                root = (found**2 + new**2).clamp_min(torch.finfo(x.dtype).tiny).sqrt()
                found = found + new - root
        return found

    def surfaces(self, outward: float = 1.0) -> tuple[Surface, ...]:
        kept = [axis for axis, name in enumerate(self.names) if name != "t"]
        names = tuple(self.names[axis] for axis in kept)
        low, high = (tuple(row[axis] for axis in kept) for row in (self.low, self.high))
        if self.vectors:
            return (Walls(names, (*filter(None, (self.alias,)), "boundary"), outward, low, high),)
        found = []
        for axis, upper in product(self._walled(), (False, True)):
            end = f"{self.names[axis]}={(self.high if upper else self.low)[axis]:g}"
            aliases = (end, *filter(None, (self.alias,)), "boundary")
            found.append(Flat(names, aliases, outward, kept.index(axis), upper, low, high))
        return tuple(found)

    def _walled(self) -> list[int]:
        """The coordinates in space that have ends."""
        return [axis for axis, name in enumerate(self.names) if name != "t" and name not in self.cycles]
