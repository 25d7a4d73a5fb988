"""Surfaces: the pieces that boundaries are made of, each with its own measure, points, distance and normal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnlora.problem.domain.numbers import Values, amount, constant, row


@dataclass(frozen=True)
class Surface(ABC):
    """A piece of one shape's boundary, in the shape's own coordinates `names`; abstract.

    aliases: the names that conditions may call it by; outward: -1 where the shape is cut out of the domain, so that
    its own outward normal points into it.
    """

    names: tuple[str, ...]
    aliases: tuple[str, ...]
    outward: float

    @abstractmethod
    def measure(self, values: Values, like: Tensor) -> Tensor:
        """Length or area, (task or 1, 1)."""

    @abstractmethod
    def at(self, unit: Tensor, values: Values) -> Tensor:
        """Points of the unit cube (task, point, dim - 1) to the surface, (task, point, dim), uniform to uniform."""

    @abstractmethod
    def distance(self, coords: Tensor, values: Values) -> Tensor:
        """How far coords (task or 1, point, dim) are from the surface, at least: (task or 1, point)."""

    @abstractmethod
    def normal(self, coords: Tensor, values: Values) -> Tensor:
        """The domain's outward unit normal at the nearest place of the surface: (task or 1, point, dim)."""

    @abstractmethod
    def level(self, coords: Tensor, values: Values) -> Tensor:
        """A smooth function (task or 1, point) that vanishes on the surface, above 0 on the domain's side of it."""


@dataclass(frozen=True)
class Flat(Surface):
    """One face of a box: coordinate number `axis` held at an end, the others in their intervals.

    low and high are the ends of all coordinates in `names`.
    """

    axis: int
    upper: bool
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def value(self) -> float:
        """Where the coordinate is held."""
        return (self.high if self.upper else self.low)[self.axis]

    def measure(self, values: Values, like: Tensor) -> Tensor:
        area = 1.0
        for axis, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            area *= 1.0 if axis == self.axis else high - low
        return like.new_full((1, 1), area)

    def at(self, unit: Tensor, values: Values) -> Tensor:
        held = unit.new_full((*unit.shape[:-1], 1), float(self.upper))
        unit = torch.cat((unit[..., : self.axis], held, unit[..., self.axis :]), -1)
        low, high = constant(self.low, unit), constant(self.high, unit)
        return torch.lerp(low, high, unit)

    def distance(self, coords: Tensor, values: Values) -> Tensor:
        low, high = constant(self.low, coords), constant(self.high, coords)
        beyond = torch.maximum(low - coords, coords - high).clamp_min(0)
        beyond[..., self.axis] = coords[..., self.axis] - self.value
        return beyond.norm(dim=-1)

    def normal(self, coords: Tensor, values: Values) -> Tensor:
        out = torch.zeros_like(coords)
        out[..., self.axis] = self.outward * (1.0 if self.upper else -1.0)
        return out

    def level(self, coords: Tensor, values: Values) -> Tensor:
        return self.outward * (1.0 if self.upper else -1.0) * (self.value - coords[..., self.axis])


@dataclass(frozen=True)
class Sphere(Surface):
    """A circle or a sphere: `numbers` are the coordinates of the centre, then the radius."""

    numbers: tuple

    def measure(self, values: Values, like: Tensor) -> Tensor:
        _, radius = ball(self.numbers, values, like)
        return 2 * torch.pi * radius if len(self.names) == 2 else 4 * torch.pi * radius**2

    def at(self, unit: Tensor, values: Values) -> Tensor:
        centre, radius = ball(self.numbers, values, unit)
        angle = 2 * torch.pi * unit[..., 0]
        direction = torch.stack((torch.cos(angle), torch.sin(angle)), -1)
        if len(self.names) == 3:  # the height of a point of a sphere is uniform (Archimedes)
            height = 2 * unit[..., 1:] - 1
            direction = torch.cat(((1 - height**2).clamp_min(0).sqrt() * direction, height), -1)
        return centre.unsqueeze(1) + radius.unsqueeze(1) * direction

    def distance(self, coords: Tensor, values: Values) -> Tensor:
        centre, radius = ball(self.numbers, values, coords)
        return ((coords - centre.unsqueeze(1)).norm(dim=-1) - radius).abs()

    def normal(self, coords: Tensor, values: Values) -> Tensor:
        centre, _ = ball(self.numbers, values, coords)
        away = coords - centre.unsqueeze(1)
        return self.outward * away / away.norm(dim=-1, keepdim=True)

    def level(self, coords: Tensor, values: Values) -> Tensor:
        centre, radius = ball(self.numbers, values, coords)
        away = (coords - centre.unsqueeze(1)).square().sum(-1)
        return self.outward * (radius**2 - away) / (2 * radius)


def ball(numbers: tuple, values: Values, like: Tensor) -> tuple[Tensor, Tensor]:
    """Centre (task or 1, dim) and radius (task or 1, 1)."""
    return row(numbers[:-1], values, like), amount(numbers[-1], values, like)
