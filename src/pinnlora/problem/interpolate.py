"""A function given at equidistant points, anywhere: differentiable in the place where it is asked for."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def fourier(values: Tensor, place: Tensor, order: int = 0) -> Tensor:
    """The Fourier series through values (task, m) at j / m, without the Nyquist wave: (task, point).

    `place` is (task or 1, point), `order` that of the derivative.
    """
    modes = torch.view_as_real(torch.fft.rfft(values, norm="forward"))[:, : (values.shape[-1] + 1) // 2]
    wave = 2 * math.pi * torch.arange(modes.shape[1], dtype=place.dtype, device=place.device)
    real, imag = modes.unbind(-1)
    for _ in range(order):
        real, imag = -wave * imag, wave * real
    twice = torch.full_like(real, 2.0)
    twice[:, 0] = 1.0
    angle = wave * place.unsqueeze(-1)
    columns = torch.stack((real * twice, -imag * twice), -1)
    waves = torch.cos(angle) @ columns[..., :1] + torch.sin(angle) @ columns[..., 1:]
    return waves.squeeze(-1)


def spline(values: Tensor, place: Tensor, order: int = 0) -> Tensor:
    """The cubic spline (not-a-knot) through values (task, m) at j / (m - 1): (task, point).

    `place` is (task or 1, point), `order` that of the derivative, at most 2.
    """
    knots = values.shape[-1]
    bend = values @ torch.as_tensor(_curvature(knots), dtype=values.dtype, device=values.device).mT
    at = (place * (knots - 1)).expand(len(values), -1)
    left = at.detach().floor().clamp(0, knots - 2)
    index, right = left.long(), at - left
    rest = 1 - right
    (a, b), (c, d) = ((y.gather(1, index), y.gather(1, index + 1)) for y in (values, bend))
    if order == 0:
        return rest * a + right * b + (rest**3 - rest) * c + (right**3 - right) * d
    if order == 1:
        return (b - a + (1 - 3 * rest**2) * c + (3 * right**2 - 1) * d) * (knots - 1)
    return (6 * rest * c + 6 * right * d) * (knots - 1) ** 2


@lru_cache(maxsize=8)
def _curvature(knots: int) -> np.ndarray:
    """(m, m): values to a sixth of the spline's second derivatives, in units of the distance of the knots."""
    second = np.eye(knots, k=-1) - 2 * np.eye(knots) + np.eye(knots, k=1)
    system = second + 6 * np.eye(knots)
    system[0, :3] = system[-1, -3:] = (1, -2, 1)  # the third derivative passes the second knot unbroken
    system[0, 3:] = system[-1, :-3] = 0
    second[0] = second[-1] = 0
    return np.linalg.solve(system, second)
