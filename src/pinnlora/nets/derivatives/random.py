"""Gradient and Laplacian along random directions: K + 2 channels, whatever the dimension.

With E[v v^T] = 1, E[v^T H v] is the trace of H (Hutchinson; Hu et al., arXiv 2312.14499), and along axes drawn without
replacement it is a sum over some of them (Shi et al., arXiv 2412.00088). The Laplacian, the gradient and its square
are unbiased each; a residual is where it is linear in them, and its square never is: E[r^2] = E[r]^2 + Var r. The
product of two independent estimates is, at twice as many directions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.channels import Channels, Directions

POOL = 256
"""Directions that are drawn for all points together, of which each point has K others."""
FIXED = 17
"""The seed of directions that do not change."""


@dataclass(frozen=True)
class Random:
    """K = `count` directions a point, drawn anew at each call; with `twice` two independent estimates."""

    count: int
    kind: Literal["rademacher", "gaussian", "axes"]
    twice: bool
    generator: torch.Generator
    seed: int | None = None

    def ways(self, channels: Channels, coords: Tensor) -> tuple[Channels, ...]:
        """Other directions for each point of coords (task or 1, point, dim), the same for all tasks.

        UserError where there are fewer axes than directions.
        """
        if not channels.space:
            return (channels,)
        generator = self.generator
        if self.seed is not None:
            generator = torch.Generator(coords.device).manual_seed(self.seed)
        drawn = (self._draw(channels.space, coords, generator) for _ in range(1 + self.twice))
        return tuple(channels.by(directions) for directions in drawn)

    def fixed(self) -> Random:
        """Directions of one seed."""
        return replace(self, twice=False, seed=FIXED)

    def _draw(self, space: tuple[int, ...], coords: Tensor, generator: torch.Generator) -> Directions:
        like: dict[str, Any] = {"generator": generator, "device": coords.device}
        size, points, count = len(space), coords.shape[1], self.count
        if self.kind == "axes":
            if count > size:
                raise UserError(f"directions: {count} axes, but space has {size}: take fewer, or exact")
            scale, many = (size / count) ** 0.5, size
            own = torch.eye(size, dtype=coords.dtype, device=coords.device)
            own = own[torch.randperm(size, **like)]
        else:
            scale, many = count**-0.5, max(POOL, count)
            if self.kind == "gaussian":
                own = torch.randn(many, size, dtype=coords.dtype, **like)
            else:
                own = torch.randint(0, 2, (many, size), **like).to(coords.dtype) * 2 - 1
        pool = coords.new_zeros(many, coords.shape[-1])
        pool[:, list(space)] = scale * own
        first = torch.randint(0, many, (points, 1), **like)
        chosen = (first + torch.arange(count, device=coords.device)) % many
        return Directions(pool, chosen)
