"""Beyond the time that was trained: the state at its end is the task of the next window.

Every window is a prediction of its own, with its own estimated error. An error of a window's start goes on as the
equation has it; the accumulated error, the sum of the windows' estimates, takes it as neither amplified nor damped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pinnlora.errors import UserError
from pinnlora.problem.base import EDGE, Problem
from pinnlora.problem.distributions import reals
from pinnlora.problem.initial_state import initial_states
from pinnlora.query.derivatives import read_order
from pinnlora.query.networks import Networks
from pinnlora.query.places import coordinates_of
from pinnlora.query.predict import inward_of, predicted

MOST = 10_000
"""Windows: more are no plan."""
DESCRIBED = {
    "window": "where a window begins, in t",
    "accumulated_error": "sum of the estimated errors of the windows so far",
    "accumulated_error_high": "sum of the upper ends of their intervals; infinite: not known",
}


def marched(
    networks_of: Callable[..., Networks],
    task: Mapping[str, Any],
    until: float,
    at: Mapping[str, Any] | xr.Dataset | None = None,
    times: Sequence[float] | None = None,
    fields: Sequence[str] | None = None,
    estimate: str = "auto",
) -> xr.Dataset:
    """Predictions of window after window, as one: fields over all of time, and over `window` what `predicted` says of
    each; `networks_of` gives those of tasks by name.

    `at` as in `predicted`, its t up to `until`; or `times` on the evaluation grid's other coordinates. UserError where
    a problem cannot be marched (`initial_states`), for times outside, and for derivatives in the task, which the states
    that later windows start from would have too.
    """
    networks = networks_of(**task)
    problem = networks.problem
    states, (first, last) = initial_states(problem), problem.coords.boxes()["t"]
    length, count = last - first, _windows(until, first, last)
    where = _places(problem, at, _times(problem, until, count) if times is None else times, until)
    if at is not None and times is not None:
        raise UserError("march: at and times are both given; expected one of them")
    if count > 1 and (inward := inward_of(problem, fields)):
        raise UserError(
            f"march: no derivative in {inward[0]}: later windows start from states that depend on it"
        )
    along, asked = str(where["t"].dims[0]), where["t"].values
    window = np.clip(np.ceil((asked - first) / length - EDGE) - 1, 0, count - 1).astype(int)
    parts: list[xr.Dataset] = []
    for k in range(count):
        here = np.flatnonzero(window == k)
        local = where.isel({along: here}).assign(
            {"t": (along, np.clip(asked[here] - k * length, first, last))}
        )
        try:
            if k:
                task = {**task, **_next_states(networks, states, parts[-1])}
                networks = networks_of(**task)
            parts.append(predicted(networks, local, fields, estimate))
        except UserError as error:
            raise UserError(f"window {k + 1} of {count}: {error}") from None
    out = _joined(parts, states, along, asked, window, first + length * np.arange(count))
    return out if at is None or np.ndim(at["t"]) else out.squeeze(along)


def _windows(until: float, first: float, last: float) -> int:
    """How many windows of the trained length end at `until` or after; UserError where it is no time to march to."""
    if reals("until", until).ndim:
        raise UserError(f"until = {until!r}; expected one time")
    until = float(until)
    if not first < until < math.inf:
        raise UserError(f"until = {until:g}; expected a time after {first:g}")
    count = math.ceil((until - first) / (last - first) - EDGE)
    if count > MOST:
        raise UserError(
            f"until = {until:g} takes {count} windows of length {last - first:g}; at most {MOST} are marched"
        )
    return max(1, count)


def _times(problem: Problem, until: float, count: int) -> np.ndarray:
    """Those of the evaluation grid in every window, and `until`."""
    first, last = problem.coords.boxes()["t"]
    turns = (problem.axes()["t"] - first) / (last - first) + np.arange(count)[:, None]
    own = first + (last - first) * np.unique(np.round(turns, 12))
    return np.append(own[own < until - EDGE * (last - first)], until)


def _places(
    problem: Problem, at: Mapping[str, Any] | xr.Dataset | None, times: Any, until: float
) -> xr.Dataset:
    """Coordinates as they were asked for, t along one dimension; UserError for times outside."""
    first, last = problem.coords.boxes()["t"]
    times = np.atleast_1d(reals("times", times))
    if times.ndim > 1:
        raise UserError(f"times: shape {times.shape}; expected numbers one after the other")
    grid = xr.Dataset(coords=problem.axes() | {"t": times})
    found = coordinates_of(problem, grid if at is None else at)
    if bad := [dim for values in found.values() for dim in values.dims if dim in DESCRIBED]:
        raise UserError(f"at: points along a dimension called {bad[0]!r}, a name of the answer: rename it")
    if found["t"].ndim == 0:
        found["t"] = found["t"].set_dims(["t"])
    t = found["t"]
    if t.ndim > 1 or t.dims == ("task",):
        raise UserError(
            f"at: t has dimensions {', '.join(map(str, t.dims))}; expected times that all tasks share"
        )
    reach = EDGE * (last - first)
    outside = t.values[(t.values < first - reach) | (t.values > until + reach)]
    if outside.size:
        raise UserError(
            f"at: {outside.size} of {t.size} times lie outside, t = {outside[0]:g}; "
            f"expected {first:g} to until = {until:g}"
        )
    return xr.Dataset(found)


def _next_states(networks: Networks, states: Mapping[str, str], window: xr.Dataset) -> dict[str, np.ndarray]:
    """Functions of the next tasks, the state at the end of t where each function is given.

    What the law never draws, such as a mean where it has none, is left out where it is within the window's estimated
    error, for then it is no sign of another law; without an estimate nothing is.
    """
    problem, found = networks.problem, {}
    names, end = problem.coords.names, problem.coords.boxes()["t"][1]
    for name, state in states.items():
        function = problem.task.functions[name]
        columns = {function.on: function.grid, "t": np.full(function.points, end)}
        points = np.stack([columns[axis] for axis in names], -1)[None]
        value = networks.fields(points, [read_order(problem, state)])[..., 0].double().cpu().numpy()
        rest = function.never_drawn(value)
        error = np.atleast_1d(window["estimated_error"].values if "estimated_error" in window else np.nan)
        small = np.sqrt((rest**2).mean(1)) <= error
        value = np.where(small[:, None], value - rest, value)
        found[name] = value[0] if networks.alone else value
    return found


def _joined(
    parts: list[xr.Dataset], states: Mapping[str, str], along: str, times: np.ndarray, window: np.ndarray,
    starts: np.ndarray,
) -> xr.Dataset:  # fmt: skip
    """Windows as one dataset: what has points in the order of `times` (point,), the rest over `window`."""
    ways: dict[str, Any] = {
        "data_vars": "minimal",
        "coords": "minimal",
        "compat": "override",
        "join": "override",
    }
    order = np.argsort(np.argsort(window, kind="stable"))
    out = xr.concat(parts, along, **ways).isel({along: order})
    out = out.assign_coords(t=(along, times, {"long_name": "coordinate t", "units": "1"}))
    for name in [*states, *(name for name in parts[0].data_vars if along not in parts[0][name].dims)]:
        rows = xr.Variable.concat([part[name].variable for part in parts], "window")
        if name in states:
            out.coords[name] = rows.transpose("task", "window", ..., missing_dims="ignore")
        else:
            out[name] = rows.transpose(..., "window")
    out.coords["window"] = ("window", starts, {"long_name": DESCRIBED["window"], "units": "1"})
    for end in ("", "_high") if "estimated_error" in out else ():
        total = np.cumsum(out[f"estimated_error{end}"].values, -1)[..., window]
        dims = (*out["estimated_error"].dims[:-1], along)
        name = f"accumulated_error{end}"
        out[name] = (dims, total, {"long_name": DESCRIBED[name], "units": "1"})
    return out
