"""What a domain costs: fresh points and a training step on shapes, over the same on a box.

The equation, the conditions' number, the network and the numbers of points are the same; only the domain differs. A
step draws points for all tasks and takes loss and gradient of all weights.
"""

from __future__ import annotations

import statistics

import torch
from common import CPU, arguments, in_turn, ratio, report, run

from pinnlora import Ball, Box, Condition, Disk, Polygon, Problem, Uniform
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.terms import physics
from pinnlora.nets.adapters import Full
from pinnlora.nets.mlp import MLP
from pinnlora.problem.binding import tasks_of

TASKS = 16
SQUARE, CUBE = {"x": (0, 1), "y": (0, 1)}, {"x": (0, 1), "y": (0, 1), "z": (0, 1)}


def zero(self):
    """Nothing."""
    return {"u": 0.0}


def plane(self, u_xx, u_yy, r):
    """Poisson's equation in the plane."""
    return {"poisson": u_xx + u_yy + r}


def solid(self, u_xx, u_yy, u_zz, r):
    """Poisson's equation in space."""
    return {"poisson": u_xx + u_yy + u_zz + r}


def problem(coords, *parts: str) -> Problem:
    """Poisson's equation on a domain, zero on these parts of its boundary."""
    residual = solid if "z" in coords.names else plane
    conditions = [Condition(zero, on=part, name=f"part{k}") for k, part in enumerate(parts)]
    body = {"coords": coords, "fields": ("u",), "task": Uniform(r=(0.1, 0.3)), "residual": residual}
    return type("Shaped", (Problem,), body | {"conditions": conditions})()


def cases() -> dict[str, dict[str, Problem]]:
    """By dimension: a box, and shapes."""
    hole, corner = Disk(x=0.5, y=0.5, radius="r"), Box(x=(0.5, 1), y=(0.5, 1))
    ell = Polygon(x=(0, 1, 1, 0.5, 0.5, 0), y=(0, 0, 0.5, 0.5, 1, 1), edges=("a", "a", "b", "b", "b", "a"))
    ball = Ball(x=0.5, y=0.5, z=0.5, radius="r")
    return {
        "plane": {
            "box": problem(Box(**SQUARE), "x=0", "x=1"),
            "box - disk": problem(Box(**SQUARE) - hole, "x=0", "disk"),
            "disk - disk": problem(Disk(x=0.5, y=0.5, radius=0.5).named("rim") - hole, "rim", "disk"),
            "polygon": problem(ell, "a", "b"),
            "box - box": problem(Box(**SQUARE) - corner, "x=0", "x=1"),
        },
        "space": {
            "box": problem(Box(**CUBE), "x=0", "x=1"),
            "box - ball": problem(Box(**CUBE) - ball, "x=0", "ball"),
            "cylinder": problem(Disk(x=0.5, y=0.5, radius="r") * Box(z=(0, 1)), "disk", "z=0"),
        },
    }


def measure(dimension: str, problems: dict[str, Problem], points: int, rounds: int) -> list[dict]:
    """The table's rows of one dimension."""
    steps, draws = {}, {}
    for name, one in problems.items():
        values = {key: value.float() for key, value in tasks_of(type(one), TASKS).items()}
        draw = Draw(torch.Generator().manual_seed(0), CPU, torch.float32)
        network = MLP(len(one.coords.names), 1, 40, 4)
        theta = Full(network).initial(TASKS, torch.Generator().manual_seed(0)).float().requires_grad_()

        def drawn(one=one, draw=draw, values=values):
            return draw_points(one, draw, values, points, points // 4)

        def step(one=one, network=network, theta=theta, values=values, drawn=drawn):
            loss = physics(one, Full(network), values, drawn()).total(theta).sum()
            torch.autograd.grad(loss, theta)

        draws[name], steps[name] = drawn, step
    times, alone = in_turn(steps, rounds), in_turn(draws, 3 * rounds)
    return [
        {
            "space": dimension,
            "domain": name,
            "step, ms": 1e3 * statistics.median(times[name]),
            "over a box": ratio(times[name], times["box"]),
            "points alone, ms": 1e3 * statistics.median(alone[name]),
            "_seconds": times[name],
        }
        for name in problems
    ]


def main(options) -> None:
    """Measure and report."""
    points, rounds = (50, 3) if options.quick else (options.points, options.rounds)
    rows = [row for name, some in cases().items() for row in measure(name, some, points, rounds)]
    notes = [
        f"float32, {TASKS} tasks with own domains, {points} points inside, {points // 4} on each of two parts of "
        f"the boundary; medians of {rounds} rounds in turn, ratios within a round",
        "target: a step of 2 times that on a box or less",
    ]
    report("shapes", "What a domain costs", rows, notes, options)


if __name__ == "__main__":
    run(main, arguments(__doc__, points=(160, "points inside, a task"), rounds=(15, "rounds in turn")))
