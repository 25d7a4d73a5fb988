"""Fits of single tasks, trained together: PINNs, fine-tuned networks and adapters, one leading task axis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pinnlora.loss.draw import Draw
from pinnlora.loss.residuals import Residuals
from pinnlora.loss.sampler import Points
from pinnlora.nets.adapters import Parametrisation
from pinnlora.optimise.damping import LOWEST
from pinnlora.optimise.first_order import FirstOrder, Schedule
from pinnlora.optimise.lbfgs import LBFGS
from pinnlora.optimise.levenberg_marquardt import LevenbergMarquardt
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.train.data import Monitor, TaskSet
from pinnlora.train.failures import Failures, task_name
from pinnlora.train.physics import Physics
from pinnlora.train.settings import StageSettings


def schedule(settings: StageSettings, steps: int) -> Schedule:
    """The learning-rate schedule a stage asks for."""
    return Schedule(
        settings.schedule,
        settings.learning_rate,
        steps,
        settings.decay_start,
        settings.decay_every,
        settings.decay_factor,
        settings.final_rate,
    )


@dataclass
class TaskFits:
    """The learner of per-task stages: theta (task, size) from physics alone; `origin` is T0, for continuation."""

    problem: Problem
    parametrisation: Parametrisation
    tasks: TaskSet
    theta: Tensor
    settings: StageSettings
    draw: Draw
    monitor: Monitor | None = None
    origin: Values | None = None
    steps: int = field(init=False)
    seconds: float = field(init=False)
    active: Tensor = field(init=False)
    best: Tensor = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.theta = self.theta.detach().clone()
        self.best = self.theta.clone()
        self.active = torch.arange(len(self.tasks), device=self.theta.device)
        self.steps, self.seconds = settings.steps, settings.seconds
        if settings.optimiser == "levenberg_marquardt":
            self._marquardt = LevenbergMarquardt(
                len(self.tasks), settings.damping, lowest=settings.damping if settings.chain else LOWEST,
                relaxation=settings.relaxation, memory=1e6 * settings.jacobian, floor=settings.damping_floor,
            )  # fmt: skip
        else:
            self.theta.requires_grad_()
            method = settings.optimiser.removesuffix("+lbfgs")
            self._adam = FirstOrder(
                [self.theta], schedule(settings, settings.steps), method, independent=True
            )
        self._lbfgs: LBFGS | None = None
        self._failures, self._sound = Failures(), torch.zeros_like(self.active, dtype=torch.bool)
        self._physics = Physics(self.problem, self.parametrisation, settings, self.draw, self.origin)
        self._held_out = self._physics.held_out(self.tasks.values, settings.points)
        self._points = Points({})  # none yet

    def step(self, step: int) -> dict[str, Tensor]:
        """One step of the stage's optimiser for all active tasks."""
        self._refresh(step)
        if self.settings.balance:
            some = self.active[:8]
            values = {name: value[some] for name, value in self._values(step).items()}
            self._physics.renew(values, self._points.take(some), self.theta[some], self._at(step))
        if self.settings.optimiser == "levenberg_marquardt":
            done = step / self.steps
            return self._marquardt.step(
                self.theta, lambda keep: self._objective(keep, step), self.active, done
            )
        objective = self._objective(self.active, step)
        if self._lbfgs is None:
            moving = self._physics.moving(self._at(step))
            return self._adam.step(self.theta[self.active], objective, self.active, step, moving)
        moved, after = self._lbfgs.step(self.theta.detach()[self.active], objective.total)
        with torch.no_grad():
            self.theta[self.active] = moved
        return {"total": after}

    def _refresh(self, step: int) -> None:
        """Draw points when it is time; L-BFGS keeps one set, because its history is of one function."""
        every = self.settings.resample
        if self._points.coords and (self._lbfgs is not None or not every or step % every):
            return
        self._points = self._physics.points(self._values(step), self.theta.detach(), self._at(step))

    def _at(self, step: int) -> int:
        """The step as horizon and balance count it: for L-BFGS both have come to their end."""
        return step if self._lbfgs is None else self.settings.steps

    def settled(self, step: int) -> bool:
        """Whether the whole problem is minimised by now."""
        return self._physics.settled(self._at(step))

    def _values(self, step: int) -> Values:
        return self.tasks.values if self._lbfgs else self._physics.ease(self.tasks.values, step)

    def _objective(self, keep: Tensor, step: int) -> Residuals:
        values = {name: value[keep] for name, value in self._values(step).items()}
        return self._physics.loss(values, self._points.take(keep), self.settings.causal)

    @torch.no_grad()
    def validate(self) -> Tensor:
        """The physics loss at held-out points, (task,), without causal or adaptive weights."""
        out = []
        for keep in torch.arange(len(self.tasks), device=self.theta.device).split(8):
            values = {name: value[keep] for name, value in self.tasks.values.items()}
            objective = self._physics.loss(values, self._held_out.take(keep))
            out.append(objective.total(self.theta[keep]))
        return torch.nan_to_num(torch.cat(out), nan=torch.inf, posinf=torch.inf)

    def keep(self, better: Tensor) -> None:
        """Store the better tasks' numbers."""
        with torch.no_grad():
            self.best = torch.where(better.unsqueeze(-1), self.theta.detach(), self.best)

    def turn_back(self, astray: Tensor) -> None:
        """Nothing: steps of second order that make it worse are not taken, and others are guarded task by task."""

    def drop(self, finished: Tensor) -> bool:
        """Take finished tasks out of the batch."""
        going = torch.arange(len(self.tasks), device=self.theta.device)[~finished]
        if self._lbfgs is not None:
            self._lbfgs.keep(torch.isin(self.active, going))
        self.active = going
        return len(self.active) == 0

    def next_phase(self) -> bool:
        """L-BFGS after Adam, for all tasks, on one last set of points."""
        if self.settings.optimiser != "adam+lbfgs" or self._lbfgs is not None:
            return False
        self._lbfgs, self._points = LBFGS(), Points({})
        self.steps = self.settings.lbfgs_steps
        self.active = torch.arange(len(self.tasks), device=self.theta.device)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step changes, for a checkpoint."""
        marquardt = self.settings.optimiser == "levenberg_marquardt"
        return {
            "theta": self.theta, "best": self.best, "active": self.active,
            "points": vars(self._points),
            "physics": self._physics.state_dict(), "sound": self._sound, "told": self._failures.told,
            "optimiser": (self._marquardt if marquardt else self._adam).state_dict(),
            "lbfgs": None if self._lbfgs is None else self._lbfgs.state_dict(),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back, into a learner with the same start."""
        device, points = self.theta.device, state["points"]
        if self.settings.optimiser == "levenberg_marquardt":
            self._marquardt.load_state_dict(state["optimiser"])
        else:
            self._adam.load_state_dict(state["optimiser"])
        if state["lbfgs"] is not None and self.next_phase() and self._lbfgs is not None:
            self._lbfgs.load_state_dict(state["lbfgs"], device)
        self.best, self.active = state["best"].to(device), state["active"].to(device)
        self._points = Points(**points).to(device)
        self._physics.load_state_dict(state["physics"])
        self._failures, self._sound = Failures(state["told"]), state["sound"].to(device)
        with torch.no_grad():
            self.theta.copy_(state["theta"])

    def look(self, losses: dict[str, Tensor], step: int) -> None:
        """Tell of tasks whose losses or gradients are not finite, and remember those that are sound."""
        if self.settings.optimiser == "levenberg_marquardt":
            finite = self._marquardt.sound[self.active]
        else:
            gradient = self._adam.gradient[self.active] if self._lbfgs is None else self._lbfgs.gradient
            finite = gradient.isfinite().all(-1)
        active = self.active
        sound = self._failures.look(
            losses, finite, step, lambda place: task_name(self.tasks.values, int(active[place]))
        )
        self._sound[active[sound]] = True

    def failed(self, best: Tensor) -> Tensor:
        """The tasks (task,) that never took a sound step, or whose `best` validation loss is not finite."""
        return ~(self._sound & best.isfinite())

    @property
    def why(self) -> str:
        """What is wrong with the first task that failed."""
        return self._failures.first

    def restore(self) -> None:
        """Every task's best numbers."""
        with torch.no_grad():
            self.theta.copy_(self.best)

    def error(self) -> float:
        """What the monitor says of the best state."""
        return float("nan") if self.monitor is None else self.monitor(self.best, self.parametrisation)
