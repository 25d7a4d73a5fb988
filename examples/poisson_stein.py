"""Poisson's equation in the plane, without ever differentiating the network in x and y: by Stein's identity.

pinnlora check examples/poisson_stein.py:PoissonStein
pinnlora train examples/poisson_stein.py:PoissonStein --minutes 5 --config examples/stein.yaml -o results/poisson_stein
"""

from torch import sin

from pinnlora import Box, Condition, Problem, Uniform


class PoissonStein(Problem):
    """Poisson's equation: laplacian u = -sin(k (x + y)), u = sin(k (x + y)) / (2 k^2) on the walls and inside."""

    coords = Box(x=(0, 1), y=(0, 1))
    fields = ("u",)
    task = Uniform(k=(1, 3))

    def residual(self, laplacian_u, x, y, k):
        return {"poisson": laplacian_u + sin(k * (x + y))}

    def walls(self, x, y, k):
        return self.exact(x, y, k)

    conditions = [Condition(walls, on=("x=0", "x=1", "y=0", "y=1"))]

    def exact(self, x, y, k):
        return {"u": sin(k * (x + y)) / (2 * k**2)}
