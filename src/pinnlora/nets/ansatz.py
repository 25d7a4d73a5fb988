"""From a network's output to the fields of the problem: what is added exactly, and derivatives of potentials."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pinnlora.nets.distance import curved
from pinnlora.nets.mlp import MLP, Weights
from pinnlora.problem.base import Problem
from pinnlora.problem.channels import VALUE, Channels, product
from pinnlora.problem.pointwise import jet_in_space
from pinnlora.problem.signature import Values, lookup


def lifted(
    problem: Problem, network: MLP, coords: Tensor, values: Values, channels: Channels
) -> Callable[[Tensor], Tensor]:
    """What turns the network's output jets at some points into jets of the unknowns."""
    if channels.space and network.ansatz:
        offset, factor = _in_space(problem, network, coords, values, channels)
    elif network.lift:
        offset, factor = problem.lift(coords, values, channels)
    elif network.hard.patches:
        hard = network.hard
        offset, factor = curved(problem, hard.patches, hard.kept, coords, values, channels)
    else:
        return lambda jet: jet
    return lambda jet: offset + product(factor, jet, channels)


def _in_space(
    problem: Problem, network: MLP, coords: Tensor, values: Values, channels: Channels
) -> tuple[Tensor, Tensor]:
    """Jets of offset and factor with rays and Laplacian, of the two as functions of place."""
    tasks = max(len(coords), *(len(value) for value in values.values()))

    def functions(at: Tensor) -> dict[str, Tensor]:
        if network.lift:
            both = problem.lift(at, values, VALUE)
        else:
            both = curved(problem, network.hard.patches, network.hard.kept, at, values, VALUE)
        shape = (tasks, at.shape[1], len(problem.unknowns))
        parts = [part[:, 0].expand(shape).unbind(-1) for part in both]
        return {f"{kind} {k}": part for kind, own in enumerate(parts) for k, part in enumerate(own)}

    jets = jet_in_space(functions, coords.expand(tasks, -1, -1), channels)
    count = len(problem.unknowns)
    offset, factor = (torch.stack([jets[f"{kind} {k}"] for k in range(count)], -1) for kind in (0, 1))
    return offset, factor


def field_channels(problem: Problem) -> Channels:
    """The channels of the unknowns that the fields are made of: values, or derivatives of potentials."""
    return VALUE if problem.observe_signature is None else problem.observe_signature.channels


def observed(problem: Problem, network: MLP, coords: Tensor, values: Values) -> Callable[[Tensor], Tensor]:
    """What turns output jets (task, channel, point, unknown), of `field_channels`, into (task, point, field)."""
    channels, signature = field_channels(problem), problem.observe_signature
    unknowns = lifted(problem, network, coords, values, channels)
    if signature is None:
        return lambda jet: unknowns(jet)[:, 0]

    def fields(jet: Tensor) -> Tensor:
        jet = unknowns(jet)
        found = signature(problem, lookup(problem, coords, values, jet, channels))
        rows = [torch.as_tensor(found[name], dtype=jet.dtype, device=jet.device) for name in problem.fields]
        *rows, _ = torch.broadcast_tensors(*rows, jet[:, 0, :, 0])  # numbers and parameters are spread
        return torch.stack(rows, -1)

    return fields


def fields_at(problem: Problem, network: MLP, weights: Weights, coords: Tensor, values: Values) -> Tensor:
    """Fields of a network at network-frame points: coords (task or 1, point, dim) -> (task, point, field)."""
    jet = network.forward(weights, coords, field_channels(problem))
    return observed(problem, network, coords, values)(jet)
