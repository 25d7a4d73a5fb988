"""Training by budget: what suits a problem, and how much of it fits into a wall time, by a few steps on the watch."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, TypeVar

import torch

from pinnlora.problem.base import Problem
from pinnlora.problem.domain.base import Shape
from pinnlora.train.checkpoint import Checkpoint
from pinnlora.train.loop import Learner, train
from pinnlora.train.progress import History
from pinnlora.train.settings import HypernetworkStage, StageSettings

BASE, FURTHER, EVALUATION = 0.2, 0.04, 0.12
"""The base network's share of the whole time, more of it for each further unknown, and what is kept for evaluation."""
ROWS = 480
"""Residual rows of a Gauss-Newton step, which costs their second to third power and gains about in proportion to them:
in two minutes Poisson's with two parameters came to a relative L2 error of 1.5e-4 by 320 rows, of 2.2e-3 by 2,600."""
LEAST, REPORTS = 300, 40
"""Steps that a method of second order should have at least, and entries of a history."""
FLOOR = 6e-9
"""The first steps' least damping, relative to the trace of J J^T: with it the flow around a cylinder at Re 20 came in
25 steps of 300 points from an error of 0.1 to 0.008, where 70 steps without one had kept it; of the hypernetwork of
1,800 steps to 0.09, without one to 0.41."""

Trained = TypeVar("Trained", bound=Learner)

NEWTON = {
    "dtype": "float64",
    "momentum": 0.75,
    "relaxation": 0.03,
    "damping": 1e-4,
    "clip": 0.0,
    "normalise": 0.0,
    "average": 0.0,
}
MARQUARDT = {"dtype": "float64", "damping": 1.0, "clip": 0.0, "normalise": 0.0, "average": 0.0}
MANY = {"derivatives": "random", "balance": False}
"""What suits coordinates of many components: few passes over memory a point."""
SOAP = {"dtype": "float32", "learning_rate": 3e-3, "schedule": "cosine", "clip": 2.0, "normalise": 0.5}


def suited(stage: StageSettings, problem: Problem) -> StageSettings:
    """The stage with `optimiser: auto` replaced by the one that suits the problem, and with that one's own keys.

    Gauss-Newton needs tasks of few directions, for each step must pin the hypernetwork down between its tasks; where
    a task holds a function SOAP is better. Single tasks are fitted by Levenberg-Marquardt. Where derivatives are
    estimates both are noise to methods of second order, and first-order ones take their place.
    """
    if stage.optimiser != "auto":
        return stage
    if stage.derivatives != "exact":
        own = isinstance(stage, HypernetworkStage)
        keys = {"optimiser": "soap"} | SOAP if own else {"optimiser": "adam", "dtype": "float32"}
    elif not isinstance(stage, HypernetworkStage):
        keys = {"optimiser": "levenberg_marquardt"} | MARQUARDT
    elif problem.task.functions:
        keys = {"optimiser": "soap"} | SOAP
    else:
        keys = {"optimiser": "gauss_newton"} | NEWTON
    return stage.model_copy(update=keys)


