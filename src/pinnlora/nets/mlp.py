"""The base network: a tanh MLP whose weights are given from outside, for a batch of tasks at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnlora.nets.derivatives.way import in_space
from pinnlora.nets.hard import NONE, HardConditions
from pinnlora.nets.jet import features, tanh_jet
from pinnlora.nets.stack import Features, Memory, through
from pinnlora.problem.channels import Channels


@dataclass(frozen=True)
class Weights:
    """Matrices (task, out, in) and biases (task, out) of every map, input map first."""

    matrices: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def flat(self) -> Tensor:
        """All of them in one row per task: (task, size), each matrix followed by its bias."""
        parts = []
        for matrix, bias in zip(self.matrices, self.biases, strict=True):
            parts += [matrix.flatten(1), bias]
        return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class Tape:
    """What a forward pass leaves behind for a Jacobian: each map's input jet and pre-activation jet."""

    inputs: list[Tensor]
    outputs: list[Tensor]


@dataclass(frozen=True)
class MLP:
    """Layout of a tanh MLP from coordinates to fields.

    `periodic` holds (axis, low, length) of every coordinate that enters as `modes` waves. With `lift` the unknowns
    are not the network's outputs N but offset + factor N, as the problem's `lift` says; else as `hard` says. The
    outputs are smoothed by a Gaussian of standard deviation `smoothing`, 0: not at all.
    """

    coords: int
    fields: int
    width: int = 64
    hidden_layers: int = 6
    periodic: tuple[tuple[int, float, float], ...] = ()
    modes: int = 1
    lift: bool = False
    hard: HardConditions = NONE
    smoothing: float = 0.0
    memory: Memory = field(default_factory=Memory, init=False, repr=False, compare=False)

    @property
    def ansatz(self) -> bool:
        """Whether the unknowns are more than the network's outputs."""
        return self.lift or bool(self.hard.patches)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(out, in) of every map: the input map, hidden_layers - 1 hidden maps, the output map."""
        first = self.coords + len(self.periodic) * (2 * self.modes - 1)
        hidden = [(self.width, self.width)] * (self.hidden_layers - 1)
        return ((self.width, first), *hidden, (self.fields, self.width))

    @property
    def size(self) -> int:
        """Number of weights and biases."""
        return sum(out * (into + 1) for out, into in self.shapes)

    def initial(self, tasks: int, generator: torch.Generator) -> Weights:
        """Glorot-normal matrices and zero biases, drawn afresh for each task on the CPU in float64."""
        matrices = tuple(
            torch.randn(tasks, out, into, generator=generator, dtype=torch.float64)
            * math.sqrt(2 / (out + into))
            for out, into in self.shapes
        )
        return Weights(
            matrices, tuple(torch.zeros(tasks, out, dtype=torch.float64) for out, _ in self.shapes)
        )

    def unflatten(self, theta: Tensor) -> Weights:
        """The inverse of `Weights.flat`, as views: (task, size) -> Weights."""
        matrices, biases, start = [], [], 0
        for out, into in self.shapes:
            matrices.append(theta[:, start : start + out * into].unflatten(1, (out, into)))
            start += out * into
            biases.append(theta[:, start : start + out])
            start += out
        return Weights(tuple(matrices), tuple(biases))

    def features(self, coords: Tensor, channels: Channels) -> Tensor:
        """The jet that enters the input map: (task, point, coord) -> (task, channel, point, feature)."""
        return features(coords, channels, self.periodic, self.modes)

    def forward(
        self, weights: Weights, coords: Tensor, channels: Channels, tape: Tape | None = None
    ) -> Tensor:
        """Fields and derivatives: coords (task or 1, point, coord) -> (task, channel, point, field).

        With a `tape`, every map's input and pre-activation are recorded on it; a smoothed network has none.
        """
        if self.smoothing or (channels.space and (tape is None or self.periodic)):
            return in_space(self, weights, coords, channels)
        jet = self.features(coords, channels)
        if tape is None and not jet.requires_grad:
            return through(Features(jet), weights.matrices, weights.biases, channels, self.memory)
        last = len(weights.matrices) - 1
        for k, (matrix, bias) in enumerate(zip(weights.matrices, weights.biases, strict=True)):
            z = torch.matmul(jet.flatten(1, 2), matrix.mT).unflatten(1, jet.shape[1:3])
            if tape is not None:
                tape.inputs.append(jet)
                tape.outputs.append(z if z.requires_grad else z.requires_grad_())
            if k < last:
                jet = tanh_jet(z, bias, channels)
            else:
                head = torch.cat(
                    (bias.unsqueeze(1), bias.new_zeros(*bias.shape[:1], len(channels) - 1, bias.shape[1])), 1
                )
                jet = z + head.unsqueeze(2)
        return jet
