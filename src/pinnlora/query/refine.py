"""Refinement: the prediction as a start, and Levenberg-Marquardt steps on each task's own physics, without data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pinnlora.errors import UserError
from pinnlora.nets.adapters import Full
from pinnlora.problem.base import Problem
from pinnlora.query.calibration import Calibration
from pinnlora.query.networks import Networks
from pinnlora.query.score import Score, conditions_in_training, costly, score
from pinnlora.train.loop import train
from pinnlora.train.settings import StageSettings
from pinnlora.train.setup import draw_of
from pinnlora.train.single import TaskFits

STEPS, POINTS, MANY = 10, 300, 1200
"""Of a refinement without tolerance; points where a task holds a function, whose solution has finer parts."""
ENOUGH = 1000
"""From so many points on steps may be bold: with fewer they fit the points, and need more damping."""
MOST = 100
"""Steps towards a tolerance, at most."""
ROUND, GAIN = 10, 0.8
"""Steps between two looks at the estimated error, and what a round has to leave of it, or the task is stuck."""
TOGETHER = 32
"""Tasks that are refined at once: what bounds the memory."""


@dataclass(frozen=True)
class Refined:
    """The networks after refinement, what they scored `before` and `after`, the steps of each task, and its end."""

    networks: Networks
    before: Score
    after: Score
    steps: np.ndarray
    ends: list[str]


def refinable(networks: Networks) -> bool:
    """Whether refining takes seconds: its Jacobian holds d + 2 channels of every point, which in many dimensions is
    too much to be done unasked, and there is none of a smoothed network."""
    return not costly(networks.problem, networks.parametrisation.network)


def enough_points(problem: Problem) -> int:
    """Points a step of a refinement that is to reach far."""
    return MANY if problem.task.functions else POINTS


def improved(networks: Networks, steps: int, points: int, seed: int = 0, judged: bool = True) -> Networks:
    """At most `steps` Levenberg-Marquardt steps in float64: the state of the smallest loss at held-out points, which
    may be the start, or, if they are not `judged`, the last one."""
    if networks.parametrisation.network.smoothing:
        raise UserError(
            "a smoothed network (network.smoothing) cannot be refined: that needs its exact slopes"
        )
    networks = networks.double()
    stage = refining(networks.config, steps, points)
    theta = []
    for some in np.split(np.arange(len(networks)), range(TOGETHER, len(networks), TOGETHER)):
        part = networks.take(some)
        draw = draw_of(seed, "refine", part.theta.device, torch.float64)
        learner = TaskFits(part.problem, part.parametrisation, part.tasks, part.theta, stage, draw)
        if judged:
            train(learner, stage.report_every, quiet=True)
        else:
            for step in range(steps):
                learner.step(step)
        theta.append(learner.theta.detach())
    return replace(networks, theta=torch.cat(theta))


def refining(config: dict[str, Any], steps: int, points: int) -> StageSettings:
    """The stage of a refinement: conditions count as they did in training."""
    return StageSettings(
        optimiser="levenberg_marquardt", dtype="float64", steps=steps, points=points, report_every=1,
        damping=1e-6 if points >= ENOUGH else 1e-4, **conditions_in_training(config, points),
    )  # fmt: skip


def refine(
    networks: Networks,
    tolerance: float | None = None,
    steps: int | None = None,
    points: int | None = None,
    seed: int = 0,
) -> Refined:
    """Refine every task, until its estimated error is below `tolerance` where one is given.

    A task never ends with a larger loss at fresh points than it came with. One that a round of ROUND steps does not
    help any more goes on with all its network's weights in place of the adapters, and ends if they do not help either.
    UserError for a tolerance where the bundle has no calibration.
    """
    check_counts(steps=steps, points=points, seed=seed)
    points = points or enough_points(networks.problem)
    _check(networks.calibration, tolerance)
    start = replace(networks.double(), refined=True)
    before = score(start)
    state = _State(start, before, tolerance, np.zeros(len(start), dtype=int), [""] * len(start))
    most = steps or (STEPS if tolerance is None else MOST)
    every = most if tolerance is None else ROUND
    while len(active := state.active()) and state.steps.max() < most:
        state.advance(
            active, min(every, most - int(state.steps.max())), points, seed + int(state.steps.max())
        )
    last = f"all {most} steps taken" if tolerance is None else (
        f"tolerance not reached in {most} steps, which still helped: allow more"
    )  # fmt: skip
    none = f"none of {most} steps helped: as it was predicted; give more points"
    helped = state.score.loss < before.loss
    ends = [end or (last if better else none) for end, better in zip(state.ends, helped, strict=True)]
    return Refined(state.networks, before, state.score, state.steps, ends)


def check_counts(**counts: int | None) -> None:
    """UserError for what is no whole number: of at least 0 for a seed, else of at least 1; None is not given."""
    for name, count in counts.items():
        least = 0 if name == "seed" else 1
        whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if count is not None and not (whole and count >= least):
            raise UserError(f"{name} = {count!r}; expected a whole number, at least {least}")


def _check(calibration: Calibration | None, tolerance: float | None) -> None:
    if tolerance is None:
        return
    if not isinstance(tolerance, int | float | np.number) or not tolerance > 0:
        raise UserError(
            f"tolerance = {tolerance!r}; expected a number above 0, an error in the units of the fields"
        )
    if calibration is None or "residual" not in calibration.ratios:
        raise UserError(
            "tolerance: this bundle was never calibrated and estimates no errors; refine by steps, or train it anew"
        )


@dataclass
class _State:
    """The best networks so far; a task whose end is said goes no further."""

    networks: Networks
    score: Score
    tolerance: float | None
    steps: np.ndarray
    ends: list[str]

    def active(self) -> np.ndarray:
        calibration = self.networks.calibration
        if self.tolerance is not None and calibration is not None:
            estimate = calibration.estimate("residual", self.score.loss)
            for task in np.flatnonzero(estimate <= self.tolerance):
                self.ends[task] = self.ends[task] or "tolerance reached"
        return np.array([task for task, end in enumerate(self.ends) if not end], dtype=int)

    def advance(self, active: np.ndarray, steps: int, points: int, seed: int) -> None:
        """One round for the active tasks; what is better is kept."""
        found = improved(self.networks.take(active), steps, points, seed)
        after = score(found)
        better = after.loss < self.score.loss[active]
        stuck = ~(after.loss < GAIN * self.score.loss[active])
        self.steps[active] += steps
        theta = self.networks.theta.clone()
        theta[torch.from_numpy(active[better])] = found.theta[torch.from_numpy(better)]
        self.networks = replace(self.networks, theta=theta)
        columns = {}
        for name in ("residual", "mismatch", "loss"):
            columns[name] = getattr(self.score, name).copy()
            columns[name][active[better]] = getattr(after, name)[better]
        self.score = Score(**columns)
        if self.tolerance is None or not stuck.any():
            return
        if isinstance(self.networks.parametrisation, Full):
            for task in active[stuck]:
                self.ends[task] = (
                    "tolerance not reached: steps at all weights do not help, take a wider network"
                )
        else:
            self.networks = self.networks.full()
