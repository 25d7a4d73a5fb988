"""Levenberg-Marquardt damping by gain ratio, one damping a task; the lengths of steps on ever new points."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOWEST, HIGHEST = 1e-14, 1e12
TRIES = 4
"""Dampings that one linear model, which is most of a step's work, is tried with before the step is given up."""
RELAXING = 0.4
"""The share of the steps that are full ones, before they grow shorter."""


def step_length(progress: float, last: float) -> float:
    """The factor of a step after a share `progress` of all steps: 1, from RELAXING on by a cosine down to `last`.

    A step meets the equation at its own few points as if they were all: where no network meets it everywhere, full
    steps jump about the best one. Shorter and shorter ones average over many points, as relaxation does in the
    method of Kaczmarz.
    """
    share = max(0.0, (progress - RELAXING) / (1 - RELAXING))
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def shortened(predicted: torch.Tensor, length: float) -> torch.Tensor:
    """The decrease that a linear model predicts for `length` times its step, from that for the whole, undamped step."""
    return predicted * (length * (2 - length))


def least_damping(share: float, trace: Tensor, loss: Tensor, first: Tensor) -> Tensor:
    """`share` of the trace of J J^T, less as the loss falls below the first step's; any shape, the same for all.

    A step that meets few rows all but exactly is as good as its prediction at these, so the damping would fall for
    ever; at the next step's points it is worse than none, unless the loss is small at all points (damping in
    proportion to the squared residual: Yamashita and Fukushima, Computing Supplement 15, 2001).
    """
    return (share * trace * (loss / first).clamp(max=1.0)).nan_to_num(0.0, 0.0, 0.0)


def adapt(
    damping: Tensor, before: Tensor, after: Tensor, predicted: Tensor, lowest: float | Tensor = LOWEST
) -> tuple[Tensor, Tensor]:
    """New damping and whether the step is accepted, each (task,).

    The gain ratio is actual over predicted decrease of the sum of squares: above 0.5 the damping is divided
    by 3, below 0.1 doubled; an increase (or a failed solve, after = nan) rejects the step and multiplies by 4.
    """
    accepted = after <= before  # False for nan
    ratio = (before - after) / predicted.clamp_min(torch.finfo(before.dtype).tiny)
    factor = torch.where(ratio > 0.5, 1 / 3, torch.where(ratio < 0.1, 2.0, 1.0))
    factor = torch.where(accepted, factor, 4.0)
    return (damping * factor).clamp(max=HIGHEST).clamp(min=lowest), accepted
