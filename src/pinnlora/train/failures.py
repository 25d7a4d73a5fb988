"""Tasks that cannot be trained: whose losses or gradients are not numbers is told, and remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from pinnlora.problem.signature import Values

MOST = 20
"""Tasks that are told of; of fresh ones there is no end."""


@dataclass
class Failures:
    """What was told, by the name of a task: each is told of once."""

    told: dict[str, str] = field(default_factory=dict)

    def look(
        self, losses: dict[str, Tensor], gradient: Tensor, step: int, name: Callable[[int], str]
    ) -> Tensor:
        """Which tasks of a step are sound, by its losses and whether its gradients are finite; all of these (task,)."""
        finite = {term: value.isfinite() for term, value in losses.items()}
        sound = gradient.clone()
        for value in finite.values():
            sound &= value
        for place in (~sound).nonzero()[:, 0].tolist():
            terms = [term for term, value in finite.items() if not bool(value[place])]
            what = f"the loss of {', '.join(terms)}" if terms else "the gradient"
            self.tell(name(place), f"{what} is not finite at step {step + 1}")
        return sound

    def tell(self, name: str, what: str) -> None:
        """Say what is wrong with a task, unless that was said."""
        if name not in self.told and len(self.told) < MOST:
            self.told[name] = f"{name}: {what}"
            print(self.told[name], flush=True)

    @property
    def first(self) -> str:
        """The first thing that was told."""
        return next(iter(self.told.values()), "its validation loss is never finite")


def task_name(values: Values, number: int, kind: str = "task") -> str:
    """Task `number` of values (task, ...), with its parameters that are numbers."""
    numbers = [f"{name} = {float(value[number]):.6g}" for name, value in values.items() if value.ndim == 1]
    return f"{kind} {number}" + (f" ({', '.join(numbers)})" if numbers else "")
