"""Gram matrices for Cholesky, which reads the lower triangle only: so only that is computed."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCKS = 8


def lower_gram(rows: Tensor) -> Tensor:
    """rows rows^T of (..., n, m), correct on and below the diagonal: (..., n, n), little more than half the work."""
    count = rows.shape[-2]
    out = rows.new_zeros(*rows.shape[:-1], count)
    size = max(64, -(-count // BLOCKS))
    for start in range(0, count, size):
        stop = min(start + size, count)
        out[..., start:, start:stop] = rows[..., start:, :] @ rows[..., start:stop, :].mT
    return out


def solve_lower(gram: Tensor, right: Tensor) -> Tensor:
    """The solution of gram z = right, (..., n); nan where gram, given by its lower triangle, is not positive."""
    factor, failed = torch.linalg.cholesky_ex(gram)
    z = torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
    return torch.where(failed.unsqueeze(-1) == 0, z, torch.nan)
