"""Least-squares objectives: named residual rows of a network's output, their mean squares and their Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.mlp import Tape
from pinnlora.problem.channels import Channels

Terms = dict[str, Tensor]


@dataclass
class Workspace:
    """Memory that is used again: a fresh Jacobian every step would cost more in page faults than its arithmetic."""

    _flat: Tensor | None = None

    def take(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """An uninitialised tensor of this shape, valid until the next call."""
        size = math.prod(shape)
        if self._flat is None or self._flat.numel() < size:
            self._flat = like.new_empty(size)
        return self._flat[:size].view(shape)


@dataclass(frozen=True)
class Block:
    """Residual rows that share points and channels.

    coords is (task or 1, point, dim); `terms` maps the output jet (task, channel, point, field) to named
    residuals (task, row); `weight` is what each squared row counts: a number, a tensor (task, row), or a
    function of (jet, terms) that is evaluated without gradient. With `sides` = 2 a row reads two points,
    row i the points i and i + rows (periodicity). `again` has the same rows by an independent estimate: the loss
    is the product of the two, of which the mean is unbiased.
    """

    coords: Tensor
    channels: Channels
    terms: Callable[[Tensor], Terms]
    weight: float | Tensor | Callable[[Tensor, Terms], Tensor]
    sides: int = 1
    again: Block | None = None

    def frozen_weight(self, jet: Tensor, terms: Terms) -> float | Tensor:
        """The weight as numbers."""
        if not callable(self.weight):
            return self.weight
        with torch.no_grad():
            return self.weight(jet.detach(), {name: value.detach() for name, value in terms.items()})

    @torch.no_grad()
    def size(self, parametrisation: Parametrisation, theta: Tensor) -> Tensor:
        """Root of each point's weighted squares, all terms together: theta (task, size) -> (task, point)."""
        weights = parametrisation.weights(theta)
        jet = parametrisation.network.forward(weights, self.coords, self.channels)
        rows = self.terms(jet)
        squares = torch.stack([row.square() for row in rows.values()]).sum(0)
        return (self.frozen_weight(jet, rows) * squares).sqrt()


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
            if block.again is None:
                for name, row in terms.items():
                    if name in out:
                        raise UserError(f"two equations or conditions are called {name}: rename one of them")
                    out[name] = (weight * row**2).sum(-1)
                continue
            jet = self.parametrisation.network.forward(weights, block.coords, block.again.channels)
            for name, other in block.again.terms(jet).items():
                out[name] = _product(terms[name], other, weight)
        return out

    def total(self, theta: Tensor) -> Tensor:
        """The sum of all terms: (task, size) -> (task,)."""
        return torch.stack(list(self.losses(theta).values())).sum(0)

    def linearise(
        self, theta: Tensor, workspace: Workspace | None = None
    ) -> tuple[Terms, Tensor, Tensor, Residuals]:
        """Losses by term, weighted residuals (task, row), their Jacobian (task, row, size), and the objective
        with its weights frozen, for judging a step. The Jacobian lives in the workspace until the next call.

        One reverse pass a residual component, seeded with ones at all points, gives d row / d pre-activation
        of every map at once, because a row depends on its own points only.
        """
        theta = theta.detach()
        weights = self.parametrisation.weights(theta)
        losses, rows, sources, frozen = {}, [], [], []
        for block in self.blocks:
            tape = Tape([], [])
            with torch.enable_grad():
                jet = self.parametrisation.network.forward(weights, block.coords, block.channels, tape)
                terms = block.terms(jet)
                weight = block.frozen_weight(jet, terms)
                root = torch.as_tensor(weight, dtype=theta.dtype, device=theta.device).sqrt()
                for name, row in terms.items():
                    rows.append(root * row)
                    losses[name] = rows[-1].detach().square().sum(-1)
                    sources.append((tape, block.sides))
            frozen.append(replace(block, weight=weight))
        shape = (len(theta), sum(row.shape[1] for row in rows), theta.shape[1])
        jacobian, start = (workspace or Workspace()).take(shape, theta), 0
        for row, (tape, sides) in zip(rows, sources, strict=True):
            self._fill(jacobian[:, start : start + row.shape[1]], tape, row, theta, sides)
            start += row.shape[1]
        return losses, torch.cat(rows, 1).detach(), jacobian, replace(self, blocks=tuple(frozen))

    def _fill(self, out: Tensor, tape: Tape, row: Tensor, theta: Tensor, sides: int) -> None:
        """d row / d theta into `out` (task, row, size); the rows of a two-sided block read two points each."""
        seeds = torch.autograd.grad(row.sum(), tape.outputs, retain_graph=True, materialize_grads=True)
        count = row.shape[1]
        for side in range(sides):
            chosen = slice(side * count, (side + 1) * count)
            part = Tape([jet.detach()[:, :, chosen] for jet in tape.inputs], [])
            target = out if side == 0 else torch.empty_like(out)
            self.parametrisation.fill_jacobian(target, part, [dz[:, :, chosen] for dz in seeds], theta)
            if side:
                out.add_(target)

    @torch.no_grad()
    def count(self, theta: Tensor) -> int:
        """Residual rows a task."""
        weights = self.parametrisation.weights(theta)
        rows = 0
        for block in self.blocks:
            jet = self.parametrisation.network.forward(weights, block.coords, block.channels)
            rows += sum(row.shape[1] for row in block.terms(jet).values())
        return rows


def _product(row: Tensor, other: Tensor, weight: float | Tensor) -> Tensor:
    """The weighted sum of products of two estimates, (task,), as a gradient; as a number, which may not be negative,
    that of their mean squares."""
    product = weight * row * other
    shown = weight * (row.detach() ** 2 + other.detach() ** 2) / 2
    return (shown + (product - product.detach())).sum(-1)


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
