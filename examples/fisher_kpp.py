"""A population that grows and spreads; no exact solution is known.

pinnlora train examples/fisher_kpp.py:FisherKPP --minutes 2 -o results/fisher_kpp
pinnlora predict results/fisher_kpp/bundle --set diffusivity=0.002 -o population.nc
"""

from torch import cos, pi

from pinnlora import Box, Condition, LogUniform, Problem


class FisherKPP(Problem):
    """Fisher-KPP equation: u_t = D u_xx + 5 u (1 - u), a hump at the start, no flux through the ends."""

    coords = Box(x=(-1, 1), t=(0, 1))
    fields = ("u",)
    task = LogUniform(diffusivity=(1e-3, 1e-2))

    def residual(self, u, u_t, u_xx, diffusivity):
        return {"growth": u_t - diffusivity * u_xx - 5 * u * (1 - u)}

    def start(self, x):
        return {"u": cos(pi * x / 2) ** 4}

    def ends(self):
        return {"u_x": 0.0}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=-1", "x=1"))]
