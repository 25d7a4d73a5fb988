"""What conditions ask for, and what a network gives there."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pinnlora.problem.normal import derived
from pinnlora.problem.operators import operator
from pinnlora.problem.signature import BoundCondition, Values, lookup, parse, slope_along_normal


def prescribed(
    problem: Any,
    condition: BoundCondition,
    coords: Tensor,
    values: Values,
    jet: Tensor | None = None,
) -> dict[str, Any]:
    """What a condition's function returns at points (task, point, dim), by name; a row of its own vanishes."""
    find = lookup(problem, coords, values, jet, condition.channels, condition.faces)
    return condition.signature(problem, find)


def found_and_wanted(
    problem: Any, condition: BoundCondition, coords: Tensor, values: Values, jet: Tensor
) -> dict[str, tuple[Tensor, Tensor | float]]:
    """name -> (what the network gives (task, point), what it should be), from its jet (task, channel, point, unknown)
    of the condition's channels."""
    out: dict[str, tuple[Tensor, Tensor | float]] = {}
    for name, target in prescribed(problem, condition, coords, values, jet).items():
        if name in condition.targets:
            number, order = parse(problem, name)
            out[name] = jet[:, condition.channels.position(order), :, number], target
        elif (slope := derived(problem, name)) is not None:
            where = coords, values, jet, condition.channels, condition.faces
            out[name] = slope_along_normal(problem, slope, *where), target
        else:
            out[name] = target, 0.0
    return out


def is_unknown(problem: Any, name: str) -> bool:
    """Whether an argument of a condition is a field, a derivative, one along the normal or an operator in space: what a
    network gives."""
    try:
        parse(problem, name)
    except KeyError:
        return operator(problem, name) is not None or derived(problem, name) is not None
    return True
