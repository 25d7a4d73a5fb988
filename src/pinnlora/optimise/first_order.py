"""Adam and SOAP with a schedule, clipping and a guard against blow-ups; for single tasks and hypernetworks alike."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.residuals import Objective, Terms
from pinnlora.optimise.soap import Soap

REMEMBERED = 100
"""How many steps the running median of the gradient's norm looks back."""


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
class FirstOrder:
    """torch's Adam or our SOAP (`method`) on `parameters`; when the loss is not finite or leaps, return to the last
    good state at half rate.

    With `independent`, the one parameter is (task, size), and every task goes the way it would go alone. `clip`
    bounds the gradient's norm to so many times its running median, and a gradient that is not finite moves nothing;
    `normalise` is the power p of each task's loss L in its weight L^-p, detached, of sum one. 0 is without.
    Without `independent`, tasks whose loss or gradient is not finite are left out of a step; `sound` (task,) are the
    others of the last one.
    """

    parameters: list[Tensor]
    schedule: Schedule
    method: str = "adam"
    clip: float = 0.0
    normalise: float = 0.0
    leap: float = 100.0
    check_every: int = 100
    independent: bool = False
    halvings: Tensor = field(init=False)
    sound: Tensor = field(init=False)
    _start: list[Tensor] = field(init=False)
    _optimiser: torch.optim.Optimizer = field(init=False)
    _good: list[Tensor] = field(init=False, default_factory=list)
    _good_loss: Tensor = field(init=False)
    _count: int = field(init=False, default=0)
    _shorter: float = field(init=False, default=1.0)
    _each: Tensor | None = field(init=False, default=None)
    _norms: deque[float] = field(init=False, default_factory=lambda: deque(maxlen=REMEMBERED))

    def __post_init__(self) -> None:
        if self.method not in ("adam", "soap"):
            raise UserError(
                f"optimiser: {self.method!r} is no method of first order, expected adam or soap; "
                "auto is replaced by what suits the problem before (train/budget.py)"
            )
        if self.method == "soap":
            self._optimiser = Soap(self.parameters, self.schedule.rate)
        else:
            fused = all(p.is_cuda for p in self.parameters)
            self._optimiser = torch.optim.Adam(self.parameters, lr=self.schedule.rate, fused=fused or None)
        first = self.parameters[0]
        self.sound = torch.ones(0, dtype=torch.bool, device=first.device)
        self._start = [p.detach().clone() for p in self.parameters]
        entries = len(first) if self.independent else 1
        self.halvings = torch.zeros(entries, dtype=torch.int64, device=first.device)
        self._good_loss = first.new_full((entries,), math.inf).detach()

    def step(
        self,
        theta: Tensor,
        objective: Objective,
        rows: Tensor | None = None,
        at: int | None = None,
        moving: bool = False,
    ) -> Terms:
        """One step on the weighted mean over tasks; theta (task, size) is a function of the parameters.

        Independent tasks are summed instead: a mean would make them small against Adam's epsilon. `rows` says
        which of them theta holds; `at` is the schedule's step, by default the number of steps taken. While what is
        minimised is `moving`, a leap is one from check to check: its loss may grow because the task gets harder.
        """
        losses = objective.losses(theta)
        totals = torch.stack(list(losses.values())).sum(0)
        self._count += 1
        self._optimiser.zero_grad(set_to_none=True)
        known = totals.detach()  # a hook that holds `totals` keeps its graph, and that the hook
        if not self.independent and theta.requires_grad:
            theta.register_hook(lambda gradient: self._without_broken(gradient, known))
        (totals.sum() if self.independent else (self._weights(known) * totals).sum()).backward()
        broken = None
        if self._count % self.check_every == 0:
            broken = self._return(self._judged(known), rows, moving)
        if broken is not None and self.independent:
            self.gradient[broken] = 0.0
        if (broken is None or self.independent) and self._clipped():
            self._move(self._count - 1 if at is None else at)
        return {name: value.detach() for name, value in losses.items()}

    @property
    def gradient(self) -> Tensor:
        """Of the first parameter, in the last step."""
        gradient = self.parameters[0].grad
        return torch.zeros_like(self.parameters[0]) if gradient is None else gradient

    def _weights(self, totals: Tensor) -> Tensor:
        """Each task's share (task,) in the loss; none of a loss that is not finite."""
        weights = totals.clamp_min(torch.finfo(totals.dtype).tiny) ** -self.normalise
        weights = torch.where(totals.isfinite(), weights, 0.0)
        return weights / weights.sum()

    def _without_broken(self, gradient: Tensor, totals: Tensor) -> Tensor:
        """d loss / d theta (task, size) with zeros for tasks that are not sound, unless there is no other."""
        self.sound = gradient.isfinite().all(-1) & totals.isfinite()
        return torch.where((self.sound | ~self.sound.any()).unsqueeze(-1), gradient, 0.0)

    def _judged(self, totals: Tensor) -> Tensor:
        """The losses that the guard looks at: each task's, or the mean of those that are finite."""
        if self.independent:
            return totals
        finite = totals[totals.isfinite()]
        return (finite if len(finite) else totals).mean().view(1)

    def _clipped(self) -> bool:
        """Shorten a gradient that is much longer than usual; false for one that is not finite."""
        if not self.clip:
            return True
        usual = self.clip * median(self._norms) if len(self._norms) >= 10 else math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, usual))
        if not math.isfinite(norm):
            return False
        self._norms.append(norm)
        return True

    def _move(self, at: int) -> None:
        """The optimiser's step, shorter for what has been rolled back."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.schedule(at) * self._shorter
        if self._each is None:
            self._optimiser.step()
            return
        (p,) = self.parameters
        before = p.detach().clone()
        self._optimiser.step()
        with torch.no_grad():
            p.copy_(torch.lerp(before, p, self._each))

    def begin_again(self) -> None:
        """From the parameters as they are now, at half the rate and without memory of the way to here."""
        self._start = [p.detach().clone() for p in self.parameters]
        self._optimiser.state.clear()
        self._norms.clear()
        self._good, self._good_loss = [], torch.full_like(self._good_loss, math.inf)
        self.halvings += 1
        self._shorten()

    def _state(self) -> list[Tensor]:
        """The parameters and all that the optimiser remembers of them, which for tasks is of their shape; by name, as a
        checkpoint gives it back in another order."""
        held = [sorted(self._optimiser.state[p].items()) for p in self.parameters]
        memory = [v for items in held for _, v in items if torch.is_tensor(v) and v.ndim]
        return [*(p.detach() for p in self.parameters), *memory]

    def _return(self, losses: Tensor, rows: Tensor | None, moving: bool) -> Tensor | None:
        """Keep the entries that have a sound loss, return the others to what was kept last; the indices of these."""
        if not self._optimiser.state:
            return None
        state = self._state()
        if not self._good:
            self._good = [part.clone() for part in self._start]
            self._good += [torch.zeros_like(part) for part in state[len(self._start) :]]
        entries = torch.arange(len(self.halvings), device=losses.device) if rows is None else rows
        sound = losses.isfinite() & (losses < self.leap * self._good_loss[entries])
        well, broken = entries[sound], entries[~sound]
        least = losses[sound] if moving else torch.minimum(self._good_loss[well], losses[sound])
        self._good_loss[well] = least
        for live, good in zip(state, self._good, strict=True):
            if self.independent:
                good[well], live[broken] = live[well], good[broken]
            else:
                (good if len(well) else live).copy_(live if len(well) else good)
        if not len(broken):
            return None
        if not self.independent and self._good_loss.isinf().all():
            self._optimiser.state.clear()  # back to the very start
        self.halvings[broken] += 1
        self._shorten()
        return broken

    def _shorten(self) -> None:
        """Halve the rate once for each return, of a task or of all."""
        if self.independent:
            self._each = (0.5**self.halvings).to(self.parameters[0].dtype).unsqueeze(-1)
        else:
            self._shorter = 0.5 ** int(self.halvings)

    def state_dict(self) -> dict[str, Any]:
        """What the optimiser and its guard remember, for a checkpoint; the parameters are their owner's."""
        return {
            "optimiser": self._optimiser.state_dict(), "good": self._good, "good_loss": self._good_loss,
            "halvings": self.halvings, "count": self._count, "norms": list(self._norms), "start": self._start,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back; the parameters are put back by their owner."""
        device, optimiser = self.halvings.device, state["optimiser"]
        remembered = {int(index): held for index, held in optimiser["state"].items()}  # keys of JSON are text
        self._optimiser.load_state_dict(optimiser | {"state": remembered})
        self._good, self._good_loss = (
            [part.to(device) for part in state["good"]],
            state["good_loss"].to(device),
        )
        self.halvings, self._count = state["halvings"].to(device), state["count"]
        self._norms.extend(state["norms"])
        self._start = [part.to(device) for part in state["start"]]
        if bool(self.halvings.any()):
            self._shorten()
