"""What is trained of a network: all weights, or low-rank corrections W0 + B A to frozen ones (eq. 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnlora.nets.mlp import MLP, Tape, Weights


@dataclass(frozen=True)
class Full:
    """All weights and biases of the network are trained: theta (task, size) in the order of `Weights.flat`."""

    network: MLP

    @property
    def size(self) -> int:
        """Trained numbers per task."""
        return self.network.size

    def weights(self, theta: Tensor) -> Weights:
        """The network's weights for every task: (task, size) -> Weights."""
        return self.network.unflatten(theta)

    def initial(self, tasks: int, generator: torch.Generator) -> Tensor:
        """Random weights, (task, size) float64 on the CPU."""
        return self.network.initial(tasks, generator).flat()

    def fill_jacobian(self, jacobian: Tensor, tape: Tape, sensitivities: list[Tensor], theta: Tensor) -> None:
        """Write d row / d theta into (task, point, size), given d row / d pre-activation of each map."""
        start = 0
        for (out, into), jet, dz in zip(self.network.shapes, tape.inputs, sensitivities, strict=True):
            block = jacobian[..., start : start + out * into].unflatten(-1, (out, into))
            _outer(block, dz, jet)
            start += out * into
            jacobian[..., start : start + out] = dz[:, 0]
            start += out


@dataclass(frozen=True)
class LowRank:
    """Adapters A (rank, in), B (out, rank) on every map but the `unadapted`; base weights and biases frozen.

    `rank` is one for all adapted maps, or one for each of them, 0 for none.
    """

    network: MLP
    base: Weights
    rank: int | tuple[int, ...]
    unadapted: tuple[int, ...] = (1,)
    adapted: tuple[int, ...] = field(init=False)
    ranks: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        maps = range(len(self.network.shapes))
        adapted = tuple(k for k in maps if k not in self.unadapted)
        ranks = (self.rank,) * len(adapted) if isinstance(self.rank, int) else self.rank
        if len(ranks) != len(adapted):
            raise ValueError(f"{len(ranks)} ranks for {len(adapted)} adapted maps")
        object.__setattr__(self, "adapted", adapted)
        object.__setattr__(self, "ranks", ranks)

    @property
    def size(self) -> int:
        """Trained numbers per task: over the adapted maps, rank times inputs and outputs."""
        return sum(rank * sum(self.network.shapes[k]) for k, rank in self._maps())

    def _maps(self) -> list[tuple[int, int]]:
        return list(zip(self.adapted, self.ranks, strict=True))

    def initial(self, tasks: int, generator: torch.Generator) -> Tensor:
        """A random, B zero, so that training starts at the base network: (task, size) float64 on the CPU.

        All tasks share one A, so that their adapters can be compared and interpolated.
        """
        parts = []
        for k, rank in self._maps():
            out, into = self.network.shapes[k]
            down = torch.randn(rank, into, generator=generator, dtype=torch.float64) / math.sqrt(into)
            parts += [down.flatten(), torch.zeros(out * rank, dtype=torch.float64)]
        return torch.cat(parts).repeat(tasks, 1)

    def factors(self, theta: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Views (A, B) of theta for each adapted map: (task, rank, in), (task, out, rank)."""
        pairs, start = [], 0
        for k, rank in self._maps():
            out, into = self.network.shapes[k]
            down = theta[:, start : start + rank * into].unflatten(1, (rank, into))
            start += rank * into
            up = theta[:, start : start + out * rank].unflatten(1, (out, rank))
            start += out * rank
            pairs.append((down, up))
        return pairs

    def weights(self, theta: Tensor) -> Weights:
        """W0 + B A for every task: (task, size) -> Weights."""
        tasks = theta.shape[0]
        matrices = [matrix.expand(tasks, -1, -1) for matrix in self.base.matrices]
        for k, (down, up) in zip(self.adapted, self.factors(theta), strict=True):
            matrices[k] = torch.baddbmm(matrices[k], up, down)
        return Weights(tuple(matrices), tuple(bias.expand(tasks, -1) for bias in self.base.biases))

    def fill_jacobian(self, jacobian: Tensor, tape: Tape, sensitivities: list[Tensor], theta: Tensor) -> None:
        """dr/dA = sum over channels of (B^T dz) a^T, dr/dB = sum over channels of dz (A a)^T."""
        start = 0
        for (k, rank), (down, up) in zip(self._maps(), self.factors(theta), strict=True):
            (out, into), jet, dz = self.network.shapes[k], tape.inputs[k], sensitivities[k]
            block = jacobian[..., start : start + rank * into].unflatten(-1, (rank, into))
            _outer(block, torch.matmul(dz, up.unsqueeze(1)), jet)
            start += rank * into
            block = jacobian[..., start : start + out * rank].unflatten(-1, (out, rank))
            _outer(block, dz, torch.matmul(jet, down.mT.unsqueeze(1)))
            start += out * rank


Parametrisation = Full | LowRank


def _outer(block: Tensor, left: Tensor, right: Tensor) -> None:
    """block (task, point, i, j) = sum over channels of left (task, channel, point, i) right (.., j)."""
    torch.mul(left[:, 0].unsqueeze(-1), right[:, 0].unsqueeze(-2), out=block)
    for channel in range(1, left.shape[1]):
        block.addcmul_(left[:, channel].unsqueeze(-1), right[:, channel].unsqueeze(-2))
