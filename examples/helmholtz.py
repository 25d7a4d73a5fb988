"""Sound of any pitch from any direction: a problem with two parameters, both of which bend the solution.

pinnlora train examples/helmholtz.py:Helmholtz --minutes 5 -o results/helmholtz
"""

from torch import cos, pi, sin

from pinnlora import Box, Condition, Problem, Uniform


class Helmholtz(Problem):
    """Helmholtz equation: u_xx + u_yy + k^2 u = 0, a plane wave, its values given on the walls.

    The wave number k stays between two resonances of the square, pi sqrt(2) and pi sqrt(5), where walls say too little.
    """

    coords = Box(x=(0, 1), y=(0, 1))
    fields = ("u",)
    task = Uniform(k=(4.8, 6.7), angle=(0, pi / 2))

    def residual(self, u, u_xx, u_yy, k):
        return {"helmholtz": u_xx + u_yy + k**2 * u}

    def exact(self, x, y, k, angle):
        return {"u": sin(k * (x * cos(angle) + y * sin(angle)))}

    conditions = [Condition(exact, on=("x=0", "x=1", "y=0", "y=1"), name="walls")]
