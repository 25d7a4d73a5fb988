"""Coupled two-dimensional Burgers equations with a travelling oblique front of width in proportion to nu."""

from __future__ import annotations

import torch

from pinnlora.problem.base import Problem
from pinnlora.problem.domain.box import Box
from pinnlora.problem.scalars import LogUniform
from pinnlora.problem.signature import Condition


class Burgers2D(Problem):
    """2D Burgers equations: a front along 4x - 4y + t = 0 on the unit square, nu in [1e-4, 1e-3]."""

    coords = Box(x=(0, 1), y=(0, 1), t=(0, 1))
    fields = ("u", "v")
    task = LogUniform(nu=(1e-4, 1e-3))
    grid = {"x": 101, "y": 101, "t": 11}

    def residual(self, u, u_t, u_x, u_y, u_xx, u_yy, v, v_t, v_x, v_y, v_xx, v_yy, nu):
        """Momentum in x and in y."""
        return {
            "momentum_x": u_t + u * u_x + v * u_y - nu * (u_xx + u_yy),
            "momentum_y": v_t + u * v_x + v * v_y - nu * (v_xx + v_yy),
        }

    def weight(self, u_x, u_y, v_x, v_y):
        """Rows of the loss count less inside the front, where residuals are of the size of its gradient squared."""
        return 1 / (1 + u_x**2 + u_y**2 + v_x**2 + v_y**2)

    def exact(self, x, y, t, nu):
        """u = 3/4 - s/4, v = 3/4 + s/4 with s = sigmoid((4x - 4y + t) / (32 nu)); the printed signs are swapped."""
        s = torch.sigmoid((4 * x - 4 * y + t) / (32 * nu))
        return {"u": 0.75 - s / 4, "v": 0.75 + s / 4}

    def initial(self, x, y, t, nu):
        """Both velocities at the start."""
        return self.exact(x, y, t, nu)

    def walls(self, x, y, t, nu):
        """Both velocities on the four faces of the square."""
        return self.exact(x, y, t, nu)

    conditions = [Condition(initial, on="t=0"), Condition(walls, on=("x=0", "x=1", "y=0", "y=1"))]

    def front(self, values, fields):
        """Grid points at which s lies between 1e-4 and 1 - 1e-4."""
        s = 4 * (fields["v"] - 0.75)
        return (s > 1e-4) & (s < 1 - 1e-4)


PROBLEM = Burgers2D
