"""How fields at some points change with the unknowns that make a task: through hypernetwork, network and conditions.

For a few unknowns in forward mode through all of it. For many, as a function has, by the chain rule: output by weights
in one reverse pass for all points; weights, places and conditions by the unknowns in forward mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vmap

from pinnlora.errors import UserError
from pinnlora.loss.residuals import Block, Residuals, Terms
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.ansatz import field_channels, observed
from pinnlora.nets.mlp import MLP, Weights
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.query.derivatives import fields_of_tasks, plain_jet
from pinnlora.query.family import Family
from pinnlora.train.data import TaskSet

Tensors = tuple[Tensor, ...]
FEW = 4
"""Up to so many unknowns forward mode is faster."""
NUMBERS = 2**26
"""Of the derivatives by the weights at most, at once: what bounds the memory."""


@torch.no_grad()
def slopes(
    family: Family, decode: Callable[[Tensor], Values], unknowns: Tensor, points: Tensor
) -> tuple[Tensor, Tensor]:
    """Fields (task, row) at points (task, point, dim), rows over points and fields, of the tasks that `decode` makes of
    unknowns (task, unknown), and their Jacobian (task, row, unknown)."""
    problem, parametrisation = family.problem, family.parametrisation
    if parametrisation.network.smoothing:
        raise UserError("a smoothed network (network.smoothing) has no exact slopes, which inversion needs")
    if (many := unknowns.shape[1]) <= FEW:
        whole = points.repeat_interleave(many, 0)

        def direct(z: Tensor) -> Tensor:
            found = fields_of_tasks(
                problem, parametrisation, family.predict_numbers, family.symmetry, dict(decode(z)), whole
            )
            return found.flatten(1)

        return derivative_of(direct, unknowns)
    each = len(unknowns) * parametrisation.size * len(field_channels(problem)) * len(problem.unknowns)
    parts = [_chained(family, decode, unknowns, some) for some in points.split(max(1, NUMBERS // each), 1)]
    return torch.cat([fields for fields, _ in parts], 1), torch.cat([slope for _, slope in parts], 1)


def _chained(
    family: Family, decode: Callable[[Tensor], Values], unknowns: Tensor, points: Tensor
) -> tuple[Tensor, Tensor]:
    """`slopes` by the chain rule."""
    problem, parametrisation = family.problem, family.parametrisation
    network, ways = parametrisation.network, torch.eye(unknowns.shape[1], dtype=unknowns.dtype)
    moves = ways.unsqueeze(1).expand(-1, len(unknowns), -1)

    def tasks_of(z: Tensor) -> TaskSet:
        given = decode(z)
        return TaskSet(problem, *(problem.canonical(given) if family.symmetry else (given, None)))

    def inputs(z: Tensor) -> Tensors:
        tasks = tasks_of(z)
        return family.predict_numbers(tasks.values), tasks.to_network(points)

    (theta, coords), (turned, shifted) = pushed(inputs, (unknowns,), (moves,))
    jet, changes = _output(problem, parametrisation, theta, coords, turned)

    def fields(z: Tensor, jet: Tensor) -> Tensors:
        tasks = tasks_of(z)
        return (tasks.from_network(observed(problem, network, coords, tasks.values)(jet)),)

    (found,), (jacobian,) = pushed(fields, (unknowns, jet), (moves, changes))
    if family.symmetry:
        tasks, weights = tasks_of(unknowns), parametrisation.weights(theta)
        jacobian = jacobian + _moved(problem, network, weights, tasks, coords, shifted)
    return found.flatten(1), jacobian.flatten(2).permute(1, 2, 0)


def derivative_of(function: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """Values (n, row) of a function of (n, unknown) that takes each n alone, and their Jacobian (n, row, unknown).

    One forward pass: every direction of every n is an n of its own.
    """
    count, unknowns = at.shape
    directions = torch.eye(unknowns, dtype=at.dtype).repeat(count, 1)
    values, slopes, *_ = jvp(function, (at.repeat_interleave(unknowns, 0),), (directions,))
    return values[::unknowns], slopes.unflatten(0, (count, unknowns)).mT


def pushed(function: Callable[..., Tensors], at: Tensors, directions: Tensors) -> tuple[Tensors, Tensors]:
    """Values of a function of tensors `at`, and their derivatives in directions (direction, *each), direction first.

    All at once where the function is one that can be vectorised, else one after the other.
    """
    kept: dict[str, Any] = {}

    def push(*move: Tensor) -> Tensors:
        kept["values"], change, *_ = jvp(function, at, move)
        return change

    try:
        found = vmap(push)(*directions)
    except RuntimeError:
        each = [push(*move) for move in zip(*directions, strict=True)]
        found = tuple(torch.stack(parts) for parts in zip(*each, strict=True))
    return kept["values"], found


def _output(
    problem: Problem, parametrisation: Parametrisation, theta: Tensor, coords: Tensor, turned: Tensor
) -> tuple[Tensor, Tensor]:
    """The network's output (task, channel, point, unknown), and its changes (direction, task, channel, point, unknown)
    where the weights change by `turned` (direction, task, size)."""
    channels, many = field_channels(problem), len(problem.unknowns)

    def rows(jet: Tensor) -> Terms:
        return {f"{c} {k}": jet[:, c, :, k] for c in range(len(channels)) for k in range(many)}

    residuals = Residuals((Block(coords, channels, rows, 1.0),), parametrisation)
    with torch.enable_grad():
        _, found, by_weights, _ = residuals.linearise(theta)
    shape = (len(channels), many, coords.shape[1])
    changes = torch.bmm(by_weights, turned.permute(1, 2, 0)).permute(2, 0, 1)
    return found.unflatten(1, shape).transpose(2, 3), changes.unflatten(2, shape).transpose(3, 4)


def _moved(
    problem: Problem, network: MLP, weights: Weights, tasks: TaskSet, coords: Tensor, moves: Tensor
) -> Tensor:
    """Changes of the fields (direction, task, point, field) where points move by (direction, task, point, dim).

    A point's fields depend on no other point: one direction of ones along each axis gives all slopes at once.
    """

    def fields(at: Tensor) -> Tensor:
        jet = plain_jet(network, weights, at, field_channels(problem))
        return tasks.from_network(observed(problem, network, at, tasks.values)(jet))

    total = coords.new_zeros(())
    for axis in range(coords.shape[2]):
        along = torch.zeros_like(coords)
        along[..., axis] = 1
        total = total + moves[..., axis, None] * jvp(fields, (coords,), (along,))[1]
    return total
