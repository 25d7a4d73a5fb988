"""A boundary layer: one coordinate, two parameters, of which one is drawn by its logarithm.

pinnlora train examples/convection_diffusion.py:ConvectionDiffusion --minutes 2 -o results/layer
pinnlora predict results/layer/bundle --set speed=1 --set nu=0.03 -o layer.nc
"""

from torch import exp

from pinnlora import Box, Condition, LogUniform, Problem, Uniform


class ConvectionDiffusion(Problem):
    """Steady convection and diffusion: speed u_x - nu u_xx = 1, zero at both ends, a layer at x = 1."""

    coords = Box(x=(0, 1))
    fields = ("u",)
    task = Uniform(speed=(0.5, 1.5)) * LogUniform(nu=(2e-2, 2e-1))

    def residual(self, u_x, u_xx, speed, nu):
        return {"transport": speed * u_x - nu * u_xx - 1}

    def ends(self):
        return {"u": 0.0}

    conditions = [Condition(ends, on=("x=0", "x=1"))]

    def exact(self, x, speed, nu):
        inflow = exp(-speed / nu)
        layer = (exp(speed * (x - 1) / nu) - inflow) / (1 - inflow)
        return {"u": (x - layer) / speed}
