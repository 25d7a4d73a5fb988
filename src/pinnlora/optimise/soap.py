"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., ICLR 2025), of matrices in parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

LARGEST, RENEW, BETA = 256, 10, 0.95
"""A longer side of a matrix is cut; steps between two renewals of a basis; both betas."""


class Soap(torch.optim.Optimizer):
    """For a matrix W (out, in) with gradient G, Q_L and Q_R orthogonal, b = BETA, rate h:

        L = b L + (1 - b) G G^T,  R = b R + (1 - b) G^T G,  every RENEW steps Q_L = qr(L Q_L), Q_R = qr(R Q_R)
        M = b M + (1 - b) G,      V = b V + (1 - b) (Q_L^T G Q_R)^2
        W = W - h Q_L (Q_L^T M Q_R / sqrt(V)) Q_R^T,  M and V freed from their start at zero

    A basis starts as the eigenvectors of the first gradient's Gram matrix, and that step moves nothing. Vectors
    (biases) are moved by Adam with the same beta for both. A matrix with a side longer than LARGEST, as the head of a
    hypernetwork has, is moved as several of that many rows or columns, so that no side is without a basis.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float = 3e-3) -> None:
        super().__init__(parameters, {"lr": lr, "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure=None):
        """One step by the gradients that the parameters hold; there is no closure."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._move(p, p.grad, self.state[p], group["lr"], group["eps"])

    def _move(self, p: Tensor, gradient: Tensor, state: dict[str, Any], lr: float, eps: float) -> None:
        if not state:
            state |= {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
            for k, part in enumerate(_cut(gradient)):
                state |= _bases(part, k)
            if p.ndim == 2:
                return
        state["step"] += 1
        short = 1 - BETA ** state["step"]
        parts = (_cut(whole) for whole in (p, gradient, state["exp_avg"], state["exp_avg_sq"]))
        for k, (part, g, mean, square) in enumerate(zip(*parts, strict=True)):
            sides = [state[f"basis_{k}_{side}"] for side in range(2 if g.ndim == 2 else 0)]
            mean.lerp_(g, 1 - BETA)
            turned = _rotate(g, sides)
            square.mul_(BETA).addcmul_(turned, turned, value=1 - BETA)
            move = _rotate(mean, sides) / (square / short).sqrt_().add_(eps)
            part.add_(_rotate(move, sides, back=True), alpha=-lr / short)
            for side, basis in enumerate(sides):
                gram = state[f"gram_{k}_{side}"].lerp_(_gram(g, side), 1 - BETA)
                if state["step"] % RENEW == 0:
                    state[f"basis_{k}_{side}"] = torch.linalg.qr(gram @ basis).Q


def _cut(whole: Tensor) -> list[Tensor]:
    """A vector, or a matrix in parts with sides of at most LARGEST, of nearly equal sizes; views of it."""
    if whole.ndim != 2:
        return [whole]
    rows, columns = (-(-size // LARGEST) for size in whole.shape)
    return [part for band in whole.tensor_split(rows) for part in band.tensor_split(columns, 1)]


def _gram(gradient: Tensor, side: int) -> Tensor:
    """G G^T, or G^T G for side 1."""
    return gradient @ gradient.mT if side == 0 else gradient.mT @ gradient


def _bases(gradient: Tensor, part: int) -> dict[str, Tensor]:
    """Gram matrix and eigenvectors, the largest eigenvalue first, of each side of a matrix."""
    out = {}
    for side in range(2 if gradient.ndim == 2 else 0):
        gram = _gram(gradient, side)
        out[f"gram_{part}_{side}"] = (1 - BETA) * gram
        out[f"basis_{part}_{side}"] = torch.linalg.eigh(gram.nan_to_num())[1].flip(-1).contiguous()
    return out


def _rotate(matrix: Tensor, sides: list[Tensor], back: bool = False) -> Tensor:
    """Q_L^T matrix Q_R, or Q_L matrix Q_R^T; a vector, which has no sides, stays."""
    if not sides:
        return matrix
    left, right = sides
    return left @ matrix @ right.mT if back else left.mT @ matrix @ right
