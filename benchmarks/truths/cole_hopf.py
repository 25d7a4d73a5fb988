"""The Hamilton-Jacobi-Bellman equation of examples/ by Monte Carlo over the Cole-Hopf formula, with its own error.

u = -log(E a^-mu) / mu, a = (1 + |x + sqrt(2 (1 - t)) z|^2) / 2, z standard normal. a, whose mean is known, is the
control variate: of a^-mu remains what is not linear in a.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 500


def by_monte_carlo(
    x: Tensor, t: Tensor, mu: float, samples: int = 16_384, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """u and its standard error, (point,) each, at x (point, d) and t (point,), float64.

    The normal numbers are the same at all points, so that their products with x are one product of matrices.
    """
    z = torch.randn(samples, x.shape[1], generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    length = z.square().sum(1)
    parts = [_part(x[k : k + CHUNK], t[k : k + CHUNK], mu, z, length) for k in range(0, len(x), CHUNK)]
    value, error = (torch.cat(part) for part in zip(*parts, strict=True))
    return value, error


def _part(x: Tensor, t: Tensor, mu: float, z: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    width = (2 * (1 - t)).clamp_min(0).sqrt().unsqueeze(1)
    r = 1 + x.square().sum(1, keepdim=True)
    mean = r + width.square() * x.shape[1]  # of 2 a
    share = (r + 2 * width * (x @ z.mT) + width.square() * length) / mean  # a over its mean
    power = share.pow(-mu)
    away, known = share - share.mean(1, keepdim=True), (share - 1).mean(1)
    slope = (away * power).mean(1) / away.square().mean(1).clamp_min(1e-300)
    rest = power - slope.unsqueeze(1) * away
    found = power.mean(1) - slope * known
    error = rest.std(1) / len(z) ** 0.5 / (mu * found)
    return (mean[:, 0] / 2).log() - found.log() / mu, error
