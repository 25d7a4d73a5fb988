"""Gauss-Newton for a hypernetwork in sample space: a million columns, of which only the Gram matrix is formed."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.residuals import Residuals, Terms, Workspace
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.optimise.damping import adapt
from pinnlora.optimise.gram import lower_gram, solve_lower


def kernel(hypernetwork: Hypernetwork, embedding: Tensor, jacobian: Tensor) -> Tensor:
    """K = J_w J_w^T over all rows of all tasks, (task rows, task rows), its lower triangle.

    jacobian (task, row, outputs) holds d row / d (hypernetwork output). Back-propagating its rows gives
    D_l, and K = sum over layers of (a_l(i) . a_l(j) + 1) (D_l D_l^T), a_l(i) being layer l's input for task i.
    """
    tasks, rows, _ = jacobian.shape
    inputs, slopes = hypernetwork.linearise(embedding)
    layers = [*hypernetwork.layers, hypernetwork.head]
    down = jacobian
    total: Tensor | None = None
    for level in reversed(range(len(layers))):
        flat = down.reshape(tasks * rows, -1)
        part = lower_gram(flat).view(tasks, rows, tasks, rows)
        part.mul_((inputs[level] @ inputs[level].T + 1)[:, None, :, None])
        total = part if total is None else total.add_(part)
        if level:
            down = (down @ layers[level].weight.detach()) * slopes[level - 1].unsqueeze(1)
    return total.view(tasks * rows, tasks * rows)


@dataclass
class GaussNewton:
    """Damped Gauss-Newton steps for all weights of a hypernetwork; `rows` bounds the memory of a step.

    `momentum` is SPRING's: the step solves for the residual that momentum times the previous step leaves.
    """

    hypernetwork: Hypernetwork
    damping: float = 1e-2
    rows: int = 4000
    momentum: float = 0.0
    _damping: Tensor = field(init=False)
    _previous: list[Tensor] | None = field(init=False, default=None)
    _rows: int | None = field(init=False, default=None)
    _workspace: Workspace = field(init=False, default_factory=Workspace)

    def __post_init__(self) -> None:
        parameter = next(self.hypernetwork.parameters())
        self._damping = torch.full((1,), self.damping, dtype=parameter.dtype, device=parameter.device)

    def step(self, embedding: Tensor, objective: Residuals) -> Terms:
        """One step on the rows of `objective` for the tasks embedded as (task, inputs); returns losses (task,)."""
        with torch.no_grad():
            theta = self.hypernetwork(embedding)
        self._check(len(theta), objective, theta)
        losses, r, jacobian, frozen = objective.linearise(theta, self._workspace)
        tasks, rows, _ = jacobian.shape
        scale = tasks**-0.5
        flat, jacobian = r.flatten() * scale, jacobian.mul_(scale)
        before = flat.square().sum().view(1)
        right, carried = self._carry(embedding, flat, jacobian)
        gram = kernel(self.hypernetwork, embedding, jacobian)
        z = self._solve(gram, right)
        predicted = before - (self._damping * z).square().sum().view(1)
        pull = (jacobian.mT @ z.view(tasks, rows, 1)).squeeze(-1)
        move = self._pull_back(embedding, pull, carried)
        with torch.no_grad():
            old = [p.clone() for p in self.hypernetwork.parameters()]
            for p, m in zip(self.hypernetwork.parameters(), move, strict=True):
                p.add_(m)
            after = frozen.total(self.hypernetwork(embedding)).mean().view(1)
            self._damping, accepted = adapt(self._damping, before, after, predicted)
            for p, o in zip(self.hypernetwork.parameters(), old, strict=True):
                p.copy_(torch.where(accepted, p, o))
            if self.momentum:
                self._previous = [torch.where(accepted, m, 0.0) for m in move]
        return losses

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

    def _carry(self, embedding: Tensor, r: Tensor, jacobian: Tensor) -> tuple[Tensor, list[Tensor] | None]:
        """The residual that is left after momentum times the previous step, in the linear model."""
        if not self.momentum or self._previous is None:
            return r, None
        carried = [self.momentum * part for part in self._previous]
        named = dict(zip(dict(self.hypernetwork.named_parameters()), carried, strict=True))
        primal = {name: p.detach() for name, p in self.hypernetwork.named_parameters()}

        def outputs(parameters):
            return torch.func.functional_call(self.hypernetwork, parameters, (embedding,))

        _, tangent = torch.func.jvp(outputs, (primal,), (named,))
        return r + (jacobian @ tangent.unsqueeze(-1)).flatten(), carried

    def _solve(self, gram: Tensor, r: Tensor) -> Tensor:
        """(K + mu I)^-1 r; nan where the factorisation fails, which the damping rule rejects."""
        gram.diagonal().add_(self._damping)
        return solve_lower(gram, r)

    def _pull_back(self, embedding: Tensor, pull: Tensor, carried: list[Tensor] | None) -> list[Tensor]:
        """The step in the hypernetwork's weights, -J_w^T z, by one reverse pass (plus the momentum)."""
        with torch.enable_grad():
            outputs = self.hypernetwork(embedding)
            gradients = torch.autograd.grad((outputs * pull).sum(), list(self.hypernetwork.parameters()))
        if carried is None:
            return [-gradient for gradient in gradients]
        return [old - gradient for old, gradient in zip(carried, gradients, strict=True)]
