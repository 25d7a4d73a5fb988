"""Two phases that separate: the interfaces become the sharper the smaller eps is; no exact solution is known.

pinnlora train examples/allen_cahn.py:AllenCahn --minutes 5 -o results/allen_cahn
pinnlora predict results/allen_cahn/bundle --set eps=0.003 -o phases.nc
"""

from torch import cos, pi

from pinnlora import Box, Condition, LogUniform, Problem


class AllenCahn(Problem):
    """Allen-Cahn equation: u_t = eps u_xx + 5 (u - u^3), x^2 cos(pi x) at the start, -1 at both ends."""

    coords = Box(x=(-1, 1), t=(0, 1))
    fields = ("u",)
    task = LogUniform(eps=(1e-3, 1e-1))

    def residual(self, u, u_t, u_xx, eps):
        return {"phase": u_t - eps * u_xx - 5 * (u - u**3)}

    def start(self, x):
        return {"u": x**2 * cos(pi * x)}

    def ends(self):
        return {"u": -1.0}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=-1", "x=1"))]
