"""Values and derivatives of a network in one pass: the only differentiation in the package.

A jet (task, channel, point, width) is pushed through the network as a whole. A linear map acts on all channels
at once; the bias acts on the value channel; tanh mixes channels by the chain rule (Faa di Bruno's formula).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from pinnlora.nets.derivatives.rays import pull_rays, push_rays, seed_rays
from pinnlora.problem.channels import ORDER, Channels, chain_rule, product_rule


def seed(coords: Tensor, channels: Channels) -> Tensor:
    """The jet of the coordinates themselves: (..., point, dim) -> (..., channel, point, dim)."""
    jet = coords.new_zeros(*coords.shape[:-2], len(channels), *coords.shape[-2:])
    jet[..., 0, :, :] = coords
    for channel in channels.firsts:
        jet[..., channel, :, channels.orders[channel][0]] = 1.0
    if channels.space:
        seed_rays(jet, channels)
    return jet


def features(
    coords: Tensor, channels: Channels, periodic: Sequence[tuple[int, float, float]] = (), modes: int = 1
) -> Tensor:
    """What a network reads: cos(k w x) / k, sin(k w x) / k, k = 1 .. modes, of each periodic (axis, low, length), and
    the other coordinates, as a jet: (..., point, dim) -> (..., channel, point, feature)."""
    plain = seed(coords, channels)
    kept = [axis for axis in range(coords.shape[-1]) if axis not in [wave[0] for wave in periodic]]
    waves = [_waves(coords, plain, channels, *wave, modes) for wave in periodic]
    return torch.cat((*waves, plain[..., kept]), -1) if waves else plain


def _waves(
    coords: Tensor, plain: Tensor, channels: Channels, axis: int, low: float, length: float, modes: int
) -> Tensor:
    k = torch.arange(1, modes + 1, dtype=coords.dtype, device=coords.device)
    frequency = 2 * torch.pi / length * k
    angle = frequency * (coords[..., axis, None] - low)
    cos, sin = torch.cos(angle) / k, torch.sin(angle) / k
    waves = plain.new_zeros(*plain.shape[:-1], 2 * modes)
    for count in range(1 + max(order.count(axis) for order in channels.orders)):
        waves[..., channels.position((axis,) * count), :, :] = torch.cat((cos, sin), -1)
        cos, sin = -frequency * sin, frequency * cos
    return waves


def push_tanh(z: Tensor, bias: Tensor, channels: Channels, out: Tensor) -> None:
    """tanh of a jet with its bias: z (task, channel, point, width), bias (task, width); `out` may be z itself.

    With t = tanh(z0 + b) and s = 1 - t^2: first derivatives s z_i, second s (z_ij - 2 t z_i z_j), and so on by
    `chain_rule`, tanh's own derivatives being s times `tanh_slopes`. t is computed as 2 sigmoid(2 x) - 1: four times
    faster than torch's tanh on a CPU, its error an ulp or two of 1.
    """
    if channels.space:
        count = len(channels.orders)
        push_tanh(z[:, :count], bias, channels.plain, out[:, :count])
        push_rays(z, out[:, 0], channels, out)
        return
    one, chain = torch.ones((), dtype=z.dtype, device=z.device), chain_rule(channels)
    t, last = out[:, 0], z.shape[1] - len(chain)
    torch.add(2 * bias.unsqueeze(-2), z[:, 0], alpha=2, out=t).sigmoid_()
    torch.add(-one, t, alpha=2, out=t)
    spare, slopes = torch.empty_like(t), tanh_slopes(t, len(channels.orders[-1]))
    for whole, products in chain:  # the highest order first, because it reads lower ones
        total = z[:, whole]
        for count, (first, *others, final) in products:
            factor, slope = slopes[len(others)]
            torch.mul(slope, z[:, first], out=spare)
            for other in others:
                spare.mul_(z[:, other])
            total = torch.addcmul(total, spare, z[:, final], value=factor * count, out=out[:, whole])
    s = torch.addcmul(one, t, t, value=-1, out=spare).unsqueeze(1)
    torch.mul(z[:, 1:last], s, out=out[:, 1:last])
    out[:, last:].mul_(s)


def tanh_slopes(t: Tensor, order: int) -> list[tuple[int, Tensor]]:
    """Second to fourth derivative of tanh over the first, as (factor, tensor); those that `order` needs.

    Raises ValueError where it needs more.
    """
    if order > ORDER:
        raise ValueError(f"a derivative of order {order}: jets go through tanh up to order {ORDER}")
    if order < 3:
        return [(-2, t)]
    square = t * t
    return [(-2, t), (2, 3 * square - 1), (8, t * (2 - 3 * square))]


@lru_cache(maxsize=256)
def _reverse_rule(channels: Channels) -> tuple[tuple[int, int, int, int, tuple], ...]:
    """For each product g_a y_b that `pull_tanh` needs: (a, b, a - b, count, (c, a - b - c, count) ...)."""
    rule, found = product_rule(channels), []
    for a, b, rest, count in rule:
        ways = [(rest, 0, 1), *(way for whole, *way in rule if whole == rest)]
        thirds = ((c, left, count * more * (0.5 if b == c else 1.0)) for c, left, more in ways if c >= b)
        found.append((a, b, rest, count, tuple(thirds)))
    return tuple(found)


def pull_tanh(grad: Tensor, out: Tensor, channels: Channels, dz: Tensor | None = None) -> Tensor:
    """The reverse of `push_tanh`: d loss / d z from grad = d loss / d out; `dz` is room for the answer.

    All is written in y = out: as tanh' = 1 - tanh^2, dy = S dz with S = 1 - y y, both products those of jets, so that
    d loss / d z_c = sum over a of binomial(a, c) S_(a-c) grad_a by Leibniz' rule, whatever the order.
    """
    if channels.space:
        count, dz = len(channels.orders), torch.empty_like(out) if dz is None else dz
        pull_tanh(grad[:, :count], out[:, :count], channels.plain, dz[:, :count])
        pull_rays(grad, out, channels, dz)
        return dz
    t = out[:, 0]
    s = torch.addcmul(torch.ones((), dtype=t.dtype, device=t.device), t, t, value=-1)
    dz = grad * s.unsqueeze(1) if dz is None else torch.mul(grad, s.unsqueeze(1), out=dz)
    if grad.shape[1] == 1:
        return dz
    slope = grad[:, 1] * out[:, 1]
    for c in range(2, grad.shape[1]):
        slope.addcmul_(grad[:, c], out[:, c])
    slope = slope * t
    for a, b, rest, count, thirds in _reverse_rule(channels):
        along = grad[:, a] * out[:, b]
        dz[:, rest].addcmul_(along, t, value=-2 * count)
        for c, left, more in thirds:
            if left:
                dz[:, left].addcmul_(along, out[:, c], value=-2 * more)
            else:
                slope.addcmul_(along, out[:, c], value=more)
    dz[:, 0].sub_(slope, alpha=2)
    return dz


class TanhJet(torch.autograd.Function):
    """`push_tanh` for autograd, with its reverse pass written out, so that it costs few passes over memory."""

    @staticmethod
    def forward(z: Tensor, bias: Tensor, channels: Channels) -> Tensor:
        out = torch.empty_like(z)
        push_tanh(z, bias, channels, out)
        return out

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.channels = inputs[2]
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (out,) = ctx.saved_tensors
        dz = pull_tanh(grad, out, ctx.channels)
        return dz, dz[:, 0].sum(-2), None


def tanh_jet(z: Tensor, bias: Tensor, channels: Channels) -> Tensor:
    """Push a pre-activation jet through bias and tanh: z (task, channel, point, width), bias (task, width)."""
    return TanhJet.apply(z, bias, channels)
