"""The heat equation in 100 dimensions: one coordinate with 100 components, its Laplacian asked for by name.

pinnlora check examples/heat_ball.py:HeatBall
pinnlora train examples/heat_ball.py:HeatBall --minutes 2 -o results/heat_ball
"""

from pinnlora import Ball, Box, Condition, LogUniform, Problem, Vector

D = 100


class HeatBall(Problem):
    """Heat equation in a ball of 100 dimensions: u_t = alpha laplacian u, u = |x|^2 / (2 d) + alpha t."""

    coords = Ball(x=Vector(D), radius=1) * Box(t=(0, 1))
    fields = ("u",)
    task = LogUniform(alpha=(0.5, 2))

    def residual(self, u_t, laplacian_u, alpha):
        return {"heat": u_t - alpha * laplacian_u}

    def start(self, x):
        return {"u": x.square().sum(-1) / (2 * D)}

    def rim(self, t, alpha):
        return {"u": 1 / (2 * D) + alpha * t}

    conditions = [Condition(start, on="t=0"), Condition(rim, on="boundary")]

    def exact(self, x, t, alpha):
        return {"u": x.square().sum(-1) / (2 * D) + alpha * t}
