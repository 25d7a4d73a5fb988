"""What can be found out about a problem before training: its functions are called, counted and compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.agreement import agreeing_conditions
from pinnlora.problem.base import Problem
from pinnlora.problem.calls import guarded, rows_of, tensor_of
from pinnlora.problem.exact import exact_meets, exact_solves
from pinnlora.problem.mismatch import found_and_wanted, is_unknown
from pinnlora.problem.posed import enough_conditions
from pinnlora.problem.probe import POINTS, TASKS, Finding, Probe
from pinnlora.problem.signature import Values, lookup
from pinnlora.problem.solver import reference_fits


def verify_problem(problem: Problem) -> list[Finding]:
    """Everything that is found out without training, errors among it; nothing is raised."""
    checks = (
        _axes, _residual, _conditions, _weight, _observe, _embedding, _parameters, enough_conditions,
        agreeing_conditions, exact_solves, exact_meets, reference_fits,
    )  # fmt: skip
    found: dict[Finding, None] = {}
    for check in checks:
        try:
            of_it = guarded(type(problem).__name__, partial(_checked, check, problem))
            found |= dict.fromkeys(of_it)
        except UserError as error:
            found[Finding("error", str(error))] = None
    return list(found)


def _checked(check: Callable[[Probe], list[Finding]], problem: Problem) -> list[Finding]:
    return check(Probe.of(problem))


def _axes(probe: Probe) -> list[Finding]:
    """A grid with an axis for each coordinate, inside the domain."""
    problem, where = probe.problem, probe.where("axes")
    axes = guarded(where, problem.axes)
    if problem.coords.vectors:
        return [Finding("note", f"{where}: {len(axes['point'])} random points in place of a grid")]
    if not isinstance(axes, dict) or tuple(axes) != problem.coords.names:
        raise UserError(f"{where}: expected a dict of arrays for {', '.join(problem.coords.names)}")
    for (name, axis), low, high in zip(axes.items(), problem.coords.low, problem.coords.high, strict=True):
        axis = np.asarray(axis, dtype=float)
        if axis.ndim != 1 or not len(axis) or not ((axis >= low) & (axis <= high)).all():
            raise UserError(f"{where}: {name} should be numbers (points,) within [{low:g}, {high:g}]")
    return [
        Finding("note", f"{where}: " + " x ".join(f"{len(axis)} in {name}" for name, axis in axes.items()))
    ]


def _residual(probe: Probe) -> list[Finding]:
    """Rows of the right shape, finite, that depend on the unknowns."""
    coords, jet = probe.coords(), probe.jet(probe.problem.residual_signature.channels)
    rows, where, found = probe.residual(coords, jet), probe.where("residual"), []
    for name, row in rows.items():
        if not (row.requires_grad and _depends(row, jet)):
            text = "does not depend on any field; ask for what it is about, such as u or u_x"
            found.append(Finding("error", f"{where}: {name!r} {text}"))
    of_conditions = {
        f"{c.name}_{target}" for c in probe.problem.bound_conditions for target in (*c.targets, *c.rows)
    }
    for name in rows.keys() & of_conditions:
        found.append(
            Finding("error", f"{where}: {name!r} is what a condition's loss is called; name it otherwise")
        )
    unknowns = probe.problem.unknowns
    if len(rows) < len(unknowns):
        text = f"{', '.join(rows)} alone for {', '.join(unknowns)}: fewer equations than unknowns; is one missing?"
        found.append(Finding("warning", f"{where}: {text}"))
    return found + _finite(probe, where, coords, rows, probe.residual(coords, jet.abs()))


def _finite(
    probe: Probe, where: str, coords: Tensor, rows: dict[str, Tensor], positive: dict[str, Tensor]
) -> list[Finding]:
    """An error where rows of a network's positive values are not finite, a warning where those of any sign are not."""
    broken = probe.not_finite(where, positive, coords, "mend the formula there")
    if broken:
        return broken
    hint = "write it for fields and derivatives of any sign, for a network may give any"
    return [Finding("warning", f.text) for f in probe.not_finite(where, rows, coords, hint)]


def _depends(row: Tensor, jet: Tensor) -> bool:
    (gradient,) = torch.autograd.grad(row.sum(), jet, retain_graph=True, allow_unused=True)
    return gradient is not None and bool(gradient.any())


