"""Which derivatives travel together: names for the channels of a jet, and the product of two jets.

A *jet* is a tensor of shape (task, channel, point, width): the value and every partial derivative that is asked for.
Where gradient or Laplacian are asked for, first derivatives along some directions in space, the rays, and one
Laplacian come after these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

ORDER = 4
"""The highest order of a derivative that a jet carries through tanh."""

Index = tuple[int, ...]
"""A derivative: the sorted coordinate axes, () for the value, (0,) for d/dx0, (0, 0, 1) for d3/dx0^2 dx1."""


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions v along which first derivatives travel, the mean of sum v v^T over space being the identity.

    pool (direction, dim), in all coordinates; chosen (point, ray): those of each point, by number.
    """

    pool: Tensor
    chosen: Tensor

    @property
    def count(self) -> int:
        """Rays a point."""
        return self.chosen.shape[1]

    def at(self) -> Tensor:
        """The directions of each point, (ray, point, dim)."""
        return self.pool[self.chosen.mT]


@dataclass(frozen=True)
class Channels:
    """The value and the derivatives that travel together, lower orders first; closed: a derivative has all those that
    it is a derivative of, as chain and product rule need.

    space: the axes that gradient and Laplacian are over, none where neither is asked for. Then come a channel for
    each ray and one for the Laplacian. way: how these are had, None for one ray an axis; see `nets.derivatives`.
    """

    orders: tuple[Index, ...]
    space: tuple[int, ...] = ()
    way: Any = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, requested: Iterable[Index], space: Iterable[int] = ()) -> Channels:
        """The smallest closed set that holds `requested`."""
        wanted: set[Index] = {()}
        for order in requested:
            wanted.update(part for part, _ in _splits(tuple(sorted(order))))
        return cls(tuple(sorted(wanted, key=lambda order: (len(order), order))), tuple(space))

    def __len__(self) -> int:
        return len(self.orders) + (self.count + 1 if self.space else 0)

    @property
    def count(self) -> int:
        """The number of rays."""
        return len(self.space) if self.way is None else self.way.count

    @property
    def rays(self) -> slice:
        """The channels of the first derivatives along the rays; the Laplacian's is the last of all."""
        return slice(len(self.orders), len(self.orders) + self.count)

    @property
    def plain(self) -> Channels:
        """Without gradient and Laplacian."""
        return Channels(self.orders)

    def by(self, way: Any) -> Channels:
        """The same, had in this way where gradient or Laplacian are asked for."""
        return replace(self, way=way) if self.space else self

    def position(self, order: Index) -> int:
        """Where a derivative stands on the channel axis."""
        return self.orders.index(tuple(sorted(order)))

    @property
    def firsts(self) -> tuple[int, ...]:
        """Channels of the first derivatives."""
        return tuple(k for k, order in enumerate(self.orders) if len(order) == 1)


VALUE = Channels(((),))


@lru_cache(maxsize=256)
def product_rule(channels: Channels) -> tuple[tuple[int, int, int, int], ...]:
    """Leibniz' rule: (f g)_a = f_0 g_a + f_a g_0 + the sum of count f_b g_c over these (a, b, c, count)."""
    counts = Counter(
        (order, part, rest) for order in channels.orders for part, rest in _splits(order) if part and rest
    )
    place = channels.position
    return tuple((place(a), place(b), place(c), count) for (a, b, c), count in counts.items())


@lru_cache(maxsize=256)
def chain_rule(channels: Channels) -> tuple[tuple[int, tuple[tuple[int, tuple[int, ...]], ...]], ...]:
    """Faa di Bruno's formula: (f o z)_a = f' z_a + the sum over products of count f^(n) z_b1 ... z_bn.

    As (a, products), a product being (count, (b1, ..., bn)); from second order on, the highest order first.
    """
    found = []
    for order in (order for order in reversed(channels.orders) if len(order) > 1):
        parts = (tuple(sorted(map(channels.position, parts))) for parts in _partitions(order))
        counts = Counter(part for part in parts if len(part) > 1)
        found.append((channels.position(order), tuple((count, part) for part, count in counts.items())))
    return tuple(found)


def _splits(order: Index) -> Iterator[tuple[Index, Index]]:
    """All ways to deal the factors of a derivative out to two."""
    for size in range(len(order) + 1):
        for chosen in combinations(range(len(order)), size):
            yield tuple(order[k] for k in chosen), tuple(o for k, o in enumerate(order) if k not in chosen)


def _partitions(order: Index) -> Iterator[tuple[Index, ...]]:
    """All ways to part the factors of a derivative."""
    if not order:
        yield ()
    for mates, rest in _splits(order[1:]) if order else ():
        for others in _partitions(rest):
            yield order[:1] + mates, *others


def product(left: Tensor, right: Tensor, channels: Channels) -> Tensor:
    """The jet of a product of two jets that share shape (task, channel, point, field): Leibniz' rule."""
    out = left[:, :1] * right + left * right[:, :1]
    out[:, 0] = left[:, 0] * right[:, 0]
    for whole, part, rest, count in product_rule(channels):
        out[:, whole] += count * left[:, part] * right[:, rest]
    if channels.space:
        out[:, -1] += 2 * (left[:, channels.rays] * right[:, channels.rays]).sum(1)
    return out


def gradient(jet: Tensor, channels: Channels) -> Tensor:
    """The gradient in space (task, point, axis) from the jet of one unknown (task, channel, point); where rays are
    random directions its mean is the gradient."""
    rays = jet[:, channels.rays]
    if not isinstance(channels.way, Directions):
        return rays.movedim(1, -1)
    return torch.einsum("krp,rpd->kpd", rays, channels.way.at()[..., list(channels.space)])
