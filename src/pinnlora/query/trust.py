"""How far to trust a prediction: calibration on tasks with known errors, and what it says of others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from pinnlora.errors import UserError
from pinnlora.problem.base import Problem
from pinnlora.query.calibration import LEAST, Calibration
from pinnlora.query.networks import Networks
from pinnlora.query.places import in_domain
from pinnlora.query.refine import POINTS, STEPS, enough_points, improved, refinable
from pinnlora.query.score import Score, costly, score
from pinnlora.train.data import known_and_there

if TYPE_CHECKING:
    from pinnlora.query.family import Family

SHORT = 3
"""Levenberg-Marquardt steps of the refined estimate: they solve the linearised error equation in the adapters."""
EXACT, UNKNOWN, REFINED = 100, 40, 20
"""Tasks of the calibration where there is an exact solution, where there is none, and of the refined estimate."""
GRID = 1000
"""Points of the evaluation grid, at most, that errors are measured at."""
GROUP = 5
"""Tasks refined between two looks at the clock, after a first one alone."""


@dataclass(frozen=True)
class Trust:
    """What is known of predictions, (task,) each: root mean squares over grid and fields, in the fields' units; nan is
    an estimate that is not known. `moved` are the networks that the refined one compares with."""

    scores: Score
    inside: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    kind: str
    moved: Networks | None = None


def trust(networks: Networks, kind: str = "auto", scores: Score | None = None) -> Trust:
    """Scores of every task, where they are not known yet, and its estimated error with the interval of LEVEL.

    `kind`: "residual" or "refined"; "auto" is what the calibration found to say more, of refined networks the first.
    Nothing was calibrated outside the range that was trained, nor after refinement: there the interval is all there
    is, 0 to infinity.
    """
    found, inside, calibration = scores or score(networks), networks.inside, networks.calibration
    if kind not in ("auto", "residual", "refined"):
        raise UserError(f"estimate = {kind!r}; expected auto, residual, refined or none")
    if calibration is None:
        nothing = np.full(len(networks), np.nan)
        return Trust(found, inside, nothing, np.zeros_like(nothing), np.full_like(nothing, np.inf), "none")
    if kind == "auto":
        kind = "residual" if networks.refined and "residual" in calibration.ratios else calibration.default
    if kind not in calibration.ratios:
        raise UserError(
            f"estimate = {kind!r} was not calibrated for this bundle; take {calibration.default!r}"
        )
    values, moved = found.loss, None
    if kind == "refined":
        moved = stepped(networks)
        change = distance(networks, moved)
        values = np.where((change > 0) | (values == 0), change, np.nan)  # steps not taken tell nothing
    low, high = calibration.interval(kind, values)
    known = inside & (not networks.refined)
    low, high = np.where(known, low, 0.0), np.where(known, high, np.inf)
    return Trust(found, inside, calibration.estimate(kind, values), low, high, kind, moved)


def stepped(networks: Networks) -> Networks:
    """The networks after SHORT refining steps, whatever held-out points say of them: these may prefer the start, and
    would take the error for none."""
    return improved(networks, SHORT, POINTS, judged=False)


def distance(networks: Networks, moved: Networks | None = None) -> np.ndarray:
    """Root mean square, over grid and fields, of what SHORT refining steps change, to the networks `moved` where they
    are known: (task,)."""
    grid = some_points(networks.problem)[0]
    return root_mean_square(
        _changed(networks, grid, moved), in_domain(networks.problem, grid, networks.given)
    )


def error_map(networks: Networks, points: np.ndarray, moved: Networks | None = None) -> np.ndarray:
    """The estimated error at points (1 or task, point, dim) for every field: (task, point, field), not negative.

    What SHORT refining steps change, as for `distance`, times the median ratio of error to change.
    """
    change = np.abs(_changed(networks, points, moved))
    if networks.calibration is None or "refined" not in networks.calibration.ratios:
        return change
    return networks.calibration.estimate("refined", change)


def _changed(networks: Networks, points: np.ndarray, moved: Networks | None) -> np.ndarray:
    """Fields of the moved networks less those of the networks, both in float64."""
    moved = stepped(networks) if moved is None else moved
    return _fields(moved, points) - _fields(networks.double(), points)


def calibrate(
    surrogate: Family,
    values: Mapping[str, np.ndarray],
    reference: np.ndarray,
    rng: np.random.Generator,
    seconds: float = math.inf,
) -> Calibration | None:
    """The calibration of a surrogate's predictions on validation tasks; refining stops after `seconds`.

    reference (task, point, field) is on the evaluation grid, nan where it is not known. Where there is an exact
    solution, tasks drawn from the distribution take the place of those given, because there are more of them; without
    solutions errors are distances to refined ones, of the tasks given and more drawn; None where there are neither.
    """
    began, problem = time.perf_counter(), surrogate.problem
    grid, chosen = some_points(problem)
    known, _ = known_and_there(problem, values, reference)
    if problem.exact_signature is not None:
        count = UNKNOWN if costly(problem, surrogate.parametrisation.network) else EXACT
        networks = surrogate.networks(**problem.task.sample(count, rng))
        target = _exact(networks, grid)
    elif known.sum() >= LEAST:
        networks = surrogate.networks(**{name: value[known] for name, value in values.items()})
        target = reference[known][:, chosen]
    elif not refinable(surrogate.networks(**{name: value[:1] for name, value in values.items()})):
        return None
    else:
        drawn = problem.task.sample(max(0, UNKNOWN - len(known)), rng)
        joined = {name: np.concatenate([value, drawn[name]]) for name, value in values.items()}
        return _against_refined(surrogate.networks(**joined), began, seconds)
    error = _error(networks, grid, target)
    sound = np.flatnonzero(np.isfinite(error))
    if len(sound) < len(error):  # what cannot be measured is no measure
        networks, error = networks.take(sound), error[sound]
    if not len(error):
        return None
    ratios = {"residual": _ratios(error, score(networks).loss)}
    count = min(REFINED, len(networks)) if refinable(networks) else 0
    changes = _while(lambda some: distance(networks.take(some)), count, began, seconds)
    if len(changes) >= LEAST:
        ratios["refined"] = _ratios(error[: len(changes)], changes)
    return Calibration(ratios, "reference")


def _against_refined(networks: Networks, began: float, seconds: float) -> Calibration | None:
    def measured(some: np.ndarray) -> np.ndarray:
        part = networks.take(some)
        far = improved(part, STEPS, enough_points(part.problem))
        return np.stack([distance(part, far), distance(part)], -1)

    found = _while(measured, len(networks), began, seconds)
    sound = found[:, 0] != 0  # else the prediction itself came out as the best, and is no measure of itself
    if not sound.any():
        return None
    error, change = found[sound].T
    scores = score(networks).loss[: len(found)][sound]
    return Calibration({"residual": _ratios(error, scores), "refined": _ratios(error, change)}, "refined")


def coverage(networks: Networks, reference: np.ndarray) -> float:
    """The share of the tasks with a reference (task, point, field) whose error is in the interval; nan without any."""
    known, _ = known_and_there(networks.problem, networks.given, reference)
    if networks.calibration is None or not known.any():
        return float("nan")
    grid, chosen = some_points(networks.problem)
    networks = networks.take(np.flatnonzero(known))
    error, found = _error(networks, grid, reference[known][:, chosen]), trust(networks)
    return float(((found.low <= error) & (error <= found.high)).mean())


def some_points(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """At most GRID points of the evaluation grid, (1, point, dim), and their numbers: always the same."""
    places = problem.places()
    count = len(places)
    chosen = np.arange(count)
    if count > GRID:
        chosen = np.sort(np.random.default_rng(0).choice(count, GRID, replace=False))
    return places[chosen][None], chosen


def root_mean_square(fields: np.ndarray, where: np.ndarray | Literal[True] = True) -> np.ndarray:
    """(task, point, field) -> (task,), over the points in `where` (task, point)."""
    return np.sqrt((fields**2).mean((1, 2), where=where if where is True else where[..., None]))


def _error(networks: Networks, grid: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Root mean square (task,) of the distance to fields that are known inside the domain (task, point, field)."""
    where = in_domain(networks.problem, grid, networks.given)
    where = where if where is True else where & np.isfinite(target).all(-1)  # blank at its very edge
    return root_mean_square(_fields(networks, grid) - target, where)


def _fields(networks: Networks, points: np.ndarray) -> np.ndarray:
    return networks.fields(points).double().cpu().numpy()


def _ratios(error: np.ndarray, scores: np.ndarray) -> list[float]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.nan_to_num(error / scores, nan=np.inf, posinf=np.inf)
    return sorted(min(float(ratio), 1e300) for ratio in ratios)


def _exact(networks: Networks, grid: np.ndarray) -> np.ndarray:
    values = {name: torch.from_numpy(value) for name, value in networks.given.items()}
    found = networks.problem.exact_at(torch.from_numpy(grid), values)
    return torch.stack(list(found.values()), -1).numpy()


def _while(
    measure: Callable[[np.ndarray], np.ndarray], count: int, began: float, seconds: float
) -> np.ndarray:
    """`measure(indices)` of `count` tasks, group by group, while there is time."""
    parts: list[np.ndarray] = [] if count else [np.empty(0)]
    for some in np.split(np.arange(count), range(1, count, GROUP)) if count else ():
        if parts and time.perf_counter() - began > seconds:
            break
        parts.append(measure(some))
    return np.concatenate(parts)
