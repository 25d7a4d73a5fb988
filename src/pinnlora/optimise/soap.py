"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., ICLR 2025), for matrices of moderate size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

LARGEST, RENEW, BETA = 1024, 10, 0.95
"""A longer side of a matrix gets no basis; steps between two renewals of a basis; both betas."""


class Soap(torch.optim.Optimizer):
    """For a matrix W (out, in) with gradient G, Q_L and Q_R orthogonal, b = BETA, rate h:

        L = b L + (1 - b) G G^T,  R = b R + (1 - b) G^T G,  every RENEW steps Q_L = qr(L Q_L), Q_R = qr(R Q_R)
        M = b M + (1 - b) G,      V = b V + (1 - b) (Q_L^T G Q_R)^2
        W = W - h Q_L (Q_L^T M Q_R / sqrt(V)) Q_R^T,  M and V freed from their start at zero

    A basis starts as the eigenvectors of the first gradient's Gram matrix, and that step moves nothing. Vectors
    (biases) are moved by Adam with the same beta for both.
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
            state |= _bases(gradient, 1 - BETA)
            if p.ndim == 2:
                return
        state["step"] += 1
        sides = [state.get(f"basis_{side}") for side in range(2)]
        state["exp_avg"].lerp_(gradient, 1 - BETA)
        rotated = _rotate(gradient, sides)
        state["exp_avg_sq"].mul_(BETA).addcmul_(rotated, rotated, value=1 - BETA)
        short = 1 - BETA ** state["step"]
        size = (state["exp_avg_sq"] / short).sqrt_().add_(eps)
        move = _rotate(state["exp_avg"], sides) / size
        p.add_(_rotate(move, sides, back=True), alpha=-lr / short)
        for side, basis in enumerate(sides):
            if basis is not None:
                gram = state[f"gram_{side}"]
                gram.lerp_(_gram(gradient, side), 1 - BETA)
                if state["step"] % RENEW == 0:
                    state[f"basis_{side}"] = torch.linalg.qr(gram @ basis).Q


def _gram(gradient: Tensor, side: int) -> Tensor:
    """G G^T, or G^T G for side 1."""
    return gradient @ gradient.mT if side == 0 else gradient.mT @ gradient


def _bases(gradient: Tensor, share: float) -> dict[str, Tensor]:
    """Gram matrix and eigenvectors, the largest eigenvalue first, of each side that is to have a basis."""
    out = {}
    for side in range(2 if gradient.ndim == 2 else 0):
        if gradient.shape[side] <= LARGEST:
            gram = _gram(gradient, side)
            out[f"gram_{side}"] = share * gram
            out[f"basis_{side}"] = torch.linalg.eigh(gram.nan_to_num())[1].flip(-1).contiguous()
    return out


def _rotate(matrix: Tensor, sides: list[Tensor | None], back: bool = False) -> Tensor:
    """Q_L^T matrix Q_R, or Q_L matrix Q_R^T; a side without a basis stays."""
    left, right = sides
    if left is not None:
        matrix = (left if back else left.mT) @ matrix
    if right is not None:
        matrix = matrix @ (right.mT if back else right)
    return matrix
