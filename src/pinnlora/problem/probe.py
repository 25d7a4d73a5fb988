"""Tasks, points and network outputs at which a problem's functions are tried before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pinnlora.problem.base import Problem
from pinnlora.problem.calls import rows_of
from pinnlora.problem.channels import Channels
from pinnlora.problem.domain.base import seeded
from pinnlora.problem.domain.sides import Face, Side
from pinnlora.problem.mismatch import prescribed
from pinnlora.problem.signature import BoundCondition, Values, lookup

TASKS, POINTS = 6, 40


@dataclass(frozen=True)
class Finding:
    """What was found out about a problem: a "note", a "warning" or an "error", in one line."""

    severity: str
    text: str


@dataclass(frozen=True)
class Probe:
    """A problem with some tasks of its family; everything is float64 and asks for gradients."""

    problem: Problem
    values: Values

    @classmethod
    def of(cls, problem: Problem) -> Probe:
        """With TASKS tasks, spread over the family."""
        sample = problem.task.spread(TASKS, np.random.default_rng(0))
        return cls(problem, {name: torch.as_tensor(value).requires_grad_() for name, value in sample.items()})

    def where(self, function: str) -> str:
        """Class and method, for messages."""
        return f"{type(self.problem).__name__}.{function}"

    def coords(self, *faces: Face | Side) -> Tensor:
        """Points (task, point, dim) in the domain, on a part of its boundary, or where a face meets another part."""
        domain = self.problem.coords
        values, unit = {name: value.detach() for name, value in self.values.items()}, seeded(domain, TASKS)
        sides = [part for part in faces if isinstance(part, Side)]
        if sides:
            coords = sides[0].place(domain, unit, POINTS, values)
        else:
            coords = domain.scale(domain.uniform(unit, POINTS, values))
        for face in faces:
            coords = face.project(coords) if isinstance(face, Face) else coords
        return coords.requires_grad_()

    def jet(self, channels: Channels) -> Tensor:
        """What a network might give, (task, channel, point, unknown): standard normal."""
        shape = (TASKS, len(channels), POINTS, len(self.problem.unknowns))
        generator = torch.Generator().manual_seed(1)
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    def residual(self, coords: Tensor, jet: Tensor, values: Values | None = None) -> dict[str, Tensor]:
        """The equations' rows (task, point); UserError for what is none."""
        signature = self.problem.residual_signature
        find = lookup(self.problem, coords, values or self.values, jet, signature.channels)
        return rows_of(
            self.where("residual"), lambda: signature(self.problem, find), (TASKS, POINTS), full=True
        )

    def targets(
        self,
        condition: BoundCondition,
        coords: Tensor,
        jet: Tensor | None = None,
        values: Values | None = None,
    ) -> dict[str, Tensor]:
        """The values (task, point) that a condition prescribes; `jet` has the condition's channels."""
        name = self.where(condition.signature.function.__name__)
        given = condition, coords, values or self.values, jet
        return rows_of(name, lambda: prescribed(self.problem, *given), (TASKS, POINTS), full=False)

    def example(self, coords: Tensor, chosen: Tensor) -> str:
        """The first chosen (task, point) in words: 'x=0.5, t=0, alpha=0.1'."""
        task, point = chosen.nonzero()[0].tolist()
        names = self.problem.coords.names
        at = {names[axis]: coords[task, point, axis].item() for axis in self.problem.coords.looked_at}
        at |= {name: value[task].item() for name, value in self.values.items() if value.ndim == 1}
        return ", ".join(f"{name}={value:.3g}" for name, value in at.items())

    def not_finite(self, where: str, rows: dict[str, Tensor], coords: Tensor, hint: str) -> list[Finding]:
        """An error for each row that holds NaN or infinite values."""
        found = []
        for name, row in rows.items():
            bad = ~torch.isfinite(row)
            if bad.any():
                place = self.example(coords, bad)
                found.append(Finding("error", f"{where}: {name!r} is NaN or infinite at {place}; {hint}"))
        return found
