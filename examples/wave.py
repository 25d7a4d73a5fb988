"""A string that swings, as a system of first order in time.

pinnlora train examples/wave.py:Wave --minutes 2 -o results/wave
pinnlora predict results/wave/bundle --set c=0.8 -o string.nc
"""

from torch import cos, pi, sin

from pinnlora import Box, Condition, Problem, Uniform


class Wave(Problem):
    """The wave equation as a system: u_t = v, v_t = c^2 u_xx, two modes at rest at the start, fixed ends."""

    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u", "v")
    task = Uniform(c=(0.5, 1.5))

    def residual(self, u_t, u_xx, v, v_t, c):
        return {"velocity": u_t - v, "force": v_t - c**2 * u_xx}

    def start(self, x):
        return {"u": sin(pi * x) + 0.5 * sin(2 * pi * x), "v": 0.0}

    def ends(self):
        return {"u": 0.0, "v": 0.0}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1"))]

    def exact(self, x, t, c):
        first, second = sin(pi * x), 0.5 * sin(2 * pi * x)
        u = first * cos(pi * c * t) + second * cos(2 * pi * c * t)
        return {"u": u, "v": -pi * c * (first * sin(pi * c * t) + 2 * second * sin(2 * pi * c * t))}
