"""From a score to an estimated error with an interval: split conformal prediction (Vovk et al., 2005).

A score, such as the root of the physics loss, is to an error as it was on tasks that nothing was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FORMAT = 2
"""Of bundles, and of networks on their own; 1 has no calibration."""
LEVEL = 0.9
"""Share of the tasks, drawn as those of the calibration, whose error the interval holds."""
SPREAD = 10.0
"""A residual whose ratio to the error varies by more than this factor over the middle 90 % of tasks says little."""
LEAST = 9
"""The fewest tasks that a bound of LEVEL can be drawn from."""


@dataclass(frozen=True)
class Calibration:
    """Ratios of error to score on the calibration tasks, sorted, of each score.

    `truth` is what the errors were measured against: "reference" or "refined" solutions.
    """

    ratios: Mapping[str, Sequence[float]]
    truth: str = "reference"

    @property
    def default(self) -> str:
        """The score to ask: the residual, which costs milliseconds, unless its ratio to the error varies too much."""
        if "refined" not in self.ratios or "residual" not in self.ratios:
            return next(iter(self.ratios))
        return "residual" if self.varies("residual") <= max(SPREAD, self.varies("refined")) else "refined"

    def varies(self, score: str) -> float:
        """The factor by which the ratio of error to score varies, from the 5th to the 95th percentile."""
        low, high = np.quantile(self.ratios[score], [0.05, 0.95])
        return float(high / low) if low > 0 else math.inf

    def estimate(self, score: str, values: np.ndarray) -> np.ndarray:
        """The error that is as likely too small as too large: the median ratio times the score, (task,)."""
        return float(np.median(self.ratios[score])) * values

    def interval(self, score: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Low and high end, (task,), of what holds for at least LEVEL of the tasks, whatever the law of the ratios.

        Of n ratios the floor((n + 1) a)-th smallest and the ceil((n + 1) (1 - a))-th, a = (1 - LEVEL) / 2 on each
        side; with too few tasks for that from 0, and from LEAST down to infinity. So is a score that is not finite.
        """
        ratios = np.sort(np.asarray(self.ratios[score], dtype=float))
        count, tail = len(ratios), (1 - LEVEL) / 2
        below = math.floor((count + 1) * tail + 1e-9)
        above = math.ceil((count + 1) * (1 - tail if below else LEVEL) - 1e-9)
        low = ratios[below - 1] if below else 0.0
        high = ratios[above - 1] if above <= count else math.inf
        known = np.isfinite(values)
        values = np.where(known, values, 1.0)
        upper = high * np.maximum(values, np.finfo(float).tiny)
        return np.where(known, low * values, 0.0), np.where(known, upper, np.inf)

    def stored(self) -> dict[str, Any]:
        """As JSON."""
        ratios = {name: [float(f"{ratio:.6g}") for ratio in values] for name, values in self.ratios.items()}
        return {"truth": self.truth, "ratios": ratios}


def described(calibration: Calibration | None, without: str, score: str = "") -> str:
    """What estimates rest on, those of `score` or of the default; `without` a calibration, what that means."""
    if calibration is None:
        return f"none: {without}, as this bundle's errors were never measured"
    score = score or calibration.default
    of, spread = len(calibration.ratios[score]), calibration.varies(score)
    return (
        f"{of} tasks, against {calibration.truth} solutions; error / score varies by a factor of {spread:.2g}"
    )
