"""The viscous Burgers equation, periodic in x, from a random initial condition."""

from __future__ import annotations

import math

import numpy as np
import torch

from pinnlora.problem.base import Problem
from pinnlora.problem.channels import product
from pinnlora.problem.domain.box import Box
from pinnlora.problem.gaussian_field import GaussianField
from pinnlora.problem.signature import Condition, Periodic
from pinnlora.problem.spectral import solve_burgers

POINTS, NU, MODES, EARLY = 128, 0.01, 16, 0.1
PIECE = 1024
"""Points whose waves are held at once."""


def amplitudes(values, modes=POINTS // 2):
    """Fourier amplitudes of functions (task, points), the lowest modes, in real and imaginary parts: (task, mode, 2).

    Real numbers throughout, because ONNX has no complex ones.
    """
    return torch.view_as_real(torch.fft.rfft(values, norm="forward"))[:, :modes]


def from_amplitudes(spectra, points):
    """The functions (task, points) of amplitudes (task, mode, 2)."""
    missing = points // 2 + 1 - spectra.shape[1]  # irfft would add them, as complex numbers
    full = torch.nn.functional.pad(spectra, (0, 0, 0, missing))
    return torch.fft.irfft(torch.view_as_complex(full), n=points, norm="forward")


def waves(x, count):
    """cos and sin of 2 pi k x, k = 0, 1, ... count - 1, of x (task, point): two (task, k, point).

    Both of 16 j and of i < 16 alone, for their angles add; whole turns are taken out, which keeps single precision.
    """
    turns = torch.arange(16, dtype=x.dtype, device=x.device)[:, None]
    angle = 2 * math.pi * (turns * x.unsqueeze(-2))
    if count <= 16:
        return [angle.cos()[..., :count, :], angle.sin()[..., :count, :]]
    far = 16 * x.unsqueeze(-2)
    coarse = 2 * math.pi * (turns[: -(-count // 16)] * (far - far.floor()))
    c, s, cos, sin = (
        part.unsqueeze(axis)
        for each, axis in ((coarse, -2), (angle, -3))
        for part in (each.cos(), each.sin())
    )
    both = torch.addcmul(c * cos, s, sin, value=-1), torch.addcmul(s * cos, c, sin)
    return [part.flatten(-3, -2)[..., :count, :] for part in both]


def heat_flow(spectra, coords, channels):
    """Jets (task, channel, point, flow) of sum_k a_k exp(2 pi i k x - 4 pi^2 k^2 nu t), a_-k = conj(a_k).

    spectra (task, flow, mode, 2) holds the a_k, k = 0, 1, ..., of several flows, coords is (task or 1, point, 2). Many
    points go in groups, each without the modes that have died by its times; a graph that is exported has any number
    of points.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or coords.shape[1] <= PIECE:
        return flow_at(spectra, coords, channels)
    try:
        groups = list(by_modes(coords.detach()[..., 1].amin(0), spectra.shape[2]))
    except RuntimeError:  # under torch.func.vmap no point can be chosen by its time
        return torch.cat([flow_at(spectra, piece, channels) for piece in coords.split(PIECE, 1)], 2)
    flows = [flow_at(spectra[:, :, :count], coords[:, some], channels) for count, some in groups]
    order = torch.cat([some for _, some in groups])
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    return torch.cat(flows, 2)[:, :, back]


def by_modes(time, modes):
    """Groups of the times (point,): how many modes have kept 1e-20 of themselves, of 16, 32, ..., and which points.

    As many points in one as a cache holds the waves of.
    """
    count, rest = min(16, modes), torch.ones_like(time, dtype=torch.bool)
    while count < modes:
        calm = rest & (time >= 46 / (NU * (2 * math.pi * count) ** 2))
        yield from ((count, some) for some in calm.nonzero()[:, 0].split(PIECE * modes // count) if len(some))
        count, rest = min(2 * count, modes), rest & ~calm
    yield from ((modes, some) for some in rest.nonzero()[:, 0].split(PIECE) if len(some))


def flow_at(spectra, coords, channels):
    """The same, all points at once."""
    count, (x, t) = spectra.shape[-2], coords.unbind(-1)
    k = 2 * math.pi * torch.arange(count, dtype=coords.dtype, device=coords.device)
    cos, sin = waves(x, count)
    decay = torch.exp((-NU * k[:, None] ** 2 * t.unsqueeze(-2)).clamp_min(-80.0))  # denormal numbers are slow
    twice = torch.full_like(k, 2.0)
    twice[0] = 1.0
    real, imag = (part * twice for part in spectra.unbind(-1))
    rows = {
        (): (real, -imag),
        (0,): (-k * imag, -k * real),
        (1,): (-NU * k**2 * real, NU * k**2 * imag),
        (0, 0): (-(k**2) * real, k**2 * imag),
    }
    of_cos, of_sin = (torch.cat([rows[order][side] for order in channels.orders], 1) for side in (0, 1))
    sums = of_cos @ (cos * decay) + of_sin @ (sin * decay)
    return sums.unflatten(1, (len(channels), spectra.shape[1])).transpose(2, 3)


def in_time(coords, channels, derivatives):
    """The jet (task, channel, point, 1) of a function of t alone: derivatives[0] its value, [1] its first."""
    jet = coords.new_zeros(*coords.shape[:1], len(channels), coords.shape[1], 1)
    jet[:, 0, :, 0] = derivatives[0]
    if (1,) in channels.orders:
        jet[:, channels.position((1,)), :, 0] = derivatives[1]
    return jet


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

    def reference(self, values, **resolution):
        """The spectral solution on the grid."""
        u = solve_burgers(values["u0"], NU, self.axes()["t"], **resolution)
        return {"u": np.swapaxes(u, 1, 2)}

    def reference_floor(self, values, fields):
        """Against a run with twice the modes and half the step, for four tasks."""
        few = {"u0": values["u0"][:4]}
        finer = self.reference(few, modes=2048, step=1.25e-4)["u"]
        error = float(np.mean((finer - fields["u"][:4]) ** 2))
        return error, "spectral; against twice the modes and half the step"

    def embed(self, values):
        """Fourier coefficients of u0, (task, 1 + 2 * 16), in units of the first mode's deviation.

        The k-th is enlarged by sqrt(k): a compromise between the field's own scale and white noise.
        """
        real, imag = amplitudes(values["u0"], MODES + 1).unbind(-1)
        growth = torch.arange(MODES + 1, device=real.device, dtype=real.dtype).sqrt()
        growth[0] = 1
        scale = 2 * growth * (1 + 4 * math.pi**2 / 25)
        return torch.cat((real * scale, (imag * scale)[:, 1:]), 1)

    def lift(self, coords, values, channels):
        """u = h + t N, where h solves the heat equation from u0: it carries u0's fine scales and its decay.

        The network is left with what the nonlinearity makes of them.
        """
        offset = heat_flow(amplitudes(values["u0"])[:, None], coords, channels)
        return offset, in_time(coords, channels, {0: coords[..., 1], 1: 1.0})

    def canonical(self, values):
        """Use three symmetries: translation, mirror and Galilean; the first mode becomes + sin(2 pi x).

        The move (task, 3) holds mean, sign and shift: u(x, t) = mean + sign v(sign (x - shift - mean t), t).
        """
        u0 = values["u0"]
        real, imag = amplitudes(u0, POINTS).unbind(-1)
        # u ~ 2 |a| cos(2 pi x + arg a) is +sin(2 pi (x - shift)) when arg a = -pi/2 - 2 pi shift
        shift = torch.remainder(-(torch.atan2(imag[:, 1], real[:, 1]) + math.pi / 2) / (2 * math.pi), 1)
        modes = torch.arange(real.shape[1], device=u0.device, dtype=u0.dtype)
        angle = 2 * math.pi * modes * shift.unsqueeze(-1)
        cos, sin = torch.cos(angle), torch.sin(angle)
        turned = real * cos - imag * sin
        sign = torch.where(turned[:, 2] < 0, -1.0, 1.0).to(u0.dtype)
        mirrored = torch.stack((turned * sign.unsqueeze(-1), real * sin + imag * cos), -1)
        moved = from_amplitudes(mirrored * (modes > 0).to(u0.dtype).unsqueeze(-1), u0.shape[-1])
        return {"u0": moved}, {"mean": real[:, 0], "sign": sign, "shift": shift}

    def move(self, coords, move):
        """Coordinates (task, point, 2) in the frame of the canonical task."""
        mean, sign, shift = (move[name].unsqueeze(-1) for name in ("mean", "sign", "shift"))
        x, t = coords.unbind(-1)
        return torch.stack((torch.remainder(sign * (x - shift - mean * t), 1), t.expand_as(x - shift)), -1)

    def restore(self, fields, move):
        """Fields (task, point, 1) of the canonical task, back in the frame of the given one."""
        return move["mean"][:, None, None] + move["sign"][:, None, None] * fields


class Burgers1DPotential(Burgers1D):
    """1D Burgers equation for the potential psi, u = psi_x: psi_t + psi_x^2 / 2 = nu psi_xx.

    Integrated once in x, the residual weighs what is left of the equation as the error of u weighs it: a small
    loss means a small error, which u's own residual, dominated by its finest scales, does not say.
    """

    potentials = ("psi",)
    needs_symmetry = True  # psi is periodic where u's mean is zero
    name = "burgers1d"

    def observe(self, psi_x):
        """u from the potential."""
        return {"u": psi_x}

    def residual(self, psi_t, psi_x, psi_xx):  # type: ignore[override]  # called by its arguments' names
        """The equation integrated in x; the constant of integration is psi's own."""
        return {"burgers": psi_t + psi_x**2 / 2 - NU * psi_xx}

    def initial(self, u0):
        """The initial condition at t = 0."""
        return {"psi_x": u0}

    conditions = [Condition(initial, on="t=0"), Periodic("x")]

    def lift(self, coords, values, channels):
        """psi = H + t exp(-t/c) G + t^2 / (t + c/2) N, c = 0.1: exact at t = 0, and in its first derivative in t.

        H is the heat flow of u0's potential, G that of -u0^2 / 2: the fine scales of the first moments, which
        a network would have to learn for every task anew.
        """
        t, spectrum = coords[..., 1], amplitudes(values["u0"])
        wave = 2 * math.pi * torch.arange(POINTS // 2, device=t.device, dtype=t.dtype)
        wave[0] = torch.inf
        real, imag = spectrum.unbind(-1)
        integral = torch.stack((imag / wave, -real / wave), -1)
        fine = from_amplitudes(spectrum, 2 * POINTS)
        squared = amplitudes(-(fine**2) / 2, POINTS)
        padded = torch.nn.functional.pad(integral, (0, 0, 0, POINTS - POINTS // 2))
        flows = heat_flow(torch.stack((padded, squared), 1), coords, channels)
        fade = torch.exp(-t / EARLY)
        early = in_time(coords, channels, {0: t * fade, 1: (1 - t / EARLY) * fade})
        late = {0: t**2 / (t + EARLY / 2), 1: t * (t + EARLY) / (t + EARLY / 2) ** 2}
        offset = flows[..., :1] + product(early, flows[..., 1:], channels)
        return offset, in_time(coords, channels, late)


Burgers1D.formulations = {"potential": Burgers1DPotential}
PROBLEM = Burgers1D