def _conditions(probe: Probe) -> list[Finding]:
    """Finite values on every face, that are not made of what they are values of."""
    found = []
    for condition in probe.problem.bound_conditions:
        for face in condition.faces if condition.periodic is None else ():
            coords, jet = probe.coords(face), probe.jet(condition.channels)
            where = probe.where(condition.signature.function.__name__)
            positive = probe.targets(condition, coords, jet.abs())
            found += _finite(probe, where, coords, probe.targets(condition, coords, jet), positive)
            both = found_and_wanted(probe.problem, condition, coords, probe.values, jet)
            for name in (name for name in both if is_unknown(probe.problem, name)):
                if not _depends(both[name][0] - both[name][1], jet):
                    text = "cancels itself and asks for nothing"
                    hint = f"return what {name} is there, or by a name of its own what is to vanish"
                    found.append(Finding("error", f"{where}: {name!r} {text}; {hint}"))
    return found


def _weight(probe: Probe) -> list[Finding]:
    """A positive number a point."""
    signature, where = probe.problem.weight_signature, probe.where("weight")
    if signature is None:
        return []
    coords, jet = probe.coords(), probe.jet(signature.channels)
    find = lookup(probe.problem, coords, probe.values, jet, signature.channels)
    weight = tensor_of(where, guarded(where, lambda: signature(probe.problem, find)), (TASKS, POINTS))
    good = torch.isfinite(weight) & (weight > 0)
    if good.all():
        return []
    raise UserError(f"{where}: not above 0 at {probe.example(coords, ~good)}; it multiplies squares")


def _observe(probe: Probe) -> list[Finding]:
    """Each field, finite, made of the potentials."""
    signature, where = probe.problem.observe_signature, probe.where("observe")
    if signature is None:
        return []
    coords, jet = probe.coords(), probe.jet(signature.channels)
    rows = _observed(probe, coords, jet, probe.values)
    if set(rows) != set(probe.problem.fields):
        raise UserError(
            f"{where}: returns {', '.join(map(str, rows))}; expected a dict of {', '.join(probe.problem.fields)}"
        )
    return _finite(probe, where, coords, rows, _observed(probe, coords, jet.abs(), probe.values))


def _observed(probe: Probe, coords: Tensor, jet: Tensor, values: Values) -> dict[str, Tensor]:
    """What `observe` makes of the potentials' jet, (task, point) each; nothing where there is none."""
    signature = probe.problem.observe_signature
    if signature is None:
        return {}
    find = lookup(probe.problem, coords, values, jet, signature.channels)
    return rows_of(
        probe.where("observe"), lambda: signature(probe.problem, find), (TASKS, POINTS), full=False
    )


def _embedding(probe: Probe) -> list[Finding]:
    """What a hypernetwork reads: finite numbers."""
    where = probe.where("embed")
    found = guarded(where, lambda: probe.problem.embed(probe.values))
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != TASKS or not found.isfinite().all():
        raise UserError(f"{where}: expected a tensor (task, size) of finite numbers that tell tasks apart")
    return []


def _parameters(probe: Probe) -> list[Finding]:
    """A warning for each task parameter without effect: each is replaced by other tasks' values in turn."""
    problem = probe.problem

    def effects(values: Values) -> list[Tensor]:
        jet = probe.jet(problem.residual_signature.channels)
        out = [*probe.residual(probe.coords(), jet, values).values()]
        for condition in problem.bound_conditions:
            for face in condition.faces if condition.periodic is None else ():
                targets = probe.targets(condition, probe.coords(face), probe.jet(condition.channels), values)
                out += targets.values()
        if problem.observe_signature is not None:
            jet = probe.jet(problem.observe_signature.channels)
            out += _observed(probe, probe.coords(), jet, values).values()
        return out

    before, found = effects(probe.values), []
    places = "residual(), observe() or any condition" if problem.potentials else "residual() or any condition"
    for name, value in probe.values.items():
        if name in problem.coords.asked():
            continue
        after = effects({**probe.values, name: value.roll(1, 0)})
        if all(torch.equal(one, other) for one, other in zip(before, after, strict=True)):
            words = f"has no effect on {places}; use it there, or take it out of the task"
            found.append(Finding("warning", f"{probe.where('task')}: parameter {name!r} {words}"))
    return found
