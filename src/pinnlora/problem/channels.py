"""Which derivatives travel together: names for the channels of a jet, and the product of two jets.

A *jet* is a tensor of shape (task, channel, point, width): the value and every partial derivative that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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


def product(left: Tensor, right: Tensor, channels: Channels) -> Tensor:
    """The jet of a product of two jets that share shape (task, channel, point, field): Leibniz' rule."""
    out = left[:, :1] * right + left * right[:, :1]
    out[:, 0] = left[:, 0] * right[:, 0]
    for ij, i, j in channels.seconds:
        out[:, ij] += left[:, i] * right[:, j] + left[:, j] * right[:, i]
    return out
