"""The Hamilton-Jacobi-Bellman equation of examples/ by Monte Carlo over the Cole-Hopf formula, with its own error.

u = -log(E a^-mu) / mu, a = (1 + |x + sqrt(2 (1 - t)) z|^2) / 2, z standard normal. Mean and variance of a are known, so
that a and its square are control variates: of a^-mu remains what is no quadratic polynomial in a.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 250


def by_monte_carlo(
    x: Tensor, t: Tensor, mu: float, samples: int = 4096, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """u and its standard error, (point,) each, at x (point, d) and t (point,) below 1, float64.

    The normal numbers are the same at all points, so that their products with x are one product of matrices.
    """
    z = torch.randn(samples, x.shape[1], generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    length = z.square().sum(1)
    parts = [_part(x[k : k + CHUNK], t[k : k + CHUNK], mu, z, length) for k in range(0, len(x), CHUNK)]
    value, error = (torch.cat(part) for part in zip(*parts, strict=True))
    return value, error


def _part(x: Tensor, t: Tensor, mu: float, z: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    width, r = (2 * (1 - t)).sqrt().unsqueeze(1), x.square().sum(1, keepdim=True)
    mean = 1 + r + width.square() * x.shape[1]  # of 2 a
    spread = width * (2 * x.shape[1] * width.square() + 4 * r).sqrt()
    away = (2 * width * (x @ z.mT) + width.square() * (length - x.shape[1])) / spread
    power = (1 + away * spread / mean).pow(-mu)
    controls = torch.stack((torch.ones_like(away), away, away.square() - 1), -1)  # of mean zero but the first
    gram, right = controls.mT @ controls, controls.mT @ power.unsqueeze(-1)
    fit = torch.linalg.solve(gram, right)
    found, rest = fit[:, 0, 0], power - (controls @ fit).squeeze(-1)
    error = rest.std(1) / len(z) ** 0.5 / (mu * found)
    return (mean[:, 0] / 2).log() - found.log() / mu, error
