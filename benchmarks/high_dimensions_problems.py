"""Problems in many dimensions after some time of training: single tasks of the examples, and a family of one of them.

Settings are those of `pinnlora train` with the config that the example names; time is that of the CPU, of one thread.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from common import CPU, HERE, SEED
from high_dimensions_training import relative
from high_dimensions_ways import bellman
from hypernetworks import RANK, hyperlearner
from torch import Tensor
from truths.cole_hopf import by_monte_carlo

from pinnlora.nets.adapters import Parametrisation
from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem
from pinnlora.study.settings import ProblemSettings, load_settings
from pinnlora.train.budget import BASE, settings_within, suited
from pinnlora.train.data import fields_of, grid_coords, task_set
from pinnlora.train.fit import fit
from pinnlora.train.progress import History
from pinnlora.train.settings import HypernetworkStage, NetworkSettings, PerTaskStage, StageSettings
from pinnlora.train.setup import dtype_of, network_of, parametrisation_of

EXAMPLES = HERE.parent / "examples"
MANY, STEIN = EXAMPLES / "high_dimensions.yaml", EXAMPLES / "stein.yaml"
FAMILY, MUS = 100, (0.5, 1.0, 2.0)
"""Dimensions of the family, and its tasks that are measured."""
REPORTS, TRIAL = 12, 0.04
"""Entries of a curve, and the share of the time that a trial takes by which the number of steps is chosen."""


class Case(NamedTuple):
    """An example, the config that it is trained with, and the task."""

    file: str
    cls: str
    config: Path
    task: dict[str, float]

    @property
    def spec(self) -> str:
        """As on the command line."""
        return f"{EXAMPLES / self.file}.py:{self.cls}"


CASES = {
    "poisson_stein": Case("poisson_stein", "PoissonStein", STEIN, {"k": 2.0}),
    "heat_ball": Case("heat_ball", "HeatBall", MANY, {"alpha": 1.0}),
    "bellman": Case("hamilton_jacobi_bellman", "Bellman", MANY, {"mu": 1.0}),
    "sine_gordon_10": Case("sine_gordon", "SineGordon10", MANY, {"a": 1.0}),
    "sine_gordon_100": Case("sine_gordon", "SineGordon", MANY, {"a": 1.0}),
    "sine_gordon_1000": Case("sine_gordon", "SineGordon1000", MANY, {"a": 1.0}),
}


def settings_of(spec: str, config: Path) -> tuple[ProblemSettings, PerTaskStage]:
    """What `pinnlora train --minutes --config` would take, and its stage of single tasks."""
    problem = load_problem(spec)
    settings = load_settings(settings_within(problem, 1.0), config, {"problems": [spec]}).problem(spec)
    return settings, suited(PerTaskStage(**settings.stage("base").model_dump()), problem)


class Fitted(NamedTuple):
    """One task's network (1, size), its steps, the CPU seconds of all, and what was found on the way: steps, mean
    square of residuals and mismatches at points held out, relative L2 error of the best network until then."""

    theta: Tensor
    steps: int
    used: float
    curve: list[tuple[int, float, float]]


def fitted(
    problem: Problem,
    task: Mapping[str, float],
    stage: StageSettings,
    network: NetworkSettings,
    seconds: float,
) -> Fitted:
    """Train one task for so many seconds of CPU time, those by which the time of a step is found out among them."""
    began, values = time.process_time(), {name: np.array([value]) for name, value in task.items()}
    truth = problem.reference(values)["u"].reshape(1, -1, 1)

    def run(steps: int) -> tuple[Tensor, History]:
        every = max(1, steps // REPORTS)
        own = stage.model_copy(update={"steps": steps, "seconds": 0.0, "report_every": every})
        with contextlib.redirect_stdout(io.StringIO()):
            return fit(problem, values, own, network, "base", "full", SEED, "cpu", reference=truth)

    times = [_seconds(run, steps) for steps in (1, 2, 6)]
    many = int(TRIAL * seconds / max(1e-6, (times[2] - times[1]) / 4))
    once = (_seconds(run, 2 + many) - times[1]) / many if many > 4 else (times[2] - times[1]) / 4
    left = seconds - (time.process_time() - began)
    theta, history = run(max(1, int(left / max(1e-6, once))))
    size = float(np.sqrt(np.mean(truth**2)))
    curve = [(int(row["step"]), row["validation"], row["mse"] ** 0.5 / size) for row in history.rows]
    return Fitted(theta, history.iterations, time.process_time() - began, curve)


def _seconds(run: Callable[[int], Any], steps: int) -> float:
    began = time.process_time()
    run(steps)
    return time.process_time() - began


def fields(
    problem: Problem, parametrisation: Parametrisation, theta: Tensor, task: Mapping[str, float]
) -> np.ndarray:
    """u at the points of the problem, (point,)."""
    one = task_set(problem, {k: np.array([v]) for k, v in task.items()}, False, CPU, theta.dtype)
    found = fields_of(parametrisation, theta, one, grid_coords(problem, CPU, theta.dtype))
    return found[0, :, 0].double().numpy()


def of_problem(name: str, seconds: float) -> dict[str, Any]:
    """Errors of one task of an example."""
    case, problem = CASES[name], load_problem(CASES[name].spec)
    settings, stage = settings_of(case.spec, case.config)
    theta, steps, used, curve = fitted(problem, case.task, stage, settings.network, seconds)
    full = parametrisation_of(network_of(problem, settings.network), "full", None, settings.network)
    found = fields(problem, full, theta, case.task)
    truth = problem.reference({k: np.array([v]) for k, v in case.task.items()})["u"].reshape(-1)
    l2, l1 = relative(found, truth)
    out = {
        "problem": problem.title, "file": case.file, "config": case.config.name, "task": case.task,
        "d": len(problem.residual_signature.channels.space), "points": len(truth), "steps": steps, "used": used,
        "setting": f"{settings.network.hidden_layers} x {settings.network.width}, {stage.derivatives}, "
        f"{stage.directions}, {stage.points} points",
        "l2": l2, "l1": l1, "curve": curve,
    }  # fmt: skip
    if case.cls != "Bellman":
        return out
    places = grid_coords(problem, CPU, torch.float64)[0]
    known, error = (part.numpy() for part in by_monte_carlo(places[:, :-1], places[:, -1], case.task["mu"]))
    sure = {"standard_error": float(error.max()), "off": float((np.abs(known - truth) / error).max())}
    return out | {"l2_monte_carlo": relative(found, known)[0]} | sure


def of_family(which: str, seconds: float) -> dict[str, Any]:
    """Relative L2 errors over mu of one hypernetwork ("all") after so many seconds, or of the network of one task after
    its share of them: so many tasks alone take as long together as the family."""
    spec = CASES["bellman"].spec
    problem, (settings, stage) = bellman(FAMILY), settings_of(spec, MANY)
    network, errors = network_of(problem, settings.network), {}
    if which != "all":
        mu = float(which)
        theta, steps, used, _ = fitted(problem, {"mu": mu}, stage, settings.network, seconds / len(MUS))
        full = parametrisation_of(network, "full", None, settings.network)
        errors[which] = _error(problem, full, theta, mu)
        return {"which": which, "steps": steps, "used": used, "errors": errors}
    base, base_steps, used, _ = fitted(problem, {"mu": 1.0}, stage, settings.network, BASE * seconds)
    own = suited(HypernetworkStage(**settings.stage("physics").model_dump()), problem)
    few = settings.model_copy(
        update={"tasks": settings.tasks.model_copy(update={"train": 1, "validation": 1})}
    )

    def learner_of(steps: int) -> Any:
        stage = own.model_copy(update={"steps": steps, "seconds": 0.0})
        return hyperlearner(bellman(FAMILY, 600), few, stage, settings.hypernetwork, base)

    trial = learner_of(4)
    times = [_seconds(trial.step, k) for k in range(4)]
    used += sum(times)
    count = max(1, int((seconds - used) / median(times[1:])))
    learner = learner_of(count)
    used += sum(_seconds(learner.step, k) for k in range(count))
    for mu in MUS:
        errors[f"{mu:g}"] = _family_error(problem, learner, mu)
    return {
        "which": which, "steps": count, "base_steps": base_steps, "used": used, "errors": errors, "rank": RANK
    }  # fmt: skip


def _family_error(problem: Problem, learner: Any, mu: float) -> float:
    dtype = dtype_of(learner.settings.dtype)
    with torch.no_grad():
        theta = learner.hypernetwork(learner.embed({"mu": torch.tensor([mu], dtype=dtype)}))
    return _error(problem, learner.parametrisation, theta, mu)


def _error(problem: Problem, parametrisation: Parametrisation, theta: Tensor, mu: float) -> float:
    truth = problem.reference({"mu": np.array([mu])})["u"].reshape(-1)
    return relative(fields(problem, parametrisation, theta, {"mu": mu}), truth)[0]
