"""Kovasznay flow: a steady, laminar wake behind a grid, exact for every Reynolds number."""

from __future__ import annotations

import math

import torch

from pinnlora.problem.base import Problem
from pinnlora.problem.domain.box import Box
from pinnlora.problem.scalars import Uniform
from pinnlora.problem.signature import Condition


class Kovasznay(Problem):
    """Kovasznay flow: steady incompressible Navier-Stokes on the unit square, Re in [20, 100]."""

    coords = Box(x=(0, 1), y=(0, 1))
    fields = ("u", "v", "p")
    task = Uniform(re=(20, 100))

    def residual(self, u, u_x, u_y, u_xx, u_yy, v, v_x, v_y, v_xx, v_yy, p_x, p_y, re):
        """Momentum in x and y, and continuity."""
        return {
            "momentum_x": u * u_x + v * u_y + p_x - (u_xx + u_yy) / re,
            "momentum_y": u * v_x + v * v_y + p_y - (v_xx + v_yy) / re,
            "continuity": u_x + v_y,
        }

    def exact(self, x, y, re):
        """u, v, p with lambda = Re/2 - sqrt(Re^2/4 + 4 pi^2) (the paper prints the root closing early)."""
        lam = re / 2 - torch.sqrt(re**2 / 4 + 4 * math.pi**2)
        wave, decay = 2 * math.pi * y, torch.exp(lam * x)
        return {
            "u": 1 - decay * torch.cos(wave),
            "v": lam / (2 * math.pi) * decay * torch.sin(wave),
            "p": (1 - torch.exp(2 * lam * x)) / 2,
        }

    def walls(self, x, y, re):
        """Both velocities on all four faces."""
        exact = self.exact(x, y, re)
        return {"u": exact["u"], "v": exact["v"]}

    def outflow(self, x, y, re):
        """The pressure where the flow leaves; elsewhere it follows from the equations."""
        return {"p": self.exact(x, y, re)["p"]}

    conditions = [Condition(walls, on=("x=0", "x=1", "y=0", "y=1")), Condition(outflow, on="x=1")]


PROBLEM = Kovasznay
