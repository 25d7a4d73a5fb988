"""A pipe's wall, hot inside and cooled outside: a shape that depends on the task, and a Robin condition.

pinnlora check examples/annulus.py:Annulus
pinnlora train examples/annulus.py:Annulus --minutes 2 -o results/annulus
pinnlora predict results/annulus/bundle --set inner=0.4 --set k=2 -o annulus.nc
"""

import torch

from pinnlora import Condition, Disk, Problem, Uniform


class Annulus(Problem):
    """Laplace's equation between two circles: u = 1 on the inner one, u_n = -k u on the outer one."""

    coords = Disk(x=0, y=0, radius=1) - Disk(x=0, y=0, radius="inner").named("hole")
    fields = ("u",)
    task = Uniform(inner=(0.2, 0.6), k=(0.5, 5))

    def residual(self, u_xx, u_yy):
        return {"laplace": u_xx + u_yy}

    def heated(self):
        return {"u": 1.0}

    def cooled(self, u, u_n, k):
        return {"cooling": u_n + k * u}

    conditions = [Condition(heated, on="hole"), Condition(cooled, on="disk")]

    def exact(self, x, y, inner, k):
        radius = torch.sqrt(x**2 + y**2)
        return {"u": (1 - k * torch.log(radius)) / (1 - k * torch.log(inner))}
