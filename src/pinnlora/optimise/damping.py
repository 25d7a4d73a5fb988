"""Levenberg-Marquardt damping by gain ratio, one damping a task."""

from __future__ import annotations

import torch
from torch import Tensor

LOWEST, HIGHEST = 1e-14, 1e12
TRIES = 4
"""Dampings that one linear model, which is most of a step's work, is tried with before the step is given up."""


def adapt(
    damping: Tensor, before: Tensor, after: Tensor, predicted: Tensor, lowest: float = LOWEST
) -> tuple[Tensor, Tensor]:
    """New damping and whether the step is accepted, each (task,).

    The gain ratio is actual over predicted decrease of the sum of squares: above 0.5 the damping is divided
    by 3, below 0.1 doubled; an increase (or a failed solve, after = nan) rejects the step and multiplies by 4.
    """
    accepted = after <= before  # False for nan
    ratio = (before - after) / predicted.clamp_min(torch.finfo(before.dtype).tiny)
    factor = torch.where(ratio > 0.5, 1 / 3, torch.where(ratio < 0.1, 2.0, 1.0))
    factor = torch.where(accepted, factor, 4.0)
    return (damping * factor).clamp(lowest, HIGHEST), accepted
