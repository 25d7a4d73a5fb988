"""The learner of hypernetwork stages: draws tasks, asks the mode for its objective, steps, validates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from pinnlora.loss.draw import Draw
from pinnlora.loss.residuals import Objective, Residuals
from pinnlora.loss.sampler import CANDIDATES, by_size, take
from pinnlora.loss.terms import supervised, weights
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.optimise.average import averaged
from pinnlora.optimise.first_order import FirstOrder
from pinnlora.optimise.gauss_newton import GaussNewton
from pinnlora.optimise.memory import Batch
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.train.checkpoint import numpy_from, numpy_state
from pinnlora.train.data import Monitor, Solutions, fresh_tasks, sent, task_set
from pinnlora.train.failures import Failures, task_name
from pinnlora.train.physics import Physics
from pinnlora.train.settings import StageSettings
from pinnlora.train.single import schedule
from pinnlora.train.supervision import of_references, of_teachers


@dataclass
class Hyperlearner:
    """What a hypernetwork stage trains with; `teachers` (task, size) of modes that learn from PINNs, `origin` is T0."""

    problem: Problem
    parametrisation: Parametrisation
    hypernetwork: Hypernetwork
    mode: str
    training: Solutions
    validation: Solutions
    settings: StageSettings
    draw: Draw
    random: np.random.Generator
    embed: Callable[[Values], Tensor]
    teachers: Tensor = field(default_factory=lambda: torch.empty(0))
    symmetry: bool = False
    monitor: Monitor | None = None
    origin: Values | None = None
    steps: int = field(init=False)
    seconds: float = field(init=False)

    def __post_init__(self) -> None:
        self.steps, self.seconds = (settings := self.settings).steps, settings.seconds
        self._state = [p.detach().clone() for p in self.hypernetwork.parameters()]
        self._newton: GaussNewton | None = None
        self._batch = Batch(settings.tasks_per_step)
        if settings.optimiser == "gauss_newton":
            bounds = settings.damping, settings.rows, settings.momentum, settings.relaxation
            self._newton = GaussNewton(self.hypernetwork, *bounds, settings.damping_floor)
        else:
            rule = schedule(settings, settings.steps), settings.optimiser, settings.clip, settings.normalise
            self._first_order = FirstOrder(list(self.hypernetwork.parameters()), *rule)
        self._average = averaged(self.hypernetwork, settings.average) if settings.average else None
        self._failures, self._sound = Failures(), False
        self._counted: Tensor | None = None
        device, everything = self.draw.device, self.training.grid.shape[1]
        self._watched = torch.randperm(everything, generator=self.draw.generator, device=device)[:600]
        self._physics = Physics(
            self.problem, self.parametrisation, settings, self.draw, self.origin, together=True
        )
        self._held_out = self._physics.held_out(self.validation.tasks.values, max(200, 2 * settings.points))

    def step(self, step: int) -> dict[str, Tensor]:
        """Draw tasks and points, build the mode's objective, take one step; fewer tasks where memory ends."""
        return self._batch.step(lambda tasks: self._step(step, tasks), self.draw.device.type == "cuda")

    def _step(self, step: int, tasks: int) -> dict[str, Tensor]:
        self._latest = values, chosen = self._draw_tasks(step, tasks)
        embedding = self.embed(values)
        if self._newton is not None:
            here = self.hypernetwork.linearise(embedding)
            residuals = self._residuals(values, chosen, here.outputs, step)
            return self._newton.step(here, residuals, step / self.steps)
        theta = self.hypernetwork(embedding)
        if self.mode == "weights":
            objective: Objective = weights(self.teachers[chosen])
        else:
            objective = self._residuals(values, chosen, theta.detach(), step)
        halvings = int(self._first_order.halvings)
        losses = self._first_order.step(theta, objective, at=step, moving=self._moving(step))
        if self._average is not None:
            if int(self._first_order.halvings) > halvings:  # what blew up must not stay in the average
                self._average.n_averaged.zero_()
            self._average.update_parameters(self.hypernetwork)
        return losses

    @property
    def _judged(self) -> nn.Module:
        """What is validated and kept: the hypernetwork, or the average of what it has been."""
        return self.hypernetwork if self._average is None else self._average.module

    def look(self, losses: dict[str, Tensor], step: int) -> None:
        """Tell of tasks that were left out of the step, and remember whether one was not."""
        values, chosen = self._latest
        fresh = self.mode == "physics" and self.settings.fresh_tasks

        def name(place: int) -> str:
            shown = task_name(values, place, "training task")
            return shown if fresh else shown.replace(f"task {place}", f"task {int(chosen[place])}", 1)

        sound = (self._newton or self._first_order).sound
        self._sound |= bool(self._failures.look(losses, sound, step, name).any())

    def failed(self, best: Tensor) -> bool:
        """Whether no step ever had a sound task, or no validation loss was finite."""
        return not (self._sound and bool(best.isfinite()))

    @property
    def why(self) -> str:
        """What is wrong with the first task that failed."""
        return self._failures.first

    def settled(self, step: int) -> bool:
        """Whether the whole problem is minimised by now."""
        return self.mode != "physics" or self._physics.settled(step)

    def _moving(self, step: int) -> bool:
        return self.mode == "physics" and self._physics.moving(step)

    def _draw_tasks(self, step: int, count: int) -> tuple[Values, Tensor]:
        """A step's tasks: new ones (physics), or some of the training tasks, and their indices."""
        settings, training, draw = self.settings, self.training.tasks, self.draw
        if self.mode == "physics" and settings.fresh_tasks:
            sample = fresh_tasks(self.problem, count, self.random, settings.margin)
            tasks = task_set(self.problem, sample, self.symmetry, draw.device, draw.dtype)
            chosen = torch.arange(len(tasks), device=draw.device)
        else:
            chosen = sent(torch.from_numpy(self.random.permutation(len(training))[:count]), draw.device)
            tasks = training.take(chosen)
        if self.mode != "physics":
            return tasks.values, chosen
        return self._physics.ease(tasks.values, step), chosen

    def _residuals(self, values: Values, chosen: Tensor, current: Tensor, step: int) -> Residuals:
        settings = self.settings  # current (task, size) is what the hypernetwork says of the tasks
        if self.mode == "physics":
            points = self._physics.points(values, current, step)
            self._physics.renew(values, points, current, step)
            return self._physics.loss(values, points, settings.causal)
        count = settings.points * (CANDIDATES if settings.adaptive else 1)
        if self.mode == "distilled":
            coords, targets = of_teachers(
                self.problem, self.parametrisation, self.teachers[chosen], values, self.draw, count
            )
        else:
            coords, targets = of_references(self.training, chosen, self.draw, count)
        given = self.problem, self.parametrisation, values
        objective = supervised(*given, coords, targets, self.mode)
        if not settings.adaptive:
            return objective
        error = objective.blocks[0].size(self.parametrisation, current)
        wanted, importance = by_size(error, settings.points, self.draw.generator)
        return supervised(*given, take(coords, wanted), take(targets, wanted), self.mode, importance)

    @torch.no_grad()
    def validate(self) -> Tensor:
        """Error of the validation tasks, (1,), or their physics loss; what is not finite at first does not count."""
        theta = self._judged(self.embed(self.validation.tasks.values))
        if self.mode != "physics" and bool(self.validation.known.all()):
            loss = self.validation.error(theta, self.parametrisation, self._watched)
        else:
            loss = self._physics.loss(self.validation.tasks.values, self._held_out).total(theta)
        if self._counted is None:
            finite = loss.isfinite()
            self._counted = finite if bool(finite.any()) else ~finite
            for place in (~finite).nonzero()[:, 0].tolist():
                name = task_name(self.validation.tasks.values, place, "validation task")
                self._failures.tell(name, "its loss is not finite at the start; it does not count")
        return torch.nan_to_num(loss[self._counted].mean().view(1), nan=torch.inf, posinf=torch.inf)

    def keep(self, better: Tensor) -> None:
        """Store the hypernetwork's state when it is the best so far."""
        if bool(better):
            self._state = [p.detach().clone() for p in self._judged.parameters()]

    def turn_back(self, astray: Tensor) -> None:
        """The best state again, and first-order steps of half the length."""
        if self._newton is not None:
            return
        print("the validation loss has leapt: back to the best weights, at half the rate", flush=True)
        self.restore()
        self._first_order.begin_again()
        if self._average is not None:
            self._average.n_averaged.zero_()

    def drop(self, finished: Tensor) -> bool:
        """Stop when validation has not improved."""
        return bool(finished)

    def next_phase(self) -> bool:
        """There is one optimiser only."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step changes, for a checkpoint."""
        return {
            "weights": list(self.hypernetwork.parameters()), "best": self._state, "watched": self._watched,
            "physics": self._physics.state_dict(), "tasks": numpy_state(self.random),
            "optimiser": (self._newton or self._first_order).state_dict(),
            "batch": self._batch.tasks, "told": self._failures.told, "sound": self._sound, "counted": self._counted,
            "average": [] if self._average is None else list(self._average.state_dict().values()),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back, into a learner with the same start."""
        device = self.draw.device
        (self._newton or self._first_order).load_state_dict(state["optimiser"])
        self._state, self._watched = [part.to(device) for part in state["best"]], state["watched"].to(device)
        self._physics.load_state_dict(state["physics"])
        self.random = numpy_from(state["tasks"])
        self._failures, self._sound = Failures(state["told"]), state["sound"]
        self._counted, self._batch.tasks = state["counted"].to(device), state["batch"]
        if self._average is not None:
            names = self._average.state_dict()
            self._average.load_state_dict(dict(zip(names, state["average"], strict=True)))
        self._put(state["weights"])

    def restore(self) -> None:
        """The best state."""
        self._put(self._state)

    @torch.no_grad()
    def _put(self, weights: list[Tensor]) -> None:
        for p, kept in zip(self.hypernetwork.parameters(), weights, strict=True):
            p.copy_(kept)

    @torch.no_grad()
    def error(self) -> float:
        """What the monitor says of the best state so far, on its tasks."""
        if self.monitor is None:
            return float("nan")
        best = dict(zip(dict(self.hypernetwork.named_parameters()), self._state, strict=True))
        theta = functional_call(self.hypernetwork, best, (self.embed(self.monitor.solutions.tasks.values),))
        return self.monitor(theta, self.parametrisation)
