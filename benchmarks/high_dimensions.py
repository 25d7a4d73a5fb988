"""Gradient and Laplacian in many dimensions: seconds a step, memory, and error after equal times, of four ways.

Double backward in plain torch, one reverse pass an axis; the exact forward Laplacian; random directions; Stein's
identity: the same network, points and residual, that of a Hamilton-Jacobi-Bellman equation (examples/). Losses of the
first two are compared before anything is timed. The tables are written to docs/high-dimensions.md too.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from common import CPU, HERE, SEED, arguments, in_turn, ratio, report, run
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
from pinnlora.nets.mlp import MLP
from pinnlora.optimise.first_order import FirstOrder, Schedule
from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem
from pinnlora.train.data import fields_of, grid_coords, task_set
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of

PLAIN, EXACT, RANDOM, STEIN = "double backward, plain torch", "exact", "random", "stein"
METHODS = (PLAIN, EXACT, RANDOM, STEIN)
DIMENSIONS = (2, 10, 100, 250, 1000)
WIDTH, LAYERS, POINTS, DIRECTIONS, PAIRS, SIGMA = 128, 4, 50, 16, 256, 0.01
MU, RATE = 1.0, 1e-3
PAGE = HERE.parent / "docs" / "high-dimensions.md"


def bellman(dimension: int) -> Problem:
    """The example's equation in another number of dimensions."""
    example = type(load_problem(f"{HERE.parent}/examples/hamilton_jacobi_bellman.py:Bellman"))
    body = {"coords": Box(x=Vector(dimension, -1, 1), t=(0, 1)), "grid": {"point": 10_000}}
    return type("Bellman", (example,), body)()


def points_of(problem: Problem, count: int, generator: torch.Generator) -> Tensor:
    """Uniform points (1, count, dim), float32."""
    return problem.coords.scale(torch.rand(1, count, len(problem.coords.names), generator=generator))


def way_of(method: str, generator: torch.Generator) -> Any:
    """The package's derivatives by name."""
    random = Random(DIRECTIONS, "rademacher", False, generator)
    return {EXACT: Exact(), RANDOM: random, STEIN: Stein(PAIRS, SIGMA, generator)}[method]


def plain_rows(network: torch.nn.Module, coords: Tensor, lift: Callable | None = None) -> Tensor:
    """The residual at coords (point, dim), one reverse pass for the gradient and one for each second derivative."""
    coords = coords.detach().requires_grad_()
    value = network(coords)[:, 0]
    value = value if lift is None else lift(coords, value)
    (slope,) = torch.autograd.grad(value.sum(), coords, create_graph=True)
    bend = 0.0
    for axis in range(coords.shape[1] - 1):
        (second,) = torch.autograd.grad(slope[:, axis].sum(), coords, create_graph=True)
        bend = bend + second[:, axis]
    return slope[:, -1] + bend - MU * slope[:, :-1].square().sum(-1)


def lifted(coords: Tensor, value: Tensor) -> Tensor:
    """The end held exactly: what the package's trial function does for this problem."""
    return ((1 + coords[:, :-1].square().sum(-1)) / 2).log() + (1 - coords[:, -1]) * value


def step_of(method: str, dimension: int) -> tuple[Callable[[], float], Callable[[], float]]:
    """A training step with Adam on fresh points, and the loss at the start at fixed ones."""
    problem, generator = bellman(dimension), torch.Generator().manual_seed(SEED)
    network = MLP(dimension + 1, 1, WIDTH, LAYERS, smoothing=SIGMA if method == STEIN else 0.0)
    start = Full(network).initial(1, generator).float()
    fixed, values = points_of(problem, POINTS, generator), {"mu": torch.full((1,), MU)}
    if method == PLAIN:
        plain = plain_network(network, start)
        adam = torch.optim.Adam(plain.parameters(), RATE)

        def step() -> float:
            adam.zero_grad()
            loss = plain_rows(plain, points_of(problem, POINTS, generator)[0]).square().mean()
            loss.backward()
            adam.step()
            return float(loss.detach())

        return step, lambda: float(plain_rows(plain, fixed[0]).detach().square().mean())
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
    """MiB that a few steps take in a process of their own, over what it held before."""
    command = [sys.executable, __file__, "--one", json.dumps([method, dimension]), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1]) if not done.returncode else float("nan")


