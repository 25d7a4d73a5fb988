"""Four ways to gradient and Laplacian in many dimensions on one equation: time and memory of a step.

Double backward in plain torch, one reverse pass an axis; the exact forward Laplacian; random directions; Stein's
identity: the same network, points and residual, that of a Hamilton-Jacobi-Bellman equation (examples/). Losses of the
first two are compared before anything is timed. Time is that of the CPU, of one thread.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from common import HERE, SEED, in_turn, ratio
from opponents import plain_network
from torch import Tensor

from pinnlora import Box, Vector
from pinnlora.errors import UserError
from pinnlora.loss.residuals import Residuals
from pinnlora.loss.terms import interior
from pinnlora.nets.adapters import Full
from pinnlora.nets.derivatives.exact import Exact
from pinnlora.nets.derivatives.random import Random
from pinnlora.nets.derivatives.stein import Stein
from pinnlora.nets.derivatives.way import Derivatives
from pinnlora.nets.mlp import MLP
from pinnlora.optimise.first_order import FirstOrder, Schedule
from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem

PLAIN, EXACT, RANDOM, STEIN = "plain", "exact", "random", "stein"
METHODS = (PLAIN, EXACT, RANDOM, STEIN)
DIMENSIONS = (2, 10, 100, 250, 1000)
WIDTH, LAYERS, POINTS, DIRECTIONS, PAIRS, SIGMA = 128, 4, 50, 16, 256, 0.01
MU, RATE = 1.0, 1e-3
SETTING = (
    f"{LAYERS} hidden layers of {WIDTH}, float32, {POINTS} points a step, {DIRECTIONS} directions, {PAIRS} pairs of "
    f"noise of width {SIGMA:g}, Adam"
)
LEAST, WORK = 3, 1500
"""Timed steps, at least; and how many steps times dimensions."""


def bellman(dimension: int, points: int = 10_000) -> Problem:
    """The example's equation in another number of dimensions, with so many random points for its errors."""
    example = type(load_problem(f"{HERE.parent}/examples/hamilton_jacobi_bellman.py:Bellman"))
    body = {"coords": Box(x=Vector(dimension, -1, 1), t=(0, 1)), "grid": {"point": points}}
    return type("Bellman", (example,), body)()


def points_of(problem: Problem, count: int, generator: torch.Generator) -> Tensor:
    """Uniform points (1, count, dim), float32."""

    def unit(many: int) -> Tensor:
        return torch.rand(1, many, len(problem.coords.names), generator=generator)

    return problem.coords.scale(problem.coords.uniform(unit, count, {}))


def way_of(method: str, generator: torch.Generator) -> Derivatives:
    """The package's derivatives by name."""
    if method == EXACT:
        return Exact()
    if method == RANDOM:
        return Random(DIRECTIONS, "rademacher", False, generator)
    return Stein(PAIRS, SIGMA, generator)


def plain_rows(
    problem: Problem,
    task: Mapping[str, float],
    network: torch.nn.Module,
    coords: Tensor,
    lift: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """The residual at coords (point, dim), x first, one reverse pass for the gradient and one for each second
    derivative."""
    coords = coords.detach().requires_grad_()
    value = network(coords)[:, 0]
    value = value if lift is None else lift(coords, value)
    (slope,) = torch.autograd.grad(value.sum(), coords, create_graph=True)
    bend, space = torch.zeros_like(value), slice(0, len(problem.residual_signature.channels.space))
    for axis in range(space.stop):
        (second,) = torch.autograd.grad(slope[:, axis].sum(), coords, create_graph=True)
        bend = bend + second[:, axis]
    known = {"x": coords[:, space], "u": value, "u_t": slope[:, -1], "laplacian_u": bend, **task}
    known["gradient_squared_u"] = slope[:, space].square().sum(-1)
    (rows,) = problem.residual_signature(problem, known.__getitem__).values()
    return rows


def step_of(method: str, dimension: int) -> tuple[Callable[[], float], Callable[[], float]]:
    """A training step with Adam on fresh points, and the loss at the start at fixed ones."""
    problem, generator = bellman(dimension), torch.Generator().manual_seed(SEED)
    network = MLP(dimension + 1, 1, WIDTH, LAYERS, smoothing=SIGMA if method == STEIN else 0.0)
    start = Full(network).initial(1, generator).float()
    fixed, values = points_of(problem, POINTS, generator), {"mu": torch.full((1,), MU)}
    if method == PLAIN:
        plain = plain_network(network, start)
        adam = torch.optim.Adam(plain.parameters(), RATE)
        rows = partial(plain_rows, problem, {"mu": MU}, plain)

        def step() -> float:
            adam.zero_grad()
            loss = rows(points_of(problem, POINTS, generator)[0]).square().mean()
            loss.backward()
            adam.step()
            return float(loss.detach())

        return step, lambda: float(rows(fixed[0]).detach().square().mean())
    theta, way = start.clone().requires_grad_(), way_of(method, generator)
    first_order = FirstOrder([theta], Schedule("constant", RATE, 1))

    def objective(coords: Tensor) -> Residuals:
        return Residuals((interior(problem, network, values, coords, derivatives=way),), Full(network))

    def step() -> float:
        losses = first_order.step(theta, objective(points_of(problem, POINTS, generator)))
        return float(sum(losses.values()).detach())

    return step, lambda: float(objective(fixed).total(theta.detach()))


def same_losses(dimension: int) -> None:
    """UserError where exact derivatives and those of plain torch do not give the same loss."""
    one, other = (step_of(method, dimension)[1]() for method in (PLAIN, EXACT))
    if abs(one - other) > 1e-3 * abs(one):
        raise UserError(
            f"d = {dimension}: plain torch has a loss of {one:g}, the forward Laplacian of {other:g}"
        )


def memory(method: str, dimension: int) -> float:
    """MiB that two steps take in a process of their own, over what it held before."""
    with multiprocessing.get_context("fork").Pool(1) as pool:  # before this process has taken a step itself
        return pool.apply(_grown, (method, dimension))


def _grown(method: str, dimension: int) -> float:
    step, _ = step_of(method, dimension)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def measured(dimension: int, rounds: int) -> dict[str, Any]:
    """Milliseconds and MiB of a step by each way, and how many times faster than double backward it is."""
    held = {method: memory(method, dimension) for method in METHODS}
    same_losses(dimension)
    steps = {method: step_of(method, dimension)[0] for method in METHODS}
    times = in_turn(steps, max(LEAST, min(rounds, WORK // dimension)), warm=1, clock=time.process_time)
    return {
        "d": dimension,
        "milliseconds": {name: 1e3 * statistics.median(times[name]) for name in METHODS},
        "times_faster": {name: ratio(times[PLAIN], times[name]) for name in METHODS[1:]},
        "mebibytes": held,
        "times": times,
    }
