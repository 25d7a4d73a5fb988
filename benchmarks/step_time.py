"""Time per training step: stacked jets, double backward in plain torch, DeepXDE, and the bare matrix products.

All four see the same network (6 x 64, tanh), the same float32 numbers in it, the same points and the same loss:
mean squares of the residual and of the prescribed values. Losses and gradients are compared before anything is
timed. A step is loss, gradient and Adam's update.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from common import CPU, arguments, in_turn, ratio, report, run
from opponents import deepxde_model, plain_loss, plain_network
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.residuals import Residuals
from pinnlora.loss.terms import physics
from pinnlora.nets.adapters import Full
from pinnlora.nets.mlp import MLP
from pinnlora.optimise.first_order import FirstOrder, Schedule
from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem
from pinnlora.problem.signature import lookup

JETS, PLAIN, DEEPXDE = "stacked jets", "double backward, plain torch", "DeepXDE, pytorch backend"
WHOLE, CHUNKS = "matrix products, all points at once", "matrix products, 1024 points at a time"
RATE = 1e-3


@dataclass(frozen=True)
class Case:
    """One task of a problem: points (1, point, dim) in the interior and on faces, and the values there."""

    problem: Problem
    values: dict[str, Tensor]
    points: dict[str, Tensor]
    targets: dict[str, dict[str, Tensor]]
    network: MLP
    start: Tensor


def case(name: str, count: int) -> Case:
    """The first task of generator 0, with `count` points in the interior and 100 a condition."""
    problem = load_problem(name)
    values = problem.task.sample(1, np.random.default_rng(0))
    values = {key: torch.as_tensor(value, dtype=torch.float32) for key, value in values.items()}
    generator = torch.Generator().manual_seed(0)
    points = draw_points(problem, Draw(generator, CPU, torch.float32, fixed=True), values, count, 100)
    prescribed = [c for c in problem.bound_conditions if c.periodic is None]
    targets = {c.name: c.signature(problem, lookup(problem, points[c.name], values)) for c in prescribed}
    network = MLP(len(problem.coords.names), len(problem.fields))
    start = Full(network).initial(1, generator).float()
    kept = {key: coords.contiguous() for key, coords in points.items() if key in ("interior", *targets)}
    return Case(problem, values, kept, targets, network, start)


def jets_objective(case: Case) -> Residuals:
    """This package's objective, without weights in the residual and without periodicity."""
    periodic = [c.name for c in case.problem.bound_conditions if c.periodic is not None]
    unused = {name: case.points["interior"][:, :2] for name in periodic}
    everything = physics(case.problem, Full(case.network), case.values, unused | case.points)
    interior, *conditions = everything.blocks
    interior = replace(interior, weight=1.0 / case.points["interior"].shape[1])
    return replace(everything, blocks=(interior, *(b for b in conditions if b.sides == 1)))


def jets_step(case: Case) -> tuple[Callable[[], None], Callable[[], tuple[float, Tensor]]]:
    """The step, and loss and gradient at the start."""
    objective, theta = jets_objective(case), case.start.clone().requires_grad_()
    adam = FirstOrder([theta], Schedule("constant", RATE, 1))

    def check() -> tuple[float, Tensor]:
        loss = objective.total(theta).sum()
        return float(loss.detach()), torch.autograd.grad(loss, theta)[0].flatten()

    return lambda: adam.step(theta, objective), check


def plain_step(case: Case) -> tuple[Callable[[], None], Callable[[], tuple[float, Tensor]]]:
    """The same in plain torch, with torch.autograd.grad for every derivative."""
    network = plain_network(case.network, case.start)
    adam = torch.optim.Adam(network.parameters(), lr=RATE)

    def check() -> tuple[float, Tensor]:
        loss = plain_loss(network, case)
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        return float(loss.detach()), torch.cat([g.flatten() for g in gradients])

    def step() -> None:
        adam.zero_grad()
        plain_loss(network, case).backward()
        adam.step()

    return step, check


