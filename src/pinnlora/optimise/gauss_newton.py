"""Gauss-Newton for a hypernetwork in sample space: a million columns, of which only the Gram matrix is formed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.residuals import Residuals, Terms, Workspace
from pinnlora.nets.hypernetwork import Hypernetwork, Linearised
from pinnlora.optimise.damping import TRIES, adapt, least_damping, shortened, step_length
from pinnlora.optimise.gram import lower_gram, solve_lower


def kernel(here: Linearised, jacobian: Tensor) -> Tensor:
    """K = J_w J_w^T over all rows of all tasks, (task rows, task rows), its lower triangle.

    jacobian (task, row, outputs) holds d row / d (hypernetwork output). Back-propagating its rows gives
    D_l, and K = sum over layers of (a_l(i) . a_l(j) + 1) (D_l D_l^T), a_l(i) being layer l's input for task i.
    """
    tasks, rows, _ = jacobian.shape
    last = len(here.weights) - 1
    down, total = jacobian, jacobian.new_empty(0)
    for level in range(last, -1, -1):
        flat, inputs = down.reshape(tasks * rows, -1), here.inputs[level]
        part = lower_gram(flat).view(tasks, rows, tasks, rows)
        part.mul_((inputs @ inputs.T + 1)[:, None, :, None])
        total = part if level == last else total.add_(part)
        if level:
            down = (down @ here.weights[level]) * here.slopes[level - 1].unsqueeze(1)
    return total.view(tasks * rows, tasks * rows)


def _solve(gram: Tensor, damping: Tensor, r: Tensor) -> Tensor:
    """(K + mu I)^-1 r; nan where the factorisation fails, which the damping rule rejects."""
    diagonal = gram.diagonal().clone()
    gram.diagonal().add_(damping)
    z = solve_lower(gram, r)
    gram.diagonal().copy_(diagonal)
    return z


@dataclass
class GaussNewton:
    """Damped Gauss-Newton steps for all weights of a hypernetwork; `rows` bounds the memory of a step.

    `momentum` is SPRING's: the step solves for the residual that momentum times the previous step leaves.
    `relaxation` is the length of the last steps, see `step_length`, `floor` the share of K's trace of `least_damping`.
    Tasks whose rows or Jacobian are not finite are left out of a step; `sound` (task,) are the others of the last one.
    """

    hypernetwork: Hypernetwork
    damping: float = 1e-2
    rows: int = 4000
    momentum: float = 0.0
    relaxation: float = 1.0
    floor: float = 0.0
    sound: Tensor = field(init=False)
    _damping: Tensor = field(init=False)
    _previous: list[Tensor] | None = field(init=False, default=None)
    _first: Tensor = field(init=False)
    _rows: int | None = field(init=False, default=None)
    _workspace: Workspace = field(init=False, default_factory=Workspace)

    def __post_init__(self) -> None:
        parameter = next(self.hypernetwork.parameters())
        self.sound = torch.ones(0, dtype=torch.bool, device=parameter.device)
        self._damping = torch.full((1,), self.damping, dtype=parameter.dtype, device=parameter.device)
        self._first = torch.full_like(self._damping, torch.nan)

    def state_dict(self) -> dict[str, Any]:
        """Damping, first loss and previous step, for a checkpoint; the weights are the hypernetwork's."""
        return {"damping": self._damping, "first": self._first, "previous": self._previous}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them back."""
        device, previous = self._damping.device, state["previous"]
        self._damping, self._first = state["damping"].to(device), state["first"].to(device)
        self._previous = None if previous is None else [part.to(device) for part in previous]

    def step(self, here: Linearised, objective: Residuals, progress: float = 0.0) -> Terms:
        """One step on the rows of `objective` for the tasks of `here`, the hypernetwork's linear model at its present
        weights; returns losses (task,). `progress` is the share of the training that is done.

        The linear model is most of a step's work: where its step makes things worse, it is asked again with more
        damping, up to `TRIES` times in all, before the step is given up.
        """
        theta = here.outputs
        self._check(len(theta), objective, theta)
        losses, r, jacobian, frozen = objective.linearise(theta, self._workspace)
        r, jacobian = r * len(theta) ** -0.5, jacobian.mul_(len(theta) ** -0.5)
        gram = kernel(here, jacobian)
        self.sound = (r + gram.diagonal().view_as(r)).isfinite().all(-1)
        left_out = ~self.sound & self.sound.any()
        if bool(left_out.any()):
            r[left_out], jacobian[left_out] = 0.0, 0.0
            gram = kernel(here, jacobian)
        before = r.square().sum().view(1)
        self._first = torch.where(self._first.isfinite(), self._first, before)
        least = least_damping(self.floor, gram.diagonal().sum(), before, self._first)
        self._damping = torch.maximum(self._damping, least)
        right, carried = self._carry(here, r.flatten(), jacobian)
        length = step_length(progress, self.relaxation)
        for _ in range(TRIES):
            z = _solve(gram, self._damping, right)
            predicted = before - (self._damping * z).square().sum().view(1)
            pull = (jacobian.mT @ z.view(*r.shape, 1)).squeeze(-1)
            move = [-gradient for gradient in here.pull(pull)]
            if carried is not None:
                move = [old + part for old, part in zip(carried, move, strict=True)]
            if self._moved(move, length, here.inputs[0], frozen, before, predicted) or not before.isfinite():
                break
        return losses

    @torch.no_grad()
    def _moved(
        self,
        move: list[Tensor],
        length: float,
        embedding: Tensor,
        frozen: Residuals,
        before: Tensor,
        predicted: Tensor,
    ) -> bool:
        """Go `length` of the move, or take it back if it does not lower the loss; adapts the damping."""
        parameters = list(self.hypernetwork.parameters())
        old = [p.clone() for p in parameters]
        accepted = False
        try:
            for p, m in zip(parameters, move, strict=True):
                p.add_(m, alpha=length)
            after = frozen.total(self.hypernetwork(embedding))
            after = torch.where(self.sound | ~self.sound.any(), after, 0.0).mean().view(1)
            self._damping, better = adapt(self._damping, before, after, shortened(predicted, length))
            accepted = bool(better)
        finally:  # also where memory ends
            if not accepted:
                for p, o in zip(parameters, old, strict=True):
                    p.copy_(o)
        if self.momentum:
            self._previous = move if accepted else None
        return accepted

    def _check(self, tasks: int, objective: Residuals, theta: Tensor) -> None:
        """Before the Jacobian takes its memory, once: the number of rows does not change."""
        if self._rows is None:
            self._rows = objective.count(theta)
        rows = self._rows
        if tasks * rows > self.rows:
            raise UserError(
                f"gauss_newton: {tasks} tasks x {rows} residual rows = {tasks * rows} a step, but rows = {self.rows}: "
                f"at most {self.rows // rows} tasks fit; lower tasks_per_step or points, or raise rows "
                f"({8 * (tasks * rows) ** 2 * 3 / 1e9:.1f} GB would be needed)"
            )

    def _carry(self, here: Linearised, r: Tensor, jacobian: Tensor) -> tuple[Tensor, list[Tensor] | None]:
        """The residual that is left after momentum times the previous step, in the linear model."""
        if not self.momentum or self._previous is None:
            return r, None
        carried = [self.momentum * part for part in self._previous]
        return r + (jacobian @ here.push(carried).unsqueeze(-1)).flatten(), carried
