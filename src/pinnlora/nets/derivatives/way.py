"""The one interface of the ways to gradient and Laplacian, and how a network is pushed through in any of them."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.nets.derivatives.rays import RayEntry
from pinnlora.nets.derivatives.stein import Noise, smoothed
from pinnlora.nets.stack import through
from pinnlora.problem.channels import Channels


class Derivatives(Protocol):
    """A way to have derivatives in space: `exact`, `random` or `stein`."""

    def ways(self, channels: Channels, coords: Tensor) -> tuple[Channels, ...]:
        """The channels in the way of one evaluation at coords (task or 1, point, dim); two sets of them where two
        independent estimates are to be multiplied."""

    def fixed(self) -> Derivatives:
        """The same with estimates that are the same at every call and not multiplied, to compare states by."""


def in_space(network: Any, weights: Any, coords: Tensor, channels: Channels) -> Tensor:
    """Outputs of a network with gradient and Laplacian, or of a smoothed one: (task, channel, point, unknown).

    UserError where coordinates are periodic by the network's input map: waves carry no rays.
    """
    if network.periodic:
        raise UserError(
            "laplacian, gradient and gradient_squared are not there for networks with periodic inputs: ask for the "
            "derivatives by name, u_xx, or use network.input_map: identity and no Cycle"
        )
    maps = weights.matrices, weights.biases
    if network.smoothing:
        noise = (
            channels.way if isinstance(channels.way, Noise) else Noise.of_network(network, coords, channels)
        )
        return smoothed(noise, maps, coords, channels, network.memory)
    return through(RayEntry(coords, channels), *maps, channels, network.memory)
