"""Ripples on a film that flows down a wall: long waves grow, fourth derivatives damp short ones, and they steepen.

No solution is known; time is so short that it is no chaos yet, and the verdict after training says what it is worth.

pinnlora train examples/kuramoto_sivashinsky.py:KuramotoSivashinsky --minutes 5 -o results/kuramoto_sivashinsky
"""

from torch import cos, pi, sin

from pinnlora import Box, Condition, Periodic, Problem, Uniform


class KuramotoSivashinsky(Problem):
    """Kuramoto-Sivashinsky equation: u_t + u u_x + u_xx + nu u_xxxx = 0, periodic, from two waves."""

    coords = Box(x=(0, 2 * pi), t=(0, 1))
    fields = ("u",)
    task = Uniform(nu=(0.3, 0.8))

    def residual(self, u, u_t, u_x, u_xx, u_xxxx, nu):
        return {"film": u_t + u * u_x + u_xx + nu * u_xxxx}

    def start(self, x):
        return {"u": sin(x) + cos(2 * x) / 2}

    conditions = [Condition(start, on="t=0"), Periodic("x")]
