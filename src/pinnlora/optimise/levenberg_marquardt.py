"""Levenberg-Marquardt for a batch of independent tasks, in parameter or sample space, whichever is smaller."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnlora.loss.residuals import Residuals, Terms, Workspace
from pinnlora.optimise.damping import LOWEST, adapt
from pinnlora.optimise.gram import lower_gram, solve_lower


@dataclass
class LevenbergMarquardt:
    """State of the method: a damping per task. `memory` bounds the Jacobian of one chunk of tasks, in bytes;
    the damping never falls below `lowest`."""

    tasks: int
    damping: float = 1e-2
    memory: float = 1e9
    lowest: float = LOWEST
    dampings: Tensor = field(init=False)
    _workspace: Workspace = field(init=False, default_factory=Workspace)

    def __post_init__(self) -> None:
        self.dampings = torch.full((self.tasks,), self.damping, dtype=torch.float64)

    def step(self, theta: Tensor, objective, active: Tensor) -> Terms:
        """Improve theta (task, size) in place for the `active` tasks (indices).

        `objective(indices)` gives the residuals of those tasks. Returns the losses before the step, (active,).
        """
        self.dampings = self.dampings.to(theta.device, theta.dtype)
        rows = objective(active[:1]).count(theta[active[:1]])
        chunk = max(1, int(self.memory / (rows * theta.shape[1] * theta.element_size())))
        parts = [self._step(theta, objective(keep), keep) for keep in active.split(chunk)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _step(self, theta: Tensor, residuals: Residuals, keep: Tensor) -> Terms:
        here, damping = theta[keep], self.dampings[keep]
        losses, r, jacobian, frozen = residuals.linearise(here, self._workspace)
        move, predicted = solve(jacobian, r, damping)
        before = r.square().sum(-1)
        with torch.no_grad():
            after = frozen.total(here + move)
        self.dampings[keep], accepted = adapt(damping, before, after, predicted, self.lowest)
        theta[keep] = torch.where(accepted.unsqueeze(-1), here + move, here)
        return losses


def solve(jacobian: Tensor, r: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The damped Gauss-Newton step and the decrease it predicts: (task, size), (task,).

    Minimises |r + J d|^2 + mu |d|^2. With more rows than columns by (J^T J + mu I) d = -J^T r, else
    d = -J^T (J J^T + mu I)^-1 r. A failed factorisation gives a step of nan, which the damping rule rejects.
    """
    rows, size = jacobian.shape[1:]
    mu = damping[:, None]
    if rows >= size:
        gradient = (jacobian.mT @ r.unsqueeze(-1)).squeeze(-1)
        move = -_damped(lower_gram(jacobian.mT), mu, gradient)
        return move, (mu * move.square()).sum(-1) - (gradient * move).sum(-1)
    z = _damped(lower_gram(jacobian), mu, r)
    move = -(jacobian.mT @ z.unsqueeze(-1)).squeeze(-1)
    return move, r.square().sum(-1) - (mu * z).square().sum(-1)


def _damped(gram: Tensor, mu: Tensor, right: Tensor) -> Tensor:
    gram.diagonal(dim1=-2, dim2=-1).add_(mu)
    return solve_lower(gram, right)
