"""Gradient and Laplacian in one forward pass, along one ray an axis or along random directions.

With z_k the first derivatives along the rays and z_L the Laplacian, tanh has y_k = s z_k and, by the chain rule,
y_L = s (z_L - 2 t sum_k z_k^2), t = tanh and s = 1 - t^2: one channel where second derivatives would need one a ray
(the forward Laplacian, Li et al., arXiv 2307.08214; along random directions Hutchinson's trace, arXiv 2312.14499).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pinnlora.problem.channels import Channels, Directions


def seed_rays(jet: Tensor, channels: Channels) -> None:
    """Write the coordinates' own derivatives along the rays into their jet (..., channel, point, dim) of zeros."""
    if isinstance(channels.way, Directions):
        jet[..., channels.rays, :, :] = channels.way.at().to(jet)
        return
    for ray, axis in enumerate(channels.space, len(channels.orders)):
        jet[..., ray, :, axis] = 1.0


def push_rays(z: Tensor, t: Tensor, channels: Channels, out: Tensor) -> None:
    """Rays and Laplacian through tanh, all (task, channel, point, width), t (task, point, width) its value there;
    `out` may be z itself."""
    rays, one = channels.rays, torch.ones((), dtype=z.dtype, device=z.device)
    s = torch.addcmul(one, t, t, value=-1)
    bend = z[:, rays].square().sum(1).mul_(t)
    torch.add(z[:, -1], bend, alpha=-2, out=out[:, -1]).mul_(s)
    torch.mul(z[:, rays], s.unsqueeze(1), out=out[:, rays])


def pull_rays(grad: Tensor, out: Tensor, channels: Channels, dz: Tensor) -> None:
    """The reverse of `push_rays`, in terms of y = out: writes d loss / d z of rays and Laplacian into dz, and adds to
    that of the value."""
    rays, t = channels.rays, out[:, 0]
    one = torch.ones((), dtype=t.dtype, device=t.device)
    y, bend, s = out[:, rays], grad[:, -1], torch.addcmul(one, t, t, value=-1)
    torch.mul(grad[:, rays.start :], s.unsqueeze(1), out=dz[:, rays.start :])
    along = (grad[:, rays] * y).sum(1).addcmul_(bend, out[:, -1]).mul_(t)
    along.addcmul_(bend, y.square().sum(1))
    dz[:, 0].sub_(along, alpha=2)
    dz[:, rays].addcmul_(y, (t * bend).unsqueeze(1), value=-4)


@dataclass(frozen=True)
class RayEntry:
    """What enters a network: coords (task or 1, point, dim) with `channels`, of which nothing is stored that the
    first map makes by itself; one entry of `nets.stack`."""

    coords: Tensor
    channels: Channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Tasks (1: all share them), channels and points."""
        return len(self.coords), len(self.channels), self.coords.shape[1]

    @property
    def like(self) -> Tensor:
        """A tensor of its kind."""
        return self.coords

    def _part(self, tasks: slice, points: slice) -> Tensor:
        some = self.coords[tasks if len(self.coords) > 1 else slice(None), points]
        return some.expand(tasks.stop - tasks.start, -1, -1)

    def push(self, matrix: Tensor, tasks: slice, points: slice, out: Tensor) -> Tensor:
        """The first map's product (task, channel, point, width) for a chunk, by matrix (task, width, dim)."""
        columns, channels = matrix.mT.unsqueeze(2), self.channels
        torch.bmm(self._part(tasks, points), matrix.mT, out=out[:, 0])
        for channel, order in enumerate(channels.orders[1:], 1):
            out[:, channel] = columns[:, order[0]] if len(order) == 1 else 0.0
        if isinstance(channels.way, Directions):
            along = torch.matmul(matrix, channels.way.pool.mT).mT
            chosen = channels.way.chosen[points].mT
            for ray in range(channels.count):
                out[:, channels.rays.start + ray] = along[:, chosen[ray]]
        else:
            out[:, channels.rays] = columns[:, list(channels.space)]
        out[:, -1] = 0.0
        return out

    def pull(self, dz: Tensor, tasks: slice, points: slice, into: Tensor) -> None:
        """Add d loss / d matrix (task, width, dim) of a chunk, from that of its product."""
        channels = self.channels
        into.baddbmm_(dz[:, 0].mT, self._part(tasks, points))
        for channel, order in enumerate(channels.orders[1:], 1):
            if len(order) == 1:
                into[..., order[0]] += dz[:, channel].sum(1)
        rays = dz[:, channels.rays]
        if isinstance(channels.way, Directions):
            pool, chosen = channels.way.pool, channels.way.chosen[points].mT.reshape(-1)
            along = rays.new_zeros(len(rays), len(pool), rays.shape[-1])
            along.index_add_(1, chosen, rays.flatten(1, 2))
            into += torch.matmul(along.mT, pool)
        else:
            into[..., list(channels.space)] += rays.sum(2).mT
