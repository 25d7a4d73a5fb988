"""Growth of time and memory with tasks per batch, points, rank, and rows of a Gauss-Newton step.

Every point of every sweep runs in a process of its own, so that its peak of memory is its own: what the process
held at most, less what it held before the first step. Sweeps are run forth and back; the time of a step is the
median of both. `growth` is the exponent between a row and the one above it: 1 is linear, 2 quadratic.
"""

from __future__ import annotations

import json
import math
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from common import CPU, SEED, arguments, report, run, settings_of
from hypernetworks import hyperlearner

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.nets.adapters import Full, LowRank
from pinnlora.nets.mlp import MLP
from pinnlora.problem.load import load_problem
from pinnlora.train.data import task_set
from pinnlora.train.settings import StageSettings
from pinnlora.train.setup import dtype_of
from pinnlora.train.single import TaskFits

TASKS, POINTS, RANK, NEWTON_POINTS = 20, 500, 4, 48
SWEEPS: dict[tuple[str, str], list[int]] = {
    ("Adam on adapters, float32", "tasks"): [1, 2, 4, 8, 16, 32, 64],
    ("Adam on adapters, float32", "points"): [125, 250, 500, 1000, 2000, 4000],
    ("Adam on adapters, float32", "rank"): [1, 4, 16, 64],
    ("Levenberg-Marquardt, float64", "tasks"): [1, 2, 4, 8, 16],
    ("Levenberg-Marquardt, float64", "points"): [125, 250, 500, 1000],
    ("Levenberg-Marquardt, float64", "rank"): [1, 2, 4, 8, 16],
    ("hypernetwork, Adam, float32", "tasks"): [5, 10, 20, 40],
    ("hypernetwork, Gauss-Newton, float64", "rows"): [360, 720, 1440, 2880, 5760],
}
QUICK = {(method, what): values[:2] for (method, what), values in SWEEPS.items()}


def learner_of(method: str, sizes: dict[str, int]) -> Any:
    """Kovasznay: fits of single tasks, or a hypernetwork, on a base network of random weights."""
    problem, study = load_problem("kovasznay"), settings_of("config", "kovasznay")
    base = Full(MLP(2, 3)).initial(1, torch.Generator().manual_seed(SEED))
    kind, _, dtype = method.rpartition(", ")
    if kind.startswith("hypernetwork"):
        newton = kind.endswith("Gauss-Newton")
        tasks = sizes["rows"] // rows_a_task() if newton else sizes["tasks"]
        stage = StageSettings(
            optimiser="gauss_newton" if newton else "adam", dtype=dtype, tasks_per_step=tasks,
            points=NEWTON_POINTS if newton else sizes["points"], condition_points=12, rows=100_000,
        )  # fmt: skip
        return hyperlearner(problem, study, stage, study.hypernetwork, base, sizes["rank"])
    stage = StageSettings(
        optimiser="adam" if kind.startswith("Adam") else "levenberg_marquardt", dtype=dtype,
        points=sizes["points"], condition_points=sizes["points"] // 4,
    )  # fmt: skip
    where = dtype_of(dtype)
    tasks = task_set(
        problem, problem.task.sample(sizes["tasks"], np.random.default_rng(0)), False, CPU, where
    )
    network = MLP(2, 3)
    adapters = LowRank(network, network.unflatten(base.to(where)), sizes["rank"])
    generator = torch.Generator().manual_seed(SEED)
    start = adapters.initial(sizes["tasks"], generator).to(where)
    return TaskFits(problem, adapters, tasks, start, stage, Draw(generator, CPU, where))


def rows_a_task() -> int:
    """Residual rows of one Kovasznay task in a Gauss-Newton step: 3 a point, 2 on the walls, 1 at the outflow."""
    return 3 * NEWTON_POINTS + 2 * 12 + 12


def peak() -> float:
    """The most memory this process has held, MiB."""
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def one(method: str, sizes: dict[str, int], steps: int) -> dict[str, Any]:
    """Seconds of each step and memory of one setting, in this process."""
    learner = learner_of(method, sizes)
    before = peak()
    seconds = []
    for k in range(steps + 1):
        start = time.perf_counter()
        learner.step(k)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:], "MiB": peak() - before}


def apart(method: str, sizes: dict[str, int], options) -> dict[str, Any]:
    """`one` in a process of its own; UserError with its last line where it fails (memory, say)."""
    task = json.dumps([method, sizes, options.steps])
    command = [sys.executable, __file__, "--one", task, "--threads", str(options.threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"signal {-done.returncode}"])[-1]
        raise UserError(f"{method}, {sizes}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def sweep(method: str, what: str, values: list[int], options) -> list[dict[str, Any]]:
    """The rows of one sweep, forth and back."""
    usual = {"tasks": TASKS if "hyper" in method else 4, "points": POINTS, "rank": RANK, "rows": 1440}
    found: dict[int, list[dict]] = {value: [] for value in values}
    for value in [*values, *reversed(values)]:
        found[value].append(apart(method, usual | {what: value}, options))
        print(f"{time.strftime('%H:%M:%S')} {method}, {what} {value}", flush=True)
    rows, above = [], None
    for value, runs in found.items():
        seconds = statistics.median([second for run in runs for second in run["seconds"]])
        memory = statistics.median(run["MiB"] for run in runs)
        row = {"method": method, "against": what, "value": value, "ms a step": 1e3 * seconds}
        row |= {"growth": exponent(above, value, seconds, 1), "peak MiB": memory}
        row |= {"growth of memory": exponent(above, value, memory, 2), "_runs": runs}
        rows.append(row)
        above = (value, seconds, memory)
    return rows


def exponent(above: tuple | None, value: int, number: float, which: int) -> float | str:
    """log of the ratio of two numbers over log of the ratio of the two values they belong to."""
    if above is None or min(number, above[which]) <= 0:
        return ""
    return math.log(number / above[which]) / math.log(value / above[0])


def main(options) -> None:
    """All sweeps, or with --one a single setting for the process that asked."""
    if options.one:
        method, sizes, steps = json.loads(options.one)
        print(json.dumps(one(method, sizes, steps)))
        return
    sweeps = QUICK if options.quick else SWEEPS
    options.steps = 2 if options.quick else options.steps
    rows = [row for (method, what), values in sweeps.items() for row in sweep(method, what, values, options)]
    notes = [
        f"Kovasznay, network 6 x 64, rank {RANK}, {POINTS} points, 4 tasks (hypernetworks {TASKS}) where not swept",
        f"Gauss-Newton: {NEWTON_POINTS} points and {rows_a_task()} rows a task, as many tasks as give the rows",
        f"medians of {2 * options.steps} steps; memory: peak of the process less what it held before the first step",
    ]
    report("growth", "Time and memory of a step", rows, notes, options)


if __name__ == "__main__":
    run(
        main,
        arguments(
            __doc__, steps=(6, "timed steps a process"), one=("", "a setting as JSON, for internal use")
        ),
    )
