"""Fewer directions for the adapters of many tasks: those that contribute least, of all maps together, are cut.

B A is a sum over R directions, of which any invertible matrix makes others: B A = (B Q) (P A) with P Q = 1. What one
residual row changes by when W changes by B X A is linear in X, the sum over q and s of T[q, s] X[q, s], and with the
Gramians of T over rows and tasks, as if its two indices were independent, the best P and Q are those of balanced
truncation (Moore 1981, eq. 21 onwards): the directions come in order, each with the sum of squares that its loss is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnlora.nets.adapters import LowRank

FLOOR = 1e-15
"""Eigenvalues of Gramians below this share of the largest are rounding."""


@dataclass(frozen=True)
class AdapterDirections:
    """Of each adapted map: contributions (rank,), the largest first, to the loss; P (rank, rank), rows in their order;
    Q (rank, rank), columns in their order."""

    contributions: list[Tensor]
    down: list[Tensor]
    up: list[Tensor]

    def kept(self, parametrisation: LowRank, tolerance: float) -> tuple[int, ...]:
        """Ranks of the adapted maps without the directions that contribute least for their parameters, as many as
        make up a share of `tolerance` of all contributions."""
        costs = [sum(parametrisation.network.shapes[k]) for k in parametrisation.adapted]
        every = [(float(c) / costs[k], k, float(c)) for k, own in enumerate(self.contributions) for c in own]
        ranks, allowed = list(parametrisation.ranks), tolerance * sum(c for *_, c in every)
        for _, k, contribution in sorted(every):
            allowed -= contribution
            if allowed < 0:
                break
            ranks[k] -= 1
        return tuple(ranks)


def ranked_directions(parametrisation: LowRank, parts: Iterable[tuple[Tensor, Tensor]]) -> AdapterDirections:
    """Directions over some tasks: parts of theta (task, size) and d row / d theta (task, row, size). The rows of P A
    have a mean norm of 1 over these tasks, as those of new adapters have."""
    grams = [torch.zeros(3, rank, rank, dtype=torch.float64) for rank in parametrisation.ranks]
    tasks = 0
    for theta, jacobian in parts:
        start = 0
        for gram, (down, up) in zip(grams, parametrisation.factors(theta), strict=True):
            start += down[0].numel()
            block = jacobian[..., start : start + up[0].numel()].unflatten(-1, up.shape[1:])
            start += up[0].numel()
            change = torch.einsum("toq,tros->trqs", up, block).flatten(0, 1).double().cpu()
            own = down.double().cpu()
            gram[0] += torch.einsum("nqs,nps->qp", change, change)
            gram[1] += torch.einsum("nqs,nqp->sp", change, change)
            gram[2] += torch.einsum("tqi,tpi->qp", own, own)
        tasks += len(theta)
    for gram in grams:
        gram[2] /= tasks
    found = [_balanced(*gram) for gram in grams]
    return AdapterDirections(*(list(part) for part in zip(*found, strict=True)))


def _balanced(left: Tensor, right: Tensor, down: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Contributions, P and Q of one map, from the Gramians (rank, rank) of both sides, and that of the rows of A."""
    tiny, first, second = torch.finfo(left.dtype).tiny, _root(left), _root(right)
    u, s, vh = torch.linalg.svd(first.mT @ second)
    p, q = (first @ u).mT, second @ vh.mT  # p q = s
    norm = (p @ down @ p.mT).diagonal().clamp_min(tiny).sqrt()
    return (
        s.square() / first.square().sum().clamp_min(tiny),
        p / norm[:, None],
        q * (norm / s.clamp_min(tiny)),
    )


def _root(gram: Tensor) -> Tensor:
    """L with L L^T = gram, the eigenvalues being at least those that rounding leaves."""
    values, vectors = torch.linalg.eigh(gram)
    return vectors * values.clamp_min(FLOOR * max([FLOOR, *values.tolist()])).sqrt()


def truncated(
    theta: Tensor, parametrisation: LowRank, directions: AdapterDirections, ranks: tuple[int, ...]
) -> tuple[Tensor, LowRank]:
    """Adapters theta (task, size) with the first `ranks` directions of each adapted map only."""
    parts = []
    chosen = zip(directions.down, directions.up, ranks, strict=True)
    for (down, up), (p, q, rank) in zip(parametrisation.factors(theta), chosen, strict=True):
        p, q = p[:rank].to(theta), q[:, :rank].to(theta)
        parts += [(p @ down).flatten(1), (up @ q).flatten(1)]
    return torch.cat(parts, 1), replace(parametrisation, rank=ranks)
