"""A membrane under two loads: a problem without time, two parameters.

pinnlora train examples/poisson.py:Poisson --minutes 2 -o results/poisson
pinnlora predict results/poisson/bundle --set a=15 --set b=-10 -o membrane.nc
"""

from torch import pi, sin

from pinnlora import Box, Condition, Problem, Uniform


class Poisson(Problem):
    """Poisson's equation with two amplitudes: u_xx + u_yy + a sin(pi x) sin(pi y) + b sin(2 pi x) sin(2 pi y) = 0."""

    coords = Box(x=(0, 1), y=(0, 1))
    fields = ("u",)
    task = Uniform(a=(10, 20), b=(-20, 20))

    def residual(self, u_xx, u_yy, x, y, a, b):
        load = a * sin(pi * x) * sin(pi * y) + b * sin(2 * pi * x) * sin(2 * pi * y)
        return {"balance": u_xx + u_yy + load}

    def rim(self):
        return {"u": 0.0}

    conditions = [Condition(rim, on=("x=0", "x=1", "y=0", "y=1"))]

    def exact(self, x, y, a, b):
        first = a / (2 * pi**2) * sin(pi * x) * sin(pi * y)
        return {"u": first + b / (8 * pi**2) * sin(2 * pi * x) * sin(2 * pi * y)}