def deepxde_step(case: Case) -> tuple[Callable[[], None], Callable[[], tuple[float, Tensor]]]:
    """DeepXDE's own step: what its Model.train calls once an iteration, without the logging around it."""
    model = deepxde_model(case)
    model.compile("adam", lr=RATE, verbose=0)
    data = model.data.train_next_batch()

    def check() -> tuple[float, Tensor]:
        loss = model.outputs_losses_train(*data)[1].sum()
        gradients = torch.autograd.grad(loss, list(model.net.parameters()))
        return float(loss.detach()), torch.cat([g.flatten() for g in gradients])

    return lambda: model.train_step(*data), check


def products(case: Case, chunk: int | None) -> Callable[[], None]:
    """The matrix products of one step alone: channels x points rows through every map, forward and backward.

    All operands and results lie ready in memory. With a chunk, that many points go through all maps before the next.
    """
    rows = len(case.problem.residual_signature.channels) * case.points["interior"].shape[1]
    chunk = rows if chunk is None else chunk * len(case.problem.residual_signature.channels)
    shapes = case.network.shapes
    matrices = [torch.randn(out, into) for out, into in shapes]
    down = [torch.randn(out, into) for out, into in shapes]
    jets = [torch.randn(rows, into) for _, into in shapes] + [torch.randn(rows, shapes[-1][0])]
    back = [torch.randn(rows, out) for out, _ in shapes]

    def forward_backward() -> None:
        for start in range(0, rows, chunk):
            part = slice(start, start + chunk)
            for k, matrix in enumerate(matrices):
                torch.mm(jets[k][part], matrix.T, out=jets[k + 1][part])
        for start in range(0, rows, chunk):
            part = slice(start, start + chunk)
            for k in range(len(matrices) - 1, -1, -1):
                torch.mm(back[k][part].T, jets[k][part], out=down[k])
                if k:
                    torch.mm(back[k][part], matrices[k], out=back[k - 1][part])

    return forward_backward


def agree(checks: dict[str, Callable[[], tuple[float, Tensor]]]) -> None:
    """UserError unless all have the same loss and gradient (to float32's precision)."""
    loss, gradient = checks[JETS]()
    for name, check in checks.items():
        other_loss, other = check()
        apart = float((other - gradient).norm() / gradient.norm())
        if abs(other_loss - loss) > 1e-3 * loss or apart > 1e-2:
            raise UserError(
                f"{name}: loss {other_loss}, jets {loss}; gradients {apart:.1e} apart: not the same step"
            )


def measure(name: str, count: int, rounds: int) -> list[dict]:
    """The table's rows of one problem."""
    here = case(name, count)
    makers = {JETS: jets_step, PLAIN: plain_step, DEEPXDE: deepxde_step}
    pairs = {key: make(here) for key, make in makers.items()}
    agree({key: check for key, (_, check) in pairs.items()})
    steps = {key: step for key, (step, _) in pairs.items()}
    steps |= {WHOLE: products(here, None), CHUNKS: products(here, 1024)}
    times = in_turn(steps, rounds)
    floor = min((WHOLE, CHUNKS), key=lambda key: statistics.median(times[key]))
    return [
        {
            "problem": f"{name}, {count} points",
            "step": key,
            "ms": 1e3 * statistics.median(times[key]),
            "over jets": ratio(times[key], times[JETS]),
            "over the floor": ratio(times[key], times[floor]),
            "_seconds": times[key],
        }
        for key in steps
    ]


def main(options) -> None:
    """Measure and report."""
    count, rounds = (500, 3) if options.quick else (options.points, options.rounds)
    rows = [row for name in ("burgers1d", "burgers2d") for row in measure(name, count, rounds)]
    notes = [
        f"float32, one task, all weights trained; medians of {rounds} rounds in turn, ratios within a round",
        "the floor is the faster of the two sets of matrix products; targets: DeepXDE over jets 1.5 or more, "
        "jets over the floor 1.6 or less",
    ]
    report("step_time", "Time of one training step", rows, notes, options)


if __name__ == "__main__":
    run(main, arguments(__doc__, points=(10_000, "collocation points"), rounds=(21, "rounds in turn")))
