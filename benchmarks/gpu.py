"""Every path on the GPU against the CPU: do they agree in float64, and how much faster is a step?

One command for whoever has a GPU: `python benchmarks/gpu.py`. Each path is built twice, from the same weights. Both
take the same steps on the same tasks and points, those drawn on the CPU; `agreement` is how far losses and weights are
apart after them, relative (none for a path with random numbers of its own). Then each goes on alone, drawing its own
points, at the sizes of a study and at 8 times the points, in float64 and float32. `syncs` are the waits of the CPU for
the GPU in a step, as torch warns of them.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from common import CPU, SEED, arguments, report, run, settings_of
from hypernetworks import hyperlearner
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.sampler import Points
from pinnlora.nets.adapters import Full, LowRank
from pinnlora.nets.mlp import MLP
from pinnlora.problem.load import load_problem
from pinnlora.train.data import fields_of, grid_coords, task_set
from pinnlora.train.hyperlearner import Hyperlearner
from pinnlora.train.settings import StageSettings
from pinnlora.train.setup import draw_of, dtype_of, torch_generator
from pinnlora.train.single import TaskFits

Learner = TaskFits | Hyperlearner
AGREE = 1e-8
"""Largest relative difference after the steps, in float64: reductions are summed in another order."""
PROBLEM, TASKS, RANK = "kovasznay", 16, 4


@dataclass(frozen=True)
class Path:
    """One way to train: a hypernetwork or single tasks, by an optimiser, with more of a stage's settings."""

    name: str
    optimiser: str
    hypernetwork: bool = False
    rank: int | str = RANK
    more: tuple[tuple[str, Any], ...] = ()
    alike: bool = True

    def learner(self, device: torch.device, dtype: str, points: int) -> Learner:
        """A learner that has done nothing yet."""
        stage = StageSettings(
            optimiser=self.optimiser, dtype=dtype, points=points, condition_points=max(8, points // 4),
            tasks_per_step=TASKS, rows=10**6, **dict(self.more),
        )  # fmt: skip
        problem, settings = load_problem(PROBLEM), settings_of("config", PROBLEM)
        base = Full(MLP(2, 3)).initial(1, torch_generator(SEED, "base"))
        if self.hypernetwork:
            body = settings.hypernetwork
            return hyperlearner(problem, settings, stage, body, base, RANK, device)
        network, where = MLP(2, 3), dtype_of(dtype)
        full, adapted = Full(network), LowRank(network, network.unflatten(base.to(device, where)), RANK)
        parametrisation = full if self.rank == "full" else adapted
        sample = problem.task.sample(TASKS, np.random.default_rng(0))
        tasks = task_set(problem, sample, False, device, where)
        start = parametrisation.initial(TASKS, torch_generator(SEED, "start")).to(device, where)
        return TaskFits(problem, parametrisation, tasks, start, stage, draw_of(SEED, "points", device, where))


LBFGS = (("lbfgs_steps", 1000), ("steps", 1))
PATHS = (
    Path("Adam, all weights", "adam", rank="full"),
    Path("Adam, adapters", "adam"),
    Path("Adam, adaptive points", "adam", more=(("adaptive", True),)),
    Path("Adam, balanced", "adam", more=(("balance", True),), alike=False),
    Path("L-BFGS, adapters", "adam+lbfgs", more=LBFGS),
    Path("Levenberg-Marquardt, all weights", "levenberg_marquardt", rank="full"),
    Path("Levenberg-Marquardt, adapters", "levenberg_marquardt"),
    Path("hypernetwork, Adam", "adam", True),
    Path("hypernetwork, SOAP, clipped", "soap", True, more=(("clip", 3.0),)),
    Path("hypernetwork, Adam, averaged", "adam", True, more=(("average", 0.9),)),
    Path("hypernetwork, Gauss-Newton", "gauss_newton", True),
    Path("hypernetwork, Gauss-Newton, momentum", "gauss_newton", True, more=(("momentum", 0.75),)),
)


def shared_points(one: Learner, other: Learner, device: torch.device) -> None:
    """Let the second draw what the first has drawn, in the same order."""
    drawn: list[Points] = []
    points = one._physics.points

    def record(*given: Any) -> Points:
        drawn.append(points(*given))
        return drawn[-1]

    one._physics.points = record  # type: ignore[method-assign]
    other._physics.points = lambda *given: drawn.pop(0).to(device)  # type: ignore[method-assign]


def weights(learner: Learner) -> Tensor:
    """All trained numbers, flat, on the CPU."""
    if isinstance(learner, TaskFits):
        return learner.theta.detach().flatten().cpu()
    return torch.cat([p.detach().flatten() for p in learner.hypernetwork.parameters()]).cpu()


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / one.norm().clamp_min(1e-300))


