"""Fields as a plain function of points and tasks: derivatives in both, by forward mode (torch.func.jvp), of any order.

Slower than the jets that training uses, and more general: through the hypernetwork, symmetries and potentials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import jvp

from pinnlora.errors import UserError
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.ansatz import field_channels, observed
from pinnlora.nets.jet import tanh_slopes
from pinnlora.nets.mlp import MLP, Weights
from pinnlora.problem.base import Problem
from pinnlora.problem.channels import Channels, chain_rule
from pinnlora.problem.signature import Values
from pinnlora.train.data import TaskSet

Order = tuple[int, tuple[str, ...]]
"""A field's number, and what it is differentiated in: names of coordinates and of scalar task parameters."""
Numbers = Callable[[Values], Tensor]


def task_directions(problem: Problem) -> list[str]:
    """The task parameters that are numbers: fields can be differentiated in them."""
    return [name for name in problem.task.names if name not in problem.task.functions]


def read_order(problem: Problem, text: str) -> Order:
    """'u' or 'u_x', 'u_xx', 'u_re', 'u_x_re' -> its order; UserError says what exists."""
    known = [*problem.coords.names, *task_directions(problem)]
    for number, field in enumerate(problem.fields):
        rest = text.removeprefix(f"{field}_")
        names = () if text == field else None if rest == text else _directions(rest.split("_"), known)
        if names is not None:
            return number, names
    field, name = problem.fields[0], known[-1]
    raise UserError(
        f"fields: {text!r} is no field or derivative; fields are {', '.join(problem.fields)}, derivatives such as "
        f"{field}_{known[0]} and {field}_{name}, in {', '.join(known)}"
    )


def _directions(parts: list[str], known: list[str]) -> tuple[str, ...] | None:
    """Names from what stands between underscores; those of one letter may stand in a row."""
    if not parts:
        return ()
    for end in range(len(parts), 0, -1):
        word = "_".join(parts[:end])
        names = (word,) if word in known else tuple(word)
        if names and set(names) <= set(known) and (rest := _directions(parts[end:], known)) is not None:
            return (*names, *rest)
    return None


def plain_jet(network: MLP, weights: Weights, coords: Tensor, channels: Channels) -> Tensor:
    """As `MLP.forward`, (task, channel, point, unknown), by plain operations: differentiable in all, in every mode, and
    what ONNX knows."""
    if network.smoothing or channels.space:
        raise UserError(
            "smoothed networks, and fields made of Laplacians, give values only: no derivatives, no module, no ONNX"
        )
    parts, last = list(network.features(coords, channels).unbind(1)), len(weights.matrices) - 1
    for k, (matrix, bias) in enumerate(zip(weights.matrices, weights.biases, strict=True)):
        parts = [torch.matmul(part, matrix.mT) for part in parts]
        parts[0] = parts[0] + bias.unsqueeze(1)
        parts = parts if k == last else _tanh(parts, channels)
    return torch.stack(parts, 1)


def _tanh(z: list[Tensor], channels: Channels) -> list[Tensor]:
    """tanh of a jet given channel by channel, as `push_tanh` says it."""
    t, chained = torch.tanh(z[0]), list(z)
    slopes = tanh_slopes(t, len(channels.orders[-1]))
    for whole, products in chain_rule(channels):
        for count, parts in products:
            factor, slope = slopes[len(parts) - 2]
            chained[whole] = chained[whole] + factor * count * slope * math.prod(z[part] for part in parts)
    return [t, *((1 - t * t) * each for each in chained[1:])]


def plain_fields(
    problem: Problem, parametrisation: Parametrisation, theta: Tensor, tasks: TaskSet, points: Tensor
) -> Tensor:
    """Fields (task, point, field) at given-frame points (task, point, dim), differentiable in all, in every mode."""
    network, weights = parametrisation.network, parametrisation.weights(theta)
    coords = tasks.to_network(points)
    jet = plain_jet(network, weights, coords, field_channels(problem))
    return tasks.from_network(observed(problem, network, coords, tasks.values)(jet))


def fields_of_tasks(
    problem: Problem, parametrisation: Parametrisation, numbers: Numbers, symmetry: bool,
    given: dict[str, Tensor], points: Tensor,
) -> Tensor:  # fmt: skip
    """Fields (task, point, field) as a function of the given tasks, through `numbers`, the hypernetwork."""
    values, move = problem.canonical(given) if symmetry else (given, None)
    values = {name: value.to(points.dtype) for name, value in values.items()}
    move = None if move is None else {name: value.to(points.dtype) for name, value in move.items()}
    return plain_fields(problem, parametrisation, numbers(values), TaskSet(problem, values, move), points)


def derivative(
    problem: Problem, parametrisation: Parametrisation, numbers: Numbers, symmetry: bool,
    given: dict[str, Tensor], points: Tensor, names: Sequence[str],
) -> Tensor:  # fmt: skip
    """Derivatives of all fields in `names`, one after the other: (task, point, field).

    A point's fields depend on no other point, a task's on no other task: one direction of ones gives all at once.
    """
    axes = problem.coords.names

    def fields(inputs: dict[str, Tensor]) -> Tensor:
        where = torch.stack([inputs[name] for name in axes], -1)
        tasks = {name: inputs[name] for name in given}
        return fields_of_tasks(problem, parametrisation, numbers, symmetry, tasks, where)

    slope: Callable[[dict[str, Tensor]], Tensor] = fields
    for name in names:
        slope = _in(slope, name)
    apart = [part.clone() for part in points.unbind(-1)]
    return slope(dict(zip(axes, apart, strict=True)) | given)


def _in(function: Callable[[dict[str, Tensor]], Tensor], name: str) -> Callable[[dict[str, Tensor]], Tensor]:
    def slope(inputs: dict[str, Tensor]) -> Tensor:
        here = inputs[name]
        return jvp(lambda value: function(inputs | {name: value}), (here,), (torch.ones_like(here),))[1]

    return slope
