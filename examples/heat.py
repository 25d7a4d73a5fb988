"""The heat equation as an own problem: one short file is all that a new equation needs.

pinnlora check examples/heat.py:Heat
pinnlora train examples/heat.py:Heat --minutes 1 -o results/heat
pinnlora predict results/heat/bundle --set alpha=0.02 -o heat.nc
"""

from torch import exp, pi, sin

from pinnlora import Box, Condition, LogUniform, Problem


class Heat(Problem):
    """Heat equation: u_t = alpha u_xx, zero at both ends, one sine arch at the start."""

    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u",)
    task = LogUniform(alpha=(1e-2, 1e-1))

    def residual(self, u_t, u_xx, alpha):
        return {"heat": u_t - alpha * u_xx}

    def start(self, x):
        return {"u": sin(pi * x)}

    def ends(self):
        return {"u": 0.0}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1"))]

    def exact(self, x, t, alpha):
        return {"u": exp(-alpha * pi**2 * t) * sin(pi * x)}
