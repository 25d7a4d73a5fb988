"""Union, intersection and difference of domains, and their products with intervals of other coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnlora.problem.domain.base import PROBES, Domain, Shape
from pinnlora.problem.domain.box import Box
from pinnlora.problem.domain.hyperball import multiplied
from pinnlora.problem.domain.numbers import Values
from pinnlora.problem.domain.surface import Surface

WORDS = {"and": "&", "or": "|", "minus": "-", "times": "*"}


@dataclass(frozen=True, kw_only=True)
class Combination(Shape):
    """Points in both ("and"), in one or the other ("or"), or in the first and not in the second ("minus").

    A part with fewer coordinates than the whole is a cylinder in the others: Box(x=..., y=..., t=...) - Disk(x=...,
    y=...) has the same hole at all times.
    """

    kind: str
    first: Domain
    second: Domain
    cycles: tuple[str, ...] = ()

    def contains(self, coords: Tensor, values: Values, slack: float = 0.0) -> Tensor:
        first = self.first.contains(self._own(self.first, coords), values, slack)
        inner = -slack if self.kind == "minus" else slack
        second = self.second.contains(self._own(self.second, coords), values, inner)
        if self.kind == "minus":
            return first & ~second
        return first & second if self.kind == "and" else first | second

    def bounds(self, values: Values, like: Tensor) -> tuple[Tensor, Tensor]:
        both = [part.bounds(values, like) for part in (self.first, self.second)]
        inward = self.kind == "and"
        low = self._joined([low for low, _ in both], torch.maximum if inward else torch.minimum)
        return low, self._joined([high for _, high in both], torch.minimum if inward else torch.maximum)

    def _joined(self, ends: list[Tensor], choose) -> Tensor:
        columns = []
        for name in self.names:
            own = [
                end[:, part.names.index(name)]
                for part, end in zip((self.first, self.second), ends, strict=True)
                if name in part.names
            ]
            both = len(own) == 2 and self.kind != "minus"
            columns.append(choose(*own) if both else own[0])
        return torch.stack(torch.broadcast_tensors(*columns), -1)

    def level(self, coords: Tensor, values: Values) -> Tensor | None:
        """R-functions: a + b -+ sqrt(a^2 + b^2) for "and" and "or" (Shapiro, Acta Numerica 2007)."""
        a = self.first.level(self._own(self.first, coords), values)
        b = self.second.level(self._own(self.second, coords), values)
        b = -b if self.kind == "minus" and b is not None else b
        if a is None or b is None:  # of which there is no end
            return None if self.kind == "or" else b if a is None else a
        root = (a**2 + b**2).clamp_min(torch.finfo(a.dtype).tiny).sqrt()
        return a + b + root if self.kind == "or" else a + b - root

    def surfaces(self, outward: float = 1.0) -> tuple[Surface, ...]:
        second = -outward if self.kind == "minus" else outward
        return (*self.first.surfaces(outward), *self.second.surfaces(second))

    def boxes(self) -> dict[str, tuple[float, float]]:
        pairs = {
            "minus": [(self.first, self.second)],
            "and": [(self.first, self.second), (self.second, self.first)],
        }
        return {
            name: ends
            for one, other in pairs.get(self.kind, [])
            for name, ends in one.boxes().items()
            if name not in other.names
        }

    def named(self, name: str) -> Domain:
        return replace(self, first=self.first.named(name), second=self.second.named(name))

    def until(self, end: float) -> Domain:
        if self.time is None:
            return self
        high = tuple(end if name == "t" else value for name, value in zip(self.names, self.high, strict=True))
        return replace(self, first=self.first.until(end), second=self.second.until(end), high=high)

    def asked(self) -> frozenset[str]:
        return self.first.asked() | self.second.asked()

    def check(self, values: Values) -> None:
        for part in (self.first, self.second):
            if isinstance(part, Shape):
                part.check(values)
        self._check_seams(values)

    def _check_seams(self, values: Values) -> None:
        """TypeError where the ends of a cycle, one place, are inside at one and outside at the other."""
        generator, tasks = torch.Generator().manual_seed(0), max((len(v) for v in values.values()), default=1)
        unit = torch.rand(tasks, PROBES, len(self.names), generator=generator, dtype=torch.float64)
        low, high = (end.unsqueeze(1) for end in self.bounds(values, unit))
        for part in (self.first, self.second):
            for name in part.cycles:
                axis, inside = self.names.index(name), []
                for end in _ends_of(part, name):
                    points = low + (high - low) * unit
                    points[..., axis] = end
                    inside.append(self.contains(points, values))
                if not torch.equal(*inside):
                    raise TypeError(
                        f"a shape is cut by the ends of {name}, which is a Cycle: choose its ends where none lies"
                    )

    def _own(self, part: Domain, coords: Tensor) -> Tensor:
        if part.names == self.names:
            return coords
        return coords[..., [self.names.index(name) for name in part.names]]


def _ends_of(domain: Domain, cycle: str) -> tuple[float, float]:
    """Of a cycle, as the box that has it says."""
    while isinstance(domain, Combination):
        domain = domain.first if cycle in domain.first.cycles else domain.second
    axis = domain.names.index(cycle)
    return domain.low[axis], domain.high[axis]


def combined(kind: str, first: Domain, second: Domain) -> Domain:
    """The domain; TypeError where the two do not fit together by their coordinates."""
    if not isinstance(second, Domain):
        raise TypeError(f"{WORDS[kind]} {second!r}: expected a domain such as Box(...) or Disk(...)")
    if first.vectors or second.vectors:
        return multiplied(kind, first, second)
    common = set(first.names) & set(second.names)
    text = f"{', '.join(first.names)} {WORDS[kind]} {', '.join(second.names)}"
    if kind == "or" and set(first.names) != set(second.names):
        raise TypeError(f"{text}: a union needs the same coordinates on both sides")
    if kind == "minus" and not set(second.names) <= set(first.names):
        raise TypeError(f"{text}: what is taken away has coordinates that the domain has not")
    if kind == "and" and not common:
        raise TypeError(f"{text}: no coordinate in common; join them by *")
    if kind != "times" and "t" in common:
        raise TypeError(
            f"{text}: both have t, which would have no start: join them in space first, then time: "
            f"(... {WORDS[kind]} ...) * Box(t=(0, 1))"
        )
    if kind == "times":
        if common:
            raise TypeError(f"{text}: * joins different coordinates, both have {', '.join(sorted(common))}")
        if isinstance(first, Box) and isinstance(second, Box) and not (first.alias or second.alias):
            return Box(**first.intervals(), **second.intervals())
    kind = "and" if kind == "times" else kind
    names = tuple(dict.fromkeys((*first.names, *second.names)))
    cycles = tuple(dict.fromkeys((*first.cycles, *second.cycles)))
    return Combination(kind=kind, first=first, second=second, names=names, cycles=cycles)
