"""How a peer is trained: its settings are tried for a share of the time, the best one has all of it.

Seconds are those of `time.perf_counter` spent in steps: building a model and measuring its error do not count.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from common import SEED, Clock
from examples_truth import Truth
from truths import Solved

from pinnlora.problem.base import Problem
from pinnlora.problem.distributions import sample_splits
from pinnlora.train.data import of_split

TRIAL = 0.1
"""The share of the time that each setting is tried for."""
LOOKS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""Shares of the time after which the error is measured on the way."""
RATES = (3e-3, 1e-3, 3e-4)
"""First learning rates that are tried."""
CHECKED = 20
"""Validation tasks by which trials are judged."""
FINAL = 0.01
"""The last learning rate, as a share of the first."""

Values = dict[str, np.ndarray]
Curve = list[tuple[float, float]]


class Learner(Protocol):
    """What is trained step by step."""

    def step(self, share: float) -> None:
        """One step of the optimiser, after a share of the time."""

    def predict(self, values: Values) -> np.ndarray:
        """Fields of tasks on the evaluation grid: (task, point, field)."""


@dataclass(frozen=True)
class Peer:
    """What a method came to: how it predicts, the seconds it trained, its settings in words, mean squared errors by
    seconds on the way, those of the validation tasks after each trial, and what its solutions took."""

    predict: Callable[[Values], np.ndarray]
    seconds: float
    setting: str
    curve: Curve = field(default_factory=list)
    tried: list[tuple[str, float]] = field(default_factory=list)
    data_seconds: float = 0.0


def solved(problem: Problem, split: str, count: int) -> Truth:
    """The first tasks of a split, the same as in a study, with their solutions on the evaluation grid."""
    values = of_split(*sample_splits(problem.task, {split: count}, SEED), split)
    fields = np.stack([each.reshape(count, -1) for each in problem.reference(values).values()], -1)
    axes = [np.asarray(axis) for axis in problem.axes().values()]
    return Truth(values, axes, problem.places(), Solved(fields, 0.0, "reference"))


def squared(truth: Truth, found: np.ndarray) -> np.ndarray:
    """The mean squared error over grid and fields of each task (task,); infinite where it is no number."""
    return np.nan_to_num(((found - truth.solved.fields) ** 2).mean((1, 2)), nan=np.inf)


def cosine(rate: float, share: float) -> float:
    """The learning rate after a share of the time."""
    return rate * (FINAL + (1 - FINAL) * (1 + math.cos(math.pi * min(share, 1.0))) / 2)


def trained(learner: Learner, seconds: float, test: Truth | None = None) -> tuple[Curve, float, int]:
    """Step until the time is over: the mean error on `test` by seconds on the way, the seconds, and the steps."""
    clock, curve, steps, looks = Clock(), [], 0, list(LOOKS if test else ())
    while (share := clock.seconds / seconds) < 1:
        with clock.running():
            learner.step(share)
        steps += 1
        if looks and clock.seconds >= looks[0] * seconds:
            looks = [look for look in looks if clock.seconds < look * seconds]
            curve.append((clock.seconds, float(squared(test, learner.predict(test.values)).mean())))
    return curve, clock.seconds, steps


def best_of(
    build: Callable[..., Learner], settings: list[dict[str, Any]], seconds: float, checked: Truth, test: Truth
) -> Peer:
    """Try each setting for its share, train by the one with the least error on the tasks `checked`."""
    errors = []
    for setting in settings:
        trained(learner := build(**setting), TRIAL * seconds)
        errors.append(float(squared(checked, learner.predict(checked.values)).mean()))
    best = settings[int(np.argmin(errors))]
    learner = build(**best)
    curve, spent, steps = trained(learner, seconds, test)
    tried = [(described(setting), error) for setting, error in zip(settings, errors, strict=True)]
    return Peer(learner.predict, spent, f"{described(best)}, {steps} steps", curve, tried)


def described(setting: dict[str, Any]) -> str:
    """A setting in words."""
    return ", ".join(
        str(value) if isinstance(value, str) else f"{name} {value:g}" for name, value in setting.items()
    )


def seconds_of_one(peer: Peer, values: Values, rounds: int = 7) -> float:
    """What the fields of one task on the evaluation grid take: the median, after one that does not count."""
    one, times = {name: value[:1] for name, value in values.items()}, []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        peer.predict(one)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])
