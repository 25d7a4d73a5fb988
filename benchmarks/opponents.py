"""The same losses elsewhere: in plain torch by double backward, and in DeepXDE with its pytorch backend."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pinnlora.errors import UserError
from pinnlora.nets.mlp import MLP
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import parse


def plain_network(network: MLP, theta: Tensor) -> nn.Sequential:
    """An ordinary torch network with the weights theta (1, size)."""
    weights, layers = network.unflatten(theta), []
    for (out, into), matrix, bias in zip(network.shapes, weights.matrices, weights.biases, strict=True):
        layers += [nn.Linear(into, out, dtype=theta.dtype), nn.Tanh()]
        with torch.no_grad():
            layers[-2].weight.copy_(matrix[0])
            layers[-2].bias.copy_(bias[0])
    return nn.Sequential(*layers[:-1])


def plain_loss(network: nn.Module, case: Any) -> Tensor:
    """Mean squares of the residual and of the prescribed values, every derivative by one reverse pass."""
    coords = case.points["interior"][0].requires_grad_()
    fields = network(coords)
    slopes: dict[tuple, Tensor] = {}

    def slope(key: tuple[int, ...]) -> Tensor:
        """d/dx of field key[0] (and of its derivative along key[1]) in all coordinates: (point, dim)."""
        if key not in slopes:
            y = fields[:, key[0]] if len(key) == 1 else slope(key[:1])[:, key[1]]
            slopes[key] = torch.autograd.grad(y, coords, torch.ones_like(y), create_graph=True)[0]
        return slopes[key]

    def derivative(number: int, order: tuple[int, ...]) -> Tensor:
        return slope((number, *order[:-1]))[:, order[-1]] if order else fields[:, number]

    rows = case.problem.residual_signature(
        case.problem, finder(case.problem, case.values, coords, derivative)
    )
    losses = [row.square().mean() for row in rows.values()]
    for name, targets in case.targets.items():
        there = network(case.points[name][0])
        for field, target in targets.items():
            number = case.problem.fields.index(field)
            losses.append((there[:, number] - target[0]).square().mean())
    return torch.stack(losses).sum()


def finder(problem: Problem, values: dict[str, Tensor], coords: Tensor, derivative):
    """From the names of a residual's arguments to tensors, the network's by `derivative(field, axes)`."""

    def find(name: str) -> Tensor:
        if name in problem.coords.names:
            return coords[:, problem.coords.names.index(name)]
        return values[name] if name in values else derivative(*parse(problem, name))

    return find


def deepxde() -> Any:
    """The package, with its pytorch backend; UserError when it is not installed."""
    os.environ["DDE_BACKEND"] = "pytorch"
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            import deepxde as dde
    except ImportError:
        raise UserError("deepxde is not installed: pip install -e .[benchmarks]") from None
    return dde


def deepxde_residual(dde: Any, problem: Problem, values_at: Callable[[Tensor], dict[str, Tensor]]):
    """The residual as DeepXDE wants it, with the derivatives of its own `dde.grad`.

    `values_at` gives the parameters, (1,) or (point,), at the network's inputs (point, dim).
    """

    def residual(x: Tensor, y: Tensor) -> list[Tensor]:
        def derivative(number: int, order: tuple[int, ...]) -> Tensor:
            if len(order) == 2:
                return dde.grad.hessian(y, x, component=number, i=order[0], j=order[1])[:, 0]
            return dde.grad.jacobian(y, x, i=number, j=order[0])[:, 0] if order else y[:, number]

        rows = problem.residual_signature(problem, finder(problem, values_at(x), x, derivative)).values()
        return [row.unsqueeze(-1) for row in rows]

    return residual


def deepxde_model(case: Any) -> Any:
    """DeepXDE's model of a case: its points, its values on faces, its network with the same start."""
    dde = deepxde()
    problem = case.problem
    conditions = [
        dde.icbc.PointSetBC(
            case.points[name][0].numpy(), target[0].numpy()[:, None], component=problem.fields.index(field)
        )
        for name, targets in case.targets.items()
        for field, target in targets.items()
    ]
    interior = case.points["interior"][0].detach().numpy()
    box = dde.geometry.Hypercube(np.array(problem.coords.low), np.array(problem.coords.high))
    residual = deepxde_residual(dde, problem, lambda _: case.values)
    with contextlib.redirect_stdout(io.StringIO()):
        data = dde.data.PDE(box, residual, conditions, anchors=interior)
        sizes = [case.network.shapes[0][1], *(out for out, _ in case.network.shapes)]
        net = dde.nn.FNN(sizes, "tanh", "Glorot normal")
    weights = case.network.unflatten(case.start)
    with torch.no_grad():
        for linear, matrix, bias in zip(net.linears, weights.matrices, weights.biases, strict=True):
            linear.weight.copy_(matrix[0])
            linear.bias.copy_(bias[0])
    return dde.Model(data, net)


def exact(problem: Problem, re: float, points: np.ndarray) -> dict[str, np.ndarray]:
    """The exact fields at points (point, 2), each (point, 1) float32."""
    values = {"re": torch.tensor([re], dtype=torch.float64)}
    found = problem.exact_at(torch.from_numpy(points).double().unsqueeze(0), values)
    return {name: value[0, :, None].numpy().astype(np.float32) for name, value in found.items()}


def prescribed(problem: Problem, re: float, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """One exact field as a function of points; DeepXDE counts its arguments."""
    return lambda x: exact(problem, re, x)[name]


def deepxde_example(dde: Any, problem: Problem, re: float, points: int) -> Any:
    """DeepXDE's Kovasznay example on the unit square: velocities on all faces, the pressure at the outflow."""
    box = dde.geometry.Rectangle([0, 0], [1, 1])
    faces = {
        "u": lambda _, on: on,
        "v": lambda _, on: on,
        "p": lambda x, on: on and bool(np.isclose(x[0], 1)),
    }
    conditions = [
        dde.icbc.DirichletBC(box, prescribed(problem, re, name), on, component=k)
        for k, (name, on) in enumerate(faces.items())
    ]
    residual = deepxde_residual(dde, problem, lambda _: {"re": torch.tensor([re])})
    with contextlib.redirect_stdout(io.StringIO()):
        data = dde.data.PDE(box, residual, conditions, num_domain=points, num_boundary=400)
        net = dde.nn.FNN([2] + 4 * [50] + [3], "tanh", "Glorot normal")
    return dde.Model(data, net)