def one(method: str, dimension: int) -> float:
    """The same in this process."""
    step, _ = step_of(method, dimension)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def step_rows(options: Any) -> list[dict[str, Any]]:
    """Seconds a step in turn, ratios, and memory, a row a dimension."""
    rows = []
    for dimension in (2, 10) if options.quick else DIMENSIONS:
        same_losses(dimension)
        steps = {method: step_of(method, dimension)[0] for method in METHODS}
        rounds = 2 if options.quick else max(3, min(options.rounds, 2000 // dimension))
        times = in_turn(steps, rounds, warm=1)
        row: dict[str, Any] = {"d": dimension}
        row |= {f"{name}, ms": 1e3 * statistics.median(times[name]) for name in METHODS}
        row |= {f"{name}: times faster": ratio(times[PLAIN], times[name]) for name in METHODS[1:]}
        row |= {f"{name}, MiB": memory(name, dimension) for name in METHODS}
        rows.append(row | {"_times": times})
        print(f"{time.strftime('%H:%M:%S')} d = {dimension}", flush=True)
    return rows


def trained(method: str, dimension: int, seconds: float) -> list[tuple[float, int, float, float]]:
    """(seconds, steps, relative L2, relative L1) during so many seconds of Adam with a cosine rate by the clock."""
    problem, generator = bellman(dimension), torch.Generator().manual_seed(SEED)
    network = network_of(problem, NetworkSettings(width=WIDTH, hidden_layers=LAYERS, unadapted=()))
    network = replace(network, smoothing=SIGMA if method == STEIN else 0.0)
    theta, values = Full(network).initial(1, generator).float().requires_grad_(), {"mu": torch.full((1,), MU)}
    tasks = task_set(problem, {"mu": np.array([MU])}, False, CPU, torch.float32)
    truth, grid = problem.reference({"mu": np.array([MU])})["u"][0], grid_coords(problem, CPU, torch.float32)
    plain = plain_network(network, theta.detach()) if method == PLAIN else None
    parameters = list(plain.parameters()) if plain else [theta]
    adam, way = torch.optim.Adam(parameters, RATE), None if plain else way_of(method, generator)
    used, count, found = 0.0, 0, []
    while True:
        due = used >= seconds or used >= (1.4 * found[-1][0] if found else 0.0)
        if due:
            numbers = torch.cat([p.detach().flatten() for p in parameters]).view(1, -1)
            fields = fields_of(Full(network), numbers, tasks, grid)[0, :, 0].double().numpy()
            gap = fields - truth
            l2, l1 = np.linalg.norm(gap) / np.linalg.norm(truth), np.abs(gap).mean() / np.abs(truth).mean()
            found.append((max(used, 0.2), count, float(l2), float(l1)))
            if used >= seconds:
                return found
        began = time.perf_counter()
        adam.param_groups[0]["lr"] = RATE * (0.5 + 0.5 * np.cos(np.pi * min(1, used / seconds))) + 1e-6
        adam.zero_grad()
        coords = points_of(problem, POINTS, generator)
        if plain:
            loss = plain_rows(plain, coords[0], lifted).square().mean()
        else:
            block = interior(problem, network, values, coords, derivatives=way)
            loss = Residuals((block,), Full(network)).total(theta).sum()
        loss.backward()
        adam.step()
        used, count = used + time.perf_counter() - began, count + 1


def error_rows(options: Any) -> list[dict[str, Any]]:
    """Errors after equal times, a row a way."""
    rows = []
    for dimension in (2,) if options.quick else (100, 250):
        for method in METHODS:
            curve = trained(method, dimension, 1.0 if options.quick else options.seconds)
            seconds, steps, l2, l1 = curve[-1]
            row = {"d": dimension, "derivatives": method, "seconds": seconds, "steps": steps}
            rows.append(
                row | {"relative L2": l2, "relative L1": l1, "at the start": curve[0][2], "_curve": curve}
            )
            print(f"{time.strftime('%H:%M:%S')} {rows[-1]}"[:160], flush=True)
    return rows


def publish(name: str, rows: list[dict[str, Any]]) -> None:
    """Put a table between its two marks on the page."""
    columns = [key for key in rows[0] if not key.startswith("_")]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += [
        "| "
        + " | ".join(f"{row[c]:.3g}" if isinstance(row[c], float) else str(row[c]) for c in columns)
        + " |"
        for row in rows
    ]
    text, start, end = PAGE.read_text(), f"<!-- {name}:start -->\n", f"<!-- {name}:end -->"
    head, tail = text.split(start)[0], text.split(end)[1]
    PAGE.write_text(head + start + "\n".join(lines) + "\n" + end + tail)


def main(options: Any) -> None:
    """Both tables, or one of them; with --one a single setting for the process that asked."""
    if options.one:
        print(one(*json.loads(options.one)))
        return
    facts = f"network {LAYERS} x {WIDTH}, float32, {POINTS} points, {DIRECTIONS} directions, {PAIRS} pairs of noise"
    for name, make, title in (
        ("steps", step_rows, "Time and memory of a step"),
        ("errors", error_rows, "Hamilton-Jacobi-Bellman after equal times"),
    ):
        if options.only in ("", name):
            rows = make(options)
            report(f"high_dimensions_{name}", title, rows, [facts], options)
            if not options.quick:
                publish(name, rows)


if __name__ == "__main__":
    run(
        main,
        arguments(
            __doc__, rounds=(15, "timed steps of each, fewer in many dimensions"),
            seconds=(60.0, "of each training"), only=("", "steps or errors"), one=("", "for internal use"),
        ),
    )  # fmt: skip
