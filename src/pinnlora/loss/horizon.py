"""Growing time: points of a problem in time are drawn from a horizon that grows only over what is solved.

Where an equation multiplies an error of an early state, a small residual at late times says nothing before the early
ones are right (as causal weights do: Wang, Sankaran & Perdikaris 2024, but free of the residual's units).
"""

from __future__ import annotations

from pinnlora.problem.base import Problem
from pinnlora.problem.domain.base import Domain

FIRST, GROWING = 0.1, 0.35
"""The share of the interval at the start, and the share of the steps after which it is the whole."""


def time_axis(problem: Problem) -> int | None:
    """The axis of the coordinate t where conditions fix its low end and not its high end."""
    box = problem.coords
    if "t" not in box.names:
        return None
    axis = box.names.index("t")
    ends = {
        face.value for condition in problem.bound_conditions for face in condition.faces if face.axis == axis
    }
    return axis if ends == {box.low[axis]} else None


def grown(step: int, steps: int) -> float:
    """The share of the time interval that points are drawn from at a step, of `steps` in all."""
    return min(1.0, FIRST + (1 - FIRST) * step / (GROWING * steps))


def within(problem: Problem, share: float) -> Domain:
    """The domain up to a share of its time interval; all of it for problems that are not in time."""
    box, axis = problem.coords, time_axis(problem)
    if axis is None or share >= 1:
        return box
    return box.until(box.low[axis] + share * (box.high[axis] - box.low[axis]))
