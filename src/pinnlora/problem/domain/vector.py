"""Coordinates of many components, and the boundaries of cubes and balls in any dimension, each one surface."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnlora.problem.domain.numbers import Values, constant
from pinnlora.problem.domain.surface import Surface

Vectors = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Vector:
    """A coordinate of `size` components: Box(x=Vector(100, 0, 1), t=(0, 1)), each component in one interval, or
    Ball(x=Vector(250), radius=1). Its components are x1, x2 ..., and functions that ask for x get (task, point, size).
    """

    size: int
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 2:
            raise TypeError(f"Vector({self.size!r}): expected a number of components, 2 or more")


def unpacked(intervals: Mapping[str, Any]) -> tuple[Vectors, dict[str, Any]]:
    """The vectors among coordinates, and the intervals of all components by name; TypeError for one without ends."""
    vectors: list[tuple[str, int, int]] = []
    single: dict[str, Any] = {}
    for name, ends in intervals.items():
        if not isinstance(ends, Vector):
            new = {name: ends}
        else:
            if ends.low is None or ends.high is None:
                raise TypeError(f"coordinate {name}: expected Vector(size, low, high) in a box, got {ends}")
            new = {f"{name}{k}": (ends.low, ends.high) for k in range(1, ends.size + 1)}
            vectors.append((name, len(single), len(single) + ends.size - 1))
        for own in new:
            if own in single or (own in intervals and own != name):
                raise TypeError(f"coordinate {own!r} is also a component of a vector; rename one of them")
        single |= new
    return tuple(vectors), single


def packed(single: Mapping[str, Any], vectors: Vectors) -> dict[str, Any]:
    """The inverse of `unpacked`."""
    names, start = list(single), 0
    out: dict[str, Any] = {}
    for name, first, last in (*vectors, ("", len(names), 0)):
        out |= {other: single[other] for other in names[start:first]}
        if name:
            out[name] = Vector(last - first + 1, *single[names[first]])
        start = last + 1
    return out


@dataclass(frozen=True)
class Walls(Surface):
    """All faces of a box; low and high are the ends of the coordinates in `names`."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def _ends(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return constant(self.low, like), constant(self.high, like)

    def measure(self, values: Values, like: Tensor) -> Tensor:
        # 1: that of a thousand sides overflows, and there is no other surface to compare with
        return like.new_ones(1, 1)

    def at(self, unit: Tensor, values: Values) -> Tensor:
        """The first number says which face, and where in it along one of the other coordinates."""
        low, high = self._ends(unit)
        size = len(low)
        share = (1 / (high - low)).repeat_interleave(2).cumsum(0)
        place = unit[..., 0] * share[-1]
        face = torch.searchsorted(share, place.contiguous(), right=True).clamp_max(2 * size - 1)
        width = (1 / (high - low))[face // 2]
        rest = ((share[face] - place) / width).clamp(0, 1)
        axis = torch.arange(size, device=unit.device)
        others = torch.cat((unit[..., 1:], rest.unsqueeze(-1), torch.zeros_like(unit[..., :1])), -1)[
            ..., :size
        ]
        own, upper = axis == (face // 2).unsqueeze(-1), (face % 2).to(unit).unsqueeze(-1)
        # a face's own coordinate trades places with the last of the numbers, which is one of the others
        moved = torch.where(own, upper, others)
        last = axis == size - 1
        taken = others.gather(-1, (face // 2).unsqueeze(-1))
        moved = torch.where(last & ~own, taken, moved)
        return torch.lerp(low, high, moved)

    def _beyond(self, coords: Tensor) -> Tensor:
        low, high = self._ends(coords)
        return torch.maximum(low - coords, coords - high)

    def distance(self, coords: Tensor, values: Values) -> Tensor:
        beyond = self._beyond(coords)
        outside = beyond.clamp_min(0).norm(dim=-1)
        return torch.where(outside > 0, outside, -beyond.amax(-1))

    def normal(self, coords: Tensor, values: Values) -> Tensor:
        low, high = self._ends(coords)
        ends = torch.stack((coords - low, high - coords), -1)
        nearest = ends.abs().flatten(-2).argmin(-1)
        sign = (nearest % 2).to(coords) * 2 - 1
        out = torch.zeros_like(coords)
        return out.scatter_(-1, (nearest // 2).unsqueeze(-1), self.outward * sign.unsqueeze(-1))

    def level(self, coords: Tensor, values: Values) -> Tensor:
        """The product over the axes of 4 s (1 - s), s from 0 to 1: nearly nothing at most points of many dimensions."""
        low, high = self._ends(coords)
        s = (coords - low) / (high - low)
        return self.outward * (4 * s * (1 - s)).prod(-1)


@dataclass(frozen=True)
class Hypersphere(Surface):
    """The points at a distance from the origin, in any number of dimensions."""

    radius: float

    def measure(self, values: Values, like: Tensor) -> Tensor:
        return like.new_ones(1, 1)  # there is no other surface to compare with

    def at(self, unit: Tensor, values: Values) -> Tensor:
        return self.radius * direction(unit)

    def distance(self, coords: Tensor, values: Values) -> Tensor:
        return (coords.norm(dim=-1) - self.radius).abs()

    def normal(self, coords: Tensor, values: Values) -> Tensor:
        return self.outward * coords / coords.norm(dim=-1, keepdim=True)

    def level(self, coords: Tensor, values: Values) -> Tensor:
        return self.outward * (self.radius**2 - coords.square().sum(-1)) / (2 * self.radius)


def direction(unit: Tensor) -> Tensor:
    """Points of the unit cube (..., d - 1) to the unit sphere (..., d), d above 1, uniform to uniform.

    In pairs of coordinates, squared lengths that are the gaps between sorted uniform numbers, and angles; in an odd
    number of dimensions the first of d - 1 numbers gives one coordinate, by the distribution of a component.
    """
    size = unit.shape[-1] + 1
    if size % 2:
        height = _component(unit[..., :1], size)
        rest = (1 - height.square()).clamp_min(0).sqrt()
        return torch.cat((height, rest * direction(unit[..., 1:])), -1)
    half = size // 2
    cuts = unit[..., : half - 1].sort(-1).values
    ends = torch.zeros_like(unit[..., :1])
    squares = torch.diff(torch.cat((ends, cuts, ends + 1), -1), dim=-1)
    angle, length = 2 * math.pi * unit[..., half - 1 :], squares.clamp_min(0).sqrt()
    return torch.cat((length * torch.cos(angle), length * torch.sin(angle)), -1)


def _component(share: Tensor, size: int) -> Tensor:
    """The quantiles of one component of a uniform point of the sphere in `size` dimensions."""
    from scipy.stats import beta

    half = (size - 1) / 2
    quantile = beta.ppf(share.detach().cpu().double().numpy(), half, half)
    return torch.as_tensor(2 * quantile - 1).to(share)
