"""Poisson's equation on an L-shape: a polygon by its corners.

pinnlora check examples/l_shape.py:LShape
pinnlora train examples/l_shape.py:LShape --minutes 2 -o results/l_shape
pinnlora predict results/l_shape/bundle --set a=1 -o l_shape.nc
"""

from torch import pi, sin

from pinnlora import Condition, Polygon, Problem, Uniform


class LShape(Problem):
    """Poisson's equation on an L-shape: u_xx + u_yy + load = 0, zero on its walls, the load such that u is known."""

    coords = Polygon(x=(0, 2, 2, 1, 1, 0), y=(0, 0, 1, 1, 2, 2))
    fields = ("u",)
    task = Uniform(a=(-1, 1))

    def residual(self, x, y, u_xx, u_yy, a):
        first, second = sin(pi * x) * sin(pi * y), sin(pi * x) * sin(2 * pi * y)
        return {"poisson": u_xx + u_yy + pi**2 * (2 * first + 5 * a * second)}

    def walls(self):
        return {"u": 0.0}

    conditions = [Condition(walls, on="polygon")]

    def exact(self, x, y, a):
        return {"u": sin(pi * x) * sin(pi * y) + a * sin(pi * x) * sin(2 * pi * y)}
