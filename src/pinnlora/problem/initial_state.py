"""Which fields at the end of time are a task again: what marching on needs to know of a problem."""

from __future__ import annotations

from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.base import Problem
from pinnlora.problem.domain.box import Box
from pinnlora.problem.domain.sides import Face
from pinnlora.problem.probe import Probe
from pinnlora.problem.signature import BoundCondition, lookup, parse, split

SAME = 1e-9
"""Up to which a field at the start is the function, relative to its size."""


def initial_states(problem: Problem) -> dict[str, str]:
    """Each function of the task that a condition at the start of t gives as a state -> that field, or derivative of
    one ("u_t"). Found out by trying the conditions on a few tasks.

    UserError where a state at the end of t is no task of the problem that began anew: no such function, more at the
    start than functions give, functions of less than all of space, or equations and conditions that depend on t.
    """
    box = problem.coords
    if not isinstance(box, Box) or box.vectors or box.time is None:
        raise _refused(problem, "its domain is no box with the coordinate t")
    start, end = Face(box.time, box.low[box.time]), Face(box.time, box.high[box.time])
    at_start = [condition for condition in problem.bound_conditions if start in condition.faces]
    _unmoved(problem, at_start, end)
    probe = Probe.of(problem)
    given, number = _given(probe, at_start, start)
    coords = probe.coords(start)
    found = {}
    for name in problem.task.functions:
        function = problem.function_values(name, probe.values[name], coords)
        for state, value in given.items():
            if bool((value - function).abs().max() <= SAME * function.abs().max()):
                found[name] = state
    if not found:
        expected = "gives a field as a function of the task, {'u': u0}"
        raise _refused(problem, f"no condition on {start.words(box)} {expected}")
    if len(found) < number:
        others = sorted({name for c in at_start for name in (*c.targets, *c.rows)} - set(found.values()))
        raise _refused(problem, f"its start prescribes {', '.join(others)} by something else than a function")
    asked = [
        problem.residual_signature,
        *(c.signature for c in problem.bound_conditions if c not in at_start),
        *filter(None, (problem.observe_signature,)),
    ]
    stems = {split(box.names, name)[0] for signature in asked for name in signature.names}
    for name in found:
        if name in stems:
            raise _refused(
                problem, f"its equations or ends hold {name}, which is another function in each window"
            )
        rest = [axis for axis in box.names if axis not in ("t", problem.task.functions[name].on)]
        if rest:
            raise _refused(
                problem, f"its state depends on {', '.join(rest)} too, of which {name} is no function"
            )
    return found


def _given(probe: Probe, conditions: list[BoundCondition], start: Face) -> tuple[dict[str, Tensor], int]:
    """What the start gives (task, point) by name, of potentials the fields they make; and how much it prescribes."""
    problem, coords = probe.problem, probe.coords(start)
    given: dict[str, Tensor] = {}
    for condition in conditions:
        found = probe.targets(condition, coords, probe.jet(condition.channels))
        given |= {name: value for name, value in found.items() if name in condition.targets}
    number = len(given) + sum(len(condition.rows) for condition in conditions)
    signature = problem.observe_signature
    if signature is None:
        return given, number
    jet = probe.jet(signature.channels).detach()
    for name, value in given.items():
        potential, order = parse(problem, name)
        if order in signature.channels.orders:
            jet[:, signature.channels.position(order), :, potential] = value.detach()
    return signature(problem, lookup(problem, coords, probe.values, jet, signature.channels)), number


def _unmoved(problem: Problem, at_start: list[BoundCondition], end: Face) -> None:
    """UserError for what makes a later start another problem."""
    if "t" in problem.residual_signature.names:
        raise _refused(problem, "its equations depend on t")
    if problem.observe_signature is not None and "t" in problem.observe_signature.names:
        raise _refused(problem, "what is observed depends on t")
    for condition in problem.bound_conditions:
        if end in condition.faces:
            raise _refused(
                problem, f"condition {condition.name} is on {end.words(problem.coords)}, the end of time"
            )
        if "t" in condition.signature.names and condition not in at_start:
            raise _refused(problem, f"condition {condition.name} depends on t")
    for name, function in problem.task.functions.items():
        if function.on == "t":
            raise _refused(problem, f"{name} is a function of t")


def _refused(problem: Problem, why: str) -> UserError:
    return UserError(f"{problem.name} cannot be marched: {why}")
