"""From networks to a labelled dataset: fields or derivatives where they are asked for, and how far to trust them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pinnlora.errors import UserError
from pinnlora.problem.base import Problem
from pinnlora.query.calibration import LEVEL, described
from pinnlora.query.derivatives import read_order, task_directions
from pinnlora.query.networks import Networks
from pinnlora.query.places import Places, in_domain, places_of
from pinnlora.query.refine import Refined
from pinnlora.query.trust import Trust, error_map, trust

DESCRIBED = {
    "residual_before": "the same residual before refinement",
    "mismatch_before": "the same mismatch before refinement",
    "estimated_error_before": "the same estimate before refinement",
    "refinement_steps": "Levenberg-Marquardt steps taken",
    "residual": "root mean square of the equations' residuals at fresh points",
    "mismatch": "root mean square of the conditions' mismatches at fresh points",
    "in_range": "whether the task lies in the range that was trained",
    "estimated_error": "estimated root mean square error over grid and fields",
    "estimated_error_low": f"lower end of the {LEVEL:.0%} interval of that error",
    "estimated_error_high": f"upper end of the {LEVEL:.0%} interval of that error; infinite: not known",
}


def predicted(
    networks: Networks,
    at: Mapping[str, Any] | xr.Dataset | None = None,
    fields: Sequence[str] | None = None,
    estimate: str = "auto",
) -> xr.Dataset:
    """Fields over `task` (left out for a task alone) and the dimensions of `at`, with what `trust` says of them;
    nan outside of the domain.

    at: see `places_of`. fields: names and derivatives, "u_x", "u_re". estimate: "residual", "refined" (which brings a
    map of the error too, estimated_error_u), "auto" for what the calibration prefers, "none" for fields alone.
    """
    problem = networks.problem
    names = _names(problem, fields)
    places = _places(networks, at, names)
    orders = [read_order(problem, name) for name in names]
    inside = in_domain(problem, places.points, networks.given)
    values = networks.fields(places.points, orders).cpu().numpy()
    _refuse_not_finite(networks, names, values if inside is True else np.where(inside[..., None], values, 0))
    values = values if inside is True else np.where(inside[..., None], values, np.nan)
    found = {
        name: _variable(networks, values[..., k], f"predicted {name}", places) for k, name in enumerate(names)
    }
    out = xr.Dataset(found, places.coords | _of_tasks(networks), {"problem": problem.name})
    if estimate == "none":
        return out
    known = trust(networks, estimate)
    add_trust(out, networks, known)
    if estimate == "refined":
        sizes = error_map(networks, places.points, known.moved)
        sizes = sizes if inside is True else np.where(inside[..., None], sizes, np.nan)
        for k, name in enumerate(problem.fields):
            text = f"estimated size of the error of {name}"
            out[f"estimated_error_{name}"] = _variable(networks, sizes[..., k], text, places)
    return out


def check_asked(
    networks: Networks, at: Mapping[str, Any] | xr.Dataset | None, fields: Sequence[str] | None
) -> None:
    """UserError, before anything is computed, for places or fields that `predicted` would refuse."""
    _places(networks, at, _names(networks.problem, fields))
    if inward := inward_of(networks.problem, fields):
        raise UserError(f"fields: no derivative in {inward[0]}: refined networks are of their tasks alone")


def _places(networks: Networks, at: Mapping[str, Any] | xr.Dataset | None, names: list[str]) -> Places:
    """As `places_of`; UserError for a dimension whose name is that of something else in the answer."""
    problem, found = networks.problem, places_of(networks.problem, at, len(networks))
    taken = {*names, *problem.task.names, *DESCRIBED, "refinement"}
    taken |= {f"estimated_error_{name}" for name in problem.fields}
    for name, function in problem.task.functions.items():
        own = f"{name}_{function.on}"
        if own in found.dims and found.shape[found.dims.index(own)] != len(function.grid):
            taken.add(own)
    if bad := [dim for dim in found.dims if dim in taken]:
        raise UserError(f"at: points along a dimension called {bad[0]!r}, a name of the answer: rename it")
    return found


def inward_of(problem: Problem, fields: Sequence[str] | None) -> list[str]:
    """Task parameters in which derivatives are asked for; UserError for what is no field or derivative."""
    asked = {name for text in _names(problem, fields) for name in read_order(problem, text)[1]}
    return sorted(asked & set(task_directions(problem)))


def _names(problem: Problem, fields: Sequence[str] | None) -> list[str]:
    """What is asked for; UserError for nothing, one thing twice, or what are no names."""
    if fields is None:
        return list(problem.fields)
    try:
        names = [str(name).strip() for name in (fields.split(",") if isinstance(fields, str) else fields)]
    except TypeError:
        raise UserError(f"fields = {repr(fields)[:60]}; expected names, such as ['u', 'u_x']") from None
    twice = next((name for name in names if names.count(name) > 1), None)
    if not names or twice:
        raise UserError(f"fields: {f'{twice} is asked for twice' if twice else 'none are asked for'}")
    return names


def _refuse_not_finite(networks: Networks, names: list[str], values: np.ndarray) -> None:
    """UserError where fields (task, point, name) overflow, as they do for tasks far away."""
    bad = ~np.isfinite(values).all(1)
    if bad.any():
        task, name = np.argwhere(bad)[0]
        given = {n: v[task] for n, v in networks.given.items() if np.ndim(v[task]) == 0}
        which = ", ".join(f"{n}={v:g}" for n, v in given.items()) or f"number {task}"
        raise UserError(
            f"the prediction of {names[name]} is not finite for {bad.any(1).sum()} of {len(bad)} tasks, first {which}: "
            "too far from what was trained"
        )


def _variable(networks: Networks, values: np.ndarray, long_name: str, places: Places) -> xr.Variable:
    """values (task, point) as a variable."""
    shaped, attributes = values.reshape(len(networks), *places.shape), {"long_name": long_name, "units": "1"}
    if networks.alone:
        return xr.Variable(places.dims, shaped[0], attributes)
    return xr.Variable(("task", *places.dims), shaped, attributes)


def add_numbers(out: xr.Dataset, networks: Networks, **named: np.ndarray) -> None:
    """Numbers (task,) by name, each with its description from DESCRIBED."""
    for name, values in named.items():
        attributes = {"long_name": DESCRIBED[name], "units": "1"}
        out[name] = ((), values[0], attributes) if networks.alone else ("task", values, attributes)


def add_trust(out: xr.Dataset, networks: Networks, found: Trust) -> None:
    """Residual, mismatch, in_range, and the estimated error with its interval, of each task."""
    add_numbers(
        out, networks, residual=found.scores.residual, mismatch=found.scores.mismatch,
        in_range=found.inside.astype(np.int8), estimated_error=found.estimate,
        estimated_error_low=found.low, estimated_error_high=found.high,
    )  # fmt: skip
    out.attrs["estimate"] = found.kind
    out.attrs["calibration"] = described(networks.calibration, "the error is not known", found.kind)


def _of_tasks(networks: Networks) -> dict[str, xr.Variable]:
    """The tasks' own parameters as coordinates; a function along a dimension of its own, named as in tasks.nc."""
    functions, out = networks.problem.task.functions, {}
    for name, values in networks.given.items():
        attributes = {"long_name": f"task parameter {name}", "units": "1"}
        own: list[str] = []
        if name in functions:
            own = [f"{name}_{functions[name].on}"]
            described = {"long_name": f"where {name} is given", "units": "1"}
            out[own[0]] = xr.Variable(own, functions[name].grid, described)
        dims, values = (own, values[0]) if networks.alone else (["task", *own], values)
        out[name] = xr.Variable(dims, values, attributes)
    return out


def refined_dataset(
    refined: Refined,
    at: Mapping[str, Any] | xr.Dataset | None = None,
    fields: Sequence[str] | None = None,
) -> xr.Dataset:
    """As `predicted`, of refined networks, beside what was known before, the steps, and how it ended."""
    networks, calibration = refined.networks, refined.networks.calibration
    out = predicted(networks, at, fields, "none")
    before = np.full(len(networks), np.nan)
    if calibration is not None:
        before = calibration.estimate("residual", refined.before.loss)
    add_trust(out, networks, trust(networks, "residual", refined.after))
    add_numbers(
        out, networks, residual_before=refined.before.residual, mismatch_before=refined.before.mismatch,
        estimated_error_before=before, refinement_steps=refined.steps,
    )  # fmt: skip
    ends = np.array(refined.ends)
    out["refinement"] = ((), ends[0], {"long_name": "how it ended"}) if networks.alone else (
        "task", ends, {"long_name": "how it ended"}
    )  # fmt: skip
    return out
