"""Small networks and problems for the tests of the numerical core, and a plain network to compare with."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.func import jacfwd, vmap

from pinnlora.nets.adapters import Full, LowRank
from pinnlora.nets.mlp import MLP, Weights
from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_weights(network: MLP, tasks: int, seed: int = 0) -> Weights:
    """Weights and biases of order one, different for each task, float64."""
    start = network.initial(tasks, generator(seed))
    biases = [
        0.3 * torch.randn(b.shape, generator=generator(seed + 1 + k)).double()
        for k, b in enumerate(start.biases)
    ]
    return Weights(start.matrices, tuple(biases))


def plain(network: MLP, matrices, biases, point: Tensor) -> Tensor:
    """The network written out for one point (dim,) of one task: (field,)."""
    waves = []
    for axis, low, length in network.periodic:
        angle = 2 * math.pi * (point[axis] - low) / length
        waves += [torch.cos(k * angle) / k for k in range(1, network.modes + 1)]
        waves += [torch.sin(k * angle) / k for k in range(1, network.modes + 1)]
    periodic = [axis for axis, *_ in network.periodic]
    point = torch.stack([*waves, *(point[k] for k in range(len(point)) if k not in periodic)])
    for k, (matrix, bias) in enumerate(zip(matrices, biases, strict=True)):
        point = matrix @ point + bias
        if k < len(matrices) - 1:
            point = torch.tanh(point)
    return point


def plain_jet(network: MLP, matrices, biases, coords: Tensor, orders) -> Tensor:
    """Jets of one task's plain network at coords (point, dim): (channel, point, field)."""
    return function_jet(lambda point: plain(network, matrices, biases, point), coords, orders)


def function_jet(function, coords: Tensor, orders) -> Tensor:
    """Values and derivatives of (dim,) -> (field,) by torch.func, at coords (point, dim)."""
    found = [vmap(function)(coords)]
    for _ in range(max(len(order) for order in orders)):
        function = jacfwd(function)
        found.append(vmap(function)(coords))
    return torch.stack([found[len(order)][(..., *order)] for order in orders])


def task_values(problem: Problem, count: int, seed: int = 0) -> dict[str, Tensor]:
    """Tasks of a problem's distribution, float64."""
    sample = problem.task.sample(count, np.random.default_rng(seed))
    return {name: torch.from_numpy(value) for name, value in sample.items()}


def tiny(name: str, kind: str, width: int = 5, hidden_layers: int = 3, rank: int = 2, lift: bool = False):
    """A problem and a small network of it, adapted ('lora', map 1 not) or all of it ('full')."""
    problem = load_problem(name)
    network = MLP(len(problem.coords.names), len(problem.fields), width, hidden_layers, lift=lift)
    if kind == "full":
        return problem, Full(network)
    return problem, LowRank(network, random_weights(network, 1, seed=9), rank, unadapted=(1,))


def random_theta(parametrisation, tasks: int, seed: int = 0) -> Tensor:
    """Trained numbers (task, size), none of them zero and no task like another."""
    if isinstance(parametrisation, Full):
        return random_weights(parametrisation.network, tasks, seed).flat()
    return 0.4 * torch.randn(tasks, parametrisation.size, generator=generator(seed), dtype=torch.float64)


def dense(parametrisation, theta: Tensor):
    """Matrices and biases of one task from its flat numbers (size,), taken apart by hand."""
    shapes, start = parametrisation.network.shapes, 0

    def cut(*shape):
        nonlocal start
        start += math.prod(shape)
        return theta[start - math.prod(shape) : start].reshape(shape)

    if isinstance(parametrisation, Full):
        pairs = [(cut(out, into), cut(out)) for out, into in shapes]
        return [matrix for matrix, _ in pairs], [bias for _, bias in pairs]
    matrices, ranks = [matrix[0] for matrix in parametrisation.base.matrices], list(parametrisation.ranks)
    for k, (out, into) in enumerate(shapes):
        if k not in parametrisation.unadapted:
            rank = ranks.pop(0)
            down = cut(rank, into)
            matrices[k] = matrices[k] + cut(out, rank) @ down
    return matrices, [bias[0] for bias in parametrisation.base.biases]


def plain_rows(objective, frozen, theta: torch.Tensor) -> torch.Tensor:
    """Weighted residuals (row,) of one task as a function of its numbers (size,), by plain networks."""
    network = objective.parametrisation.network
    matrices, biases = dense(objective.parametrisation, theta)
    rows = []
    for block, still in zip(objective.blocks, frozen.blocks, strict=True):
        jet = plain_jet(network, matrices, biases, block.coords[0], block.channels.orders)
        root = torch.as_tensor(still.weight, dtype=torch.float64).sqrt()
        rows += [(root * row).squeeze(0) for row in block.terms(jet.unsqueeze(0)).values()]
    return torch.cat(rows)


def relative(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest expected number."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())
