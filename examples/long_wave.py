"""Waves that never die out: a random periodic function as the state, marched on from its own end.

pinnlora train examples/long_wave.py:LongWave --minutes 5 -o results/long_wave
pinnlora predict results/long_wave/bundle --set u0=u0.npy --until 5 -o wave.nc
"""

import numpy as np

from pinnlora import Box, Condition, Cycle, GaussianField, Problem

MU = 0.04


class LongWave(Problem):
    """Regularised long waves (Benjamin-Bona-Mahony): u_t + u_x + u u_x = 0.04 u_xxt, periodic; no energy is lost."""

    coords = Box(x=Cycle(0, 1), t=(0, 1))
    fields = ("u",)
    task = GaussianField("u0", points=32, scale=156.25, shift=1 / MU, power=2)

    def residual(self, u, u_t, u_x, u_xxt):
        return {"waves": u_t + u_x + u * u_x - MU * u_xxt}

    def start(self, u0):
        return {"u": u0}

    conditions = [Condition(start, on="t=0")]

    def axes(self):
        return {"x": np.arange(64) / 64, "t": np.linspace(0, 1, 51)}
