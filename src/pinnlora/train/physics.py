"""Learning from the equations, as a stage's settings say: points, loss, and the tasks' way from easy ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.balance import Balance
from pinnlora.loss.draw import Draw
from pinnlora.loss.horizon import grown, within
from pinnlora.loss.residuals import Residuals
from pinnlora.loss.sampler import Points, Sampler
from pinnlora.loss.terms import interior, physics
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.derivatives.way import Derivatives
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import BoundCondition, Values
from pinnlora.train.settings import StageSettings
from pinnlora.train.setup import derivatives_of


@dataclass
class Physics:
    """What both kinds of learners share; `origin` is T0, `together` lets all tasks remember points as one."""

    problem: Problem
    parametrisation: Parametrisation
    settings: StageSettings
    draw: Draw
    origin: Values | None = None
    together: bool = False
    sampler: Sampler = field(init=False)
    balance: Balance = field(init=False)
    derivatives: Derivatives = field(init=False)
    start: dict[str, float | Tensor] = field(init=False)

    def __post_init__(self) -> None:
        settings, draw = self.settings, self.draw if self.settings.resample else self.draw.frozen(2)
        self.sampler = Sampler(
            self.problem, draw, settings.points, settings.condition_points, settings.adaptive,
            settings.points_on == "grid", self.together, self._left,
        )  # fmt: skip
        self.derivatives = derivatives_of(settings, self.parametrisation.network, self.draw.generator)
        self.balance = Balance(settings.balance, settings.steps, self.draw.generator)
        self.start = {name: self._first(name, first) for name, first in settings.continuation.items()}

    def state_dict(self) -> dict[str, Any]:
        """Random numbers to come, remembered points and weights, for a checkpoint."""
        random = self.draw.generator.get_state()
        return {"random": random, "remembered": self.sampler.remembered, "balance": self.balance.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them back."""
        remembered = state["remembered"]
        self.draw.generator.set_state(state["random"])
        self.sampler.remembered = None if remembered is None else remembered.to(self.draw.device)
        self.balance.load_state_dict(state["balance"])

    @property
    def _left(self) -> list[BoundCondition]:
        """The conditions in the loss."""
        return self.parametrisation.network.hard.left(self.problem)

    def _reached(self, step: int) -> float:
        """The share of the time interval that is trained on at a step."""
        return grown(step, self.settings.steps) if self.settings.horizon == "auto" else 1.0

    def settled(self, step: int) -> bool:
        """Whether the whole problem of the tasks themselves is minimised, with weights that stay, so that from then on
        states can be compared."""
        return not self.moving(step) and self.balance.settled(step)

    def moving(self, step: int) -> bool:
        """Whether what is minimised is still a part of the problem, or another task."""
        return self.eased(step) or self._reached(step) < 1

    def _first(self, name: str, first: float | str) -> float | Tensor:
        if not isinstance(first, str):
            return first
        if self.origin is None or name not in self.origin:
            known = "none is known here" if self.origin is None else f"it has {', '.join(self.origin)}"
            raise UserError(f"continuation: {{{name}: base}} needs the base task's {name}, but {known}")
        return self.origin[name]

    def eased(self, step: int) -> bool:
        """Whether a step's tasks are still on their way."""
        return bool(self.start) and step < self.settings.continuation_steps

    def ease(self, values: Values, step: int) -> Values:
        """The tasks on their way, after `step` steps."""
        return self.problem.ease(values, self.start, step / max(1, self.settings.continuation_steps))

    def points(self, values: Values, theta: Tensor, step: int) -> Points:
        """A step's points, within its horizon; adaptive ones lie where the residual of theta (task, size) is large."""
        network, weighted = self.parametrisation.network, self.settings.residual_weight

        def size(coords: Tensor) -> Tensor:
            block = interior(
                self.problem, network, values, coords, residual_weight=weighted, derivatives=self.derivatives
            )
            return block.size(self.parametrisation, theta)

        self.sampler.box = within(self.problem, self._reached(step))
        return self.sampler.points(values, size)

    def held_out(self, values: Values, count: int) -> Points:
        """A fixed set of points to validate at, evenly spread."""
        draw, each = self.draw.frozen(1), self.settings.condition_points
        points = Sampler(self.problem, draw, count, each, conditions=self._left).points(values)
        return replace(points, held_out=True)

    def renew(self, values: Values, points: Points, theta: Tensor, step: int) -> None:
        """Balance the terms anew when it is due, at theta (task, size) of the tasks `values`; without the weight of
        conditions, which comes on top."""
        self.balance.renew(step, lambda: self._plain(values, points, 0.0, 1.0), theta)

    def loss(self, values: Values, points: Points, causal: float = 0.0) -> Residuals:
        """The objective, without causal weights unless they are given."""
        return self.balance.apply(self._plain(values, points, causal, self.settings.condition_weight))

    def _plain(self, values: Values, points: Points, causal: float, condition_weight: float) -> Residuals:
        return physics(
            self.problem, self.parametrisation, values, points.coords, points.importance,
            condition_weight, causal, self.settings.residual_weight,
            self.derivatives.fixed() if points.held_out else self.derivatives,
        )  # fmt: skip
