"""Darcy flow through layered rock by finite volumes, which sines in y make a tridiagonal system a wave."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.fft import dst, idst
from scipy.interpolate import CubicSpline
from scipy.linalg import solve_banded

from truths import Solved, distance, one_by_one

CELLS = (400, 800, 1600)
"""A side of three grids, for Richardson extrapolation; multiples of the cells of the grid that is asked for."""


def solve(problem: Any, values: dict[str, np.ndarray], axes: list[np.ndarray]) -> Solved:
    """(e^k u_x)_x + (e^k u_y)_y + 1 = 0 in the unit square, u = 0 around it, k the spline through its values."""
    grid, x = problem.task.functions["k"].grid, axes[0]
    once, twice = [], []
    for one in one_by_one(values):
        k = CubicSpline(grid, one["k"][0])
        coarse, middle, fine = (_one(k, cells, cells // (len(x) - 1)) for cells in CELLS)
        once.append((4 * middle - coarse).reshape(-1, 1) / 3)
        twice.append((4 * fine - middle).reshape(-1, 1) / 3)
    return Solved(np.stack(twice), distance(np.stack(once), np.stack(twice)), "finite volumes")


def _one(k: CubicSpline, cells: int, every: int) -> np.ndarray:
    """One task at every so many-th node, ends included: (x, y)."""
    h, inside = 1 / cells, np.arange(1, cells) / cells
    between, at = np.exp(k((np.arange(cells) + 0.5) / cells)) / h**2, np.exp(k(inside)) / h**2
    source = dst(np.ones((cells - 1, cells - 1)), type=1, axis=1)
    across = 2 - 2 * np.cos(np.pi * inside)  # eigenvalues of the second difference in y
    waves = np.empty_like(source)
    banded = np.zeros((3, cells - 1))
    banded[0, 1:] = banded[2, :-1] = -between[1:-1]
    for j, eigenvalue in enumerate(across):
        banded[1] = between[:-1] + between[1:] + eigenvalue * at
        waves[:, j] = solve_banded((1, 1), banded, source[:, j])
    return np.pad(idst(waves, type=1, axis=1), 1)[::every, ::every]
