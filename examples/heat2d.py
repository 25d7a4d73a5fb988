"""Heat in a plate: two coordinates of space and time.

pinnlora train examples/heat2d.py:Heat2D --minutes 2 -o results/heat2d
pinnlora predict results/heat2d/bundle --set alpha=0.02 -o plate.nc
"""

from torch import exp, pi, sin

from pinnlora import Box, Condition, LogUniform, Problem


class Heat2D(Problem):
    """Heat equation in the plane: u_t = alpha (u_xx + u_yy), two modes at the start, zero at the rim."""

    coords = Box(x=(0, 1), y=(0, 1), t=(0, 1))
    fields = ("u",)
    task = LogUniform(alpha=(1e-2, 1e-1))

    def residual(self, u_t, u_xx, u_yy, alpha):
        return {"heat": u_t - alpha * (u_xx + u_yy)}

    def start(self, x, y):
        return {"u": sin(pi * x) * sin(pi * y) + 0.5 * sin(2 * pi * x) * sin(pi * y)}

    def rim(self):
        return {"u": 0.0}

    conditions = [Condition(start, on="t=0"), Condition(rim, on=("x=0", "x=1", "y=0", "y=1"))]

    def exact(self, x, y, t, alpha):
        first = exp(-2 * alpha * pi**2 * t) * sin(pi * x)
        second = exp(-5 * alpha * pi**2 * t) * sin(2 * pi * x)
        return {"u": (first + 0.5 * second) * sin(pi * y)}
