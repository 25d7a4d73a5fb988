"""Heat in a round plate: a disk with time. The first two waves of a drum, which Bessel functions describe.

pinnlora train examples/heat_disk.py:HeatDisk --minutes 5 -o results/heat_disk
pinnlora predict results/heat_disk/bundle --set alpha=0.05 --set tilt=0.5 -o disk.nc
"""

from math import factorial

from torch import exp

from pinnlora import Box, Condition, Disk, LogUniform, Problem, Uniform

ROUND, TILTED = 2.404825557695773, 3.831705970207512
"""First zeros of the Bessel functions J0 and J1."""


def bessel(order, square):
    """The Bessel function J_order(z) over (z / 2)^order, of z^2 below 16, to rounding."""
    return sum((-square / 4) ** k / (float(factorial(k)) * factorial(k + order)) for k in range(18))


class HeatDisk(Problem):
    """Heat equation in a disk: u_t = alpha (u_xx + u_yy), zero on the rim, a leaning hump at the start."""

    coords = Disk(x=0, y=0, radius=1) * Box(t=(0, 1))
    fields = ("u",)
    task = LogUniform(alpha=(1e-2, 1e-1)) * Uniform(tilt=(-1, 1))

    def residual(self, u_t, u_xx, u_yy, alpha):
        return {"heat": u_t - alpha * (u_xx + u_yy)}

    def exact(self, x, y, t, alpha, tilt):
        square = x**2 + y**2
        hump = exp(-alpha * ROUND**2 * t) * bessel(0, ROUND**2 * square)
        return {"u": hump + tilt * exp(-alpha * TILTED**2 * t) * x * bessel(1, TILTED**2 * square)}

    def rim(self):
        return {"u": 0.0}

    conditions = [Condition(exact, on="t=0", name="start"), Condition(rim, on="disk")]
