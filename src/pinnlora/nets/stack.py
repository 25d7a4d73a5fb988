"""Jets through a whole tanh MLP, chunk by chunk, so that what lies between two matrix products stays in the cache.

One autograd node for all maps and all chunks: activations are written over pre-activations, they alone are kept,
in memory that is used again, and the gradients of the weights are summed in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pinnlora.nets.jet import pull_tanh, push_tanh
from pinnlora.problem.channels import Channels

CACHE = 2**20
"""Bytes of one layer's jet in a chunk, a thread; measured: half and twice as much are no faster."""

ONEDNN = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
)
Room = Callable[..., Tensor]
Product = Callable[[Tensor, Tensor, Room], Tensor]


@dataclass
class Memory:
    """Tensors that are used again: fresh ones every step would cost more in page faults than their arithmetic."""

    _free: list[Tensor] = field(default_factory=list)

    def take(self, size: int, like: Tensor) -> Tensor:
        """`size` uninitialised numbers, or a few more."""
        fitting = [
            (flat.numel(), k)
            for k, flat in enumerate(self._free)
            if flat.numel() >= size and flat.dtype == like.dtype and flat.device == like.device
        ]
        return self._free.pop(min(fitting)[1]) if fitting else like.new_empty(size)

    def give(self, *flats: Tensor) -> None:
        """Back what was taken; on a GPU torch's own allocator does as well."""
        self._free += [flat for flat in flats if flat.device.type == "cpu"]


class Entry(Protocol):
    """What enters the first map, chunk by chunk."""

    @property
    def shape(self) -> Sequence[int]:
        """Tasks (1: all share what enters), channels and points come first."""

    @property
    def like(self) -> Tensor:
        """A tensor of its kind."""

    def push(self, matrix: Tensor, tasks: slice, points: slice, out: Tensor) -> Tensor:
        """The product of the first matrix (task, out, in) for a chunk, written to `out`."""

    def pull(self, dz: Tensor, tasks: slice, points: slice, into: Tensor) -> None:
        """Add what a chunk gives to d loss / d matrix, from d loss / d product."""


@dataclass(frozen=True)
class Features:
    """The features' jet (task or 1, channel, point, in)."""

    like: Tensor

    @property
    def shape(self) -> Sequence[int]:
        return self.like.shape

    def push(self, matrix: Tensor, tasks: slice, points: slice, out: Tensor) -> Tensor:
        return _product(_part(self.like, tasks, points), matrix.mT, out)

    def pull(self, dz: Tensor, tasks: slice, points: slice, into: Tensor) -> None:
        into.baddbmm_(dz.flatten(1, 2).mT, _part(self.like, tasks, points).flatten(1, 2))


