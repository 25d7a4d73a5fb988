"""L-BFGS for a batch of independent tasks: one history, one line search a task, in step with each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Loss = Callable[[Tensor], Tensor]
MEMORY, TRIALS = 20, 12
"""Pairs that are remembered, and lengths of a step that are tried."""


@dataclass
class LBFGS:
    """Limited-memory BFGS (Nocedal & Wright, algorithm 7.4) with backtracking under Armijo's condition."""

    _pairs: deque = field(init=False, default_factory=lambda: deque(maxlen=MEMORY))
    _previous: tuple[Tensor, Tensor] | None = field(init=False, default=None)

    def step(self, theta: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        """One iteration from theta (task, size) under `loss`, (task, size) -> (task,); returns new theta and losses.

        The objective must not change between steps. A task whose line search fails stays where it is.
        """
        value, gradient = _evaluate(loss, theta)
        if self._previous is not None:
            self._remember(theta - self._previous[0], gradient - self._previous[1])
        direction = -self._product(gradient)
        slope = (direction * gradient).sum(-1)
        uphill = slope >= 0
        direction = torch.where(uphill.unsqueeze(-1), -gradient, direction)
        slope = torch.where(uphill, -gradient.square().sum(-1), slope)
        length = torch.ones_like(value)
        if not self._pairs:
            length = (1 / gradient.abs().sum(-1).clamp_min(1e-30)).clamp_max(1.0)
        moved, after = self._search(loss, theta, value, direction, slope, length)
        self._previous = (theta, gradient)
        return moved, after

    @property
    def gradient(self) -> Tensor:
        """Where the last step began, (task, size)."""
        if self._previous is None:
            raise RuntimeError("L-BFGS has taken no step yet")
        return self._previous[1]

    def state_dict(self) -> dict[str, Any]:
        """Pairs and the previous point, for a checkpoint."""
        return {"pairs": list(self._pairs), "previous": self._previous}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take them back."""
        self._pairs.extend(tuple(part.to(device) for part in pair) for pair in state["pairs"])
        previous = state["previous"]
        self._previous = None if previous is None else (previous[0].to(device), previous[1].to(device))

    def keep(self, going: Tensor) -> None:
        """Forget the tasks of the batch that are not `going` (task,)."""
        pairs = [tuple(part[going] for part in pair) for pair in self._pairs]
        self._pairs = deque(pairs, maxlen=MEMORY)
        if self._previous is not None:
            theta, gradient = self._previous
            self._previous = (theta[going], gradient[going])

    def _remember(self, s: Tensor, y: Tensor) -> None:
        curvature = (s * y).sum(-1)
        usable = curvature > 1e-10 * y.square().sum(-1)
        rho = torch.where(usable, 1 / curvature.clamp_min(1e-300 if s.dtype == torch.float64 else 1e-37), 0.0)
        scale = torch.where(usable, curvature / y.square().sum(-1).clamp_min(1e-37), torch.nan)
        self._pairs.append((s, y, rho, scale))

    def _product(self, gradient: Tensor) -> Tensor:
        """The two-loop recursion; pairs without positive curvature have rho = 0 and drop out."""
        q, alphas = gradient.clone(), []
        for s, y, rho, _ in reversed(self._pairs):
            alphas.append(rho * (s * q).sum(-1))
            q = q - alphas[-1].unsqueeze(-1) * y
        if self._pairs:
            scale = self._pairs[-1][3]
            q = q * torch.where(scale.isnan(), 1.0, scale).unsqueeze(-1)
        for (s, y, rho, _), alpha in zip(self._pairs, reversed(alphas), strict=True):
            beta = rho * (y * q).sum(-1)
            q = q + (alpha - beta).unsqueeze(-1) * s
        return q

    def _search(self, loss: Loss, theta, value, direction, slope, length) -> tuple[Tensor, Tensor]:
        best, best_value = theta.clone(), value.clone()
        open_ = torch.ones_like(value, dtype=torch.bool)
        for _ in range(TRIALS):
            trial = theta + length.unsqueeze(-1) * direction
            with torch.no_grad():
                after = loss(trial)
            good = open_ & (after <= value + 1e-4 * length * slope)
            best = torch.where(good.unsqueeze(-1), trial, best)
            best_value = torch.where(good, after, best_value)
            open_ = open_ & ~good
            if not open_.any():
                break
            length = torch.where(open_, 0.5 * length, length)
        return best, best_value


def _evaluate(loss: Loss, theta: Tensor) -> tuple[Tensor, Tensor]:
    theta = theta.detach().requires_grad_()
    with torch.enable_grad():
        value = loss(theta)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
    return value.detach(), gradient
