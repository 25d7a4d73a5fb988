"""Which unknowns explain the data: bounded Gauss-Newton for many problems at once, and the Gaussian around the best.

minimise |r(z)|^2 + |z_free|^2 over z, where r are residuals over their noise, bounded unknowns lie in [-1, 1] and
free ones are standard normal beforehand. A step solves (J^T J + P + mu I) d = -(J^T r + P z), P being 1 for the free
ones, without the unknowns that are held at a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

STEPS, START = 50, 1e-2
"""Steps at most, unless fewer are asked for, and the first damping."""
SETTLED = 1e-5
"""A step this small, of the unknowns' own scale of 1, is the last."""
SPARED = 1e-3
"""So is one that lowers the cost by this little: a cost is a chi-square, whose deviations are of size 1."""
ROUNDS, SEARCHING = 4, 4
"""Rounds of a search from far off, and steps of each."""
FLAT = 3.0
"""The precision of a number that is only known to lie in [-1, 1]: one over its variance."""


@dataclass(frozen=True)
class Fit:
    """Unknowns (problem, unknown), their cost (problem,), J (problem, row, unknown) and residuals (problem, row)."""

    unknowns: Tensor
    cost: Tensor
    jacobian: Tensor
    residuals: Tensor


Linearise = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From unknowns (n, unknown) of the problems (n,) to residuals (n, row) and their Jacobian (n, row, unknown)."""


def fit_unknowns(linearise: Linearise, start: Tensor, bounded: Tensor, steps: int = STEPS) -> Fit:
    """Levenberg-Marquardt from `start` (problem, unknown); bounded (unknown,) says which lie in [-1, 1].

    Problems whose step is SETTLED, taken or not, or lowers the cost by less than SPARED, go no further.
    """
    going = torch.arange(len(start))
    r, jacobian = linearise(start, going)
    fit, damping = (
        Fit(start.clone(), _cost(r, start, bounded), jacobian, r),
        torch.full_like(start[:, 0], START),
    )
    for _ in range(steps):
        here, slope = fit.unknowns[going], fit.jacobian[going]
        there = _step(slope, fit.residuals[going], here, bounded, damping[going])
        r, jacobian = linearise(there, going)
        cost = _cost(r, there, bounded)
        spared = fit.cost[going] - cost
        better = spared > 0
        taken = going[better]
        fit.unknowns[taken], fit.cost[taken] = there[better], cost[better]
        fit.residuals[taken], fit.jacobian[taken] = r[better], jacobian[better]
        damping[going] = torch.where(better, damping[going] / 10, damping[going] * 10).clamp_min(1e-12)
        going = going[((there - here).abs().amax(1) > SETTLED) & ~(better & (spared < SPARED))]
        if not len(going):
            break
    return fit


def search_unknowns(linearise: Linearise, start: Tensor, bounded: Tensor, counts: Tensor) -> Fit:
    """As `fit_unknowns`, from far off, where data taken at their word would lead into the next minimum.

    In every round but the last, noise counts for what is left of the data, of `counts` (problem,) values: what is known
    beforehand leads the way.
    """
    z, left = start, linearise(start, torch.arange(len(start)))[0]
    for more in reversed(range(ROUNDS)):
        size = (left.square().sum(1) / counts).sqrt() if more else torch.ones_like(left[:, 0])
        size = size.nan_to_num(1, 1).clamp_min(1)

        def eased(z: Tensor, k: Tensor, size: Tensor = size) -> tuple[Tensor, Tensor]:
            r, jacobian = linearise(z, k)
            return r / size[k, None], jacobian / size[k, None, None]

        fit = fit_unknowns(eased, z, bounded, SEARCHING)
        z, left = fit.unknowns, fit.residuals * size[:, None]
    return fit


def covariance(fit: Fit, bounded: Tensor) -> Tensor:
    """Of the unknowns given the data, (problem, unknown, unknown): (J^T J + P)^-1, P being FLAT for bounded ones.

    By the triangle of a QR decomposition of J over the root of P: data far more precise than what is known beforehand
    would drown that in J^T J.
    """
    root = torch.diag(_beforehand(fit, bounded).sqrt()).expand(len(fit.jacobian), -1, -1)
    triangle = torch.linalg.qr(torch.cat((fit.jacobian, root), 1), mode="r").R
    inverse = torch.linalg.solve_triangular(
        triangle, torch.eye(len(bounded), dtype=triangle.dtype), upper=True
    )
    return inverse @ inverse.mT


def precision(fit: Fit, bounded: Tensor) -> Tensor:
    """The inverse of `covariance`."""
    return fit.jacobian.mT @ fit.jacobian + torch.diag(_beforehand(fit, bounded))


def learned(fit: Fit, bounded: Tensor) -> Tensor:
    """How many directions of the unknowns the data determine, (problem,): each counts for the share of its variance
    that they take away."""
    kept = _beforehand(fit, bounded) * covariance(fit, bounded).diagonal(dim1=1, dim2=2)
    return (1 - kept).sum(1)


def _beforehand(fit: Fit, bounded: Tensor) -> Tensor:
    return torch.where(bounded, FLAT, 1.0).to(fit.unknowns.dtype)


def _cost(r: Tensor, z: Tensor, bounded: Tensor) -> Tensor:
    return torch.nan_to_num(r.square().sum(1) + (~bounded * z.square()).sum(1), nan=torch.inf)


def _step(jacobian: Tensor, r: Tensor, z: Tensor, bounded: Tensor, damping: Tensor) -> Tensor:
    """Where the damped step leads, within bounds; numbers at a bound that downhill lies beyond stay there."""
    prior = (~bounded).to(z.dtype)
    gradient = (jacobian.mT @ r.unsqueeze(-1)).squeeze(-1) + prior * z
    free = (~(bounded & (z.abs() >= 1) & (gradient * z < 0))).to(z.dtype)
    normal = (jacobian.mT @ jacobian) * free.unsqueeze(1) * free.unsqueeze(2)
    scale = normal.diagonal(dim1=1, dim2=2) + 1e-12
    normal = normal + torch.diag_embed(prior + damping[:, None] * scale + (1 - free))
    there = z - torch.linalg.solve(normal, gradient * free)
    return torch.where(bounded, there.clamp(-1, 1), there)