def through(
    entry: Entry, matrices: Sequence[Tensor], biases: Sequence[Tensor], channels: Channels, memory: Memory
) -> Tensor:
    """The outputs' jet (task, channel, point, out) from what enters.

    matrices (task, out, in) and biases (task, out) of all maps, the last one without tanh. Differentiable once,
    in the weights alone.
    """
    tasks = max(entry.shape[0], matrices[0].shape[0])
    maps = [part.expand(tasks, *part.shape[1:]) for part in (*matrices, *biases)]
    if torch.is_grad_enabled() and any(part.requires_grad for part in maps):
        return _Stack.apply(entry, channels, memory, *maps)
    return _push(entry, channels, maps, entry.like.new_empty, _passing)


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, entry: Entry, channels: Channels, memory: Memory, *maps: Tensor) -> Tensor:
        matrices = maps[: len(maps) // 2]
        sizes = [len(matrix) * matrix.shape[1] * math.prod(entry.shape[1:3]) for matrix in matrices[:-1]]
        ctx.kept, ctx.flat = [], memory.take(sum(sizes), entry.like)
        rest = ctx.flat

        def room(*shape: int) -> Tensor:
            nonlocal rest
            ctx.kept.append(rest[: math.prod(shape)].view(shape))
            rest = rest[math.prod(shape) :]
            return ctx.kept[-1]

        ctx.entry, ctx.channels, ctx.memory = entry, channels, memory
        ctx.save_for_backward(*matrices)
        return _push(entry, channels, maps, room, _kept)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        if ctx.kept is None:
            raise RuntimeError("a jet was differentiated twice: its activations are gone, push it again")
        entry, matrices = ctx.entry, ctx.saved_tensors
        last, wanted, kept = len(matrices) - 1, ctx.needs_input_grad[3:], iter(ctx.kept)
        down = [torch.zeros_like(m) if w else None for m, w in zip(matrices, wanted, strict=False)]
        shift = [
            m.new_zeros(m.shape[:2]) if w else None for m, w in zip(matrices, wanted[last + 1 :], strict=True)
        ]
        first = min(k % (last + 1) for k, w in enumerate(wanted) if w)
        most = max((y.numel() for y in ctx.kept), default=0)
        spare = [ctx.memory.take(most, entry.like) for _ in range(2)]
        for tasks, points in _chunks(entry, matrices):
            inputs = [None, *(next(kept) for _ in matrices[1:])]
            dz = _part(grad, tasks, points)
            for k in range(last, first - 1, -1):
                if (matrix := down[k]) is not None and k == 0:
                    entry.pull(dz, tasks, points, matrix[tasks])
                elif matrix is not None:
                    matrix[tasks].baddbmm_(dz.flatten(1, 2).mT, inputs[k].flatten(1, 2))
                if (bias := shift[k]) is not None:
                    bias[tasks] += dz[:, 0].sum(-2)
                if k > first:
                    y = inputs[k]
                    dy, dz_below = (flat[: y.numel()].view(y.shape) for flat in spare)
                    dz = pull_tanh(_product(dz, matrices[k][tasks], dy), y, ctx.channels, dz_below)
        ctx.memory.give(ctx.flat, *spare)
        ctx.kept = ctx.flat = None
        return None, None, None, *down, *shift


def _push(entry: Entry, channels: Channels, maps: Sequence[Tensor], room: Room, product: Product) -> Tensor:
    """All chunks through all maps; `room(*shape)` is where each map's activations go, map by map within a chunk."""
    matrices, biases = maps[: len(maps) // 2], maps[len(maps) // 2 :]
    out = entry.like.new_empty(len(biases[0]), *entry.shape[1:3], biases[-1].shape[1])
    for tasks, points in _chunks(entry, matrices):
        shape = tasks.stop - tasks.start, entry.shape[1], points.stop - points.start
        x = entry.push(matrices[0][tasks], tasks, points, room(*shape, matrices[0].shape[1]))
        push_tanh(x, biases[0][tasks], channels, out=x)
        for matrix, bias in zip(matrices[1:-1], biases[1:-1], strict=True):
            x = product(x, matrix[tasks].mT, room)
            push_tanh(x, bias[tasks], channels, out=x)
        end = torch.matmul(x, matrices[-1][tasks].mT.unsqueeze(1))
        end[:, 0] += biases[-1][tasks].unsqueeze(-2)
        out[tasks, :, points] = end
    return out


def _kept(jet: Tensor, matrix: Tensor, room: Room) -> Tensor:
    """The product as `_product` has it, in the room that is kept."""
    return _product(jet, matrix, room(*jet.shape[:3], matrix.shape[2]))


def _passing(jet: Tensor, matrix: Tensor, room: Room) -> Tensor:
    """The same in any memory: of one task in float32 by oneDNN, which makes its kernels for the CPU at hand, as torch's
    own library does not for every maker's (measured: half the time on an AMD EPYC)."""
    if len(jet) == 1 and jet.dtype == torch.float32 and jet.device.type == "cpu" and ONEDNN is not None:
        rows = ONEDNN(jet.flatten(0, 2), matrix[0].mT, None, "none", [], "")
        return rows.view(*jet.shape[:3], matrix.shape[2])
    return _kept(jet, matrix, room)


def _product(jet: Tensor, matrix: Tensor, out: Tensor) -> Tensor:
    """The matrix (task, in, out) on all channels and points of a jet (task, channel, point, in)."""
    torch.bmm(jet.flatten(1, 2), matrix, out=out.flatten(1, 2))
    return out


def _part(jet: Tensor, tasks: slice, points: slice) -> Tensor:
    """A chunk of a jet, in one piece of memory; a jet that all tasks share is repeated."""
    if jet.shape[0] > 1:
        return jet[tasks, :, points].contiguous()
    return jet[:, :, points].expand(tasks.stop - tasks.start, -1, -1, -1).contiguous()


def _chunks(entry: Entry, matrices: Sequence[Tensor]) -> Iterator[tuple[slice, slice]]:
    """Slices of tasks and of points: whole tasks while they are small, else a task in pieces; on a GPU all at once."""
    (tasks, width, _), (_, channels, points, *_) = matrices[0].shape, entry.shape
    fitting = tasks * points
    if entry.like.device.type == "cpu":
        fitting = max(64, CACHE * torch.get_num_threads() // (channels * width * entry.like.element_size()))
    group, pieces = max(1, fitting // max(1, points)), -(-points // fitting)
    piece = -(-points // max(1, pieces))
    for task in range(0, tasks, group):
        for point in range(0, points, max(1, piece)):
            yield slice(task, min(task + group, tasks)), slice(point, min(point + piece, points))
