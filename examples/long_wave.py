"""Waves that never die out: a random periodic function as the state, marched on from its own end.

pinnlora train examples/long_wave.py:LongWave --minutes 5 -o results/long_wave
pinnlora predict results/long_wave/bundle --set u0=u0.npy --until 5 -o wave.nc
"""

import torch
from torch import arange, exp, fft, full_like, pi

from pinnlora import Box, Condition, Cycle, GaussianField, Problem

MU, POINTS = 0.04, 32


class LongWave(Problem):
    """Regularised long waves (Benjamin-Bona-Mahony): u_t + u_x + u u_x = 0.04 u_xxt, periodic; no energy is lost."""

    coords = Box(x=Cycle(0, 1), t=(0, 1))
    fields = ("u",)
    task = GaussianField("u0", points=POINTS, scale=156.25, shift=1 / MU, power=2)

    def residual(self, u, u_t, u_x, u_xxt):
        return {"waves": u_t + u_x + u * u_x - MU * u_xxt}

    def start(self, u0):
        return {"u": u0}

    conditions = [Condition(start, on="t=0")]

    def lift(self, coords, values, channels):
        """Linear waves exp(i k (x - c t)), each at its speed, and t N for what their product makes of them."""
        x, t = coords.unsqueeze(-1).unbind(2)
        k = 2 * pi * arange(1, POINTS // 2).to(coords)
        c = 1 / (1 + MU * k**2)
        modes = 2 * fft.rfft(values["u0"], norm="forward")[:, 1 : POINTS // 2, None]
        waves = exp(1j * k * (x - c * t))
        rows = [(waves * (1j * k) ** len(o) * (-c) ** o.count(1) @ modes).real for o in channels.orders]
        times = [t if o == () else full_like(t, o == (1,)) for o in channels.orders]
        return torch.stack(rows, 1), torch.stack(times, 1)
