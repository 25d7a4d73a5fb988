"""The viscous Burgers equation, periodic in x, from a random initial condition."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..distributions import GaussianField
from ..geometry import Box
from ..problem import Condition, Periodic, Problem
from ..spectral import solve_burgers

POINTS, NU, MODES = 128, 0.01, 16


class Burgers1D(Problem):
    """1D Burgers equation u_t + (u^2/2)_x = nu u_xx, nu = 0.01, periodic, for a random initial condition."""

    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u",)
    task = GaussianField("u0", points=POINTS, scale=625, shift=25, power=2)

    def residual(self, u, u_t, u_x, u_xx):
        """The equation with the flux differentiated."""
        return {"burgers": u_t + u * u_x - NU * u_xx}

    def initial(self, u0):
        """The initial condition at t = 0."""
        return {"u": u0}

    conditions = [Condition(initial, on="t=0"), Periodic("x")]

    def axes(self):
        """x = j/128 without the end point (it is periodic), 101 times."""
        return {"x": np.arange(POINTS) / POINTS, "t": np.linspace(0, 1, 101)}

    def reference(self, values):
        """The spectral solution on the grid."""
        u = solve_burgers(values["u0"], NU, self.axes()["t"])
        return {"u": np.swapaxes(u, 1, 2)}

    def reference_floor(self):
        """What the tests of the solver show."""
        return "spectral, relative L2 below 1e-8 against a doubly refined run"

    def function_values(self, name, values, coords):
        """u0 at any x, by its Fourier series: values (task, 128), coords (task, point, 2) -> (task, point)."""
        amplitudes = torch.fft.rfft(values, norm="forward")[:, : POINTS // 2]
        modes = torch.arange(1, POINTS // 2, dtype=coords.dtype, device=coords.device)
        angle = 2 * math.pi * coords[..., 0].unsqueeze(-1) * modes
        real, imag = amplitudes[:, 1:].real, amplitudes[:, 1:].imag
        series = torch.cos(angle) @ real.unsqueeze(-1) - torch.sin(angle) @ imag.unsqueeze(-1)
        return 2 * series.squeeze(-1) + amplitudes[:, :1].real

    def embed(self, values):
        """Fourier coefficients of u0, (task, 1 + 2 * 16), in units of the first mode's deviation.

        The k-th is enlarged by sqrt(k): a compromise between the field's own scale and white noise.
        """
        amplitudes = torch.fft.rfft(values["u0"], norm="forward")[:, : MODES + 1]
        growth = torch.arange(MODES + 1, device=amplitudes.device, dtype=amplitudes.real.dtype).sqrt()
        growth[0] = 1
        scale = 2 * growth * (1 + 4 * math.pi**2 / 25)
        return torch.cat((amplitudes.real * scale, (amplitudes.imag * scale)[:, 1:]), 1)

    def lift(self, coords, values, channels):
        """u = h + t N, where h solves the heat equation from u0: it carries u0's fine scales and its decay.

        h = sum_k a_k exp(2 pi i k x - 4 pi^2 k^2 nu t); the network is left with what the nonlinearity makes of it.
        """
        amplitudes = torch.fft.rfft(values["u0"], norm="forward")[:, : POINTS // 2]
        k = 2 * math.pi * torch.arange(POINTS // 2, dtype=coords.dtype, device=coords.device)
        x, t = coords[..., 0, None], coords[..., 1, None]
        decay = torch.exp(-NU * k**2 * t)
        cos, sin = torch.cos(k * x) * decay, torch.sin(k * x) * decay
        weight = torch.full_like(k, 2.0)
        weight[0] = 1.0
        real, imag = (part * weight for part in (amplitudes.real, amplitudes.imag))

        def series(a, b):
            return (cos @ a.unsqueeze(-1) - sin @ b.unsqueeze(-1)).squeeze(-1)

        known = {(): (real, imag), (0,): (-k * imag, k * real)}
        known |= {(1,): (-NU * k**2 * real, -NU * k**2 * imag), (0, 0): (-(k**2) * real, -(k**2) * imag)}
        offset = torch.stack([series(*known[order]) for order in channels.orders], 1).unsqueeze(-1)
        factor = torch.zeros_like(offset[:, :, : coords.shape[1]])
        factor[:, 0, :, 0] = coords[..., 1]
        if (1,) in channels.orders:
            factor[:, channels.position((1,))] = 1.0
        return offset, factor

    def canonical(self, values):
        """Use three symmetries: translation, mirror and Galilean; the first mode becomes + sin(2 pi x).

        The move (task, 3) holds mean, sign and shift: u(x, t) = mean + sign v(sign (x - shift - mean t), t).
        """
        u0 = values["u0"]
        amplitudes = torch.fft.rfft(u0, norm="forward")
        mean = amplitudes[:, 0].real
        # u ~ 2 |a| cos(2 pi x + arg a) is +sin(2 pi (x - shift)) when arg a = -pi/2 - 2 pi shift
        shift = torch.remainder(-(torch.angle(amplitudes[:, 1]) + math.pi / 2) / (2 * math.pi), 1)
        modes = torch.arange(amplitudes.shape[1], device=u0.device, dtype=u0.dtype)
        turned = amplitudes * torch.exp(2j * math.pi * modes * shift.unsqueeze(-1))
        sign = torch.where(turned[:, 2].real < 0, -1.0, 1.0).to(u0.dtype)
        mirrored = torch.complex(turned.real * sign.unsqueeze(-1), turned.imag)
        mirrored[:, 0] = 0
        moved = torch.fft.irfft(mirrored, n=u0.shape[-1], norm="forward")
        return {"u0": moved}, {"mean": mean, "sign": sign, "shift": shift}

    def move(self, coords, move):
        """Coordinates (task, point, 2) in the frame of the canonical task."""
        mean, sign, shift = (move[name].unsqueeze(-1) for name in ("mean", "sign", "shift"))
        x, t = coords.unbind(-1)
        return torch.stack((torch.remainder(sign * (x - shift - mean * t), 1), t.expand_as(x - shift)), -1)

    def restore(self, fields, move):
        """Fields (task, point, 1) of the canonical task, back in the frame of the given one."""
        return move["mean"][:, None, None] + move["sign"][:, None, None] * fields


PROBLEM = Burgers1D
