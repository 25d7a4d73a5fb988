"""Waves in shallow water: an equation of third order, with two conditions at one end and one at the other.

pinnlora train examples/korteweg_de_vries.py:KortewegDeVries --minutes 5 -o results/korteweg_de_vries
"""

from torch import cosh, sqrt, tanh

from pinnlora import Box, Condition, Problem, Uniform


class KortewegDeVries(Problem):
    """Korteweg-de Vries equation: u_t + 6 u u_x + u_xxx = 0, a soliton, which is taller the faster it runs."""

    coords = Box(x=(-5, 5), t=(0, 1))
    fields = ("u",)
    task = Uniform(speed=(1, 3))

    def residual(self, u, u_t, u_x, u_xxx):
        return {"korteweg_de_vries": u_t + 6 * u * u_x + u_xxx}

    def exact(self, x, t, speed):
        return {"u": speed / 2 / cosh(sqrt(speed) / 2 * (x - speed * t)) ** 2}

    def slope(self, x, t, speed):
        phase = sqrt(speed) / 2 * (x - speed * t)
        return {"u_x": -(speed**1.5) / 2 * tanh(phase) / cosh(phase) ** 2}

    conditions = [
        Condition(exact, on="t=0", name="start"),
        Condition(exact, on=("x=-5", "x=5"), name="ends"),
        Condition(slope, on="x=5"),
    ]
