"""Balls in many dimensions, at all times or at any values of other coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnlora.problem.domain.base import Domain, Shape, Unit, check_coordinates
from pinnlora.problem.domain.box import Box
from pinnlora.problem.domain.numbers import Values, constant
from pinnlora.problem.domain.surface import Surface
from pinnlora.problem.domain.vector import Hypersphere, Vector, Vectors, direction


@dataclass(frozen=True, kw_only=True)
class Hyperball(Shape):
    """Everything within a radius of the origin, times the intervals of `rest`, whose coordinates come after."""

    dimension: int
    radius: float
    rest: Box | None = None
    cycles: tuple[str, ...] = ()
    vectors: Vectors = ()

    def boxes(self) -> dict[str, tuple[float, float]]:
        return {} if self.rest is None else self.rest.boxes()

    def contains(self, coords: Tensor, values: Values, slack: float = 0.0) -> Tensor:
        found = coords[..., : self.dimension].norm(dim=-1) <= self.radius + slack
        if self.rest is None:
            return found
        return found & self.rest.contains(coords[..., self.dimension :], values, slack)

    def bounds(self, values: Values, like: Tensor) -> tuple[Tensor, Tensor]:
        return constant(self.low, like)[None], constant(self.high, like)[None]

    def level(self, coords: Tensor, values: Values) -> Tensor:
        return self.surfaces()[0].level(coords[..., : self.dimension], values)

    def surfaces(self, outward: float = 1.0) -> tuple[Surface, ...]:
        aliases = (self.alias or "ball", "boundary")
        return (Hypersphere(self.names[: self.dimension], aliases, outward, self.radius),)

    def over(self, values: Values) -> Domain:
        """It is the same for all tasks."""
        return self

    def uniform(self, unit: Unit, count: int, values: Values) -> Tensor:
        """A direction by all but one of the numbers of space, and the radius by that one; nothing is rejected."""
        points, d = unit(count), self.dimension
        length = points[..., :1] ** (1 / d)
        inside = (1 + length * direction(points[..., 1:d])) / 2
        return torch.cat((inside, points[..., d:]), -1)

    def until(self, end: float) -> Domain:
        return self if self.rest is None or self.time is None else _with(self, self.rest.until(end))


def _with(ball: Hyperball, rest: Box) -> Hyperball:
    d = ball.dimension
    return replace(
        ball, rest=rest, names=(*ball.names[:d], *rest.names), low=(*ball.low[:d], *rest.low),
        high=(*ball.high[:d], *rest.high), cycles=rest.cycles,
    )  # fmt: skip


def hyperball(name: str, vector: Vector, radius: object) -> Hyperball:
    """Ball(x=Vector(d), radius=1); TypeError for what is none."""
    text = f"Ball({name}={vector}, radius={radius!r})"
    if vector.low is not None or vector.size < 2:
        raise TypeError(
            f"{text}: expected Vector(d), d above 1, without ends, as in Ball(x=Vector(100), radius=1)"
        )
    if isinstance(radius, bool) or not isinstance(radius, int | float) or not radius > 0:
        raise TypeError(f"{text}: around the origin in many dimensions the radius is a number above 0")
    names = tuple(f"{name}{k}" for k in range(1, vector.size + 1))
    check_coordinates((name, *names))
    low, high = (-float(radius),) * vector.size, (float(radius),) * vector.size
    return Hyperball(
        names=names,
        low=low,
        high=high,
        vectors=((name, 0, vector.size - 1),),
        dimension=vector.size,
        radius=float(radius),
    )


def multiplied(kind: str, first: Domain, second: Domain) -> Domain:
    """What domains with vectors can be put together to: a ball times intervals; TypeError for anything else."""
    ball, rest = (first, second) if isinstance(first, Hyperball) else (second, first)
    if kind == "times" and isinstance(first, Box) and isinstance(second, Box):
        return Box(**first.intervals(), **second.intervals())
    if kind == "times" and isinstance(ball, Hyperball) and isinstance(rest, Box) and not rest.vectors:
        common = set(ball.names) & set(rest.names)
        if not common and ball.rest is None:
            return _with(ball, rest)
    raise TypeError(
        "a coordinate with many components is a cube, Box(x=Vector(100, 0, 1), t=(0, 1)), or a ball, "
        "Ball(x=Vector(100), radius=1) * Box(t=(0, 1)); nothing else can be joined to or cut out of it"
    )
