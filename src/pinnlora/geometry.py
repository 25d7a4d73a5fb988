"""The domain of a problem: a box with named coordinates, its faces, and points drawn in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor


@dataclass(frozen=True, init=False)
class Box:
    """A box, one named interval a coordinate: Box(x=(0, 1), t=(0, 1)). Names are single letters."""

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __init__(self, **intervals: tuple[float, float]) -> None:
        for name, (low, high) in intervals.items():
            if len(name) != 1 or not name.isalpha():
                raise TypeError(
                    f"coordinate {name!r}: names are single letters, so that u_{name}{name} can be read"
                )
            if not low < high:
                raise TypeError(f"coordinate {name}: the interval ({low}, {high}) is empty, give (low, high)")
        object.__setattr__(self, "names", tuple(intervals))
        object.__setattr__(self, "low", tuple(float(pair[0]) for pair in intervals.values()))
        object.__setattr__(self, "high", tuple(float(pair[1]) for pair in intervals.values()))

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


@dataclass(frozen=True)
class Draw:
    """How points are drawn: uniformly with a generator, or one fixed Sobol set shared by all tasks."""

    generator: torch.Generator
    device: torch.device
    dtype: torch.dtype
    fixed: bool = False
    seed: int = 0

    def stream(self) -> torch.Generator:
        """What points are moved by; a fixed set is moved the same way every time."""
        if not self.fixed:
            return self.generator
        return torch.Generator(self.device).manual_seed(self.seed)

    def unit(self, tasks: int, count: int, dim: int, salt: int = 0) -> Tensor:
        """Points in the unit cube, (tasks, count, dim); `salt` tells fixed sets of one draw apart.

        Drawn points are a Sobol set under a random shift for each task: uniform, but without holes and clusters.
        """
        seed = self.seed if self.fixed else 0
        points = _sobol(count, dim, (seed, salt)).to(self.device, self.dtype)
        if self.fixed:
            return points.expand(tasks, -1, -1)
        shift = torch.rand((tasks, 1, dim), generator=self.generator, device=self.device, dtype=self.dtype)
        return torch.remainder(points + shift, 1)


@lru_cache(maxsize=256)
def _sobol(count: int, dim: int, seed: tuple[int, int]) -> Tensor:
    """A scrambled Sobol set (count, dim), float64."""
    sampler = qmc.Sobol(dim, rng=np.random.default_rng(seed))
    return torch.from_numpy(sampler.random_base2(max(count - 1, 1).bit_length())[:count])
