"""Derivatives without differentiation: Stein's identity for a network smoothed by a Gaussian (He et al., AISTATS 2023,
arXiv 2202.09340).

u(x) = E g(x + e), e ~ N(0, sigma^2), is estimated from K antithetic pairs g(x + e_k), g(x - e_k) and, as control
variate, the value g(x) at the centre: with e = sigma z

    grad u = mean of z (g+ - g-) / (2 sigma),    laplacian u = mean of (|z|^2 - d) (g+ + g- - 2 g) / (2 sigma^2).

g is never differentiated in x, so that it may be anything that can be evaluated. The price is variance: for a
quadratic with Hessian c 1 that of the Laplacian is about c^2 d^3 / (2 K), where random signs have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.nets.stack import Memory, through
from pinnlora.problem.channels import VALUE, Channels

FIXED, FEW, MANY = 19, 16, 1024
"""The seed of noise that does not change; the pairs by which a smoothed network's values, whose variance is of order
sigma^4, and its derivatives are evaluated."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Standard normal z: pool (sample, dim), chosen (point, K) those of each point; `axes` in space, sigma's width."""

    pool: Tensor
    chosen: Tensor
    sigma: float
    count: int

    @classmethod
    def of_network(cls, network: Any, coords: Tensor, channels: Channels) -> Noise:
        """The fixed noise by which a smoothed network is evaluated, the same at all points."""
        pairs = FEW if len(channels) == 1 else MANY
        generator = torch.Generator(coords.device).manual_seed(FIXED)
        like: dict[str, Any] = {"generator": generator, "dtype": coords.dtype, "device": coords.device}
        pool = torch.randn(pairs, coords.shape[-1], **like)
        chosen = torch.arange(pairs, device=coords.device).expand(coords.shape[1], -1)
        return cls(pool, chosen, network.smoothing, 0)


@dataclass(frozen=True)
class Stein:
    """K = `samples` pairs a point, drawn anew at each call; those of different points overlap a little."""

    samples: int
    sigma: float
    generator: torch.Generator
    seed: int | None = None

    def ways(self, channels: Channels, coords: Tensor) -> tuple[Channels, ...]:
        """Other noise for each point of coords (task or 1, point, dim), the same for all tasks."""
        if not channels.space:
            return (channels,)
        generator, many = self.generator, 4 * self.samples
        if self.seed is not None:
            generator = torch.Generator(coords.device).manual_seed(self.seed)
        like: dict[str, Any] = {"generator": generator, "device": coords.device}
        pool = torch.randn(many, coords.shape[-1], dtype=coords.dtype, **like)
        first = torch.randint(0, many, (coords.shape[1], 1), **like)
        chosen = (first + torch.arange(self.samples, device=coords.device)) % many
        return (channels.by(Noise(pool, chosen, self.sigma, len(channels.space))),)

    def fixed(self) -> Stein:
        """Noise of one seed."""
        return replace(self, seed=FIXED)


