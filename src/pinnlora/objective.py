"""Least-squares objectives: named residual rows of a network's output, their mean squares and their Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .jet import Channels
from .lora import Parametrisation
from .network import Tape

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Block:
    """Residual rows that share points and channels.

    coords is (task or 1, point, dim); `terms` maps the output jet (task, channel, point, field) to named
    residuals (task, row); `weight` is what each squared row counts: a number, a tensor (task, row), or a
    function of (jet, terms) that is evaluated without gradient. With `sides` = 2 a row reads two points,
    row i the points i and i + rows (periodicity).
    """

    coords: Tensor
    channels: Channels
    terms: Callable[[Tensor], Terms]
    weight: float | Tensor | Callable[[Tensor, Terms], Tensor]
    sides: int = 1

    def frozen_weight(self, jet: Tensor, terms: Terms) -> float | Tensor:
        """The weight as numbers."""
        if not callable(self.weight):
            return self.weight
        with torch.no_grad():
            return self.weight(jet.detach(), {name: value.detach() for name, value in terms.items()})

    def take(self, keep: Tensor) -> Block:
        """The same block for some of the tasks (indices)."""
        coords = self.coords if self.coords.shape[0] == 1 else self.coords[keep]
        weight = self.weight[keep] if isinstance(self.weight, Tensor) and self.weight.shape[0] > 1 else self.weight
        return replace(self, coords=coords, weight=weight)


@dataclass(frozen=True)
class Residuals:
    """The sum over blocks and terms of weighted squares, as a function of each task's trained numbers."""

    blocks: tuple[Block, ...]
    parametrisation: Parametrisation

    def losses(self, theta: Tensor) -> Terms:
        """Each term's weighted sum of squares: theta (task, size) -> name -> (task,)."""
        weights = self.parametrisation.weights(theta)
        out: Terms = {}
        for block in self.blocks:
            jet = self.parametrisation.network.forward(weights, block.coords, block.channels)
            terms = block.terms(jet)
            weight = block.frozen_weight(jet, terms)
            for name, row in terms.items():
                out[name] = (weight * row**2).sum(-1)
        return out

    def total(self, theta: Tensor) -> Tensor:
        """The sum of all terms: (task, size) -> (task,)."""
        return torch.stack(list(self.losses(theta).values())).sum(0)

    def linearise(self, theta: Tensor) -> tuple[Terms, Tensor, Tensor, Residuals]:
        """Losses by term, weighted residuals (task, row), their Jacobian (task, row, size), and the objective
        with its weights frozen, for judging a step.

        One reverse pass a residual component, seeded with ones at all points, gives d row / d pre-activation
        of every map at once, because a row depends on its own points only.
        """
        theta = theta.detach()
        weights = self.parametrisation.weights(theta)
        losses, residuals, jacobians, frozen = {}, [], [], []
        for block in self.blocks:
            tape = Tape([], [])
            with torch.enable_grad():
                jet = self.parametrisation.network.forward(weights, block.coords, block.channels, tape)
                terms = block.terms(jet)
            weight = block.frozen_weight(jet, terms)
            frozen.append(replace(block, weight=weight))
            for k, (name, row) in enumerate(terms.items()):
                last = k == len(terms) - 1
                root = torch.as_tensor(weight, dtype=theta.dtype, device=theta.device).sqrt().expand(row.shape)
                residuals.append(root * row.detach())
                losses[name] = residuals[-1].square().sum(-1)
                rows = self._rows(tape, row, theta, block.sides, retain=not last)
                jacobians.append(rows.mul_(root.unsqueeze(-1)))
        return losses, torch.cat(residuals, 1), torch.cat(jacobians, 1), replace(self, blocks=tuple(frozen))

    def _rows(self, tape: Tape, row: Tensor, theta: Tensor, sides: int, retain: bool) -> Tensor:
        seeds = torch.autograd.grad(row.sum(), tape.outputs, retain_graph=retain, materialize_grads=True)
        points = tape.outputs[0].shape[2]
        jacobian = theta.new_empty(theta.shape[0], points, theta.shape[1])
        tape = Tape([jet.detach() for jet in tape.inputs], [])
        self.parametrisation.fill_jacobian(jacobian, tape, list(seeds), theta)
        return jacobian if sides == 1 else jacobian[:, : points // 2] + jacobian[:, points // 2 :]

    def rows(self) -> int:
        """Upper bound on the residual rows a task: points times fields, for memory estimates."""
        return sum(block.coords.shape[1] * self.parametrisation.network.fields for block in self.blocks)


@dataclass(frozen=True)
class Regression:
    """Mean squared distance between the trained numbers and given ones, (task, size) (eq. 8)."""

    target: Tensor

    def losses(self, theta: Tensor) -> Terms:
        """name -> (task,)."""
        return {"weights": (theta - self.target).square().mean(-1)}

    def total(self, theta: Tensor) -> Tensor:
        """(task,)."""
        return self.losses(theta)["weights"]


Objective = Residuals | Regression
