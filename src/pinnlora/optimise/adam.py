"""Adam with a schedule and a guard against blow-ups; for per-task parameters and for hypernetworks alike."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..objective import Objective, Terms


@dataclass(frozen=True)
class Schedule:
    """The learning rate over the steps: `cosine` (one cycle with a short warm-up), `steps`, or `constant`."""

    kind: str
    rate: float
    steps: int
    decay_start: int = 10_000
    decay_every: int = 5_000
    decay_factor: float = 0.1
    final_rate: float = 1e-7

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        if self.kind == "constant":
            return self.rate
        if self.kind == "steps":
            drops = 0 if step < self.decay_start else 1 + (step - self.decay_start) // self.decay_every
            return max(self.rate * self.decay_factor**drops, self.final_rate)
        warm = max(1, self.steps // 50)
        if step < warm:
            return self.rate * (step + 1) / warm
        return (
            self.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))
            + 1e-3 * self.rate
        )


@dataclass
class Adam:
    """torch's Adam on `parameters`; when the loss is not finite or leaps, return to the last good state at half rate.

    With `independent`, every task has parameters of its own and goes the way it would go alone.
    """

    parameters: list[Tensor]
    schedule: Schedule
    leap: float = 100.0
    check_every: int = 100
    independent: bool = False
    halvings: int = 0
    _optimiser: torch.optim.Adam = field(init=False)
    _good: list[Tensor] = field(init=False)
    _good_loss: float = field(init=False, default=math.inf)
    _count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        fused = all(p.is_cuda for p in self.parameters)
        self._optimiser = torch.optim.Adam(self.parameters, lr=self.schedule.rate, fused=fused or None)
        self._good = [p.detach().clone() for p in self.parameters]

    def step(self, theta: Tensor, objective: Objective) -> Terms:
        """One step on the mean over tasks; theta (task, size) is a function of the parameters.

        Independent tasks are summed instead: a mean would make them small against Adam's epsilon.
        """
        for group in self._optimiser.param_groups:
            group["lr"] = self.schedule(self._count) * 0.5**self.halvings
        losses = objective.losses(theta)
        totals = torch.stack(list(losses.values())).sum(0)
        self._count += 1
        if self._count % self.check_every or self._sound(float(totals.detach().mean())):
            self._optimiser.zero_grad(set_to_none=True)
            (totals.sum() if self.independent else totals.mean()).backward()
            self._optimiser.step()
        return {name: value.detach() for name, value in losses.items()}

    def _sound(self, loss: float) -> bool:
        """Keep the parameters that have this loss, or return to those that were kept last (False)."""
        if math.isfinite(loss) and loss < self.leap * self._good_loss:
            self._good_loss = min(loss, self._good_loss)
            self._good = [p.detach().clone() for p in self.parameters]
            return True
        with torch.no_grad():
            for p, good in zip(self.parameters, self._good, strict=True):
                p.copy_(good)
        self._optimiser.state.clear()
        self.halvings += 1
        return False