@dataclass(frozen=True)
class NoiseEntry:
    """Points x, x + e_1 .. x + e_K, x - e_1 .. of every x in coords (task or 1, point, dim), one after the other."""

    coords: Tensor
    noise: Noise

    @property
    def many(self) -> int:
        """Values a point."""
        return 1 + 2 * self.noise.chosen.shape[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Tasks (1: all share them), channels and points."""
        return len(self.coords), 1, self.coords.shape[1] * self.many

    @property
    def like(self) -> Tensor:
        """A tensor of its kind."""
        return self.coords

    def _split(self, points: slice) -> tuple[slice, Tensor, Tensor, Tensor]:
        """The points that some values belong to, which of them each does, the noise of each, and its sign."""
        number = torch.arange(points.start, points.stop, device=self.coords.device)
        point, sample = number // self.many, number % self.many
        pairs = self.noise.chosen.shape[1]
        first, last = points.start // self.many, (points.stop - 1) // self.many + 1
        sign = torch.where(sample == 0, 0.0, torch.where(sample <= pairs, 1.0, -1.0)).to(self.coords)
        chosen = self.noise.chosen[point, (sample - 1).clamp_min(0) % pairs]
        return slice(first, last), point - first, chosen, self.noise.sigma * sign

    def _centres(self, tasks: slice, some: slice) -> Tensor:
        centres = self.coords[tasks if len(self.coords) > 1 else slice(None), some]
        return centres.expand(tasks.stop - tasks.start, -1, -1)

    def push(self, matrix: Tensor, tasks: slice, points: slice, out: Tensor) -> Tensor:
        """The first map's product for a chunk of values: that of x, and that of the noise, which points share."""
        some, point, chosen, scale = self._split(points)
        centre = torch.bmm(self._centres(tasks, some), matrix.mT)
        noise = torch.matmul(matrix, self.noise.pool.mT).mT
        torch.addcmul(centre[:, point], noise[:, chosen], scale.unsqueeze(-1), out=out[:, 0])
        return out

    def pull(self, dz: Tensor, tasks: slice, points: slice, into: Tensor) -> None:
        """Add d loss / d matrix of a chunk."""
        some, point, chosen, scale = self._split(points)
        dz, centres = dz[:, 0], self._centres(tasks, some)
        at_centre = dz.new_zeros(len(dz), centres.shape[1], dz.shape[-1]).index_add_(1, point, dz)
        into.baddbmm_(at_centre.mT, centres)
        at_noise = dz.new_zeros(len(dz), len(self.noise.pool), dz.shape[-1])
        at_noise.index_add_(1, chosen, dz * scale.unsqueeze(-1))
        into += torch.matmul(at_noise.mT, self.noise.pool)


def smoothed(
    noise: Noise, maps: Sequence[Sequence[Tensor]], coords: Tensor, channels: Channels, memory: Memory
) -> Tensor:
    """Outputs of the smoothed network with their derivatives, (task, channel, point, unknown)."""
    entry = NoiseEntry(coords, noise)
    matrices, biases = maps
    values = through(entry, matrices, biases, VALUE, memory)[:, 0]
    return estimated(values.unflatten(1, (coords.shape[1], entry.many)), noise, channels)


def estimated(values: Tensor, noise: Noise, channels: Channels) -> Tensor:
    """Stein's estimates of value, derivatives, gradient and Laplacian from values (task, point, 1 + 2 K, unknown):
    at the centre, at x + e_k, at x - e_k.

    UserError for a derivative of higher order than the second.
    """
    centre, (plus, minus) = values[:, :, 0], values[:, :, 1:].chunk(2, 2)
    shared = noise.chosen.stride(0) == 0  # one noise for all points, held once
    z, sigma, samples = noise.pool[noise.chosen[:1] if shared else noise.chosen], noise.sigma, plus.shape[2]
    even, odd = (plus + minus) / 2 - centre.unsqueeze(2), (plus - minus) / (2 * sigma * samples)
    rows = []
    for order in channels.orders:
        if len(order) > 2:
            raise UserError(
                f"derivatives: stein, but a derivative of order {len(order)} is asked for, above 2"
            )
        if len(order) == 0:
            rows.append(centre + even.mean(2))
        elif len(order) == 1:
            rows.append(torch.einsum("tpkf,pk->tpf", odd, z[..., order[0]]))
        else:
            factor = z[..., order[0]] * z[..., order[1]] - float(order[0] == order[1])
            rows.append(torch.einsum("tpkf,pk->tpf", even, factor) / (sigma**2 * samples))
    found = torch.stack(rows, 1)
    if not channels.space:
        return found
    own = z[..., list(channels.space)]
    slopes = torch.einsum("tpkf,pkd->tdpf", odd, own)
    bend = torch.einsum("tpkf,pk->tpf", even, own.square().sum(-1) - own.shape[-1]) / (sigma**2 * samples)
    return torch.cat((found, slopes, bend.unsqueeze(1)), 1)
