"""Values and derivatives of a network in one pass: the only differentiation in the package.

A *jet* is a tensor of shape (task, channel, point, width): the value and every partial derivative that
is asked for, pushed through the network together. A linear map acts on all channels at once; the bias
acts on the value channel; tanh mixes channels by the chain rule (Faa di Bruno up to second order).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

Index = tuple[int, ...]
"""A derivative: the sorted coordinate axes, () for the value, (0,) for d/dx0, (0, 1) for d2/dx0dx1."""


@dataclass(frozen=True)
class Channels:
    """The value and the derivatives that travel together; closed, so that a second derivative has its firsts."""

    orders: tuple[Index, ...]

    @classmethod
    def of(cls, requested: Iterable[Index]) -> Channels:
        """The smallest closed set that holds `requested`; raises ValueError beyond second order."""
        wanted: set[Index] = {()}
        for order in requested:
            if len(order) > 2:
                raise ValueError(
                    f"derivative {order} has order {len(order)}: jets carry at most second order"
                )
            wanted.add(tuple(sorted(order)))
            wanted.update((axis,) for axis in order)
        return cls(tuple(sorted(wanted, key=lambda order: (len(order), order))))

    def __len__(self) -> int:
        return len(self.orders)

    def position(self, order: Index) -> int:
        """Where a derivative stands on the channel axis."""
        return self.orders.index(tuple(sorted(order)))

    @property
    def seconds(self) -> tuple[tuple[int, int, int], ...]:
        """(channel of d2/dij, channel of d/di, channel of d/dj) for each second derivative."""
        return tuple(
            (self.position(order), self.position(order[:1]), self.position(order[1:]))
            for order in self.orders
            if len(order) == 2
        )

    @property
    def firsts(self) -> tuple[int, ...]:
        """Channels of the first derivatives."""
        return tuple(k for k, order in enumerate(self.orders) if len(order) == 1)


VALUE = Channels(((),))


def seed(coords: Tensor, channels: Channels) -> Tensor:
    """The jet of the coordinates themselves: (..., point, dim) -> (..., channel, point, dim)."""
    jet = coords.new_zeros(*coords.shape[:-2], len(channels), *coords.shape[-2:])
    jet[..., 0, :, :] = coords
    for channel in channels.firsts:
        jet[..., channel, :, channels.orders[channel][0]] = 1.0
    return jet


def periodic_features(
    coords: Tensor, channels: Channels, axis: int, low: float, length: float, modes: int = 1
) -> Tensor:
    """The jet of cos(k w x) / k, sin(k w x) / k for k = 1 .. modes and the other coordinates.

    Exactly periodic along `axis`: (..., point, dim) -> (..., channel, point, dim - 1 + 2 modes).
    """
    k = torch.arange(1, modes + 1, dtype=coords.dtype, device=coords.device)
    frequency = 2 * torch.pi / length * k
    angle = frequency * (coords[..., axis, None] - low)
    cos, sin = torch.cos(angle) / k, torch.sin(angle) / k
    plain = seed(coords, channels)
    waves = plain.new_zeros(*plain.shape[:-1], 2 * modes)
    waves[..., 0, :, :] = torch.cat((cos, sin), -1)
    if (axis,) in channels.orders:
        waves[..., channels.position((axis,)), :, :] = torch.cat((-frequency * sin, frequency * cos), -1)
    if (axis, axis) in channels.orders:
        square = frequency**2
        waves[..., channels.position((axis, axis)), :, :] = torch.cat((-square * cos, -square * sin), -1)
    return torch.cat((waves, plain[..., :axis], plain[..., axis + 1 :]), dim=-1)


def product(left: Tensor, right: Tensor, channels: Channels) -> Tensor:
    """The jet of a product of two jets that share shape (task, channel, point, field): Leibniz' rule."""
    out = left[:, :1] * right + left * right[:, :1]
    out[:, 0] = left[:, 0] * right[:, 0]
    for ij, i, j in channels.seconds:
        out[:, ij] += left[:, i] * right[:, j] + left[:, j] * right[:, i]
    return out


class TanhJet(torch.autograd.Function):
    """tanh of a jet with its bias: z (task, channel, point, width), bias (task, width) -> the same shape as z.

    With t = tanh(z0 + b) and s = 1 - t^2: first derivatives s z_i, second s (z_ij - 2 t z_i z_j).
    The reverse pass is written out, so that it costs few passes over memory.
    """

    @staticmethod
    def forward(z: Tensor, bias: Tensor, firsts, seconds) -> Tensor:
        out = torch.empty_like(z)
        t = torch.tanh(z[:, 0] + bias.unsqueeze(-2))
        out[:, 0] = t
        s = torch.addcmul(torch.ones((), dtype=z.dtype, device=z.device), t, t, value=-1)
        for i in firsts:
            torch.mul(s, z[:, i], out=out[:, i])
        for ij, i, j in seconds:
            torch.mul(s, z[:, ij], out=out[:, ij])
            # s (z_ij - 2 t z_i z_j), with s z_i already at hand
            out[:, ij].addcmul_(t * z[:, j], out[:, i], value=-2)
        return out

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        z, _, ctx.firsts, ctx.seconds = inputs
        ctx.save_for_backward(z, output)

    @staticmethod
    def backward(ctx, grad: Tensor):
        z, out = ctx.saved_tensors
        t = out[:, 0]
        s = torch.addcmul(torch.ones((), dtype=z.dtype, device=z.device), t, t, value=-1)
        dz = grad * s.unsqueeze(1)
        slope = torch.zeros_like(t)  # of the loss in s, over -2 t s, gathered before one multiplication
        for i in ctx.firsts:
            slope.addcmul_(grad[:, i], z[:, i])
        curve = None
        for ij, i, j in ctx.seconds:
            slope.addcmul_(grad[:, ij], z[:, ij])
            pull = dz[:, ij] * t  # s t g_ij
            if i == j:
                dz[:, i].addcmul_(pull, z[:, i], value=-4)
            else:
                dz[:, i].addcmul_(pull, z[:, j], value=-2)
                dz[:, j].addcmul_(pull, z[:, i], value=-2)
            product = dz[:, ij] * z[:, i]
            curve = product.mul_(z[:, j]) if curve is None else curve.addcmul_(product, z[:, j])
        dz[:, 0].addcmul_(slope * t, s, value=-2)
        if curve is not None:  # d(t s)/dz0 = s (1 - 3 t^2); s g_ij z_i z_j is in `curve`
            dz[:, 0].add_(curve * (1 - 3 * t * t), alpha=-2)
        return dz, dz[:, 0].sum(-2), None, None


def tanh_jet(z: Tensor, bias: Tensor, channels: Channels) -> Tensor:
    """Push a pre-activation jet through bias and tanh; shapes as in `TanhJet`."""
    return TanhJet.apply(z, bias, channels.firsts, channels.seconds)
