"""The domain of a problem: a box with named coordinates, its faces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

RESERVED = ("method", "rank", "split", "task", "field", "sample")


def _is_interval(ends: object) -> bool:
    try:
        low, high = (float(end) for end in ends)
    except (TypeError, ValueError):
        return False
    return -math.inf < low < high < math.inf


@dataclass(frozen=True, init=False)
class Box:
    """A box, one named interval a coordinate: Box(x=(0, 1), t=(0, 1)); the coordinate named t is time."""

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __init__(self, **intervals: tuple[float, float]) -> None:
        for name, ends in intervals.items():
            if name.lower() == "time":
                raise TypeError(f"coordinate {name!r}: time is the coordinate named t; rename it")
            if "_" in name or name in RESERVED:
                raise TypeError(
                    f"coordinate {name!r}: choose another name, without underscores (u_xi_xi is a derivative) and "
                    f"none of {', '.join(RESERVED)}, which results use"
                )
            if len(name) > 1 and set(name) <= set(intervals):
                raise TypeError(
                    f"coordinate {name!r}: u_{name} could also mean the derivative in {' and '.join(name)}; rename it"
                )
            if not _is_interval(ends):
                raise TypeError(f"coordinate {name}: expected (low, high) with low < high, got {ends!r}")
        object.__setattr__(self, "names", tuple(intervals))
        object.__setattr__(self, "low", tuple(float(pair[0]) for pair in intervals.values()))
        object.__setattr__(self, "high", tuple(float(pair[1]) for pair in intervals.values()))

    @property
    def time(self) -> int | None:
        """Which coordinate is time."""
        return self.names.index("t") if "t" in self.names else None

    def face(self, text: str) -> Face:
        """Read 't=0': a coordinate held at one end of its interval."""
        name, sign, value = (part.strip() for part in text.partition("="))
        ends = ", ".join(
            f"{n}={end:g}" for n, *pair in zip(self.names, self.low, self.high, strict=True) for end in pair
        )
        try:
            axis = self.names.index(name)
            end = float(value)
        except ValueError:
            raise TypeError(f"on={text!r}: expected one of {ends}") from None
        if not sign or end not in (self.low[axis], self.high[axis]):
            raise TypeError(f"on={text!r}: expected one of {ends}")
        return Face(axis, end)

    def scale(self, unit: Tensor) -> Tensor:
        """Map points of the unit cube (..., dim) into the box."""
        low = torch.tensor(self.low, dtype=unit.dtype, device=unit.device)
        high = torch.tensor(self.high, dtype=unit.dtype, device=unit.device)
        return low + (high - low) * unit


@dataclass(frozen=True)
class Face:
    """One face of a box: coordinate number `axis` held at `value`."""

    axis: int
    value: float

    def project(self, coords: Tensor) -> Tensor:
        """The points (..., dim) with this face's coordinate set to its value."""
        coords = coords.clone()
        coords[..., self.axis] = self.value
        return coords
