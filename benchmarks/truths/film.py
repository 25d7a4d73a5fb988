"""The Kuramoto-Sivashinsky equation by collocation in Fourier's waves and an implicit Runge-Kutta method in time."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from pinnlora.errors import UserError
from truths import Solved, distance, one_by_one

POINTS, TOLERANCE = 64, 1e-9
"""Of the finer solution; the coarser one, whose distance to it is the error given, has half and a hundred times."""


def solve(problem: Any, values: dict[str, np.ndarray], axes: list[np.ndarray]) -> Solved:
    """u_t + u u_x + u_xx + nu u_xxxx = 0 from sin x + cos(2 x) / 2, on the grid (x, t)."""
    tasks = [float(one["nu"][0]) for one in one_by_one(values)]
    fine = np.stack([_one(nu, *axes, POINTS, TOLERANCE) for nu in tasks])
    coarse = np.stack([_one(nu, *axes, POINTS // 2, 100 * TOLERANCE) for nu in tasks])
    return Solved(fine, distance(coarse, fine), "spectral collocation")


def _one(nu: float, x: np.ndarray, t: np.ndarray, points: int, tolerance: float) -> np.ndarray:
    """(point, 1) on the grid (x, t)."""
    wave = np.arange(points // 2 + 1)
    growth = wave**2 - nu * wave**4.0
    nodes = 2 * np.pi * np.arange(points) / points

    def rate(_: float, u: np.ndarray) -> np.ndarray:
        modes, squared = np.fft.rfft(u), np.fft.rfft(u * u)
        return np.fft.irfft(growth * modes - 0.5j * wave * squared, points)

    start = np.sin(nodes) + np.cos(2 * nodes) / 2
    done = solve_ivp(rate, (t[0], t[-1]), start, "Radau", t, rtol=tolerance, atol=tolerance)
    if not done.success:
        raise UserError(f"spectral collocation failed ({done.message})")
    modes = np.fft.rfft(done.y, axis=0) / points
    twice = np.where((wave > 0) & (wave < points // 2), 2, 1)[:, None]
    return (np.exp(1j * np.outer(x, wave)) @ (twice * modes)).real.reshape(-1, 1)