def settings_within(problem: Problem, minutes: float) -> dict[str, Any]:
    """The settings of a study that trains a problem's physics hypernetwork in so many minutes.

    Points and tasks are upper bounds: `paced` finds out what there is time for.
    """
    network = _network(problem)
    problem = problem.formulated(network["formulation"])
    function, fields = bool(problem.task.functions), len(problem.unknowns)
    tasks = min(32, 8 + 4 * problem.task.size)
    points = max(16, ROWS // (tasks * fields))
    share = 0.5 * BASE if function else BASE + FURTHER * min(3, fields - 1)
    auto = {"optimiser": "auto", "horizon": "auto", "balance": True, "steps": 10**6, "damping_floor": FLOOR}
    base: dict[str, Any] = {
        "points": 250 * len(problem.coords.names),
        "condition_points": 60,
        "steps": 400,
        "relaxation": 0.1,
    }
    physics: dict[str, Any] = {
        "points": points,
        "condition_points": max(8, points // 4),
        "tasks_per_step": tasks,
        "rows": 10**4,
        "steps": 10**5,
    }  # points evenly spread: on Allen-Cahn ten times better than adaptive ones
    if isinstance(problem.coords, Shape) and not problem.coords.vectors:
        base |= {"adaptive": True}  # what is steep around a hole or a corner is a small share of the domain
    if function:
        physics = {"points": 16, "condition_points": 12, "tasks_per_step": 72}
    if problem.coords.vectors:
        base |= MANY | {"points": 400}
        physics |= MANY | {"points": 64, "tasks_per_step": 8}
    large = minutes >= 10
    network |= {"width": 64 if large else 40, "hidden_layers": 6 if large else 4}
    return {
        "modes": ["physics"],
        "tasks": {"train": 4, "validation": 20, "test": 20},
        "network": network,
        "hypernetwork": {"body": [128] * 3, "activation": "silu" if function else "tanh"},
        "training": {
            "base": auto | base | {"seconds": 60 * minutes * share},
            "physics": auto | physics | {"seconds": 60 * minutes * (1 - share - EVALUATION)},
        },
    }  # fmt: skip


def _network(problem: Problem) -> dict[str, Any]:
    """A problem's own formulation (the first, of several), ansatz and symmetry where it has them."""
    formulation = next(iter(problem.formulations), "default")
    problem = problem.formulated(formulation)
    own = {"lift": "lift", "symmetry": "canonical"}
    network: dict[str, Any] = {
        key: getattr(type(problem), name) is not getattr(Problem, name) for key, name in own.items()
    }
    network |= {"symmetry": network["symmetry"] or problem.needs_symmetry, "formulation": formulation}
    periodic = any(condition.periodic is not None for condition in problem.bound_conditions)
    return network | ({"input_map": "periodic", "modes": 4} if periodic else {})


def train_within(
    stage: StageSettings,
    learner_of: Callable[[StageSettings], Trained],
    title: str,
    checkpoint: Checkpoint | None = None,
) -> tuple[Trained, History]:
    """Train a new learner as the stage says, within its budget if it has one; what `checkpoint` has is done."""
    checkpoint = checkpoint or Checkpoint()
    known, steps = checkpoint.found("stage"), stage.steps
    stage = paced(stage, learner_of) if known is None else type(stage).model_construct(**known)
    checkpoint.part("stage", lambda: stage.model_dump(mode="json"))
    learner, fill = learner_of(stage), stage.steps < steps
    history = train(learner, stage.report_every, stage.patience, title, checkpoint=checkpoint, fill=fill)
    if stage.seconds:
        history.taken = {"points": stage.points, "condition_points": stage.condition_points}
    return learner, history


def paced(stage: StageSettings, learner_of: Callable[[StageSettings], Learner]) -> StageSettings:
    """A stage with a budget of `seconds`: its steps, at most as many as it names, from the time that a step takes.

    Where there is time for all of them, what is left of the budget is their bound. A method of second order gets fewer
    points where less than LEAST steps would fit else. `learner_of` makes a learner that is thrown away; what is
    measured is taken off the budget.
    """
    if not stage.seconds:
        return stage
    began, second_order = time.perf_counter(), stage.optimiser in ("gauss_newton", "levenberg_marquardt")
    if second_order:
        for trial in (0.3, 0.6):  # a step costs between the first and the third power of its rows
            once, _ = _measured(learner_of(_scaled(stage, trial)), 2)
            factor = trial * (stage.seconds / min(LEAST, stage.steps) / once) ** 0.7
            if factor < trial:
                break
        stage = _scaled(stage, min(1.0, factor))
    once, validation = _measured(learner_of(stage), 2 if second_order else 8)
    left = max(0.5 * stage.seconds, stage.seconds - (time.perf_counter() - began))
    reports = max(5, min(REPORTS, int(0.1 * left / validation)))
    steps = max(1, min(stage.steps, int((left - reports * validation) / once)))
    needed = steps * once + reports * validation
    print(
        f"budget {min(left, needed):.0f} s: a step takes {1e3 * once:.0f} ms, {steps} steps of {stage.points} points",
        flush=True,
    )
    every = max(1, steps // reports)
    update = {"steps": steps, "seconds": left, "report_every": every}
    if steps < stage.steps or stage.continuation_steps >= steps:
        update |= {"continuation_steps": min(stage.continuation_steps, max(1, steps // 2))}
    return stage.model_copy(update=update)


def _scaled(stage: StageSettings, factor: float) -> StageSettings:
    """With fewer points everywhere."""

    def part(count: int) -> int:
        return max(1, round(factor * count))

    on_faces = stage.condition_points
    on_faces = part(on_faces) if isinstance(on_faces, int) else {k: part(v) for k, v in on_faces.items()}
    return stage.model_copy(update={"points": part(stage.points), "condition_points": on_faces})


def _measured(learner: Learner, count: int) -> tuple[float, float]:
    """Seconds of a step, the median of `count` after one that warms up, and of a validation."""
    times = []
    for call in (*[lambda: torch.stack([*learner.step(0).values()]).sum(0)] * (count + 1), learner.validate):
        start = time.perf_counter()
        float(call().mean())  # a GPU has finished when a number is asked for
        times.append(time.perf_counter() - start)
    return median(times[1:-1]), times[-1]
