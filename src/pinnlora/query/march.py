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
from pinnlora.problem.base import Problem
from pinnlora.problem.distributions import reals
from pinnlora.problem.initial_state import initial_states
from pinnlora.query.derivatives import read_order
from pinnlora.query.networks import Networks
from pinnlora.query.places import SLACK, coordinates_of
from pinnlora.query.predict import predicted

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
    a problem cannot be marched (`initial_states`), and for times outside.
    """
    networks = networks_of(**task)
    problem = networks.problem
    states, box = initial_states(problem), problem.coords
    first, last = (ends[box.time] for ends in (box.low, box.high))
    length, count = last - first, _windows(until, first, last - first)
    where = _places(problem, at, times, until, count)
    along, asked = str(where["t"].dims[0]), where["t"].values
    window = np.clip(np.ceil((asked - first) / length - SLACK) - 1, 0, count - 1).astype(int)
    parts: list[xr.Dataset] = []
    for k in range(count):
        here = np.flatnonzero(window == k)
        local = np.clip(asked[here] - k * length, first, last)
        try:
            if k:
                task = {**task, **_next_states(networks, states, parts[-1])}
                networks = networks_of(**task)
            part = predicted(
                networks, where.isel({along: here}).assign({"t": (along, local)}), fields, estimate
            )
        except UserError as error:
            raise UserError(f"window {k + 1} of {count}: {error}") from None
        parts.append(part)
    starts = first + length * np.arange(count)
    out = _joined(parts, states, along, asked, window, starts)
    return out if at is None or np.ndim(at["t"]) else out.squeeze(along)


def _windows(until: float, first: float, length: float) -> int:
    until = float(reals("until", until))
    if not first < until < math.inf:
        raise UserError(f"until = {until:g}; expected a time after {first:g}")
    count = math.ceil((until - first) / length - SLACK)
    if count > MOST:
        raise UserError(
            f"until = {until:g} takes {count} windows of length {length:g}; at most {MOST} are marched"
        )
    return count


def _places(
    problem: Problem,
    at: Mapping[str, Any] | xr.Dataset | None,
    times: Sequence[float] | None,
    until: float,
    count: int,
) -> xr.Dataset:
    """Coordinates as they were asked for, t along one dimension; UserError for times outside."""
    box, axes = problem.coords, problem.axes()
    if at is None:
        if times is None:
            own = (
                axes["t"]
                - box.low[box.time]
                + np.arange(count)[:, None] * (box.high[box.time] - box.low[box.time])
            )
            own = np.unique(np.round(own + box.low[box.time], 12))
            times = [*own[own < until - SLACK * abs(until)], until]
        at = xr.Dataset(coords=axes | {"t": np.atleast_1d(reals("times", times))})
    elif times is not None:
        raise UserError("march: at and times are both given; expected one of them")
    found = coordinates_of(problem, at)
    if found["t"].ndim == 0:
        found["t"] = found["t"].expand_dims("t")
    if found["t"].ndim > 1 or found["t"].dims == ("task",):
        raise UserError(
            f"at: t has dimensions {', '.join(map(str, found['t'].dims))}; expected times for all tasks"
        )
    outside = (found["t"] < box.low[box.time]) | (found["t"] > until * (1 + SLACK))
    if bool(outside.any()):
        raise UserError(
            f"at: {int(outside.sum())} of {outside.size} times lie outside, t = {found['t'].values[outside][0]:g}; "
            f"expected {box.low[box.time]:g} to until = {until:g}"
        )
    return xr.Dataset(found)


def _next_states(networks: Networks, states: Mapping[str, str], window: xr.Dataset) -> dict[str, np.ndarray]:
    """Functions of the next tasks, the state at the end of t where each function is given.

    What the law never draws, such as a mean where it has none, is left out where it is within the window's estimated
    error, for then it is no sign of another law.
    """
    problem, found = networks.problem, {}
    box = problem.coords
    for name, state in states.items():
        function = problem.task.functions[name]
        points = np.empty((1, function.points, len(box.names)))
        points[..., box.names.index(function.on)] = function.grid
        points[..., box.time] = box.high[box.time]
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
