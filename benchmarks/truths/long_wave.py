"""Regularised long waves by Fourier's waves, without aliasing, and an explicit Runge-Kutta method of eighth order.

(1 + mu k^2) du_k/dt = -i k (u + u^2 / 2)_k is not stiff: no wave is faster than one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from pinnlora.errors import UserError
from truths import Solved, distance, one_by_one

POINTS, TOLERANCE, MU = 256, 1e-10, 0.04
"""Points of the finer solution, which keeps the lowest two thirds of their waves, and its tolerance; the coarser one,
whose distance to it is the error given, has half and a hundred times."""


def solve(problem: Any, values: dict[str, np.ndarray], axes: list[np.ndarray]) -> Solved:
    """u_t + u_x + u u_x = mu u_xxt, of period 1, from u0 at equidistant points, on the grid (x, t)."""
    fine, coarse = (
        np.stack([_one(one["u0"][0], *axes, points, tolerance) for one in one_by_one(values)])
        for points, tolerance in ((POINTS, TOLERANCE), (POINTS // 2, 100 * TOLERANCE))
    )
    return Solved(fine, distance(coarse, fine), "spectral")


def _one(u0: np.ndarray, x: np.ndarray, t: np.ndarray, points: int, tolerance: float) -> np.ndarray:
    """(point, 1) on the grid (x, t)."""
    kept = points // 3
    wave = 2 * np.pi * np.arange(kept + 1)
    factor = -1j * wave / (1 + MU * wave**2)
    modes = np.zeros(kept + 1, complex)
    lowest = np.fft.rfft(u0, norm="forward")[: (len(u0) + 1) // 2]
    modes[: len(lowest)] = lowest

    def rate(_: float, now: np.ndarray) -> np.ndarray:
        u = np.fft.irfft(now, points, norm="forward")
        return factor * np.fft.rfft(u + u * u / 2, norm="forward")[: kept + 1]

    done = solve_ivp(rate, (0.0, t[-1]), modes, "DOP853", t, rtol=tolerance, atol=tolerance)
    if not done.success:
        raise UserError(f"the solver of long waves failed ({done.message})")
    twice = np.where(wave > 0, 2, 1)[:, None]
    return (np.exp(1j * np.outer(x, wave)) @ (twice * done.y)).real.reshape(-1, 1)
