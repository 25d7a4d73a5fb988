"""What a stage's settings mean for learning from the equations: its points, its objective, where its tasks start."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.residuals import Residuals
from pinnlora.loss.sampler import Points, Sampler
from pinnlora.loss.terms import interior, physics
from pinnlora.nets.adapters import Parametrisation
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.train.settings import StageSettings


def sampler_of(problem: Problem, settings: StageSettings, draw: Draw, together: bool = False) -> Sampler:
    """The stage's points: fixed, new or adaptive; `together`: all tasks remember as one."""
    if not settings.resample:
        draw = draw.frozen(2)
    return Sampler(
        problem, draw, settings.points, settings.condition_points, settings.adaptive,
        settings.points_on == "grid", together,
    )  # fmt: skip


def held_out(problem: Problem, settings: StageSettings, draw: Draw, values: Values, count: int) -> Points:
    """A fixed set of points to validate at, evenly spread."""
    return Sampler(problem, draw.frozen(1), count, settings.condition_points).points(values)


def physics_of(
    problem: Problem,
    parametrisation: Parametrisation,
    values: Values,
    points: Points,
    settings: StageSettings,
    causal: float = 0.0,
) -> Residuals:
    """The stage's physics loss, without causal weights unless they are given."""
    return physics(
        problem, parametrisation, values, points.coords, points.importance,
        settings.condition_weight, causal, settings.residual_weight,
    )  # fmt: skip


def residual_size(
    problem: Problem, parametrisation: Parametrisation, values: Values, theta: Tensor, settings: StageSettings
) -> Callable[[Tensor], Tensor]:
    """From coords (task, point, dim) to the size of the weighted residuals of theta (task, size) there."""

    def size(coords: Tensor) -> Tensor:
        block = interior(
            problem, parametrisation.network, values, coords, residual_weight=settings.residual_weight
        )
        return block.size(parametrisation, theta)

    return size


def continuation_of(settings: StageSettings, origin: Values | None) -> dict[str, float | Tensor]:
    """Where the tasks' parameters start: numbers, or the values of T0, `origin` (1,) or (1, points)."""
    start = {}
    for name, first in settings.continuation.items():
        if first == "base" and (origin is None or name not in origin):
            known = "none is known here" if origin is None else f"it has {', '.join(origin)}"
            raise UserError(f"continuation: {{{name}: base}} needs the base task's {name}, but {known}")
        start[name] = origin[name] if first == "base" else first
    return start
