"""Water that seeps through layered rock: the coefficient of the equation is a random function.

pinnlora train examples/darcy.py:Darcy --minutes 5 -o results/darcy
pinnlora predict results/darcy/bundle --set k=k.npy -o water.nc
"""

from torch import exp

from pinnlora import Box, Condition, GaussianField, Problem


class Darcy(Problem):
    """Darcy flow: (e^k u_x)_x + (e^k u_y)_y + 1 = 0, no pressure at the rim, k(x) the logarithm of the permeability."""

    coords = Box(x=(0, 1), y=(0, 1))
    fields = ("u",)
    task = GaussianField("k", points=32, scale=10000, shift=25, power=3)

    def residual(self, u_x, u_xx, u_yy, k, k_x):
        return {"darcy": u_xx + u_yy + k_x * u_x + exp(-k)}

    def rim(self):
        return {"u": 0.0}

    conditions = [Condition(rim, on=("x=0", "x=1", "y=0", "y=1"))]
