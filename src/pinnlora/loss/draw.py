"""How points are drawn: a shifted Sobol set at every step, or one fixed set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor

MANY = 12
"""Dimensions above which points are random."""


@dataclass(frozen=True)
class Draw:
    """How points are drawn: uniformly with a generator, or one fixed Sobol set shared by all tasks."""

    generator: torch.Generator
    device: torch.device
    dtype: torch.dtype
    fixed: bool = False
    seed: int = 0

    def frozen(self, seed: int) -> Draw:
        """One fixed set in place of new points; sets of different seeds have no point in common."""
        return replace(self, fixed=True, seed=seed)

    def stream(self) -> torch.Generator:
        """What single points are picked by; a fixed set is picked the same way every time."""
        if not self.fixed:
            return self.generator
        return torch.Generator(self.device).manual_seed(self.seed)

    def unit(self, tasks: int, count: int, dim: int, salt: int = 0) -> Tensor:
        """Points in the unit cube, (tasks, count, dim); `salt` tells fixed sets of one draw apart.

        Drawn points are a Sobol set under a random shift for each task: uniform, but without holes and clusters. In
        many dimensions, where such sets have coordinates that depend on each other, all are random.
        """
        if dim > MANY:
            return self._random(tasks, count, dim, salt)
        seed = self.seed if self.fixed else 0
        points = _sobol(count, dim, (seed, salt), self.device, self.dtype)
        if self.fixed:
            return points.expand(tasks, -1, -1)
        shift = torch.rand((tasks, 1, dim), generator=self.generator, device=self.device, dtype=self.dtype)
        return torch.remainder(points + shift, 1)

    def _random(self, tasks: int, count: int, dim: int, salt: int) -> Tensor:
        generator, shape = self.generator, (tasks, count, dim)
        if self.fixed:
            generator = torch.Generator(self.device).manual_seed(1_000_003 * self.seed + salt)
            shape = (1, count, dim)
        points = torch.rand(shape, generator=generator, device=self.device, dtype=self.dtype)
        return points.expand(tasks, -1, -1)


@lru_cache(maxsize=256)
def _sobol(count: int, dim: int, seed: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """A scrambled Sobol set (count, dim), kept on the device."""
    sampler = qmc.Sobol(dim, rng=np.random.default_rng(seed))
    points = torch.from_numpy(sampler.random_base2(max(count - 1, 1).bit_length())[:count])
    return points.to(device, dtype)