def agreement(path: Path, device: torch.device, steps: int, points: int) -> float:
    """The largest relative difference of losses and weights between CPU and `device` over some float64 steps."""
    pair = path.learner(CPU, "float64", points), path.learner(device, "float64", points)
    shared_points(*pair, device)
    worst = distance(weights(pair[0]), weights(pair[1]))
    for k in range(steps):
        if path.optimiser == "adam+lbfgs" and k == 1:
            for learner in pair:
                learner.next_phase()
        losses = [torch.stack([*learner.step(k).values()]).flatten().cpu() for learner in pair]
        worst = max(worst, distance(*losses), distance(*(weights(learner) for learner in pair)))
    return worst


def settled(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(step: Callable[[int], Any], device: torch.device, steps: int) -> float:
    """Median milliseconds of a step, after two that warm up."""
    times = []
    for k in range(steps + 2):
        settled(device)
        start = time.perf_counter()
        step(k)
        settled(device)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[2:])


def waits(step: Callable[[int], Any], device: torch.device) -> int:
    """How often the CPU waits for the GPU in one step."""
    if device.type != "cuda":
        return 0
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step(3)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return len(seen)


def prediction(device: torch.device, options: Any) -> dict[str, Any]:
    """Fields of many tasks on the evaluation grid: the row of the table."""
    problem, network, found, times = load_problem(PROBLEM), MLP(2, 3), [], []
    theta = Full(network).initial(TASKS, torch_generator(SEED, "theta"))
    sample = problem.task.sample(TASKS, np.random.default_rng(0))
    for where in (CPU, device):
        tasks = task_set(problem, sample, False, where, torch.float64)
        grid = grid_coords(problem, where, torch.float64)

        def fields(_: int, where=where, tasks=tasks, grid=grid) -> Tensor:
            return fields_of(Full(network), theta.to(where), tasks, grid)

        found.append(fields(0).cpu())
        times.append(timed(fields, where, options.steps))
    row = {"path": f"prediction, {TASKS} tasks on the grid", "agreement": distance(*found)}
    return row | {"CPU ms": times[0], "GPU ms": times[1], "speed-up": times[0] / times[1]}


def rows_of(path: Path, device: torch.device, options: Any) -> list[dict[str, Any]]:
    """Agreement, then time in both precisions at two sizes."""
    small = 16 if options.quick else 96
    apart = agreement(path, device, min(3, options.steps), small) if path.alike else math.nan
    rows = []
    for dtype in ("float64", "float32"):
        for points in (small,) if options.quick else (small, 8 * small):
            row: dict[str, Any] = {"path": path.name, "agreement": apart, "dtype": dtype, "points": points}
            for name, where in (("CPU", CPU), ("GPU", device)):
                learner = path.learner(where, dtype, points)
                row[f"{name} ms"] = timed(learner.step, where, options.steps)
            row |= {"speed-up": row["CPU ms"] / row["GPU ms"], "syncs": waits(learner.step, device)}
            rows.append(row)
            apart = math.nan
    return rows


def main(options: Any) -> None:
    """All paths; UserError in the end where one does not agree."""
    if not options.self_test and not torch.cuda.is_available():
        raise UserError("torch sees no GPU here: nothing to compare")
    device = CPU if options.self_test else torch.device("cuda")
    options.steps = 1 if options.quick else options.steps
    rows: list[dict[str, Any]] = []
    for path in PATHS:
        found = rows_of(path, device, options)
        print(f"{time.strftime('%H:%M:%S')} {path.name}: apart by {found[0]['agreement']:.1e}", flush=True)
        rows += found
    rows.append(prediction(device, options))
    card = "none, the CPU twice" if options.self_test else torch.cuda.get_device_name(device)
    notes = [
        f"GPU: {card}",
        f"{PROBLEM}, network 6 x 64, adapters of rank {RANK}, {TASKS} tasks; medians of {options.steps} steps",
    ]
    report("gpu", "The GPU against the CPU", rows, notes, options)
    wrong = [row["path"] for row in rows if row.get("agreement", 0.0) > AGREE]
    if wrong:
        raise UserError(f"not the same on the GPU, beyond {AGREE:g}: {', '.join(wrong)}")


if __name__ == "__main__":
    run(main, arguments(__doc__, steps=(10, "timed steps"), self_test=(False, "the CPU in both places")))
