"""Weights of the loss's terms from the traces of their tangent kernels (Wang, Yu & Perdikaris, J. Comput. Phys. 2022).

A term whose rows move ten times as much with the trained numbers is fitted a hundred times as fast: each term counts
with the inverse of the trace of J_k J_k^T, J_k being the Jacobian of its rows, so that all are fitted alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from pinnlora.loss.horizon import GROWING
from pinnlora.loss.residuals import Block, Residuals, Terms
from pinnlora.nets.mlp import Tape

RENEWALS, SMOOTH, LARGEST = 20, 0.7, 1e6
"""How often the weights are renewed before they stay, how much of their logarithms is kept each time, their bound."""
PROBES = 8
"""Estimates of a trace that are averaged: one alone is off by its own size where a task has few directions."""


def traces(residuals: Residuals, theta: Tensor, generator: torch.Generator) -> dict[str, float]:
    """tr(J_k J_k^T) of each term, as |J_k^T v|^2 with random signs v (Hutchinson's estimate), mean over PROBES of them
    and over tasks that have a finite one."""
    theta, network, found = theta.detach().requires_grad_(), residuals.parametrisation.network, {}
    with torch.enable_grad():
        weights = residuals.parametrisation.weights(theta)
        for block in residuals.blocks:
            jet = network.forward(weights, block.coords, block.channels, Tape([], []))
            terms = block.terms(jet)
            root = torch.as_tensor(block.frozen_weight(jet, terms)).sqrt()
            for name, row in terms.items():
                sizes = torch.stack(
                    [_squared_pull(root * row, theta, generator) for _ in range(PROBES)]
                ).mean(0)
                found[name] = float(sizes[sizes.isfinite()].mean().nan_to_num())
    return found


def _squared_pull(row: Tensor, theta: Tensor, generator: torch.Generator) -> Tensor:
    """|J^T v|^2 (task,) of a term's rows (task, row), v being random signs."""
    signs = torch.randint(0, 2, row.shape, generator=generator, device=row.device) * 2 - 1
    (pull,) = torch.autograd.grad((signs * row).sum(), theta, retain_graph=True)
    return pull.square().sum(-1)


@dataclass
class Balance:
    """Weights by term, renewed in the first part of the `steps` and fixed for the rest; none unless `wanted`."""

    wanted: bool
    steps: int
    generator: torch.Generator
    weights: dict[str, float] = field(default_factory=dict)
    _due: int = 0

    def renew(self, step: int, objective: Callable[[], Residuals], theta: Tensor) -> None:
        """When it is due, from the objective without these weights; the smallest weight is 1 at first."""
        every = max(1, int(GROWING * self.steps / RENEWALS))
        if not self.wanted or self.settled(step) or step < self._due:
            return
        self._due = step + every
        found = traces(objective(), theta, self.generator)
        largest = max(found.values())
        for name, trace in found.items():
            new = min(LARGEST, largest / trace) if trace > 0 else LARGEST
            old = self.weights.get(name, new)
            self.weights[name] = old**SMOOTH * new ** (1 - SMOOTH)

    def state_dict(self) -> dict[str, Any]:
        """The weights and when they are due, for a checkpoint."""
        return {"weights": self.weights, "due": self._due}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.weights, self._due = state["weights"], state["due"]

    def apply(self, objective: Residuals) -> Residuals:
        """The objective with its terms weighted."""
        if not self.weights:
            return objective
        return replace(objective, blocks=tuple(self._scaled(block) for block in objective.blocks))

    def _scaled(self, block: Block) -> Block:
        def terms(jet: Tensor) -> Terms:
            return {name: math.sqrt(self.weights[name]) * row for name, row in block.terms(jet).items()}

        again = None if block.again is None else self._scaled(block.again)
        return replace(block, terms=terms, again=again)

    def settled(self, step: int) -> bool:
        """Whether the weights change no more."""
        return not self.wanted or step >= GROWING * self.steps
