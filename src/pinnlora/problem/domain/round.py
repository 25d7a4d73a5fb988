"""Disks in the plane and balls in space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pinnlora.problem.domain.base import Shape, check_coordinates
from pinnlora.problem.domain.hyperball import Hyperball, hyperball
from pinnlora.problem.domain.numbers import Number, Values, asked
from pinnlora.problem.domain.surface import Sphere, Surface, ball
from pinnlora.problem.domain.vector import Vector


@dataclass(frozen=True, kw_only=True)
class Round(Shape):
    """Everything within a radius: `numbers` are the coordinates of the centre, then the radius."""

    numbers: tuple[Number, ...]

    def asked(self) -> frozenset[str]:
        return frozenset(name for number in self.numbers for name in asked(number))

    def check(self, values: Values) -> None:
        _, radius = ball(self.numbers, values, torch.zeros((), dtype=torch.float64))
        if not bool((radius > 0).all()):
            raise TypeError(f"radius {float(radius.min()):g} of a task: expected a number above 0")

    def contains(self, coords: Tensor, values: Values, slack: float = 0.0) -> Tensor:
        centre, radius = ball(self.numbers, values, coords)
        away = (coords - centre.unsqueeze(1)).square().sum(-1)
        return away <= (radius + slack).clamp_min(0).square()

    def bounds(self, values: Values, like: Tensor) -> tuple[Tensor, Tensor]:
        centre, radius = ball(self.numbers, values, like)
        return centre - radius, centre + radius

    def level(self, coords: Tensor, values: Values) -> Tensor:
        return self.surfaces()[0].level(coords, values)

    def surfaces(self, outward: float = 1.0) -> tuple[Surface, ...]:
        kind = "disk" if len(self.names) == 2 else "ball"
        return (Sphere(self.names, (self.alias or kind, "boundary"), outward, self.numbers),)


def _round(kind: str, count: int, radius: Number, centre: dict[str, Number]) -> Round:
    if len(centre) != count or "t" in centre:
        example = "x=0, y=0" if count == 2 else "x=0, y=0, z=0"
        raise TypeError(
            f"{kind}: expected {count} coordinates in space and a radius, {kind}({example}, radius=1)"
        )
    check_coordinates(centre)
    numbers = (*centre.values(), radius)
    for number in numbers:
        asked(number)
    return Round(names=tuple(centre), numbers=numbers)


def Disk(*, radius: Number, **centre: Number) -> Round:
    """A disk, Disk(x=0, y=0, radius="r"): numbers may be task parameters' names or functions of task parameters."""
    return _round("Disk", 2, radius, centre)


def Ball(*, radius: Number, **centre: Number | Vector) -> Round | Hyperball:
    """A ball, Ball(x=0, y=0, z=0, radius=1): numbers may be task parameters' names or functions of these; or one
    around the origin in many dimensions, Ball(x=Vector(250), radius=1)."""
    if len(centre) == 1 and isinstance(vector := next(iter(centre.values())), Vector):
        return hyperball(next(iter(centre)), vector, radius)
    numbers = {name: number for name, number in centre.items() if not isinstance(number, Vector)}
    return _round("Ball", 3, radius, numbers)
