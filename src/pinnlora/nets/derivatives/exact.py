"""Exact gradient and Laplacian: one ray an axis, d + 2 channels."""

from __future__ import annotations

from torch import Tensor

from pinnlora.problem.channels import Channels


class Exact:
    """The forward Laplacian (Li et al., arXiv 2307.08214), nothing to be drawn."""

    def ways(self, channels: Channels, coords: Tensor) -> tuple[Channels, ...]:
        """As it is."""
        return (channels.by(None),)

    def fixed(self) -> Exact:
        """Itself."""
        return self
