"""What an inversion found, as a labelled dataset: the task with its interval, the misfit, and plain warnings."""

from __future__ import annotations

import math

import numpy as np
import torch
import xarray as xr

from pinnlora.problem.base import Problem
from pinnlora.query.calibration import LEVEL
from pinnlora.query.invert import WIDTH, Inverted
from pinnlora.query.observations import Observations
from pinnlora.query.places import in_domain
from pinnlora.query.slopes import derivative_of

VAGUE = 0.5
"""A number whose deviation is more than this share of what it was beforehand is hardly known; a function likewise."""


def inverted_dataset(problem: Problem, found: Inverted, observations: Observations) -> xr.Dataset:
    """Each parameter with `_low` and `_high`, the interval of LEVEL; the covariance of all values; misfit; warnings."""
    task, z, alone = problem.task, found.unknowns, observations.alone
    _, slope = derivative_of(lambda unknowns: torch.cat(_columns(problem, unknowns), -1), z)
    spread = slope @ found.covariance @ slope.mT
    out, start, labels = xr.Dataset(), 0, []
    reach = WIDTH * found.covariance.diagonal(dim1=1, dim2=2).sqrt()
    reach = torch.where(_vague(problem, found), torch.inf, reach)
    ends = [task.decode(_clipped(problem, z + sign * reach)) for sign in (-1, 1)]
    for name, value in task.decode(z).items():
        count = 1 if value.ndim == 1 else value.shape[1]
        own = [] if value.ndim == 1 else [f"{name}_{task.functions[name].on}"]
        low, high = (end[name] for end in ends)
        if own:
            deviation = spread.diagonal(dim1=1, dim2=2)[:, start : start + count].clamp_min(0).sqrt()
            low, high = value - WIDTH * deviation, value + WIDTH * deviation
            described = {"long_name": f"where {name} is given", "units": "1"}
            out.coords[own[0]] = (own[0], task.functions[name].grid, described)
        labels += [name] if not own else [f"{name}[{k}]" for k in range(count)]
        for ending, numbers, words in (
            ("", value, "most probable"), ("_low", low, f"lower end of the {LEVEL:.0%} interval of"),
            ("_high", high, f"upper end of the {LEVEL:.0%} interval of"),
        ):  # fmt: skip
            _add_variable(out, f"{name}{ending}", own, numbers.numpy(), f"{words} {name}", alone)
        start += count
    for name in ("parameter", "other"):
        out.coords[name] = (name, labels, {"long_name": "task parameter"})
    _add_variable(
        out, "covariance", ["parameter", "other"], spread.numpy(), "covariance of the parameters", alone
    )
    _add_variable(
        out, "misfit", [], found.misfit, "root mean square of what is left, over noise and error", alone
    )
    warnings = np.array(_warnings(problem, found, observations))
    out["warning"] = ((), warnings[0], {"long_name": "what speaks against the answer"}) if alone else (
        "task", warnings, {"long_name": "what speaks against the answer"}
    )  # fmt: skip
    out.attrs["problem"] = problem.name
    return out


def _vague(problem: Problem, found: Inverted) -> torch.Tensor:
    """Which bounded unknowns (set, unknown) are hardly narrower than beforehand, uniform in [-1, 1]."""
    bounded = torch.from_numpy(problem.task.bounded.copy())
    deviation = found.covariance.diagonal(dim1=1, dim2=2).sqrt()
    return bounded & (deviation > VAGUE / math.sqrt(3))


def _columns(problem: Problem, unknowns: torch.Tensor) -> list[torch.Tensor]:
    values = problem.task.decode(unknowns).values()
    return [value.unsqueeze(-1) if value.ndim == 1 else value for value in values]


def _clipped(problem: Problem, unknowns: torch.Tensor) -> torch.Tensor:
    return torch.where(torch.from_numpy(problem.task.bounded.copy()), unknowns.clamp(-1, 1), unknowns)


def _add_variable(
    out: xr.Dataset, name: str, dims: list[str], values: np.ndarray, long_name: str, alone: bool
) -> None:
    attributes = {"long_name": long_name, "units": "1"}
    out[name] = (dims, values[0], attributes) if alone else (["task", *dims], values, attributes)


def _outside(problem: Problem, found: Inverted, observations: Observations) -> np.ndarray:
    """How many places of measurements (set,) lie outside the domain of the task that was found."""
    values = {name: value.numpy() for name, value in problem.task.decode(found.unknowns).items()}
    inside = in_domain(problem, observations.points.numpy(), values)
    there = observations.measured.any(-1).numpy()
    return (there & ~np.broadcast_to(inside, there.shape)).sum(1)


def _warnings(problem: Problem, found: Inverted, observations: Observations) -> list[str]:
    """One text a set, empty where nothing is to be said."""
    task, texts = problem.task, []
    outside, measured = _outside(problem, found, observations), observations.measured.sum((1, 2)).numpy()
    values = {name: value.numpy() for name, value in task.decode(found.unknowns).items()}
    vague, drawn = _vague(problem, found), task.inside(values)
    variance = {name: _left(problem, found, name) for name in task.functions}
    scalars = [name for name in task.names if name not in task.functions]
    places = np.flatnonzero(task.bounded)
    for k in range(len(found.unknowns)):
        said = []
        for name, place in zip(scalars, places, strict=True):
            if vague[k, place]:
                said.append(f"{name} is not identifiable: the measurements hardly narrow its range")
            elif abs(float(found.unknowns[k, place])) > 1 - 1e-6:
                said.append(f"{name} lies at the end of its range, and may lie beyond")
        for name, left in variance.items():
            if left[k] > VAGUE**2:
                said.append(f"{name} is not identifiable: {left[k]:.0%} of its variance is left")
        if not drawn[k]:
            said.append("the answer lies outside the trained range, where the surrogate was never measured")
        if found.rival[k]:
            said.append("another task, far away, explains the measurements as well")
        if outside[k]:
            said.append(f"{outside[k]} points with values lie outside the domain of the answer")
        if not np.isfinite(found.misfit[k]):
            said.append("no task was found at which fields are finite where measurements are")
        elif found.misfit[k] > 1 + 3 / np.sqrt(2 * measured[k]):
            said.append(
                f"no task explains the measurements: what is left is {found.misfit[k]:.1f} times noise and error"
            )
        texts.append("; ".join(said))
    return texts


def _left(problem: Problem, found: Inverted, name: str) -> np.ndarray:
    """The share of a function's variance beforehand that the measurements leave, (set,)."""
    count = found.unknowns.shape[1]
    columns = problem.task.decode(torch.eye(count, dtype=torch.float64))[name]
    columns = columns - problem.task.decode(torch.zeros(1, count, dtype=torch.float64))[name]
    after = torch.einsum("ip,sij,jp->s", columns, found.covariance, columns)
    return (after / columns.square().sum()).numpy()
