"""A quantum particle between two walls: a complex unknown as two real fields.

pinnlora train examples/schroedinger.py:Schroedinger --minutes 2 -o results/schroedinger
pinnlora predict results/schroedinger/bundle --set mass=5 -o particle.nc
"""

from torch import cos, pi, sin

from pinnlora import Box, Condition, LogUniform, Problem


class Schroedinger(Problem):
    """Schroedinger's equation i psi_t = -psi_xx / (2 mass) with psi = u + i v, two states of a box at the start."""

    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u", "v")
    task = LogUniform(mass=(2, 20))

    def residual(self, u_t, v_t, u_xx, v_xx, mass):
        return {"real": u_t + v_xx / (2 * mass), "imaginary": v_t - u_xx / (2 * mass)}

    def start(self, x):
        return {"u": sin(pi * x) + sin(2 * pi * x), "v": 0.0}

    def walls(self):
        return {"u": 0.0, "v": 0.0}

    conditions = [Condition(start, on="t=0"), Condition(walls, on=("x=0", "x=1"))]

    def exact(self, x, t, mass):
        first, second = pi**2 / (2 * mass), 2 * pi**2 / mass  # the energies of the two states
        u = sin(pi * x) * cos(first * t) + sin(2 * pi * x) * cos(second * t)
        return {"u": u, "v": -sin(pi * x) * sin(first * t) - sin(2 * pi * x) * sin(second * t)}
