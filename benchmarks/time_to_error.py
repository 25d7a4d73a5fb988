"""Time to an error on one Kovasznay task: DeepXDE, this package's Adam and L-BFGS, Levenberg-Marquardt on rank 4.

DeepXDE runs with the settings of its own Kovasznay example (4 x 50, tanh, Glorot normal, 2,601 + 400 points,
Adam 1e-3 for 30,000 iterations, then L-BFGS), on our domain [0, 1]^2, in float32, and so does this package's Adam
and L-BFGS. The error is the mean square over a 101 x 101 grid and u, v, p; measuring it is not timed.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch
from common import CPU, SEED, Contestant, arguments, base_network, report, run, settings_of
from opponents import deepxde, deepxde_example, exact

from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem
from pinnlora.train.data import Monitor, Solutions, grid_coords, task_set
from pinnlora.train.settings import NetworkSettings, StageSettings
from pinnlora.train.setup import (
    base_weights,
    draw_of,
    dtype_of,
    network_of,
    parametrisation_of,
    torch_generator,
)
from pinnlora.train.single import TaskFits

GRID, TOGETHER = 101**2, 20


def with_deepxde(problem: Problem, re: float, options) -> Contestant:
    """DeepXDE's example, its training loop without the logging; a step is TOGETHER iterations."""
    dde = deepxde()
    torch.manual_seed(SEED)
    model = deepxde_example(dde, problem, re, options.points)
    model.compile("adam", lr=1e-3, verbose=0)
    dde.optimizers.config.LBFGS_options.update(iter_per_step=TOGETHER, fun_per_step=TOGETHER * 5 // 4)
    batch = model.data.train_next_batch()
    done = {"adam": 0, "lbfgs": 0}

    def step() -> bool:
        if done["adam"] < options.adam:
            for _ in range(TOGETHER):
                model.train_step(*batch)
            done["adam"] += TOGETHER
            return True
        if done["lbfgs"] == 0:
            model.compile("L-BFGS", verbose=0)
        model.train_step(*batch)
        before, done["lbfgs"] = done["lbfgs"], model.opt.state_dict()["state"][0]["n_iter"]
        return before != done["lbfgs"] - 1 and done["lbfgs"] < options.lbfgs  # DeepXDE's own rule

    grid = grid_coords(problem, CPU, torch.float32)[0]
    truth = np.hstack(list(exact(problem, re, grid.numpy()).values()))

    def error() -> float:
        with torch.no_grad():
            return float(np.mean((model.net(grid).double().numpy() - truth) ** 2))

    return Contestant("DeepXDE, Adam then L-BFGS", step, error)


def with_task_fits(
    name: str,
    problem: Problem,
    re: float,
    network: NetworkSettings,
    stage: StageSettings,
    base: torch.Tensor | None = None,
) -> Contestant:
    """This package's per-task learner: rank 4 on a base network, or all weights from random ones.

    A step is one iteration of Levenberg-Marquardt, or TOGETHER of Adam or L-BFGS.
    """
    together = 1 if stage.optimiser == "levenberg_marquardt" else TOGETHER
    dtype = dtype_of(stage.dtype)
    tasks = task_set(problem, {"re": np.array([re])}, False, CPU, dtype)
    layout = network_of(problem, network)
    frozen = None if base is None else base_weights(layout, base, CPU, dtype)
    parametrisation = parametrisation_of(layout, "full" if base is None else 4, frozen, network)
    start = parametrisation.initial(1, torch_generator(SEED, name)).to(dtype)
    learner = TaskFits(problem, parametrisation, tasks, start, stage, draw_of(SEED, name, CPU, dtype))
    reference = problem.reference({"re": np.array([re])})
    reference = np.stack([field.reshape(1, -1) for field in reference.values()], -1)
    monitor = Monitor.of(Solutions.of(tasks, reference), points=GRID)
    steps = iter(range(learner.steps))

    def step() -> bool:
        nonlocal steps
        for k in islice(steps, together):
            learner.step(k)
        if steps.__length_hint__():
            return True
        learner.keep(torch.ones(1, dtype=torch.bool))
        learner.restore()
        more = learner.next_phase()
        steps = iter(range(learner.steps))
        return more

    return Contestant(name, step, lambda: monitor(learner.theta.detach(), parametrisation))


def longer(stage: StageSettings) -> StageSettings:
    """The stage with four times its steps: the race ends at an error, not at a number of steps."""
    return stage.model_copy(update={"steps": 4 * stage.steps})


def entries(problem: Problem, settings, base: torch.Tensor, options) -> list[tuple[str, Contestant]]:
    """All methods with their networks; the last one is what the others are compared with."""
    same = StageSettings(
        optimiser="adam+lbfgs", steps=options.adam, lbfgs_steps=options.lbfgs, learning_rate=1e-3,
        schedule="constant", points=options.points, condition_points=400, resample=0,
    )  # fmt: skip
    small, usual = NetworkSettings(width=50, hidden_layers=4), settings.network
    lora, full = (longer(settings.stage(*key)) for key in (("lora", 4), ("base",)))
    return [
        ("4 x 50, all weights", with_deepxde(problem, options.re, options)),
        ("4 x 50, all weights", with_task_fits("pinnlora, Adam then L-BFGS", problem, options.re, small, same)),
        ("6 x 64, all weights", with_task_fits("pinnlora, Levenberg-Marquardt", problem, options.re, usual, full)),
        ("6 x 64, rank 4",
         with_task_fits("pinnlora, Levenberg-Marquardt from a base", problem, options.re, usual, lora, base)),
    ]  # fmt: skip


def main(options) -> None:
    """Race all, one after the other, and report."""
    if options.quick:
        options.target, options.adam, options.lbfgs, options.points, options.limit = 1e-2, 100, 40, 200, 0.2
    problem, settings = load_problem("kovasznay"), settings_of("config", "kovasznay")
    base, base_seconds, base_re = base_network(problem, settings, options.quick)
    field_of = entries(problem, settings, base, options)
    results = [entry.race(options.target, 60 * options.limit) for _, entry in field_of]
    fastest = results[-1]["seconds"]
    rows = [
        {"method": entry.name, "network": network} | result | {
            "over the last": result["seconds"] / fastest,
            "over the last and its base": result["seconds"] / (fastest + base_seconds),
        }
        for (network, entry), result in zip(field_of, results, strict=True)
    ]  # fmt: skip
    notes = [
        f"Kovasznay, Re = {options.re:g}, until MSE {options.target:g}; where `reached` is False, "
        "the time is a lower bound and MSE is what was left",
        f"the base network (Re = {base_re:.1f}) took {base_seconds:.1f} s, once for all tasks",
        "target for DeepXDE over the last: 50",
    ]
    report("time_to_error", "Time to an error on one Kovasznay task", rows, notes, options)


if __name__ == "__main__":
    parser = arguments(
        __doc__, re=(20.0, "the task"), target=(3.85e-7, "mean squared error"), limit=(90.0, "minutes a method"),
        adam=(30_000, "iterations of Adam"), lbfgs=(15_000, "iterations of L-BFGS"),
        points=(2601, "points of Adam and L-BFGS"),
    )  # fmt: skip
    run(main, parser)
