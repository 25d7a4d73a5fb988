"""Warmth in a ball that is heated more on one side: three coordinates of space.

pinnlora train examples/poisson_ball.py:PoissonBall --minutes 5 -o results/poisson_ball
pinnlora predict results/poisson_ball/bundle --set a=1 --set b=0.5 -o ball.nc
"""

from torch import exp

from pinnlora import Ball, Condition, Problem, Uniform


class PoissonBall(Problem):
    """Poisson's equation in a ball: u_xx + u_yy + u_zz + heat = 0, cold on its surface, heated towards (a, b, 0)."""

    coords = Ball(x=0, y=0, z=0, radius=1)
    fields = ("u",)
    task = Uniform(a=(-1, 1), b=(-1, 1))

    def residual(self, x, y, z, u_xx, u_yy, u_zz, a, b):
        side, inside = a * x + b * y, 1 - x**2 - y**2 - z**2
        heat = exp(side) * (6 + 4 * side - inside * (a**2 + b**2))
        return {"poisson": u_xx + u_yy + u_zz + heat}

    def surface(self):
        return {"u": 0.0}

    conditions = [Condition(surface, on="ball")]

    def exact(self, x, y, z, a, b):
        return {"u": (1 - x**2 - y**2 - z**2) * exp(a * x + b * y)}
