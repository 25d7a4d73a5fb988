"""The contestants of the examples' benchmark: `pinnlora train --minutes`, and DeepXDE with parameters as inputs.

DeepXDE solves the very same class: its residual's derivatives come from `dde.grad`, its conditions from the class. The
network reads the coordinates and, embedded as pinnlora does (by the logarithm where the range is logarithmic), the
parameters, all scaled to [-1, 1]. Conditions are soft. Adam with a cosine rate and fresh points has the first
ADAM of the time, L-BFGS the rest.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch._dynamo  # by torch's optimisers at their first use, where it would be on the clock
from common import SEED
from opponents import deepxde, deepxde_residual
from torch import Tensor
from truths.lines import targets_at

from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem
from pinnlora.problem.signature import parse
from pinnlora.query.load import load
from pinnlora.query.surrogate import Surrogate
from pinnlora.study.jobs import train
from pinnlora.train.data import fields_of

RANK = 4
"""Of the adapters: what `pinnlora train` takes by itself."""
LAYERS, WIDTH, INTERIOR, FACE = 4, 64, 3000, 200
"""DeepXDE's hidden layers, their width, points of the equation, and points of a condition on each of its faces."""
ADAM, RATE, FRESH, TOGETHER = 0.6, 3e-3, 20, 10
"""Adam's share of the time, its first rate, the steps between fresh points; L-BFGS iterations between looks."""
WEIGHT = 100.0
"""How much conditions count beside equations in DeepXDE."""


@dataclass(frozen=True)
class Trained:
    """What a method came to: `predict` takes values (task,) and points (point, dim), gives (task, point, field)."""

    predict: Callable[[dict[str, np.ndarray], np.ndarray], np.ndarray]
    seconds: float
    verdict: str
    setting: str
    surrogate: Surrogate | None = None


def with_pinnlora(spec: str, minutes: float) -> Trained:
    """What the command `pinnlora train SPEC --minutes M` gives: all of its seconds count, verdict among them."""
    with TemporaryDirectory() as folder:
        output, start = Path(folder) / "out", time.perf_counter()
        train.run(spec, output, RANK, None, minutes, device="cpu")
        seconds = time.perf_counter() - start
        surrogate = load(output / "bundle")
    config = surrogate.config

    def predict(values: dict[str, np.ndarray], points: np.ndarray) -> np.ndarray:
        found = []
        for k in range(len(next(iter(values.values())))):
            one = surrogate.tasks(**{name: value[k : k + 1] for name, value in values.items()})
            theta = surrogate.numbers(one)
            coords = torch.from_numpy(points).to(theta.dtype).unsqueeze(0)
            found.append(fields_of(surrogate.parametrisation, theta, one, coords)[0].double().numpy())
        return np.stack(found)

    stage = config["stage"]
    setting = (
        f"{stage['optimiser']}, {config['iterations']} steps of {stage['points']} points, {stage['dtype']}"
    )
    return Trained(predict, seconds, config["verdict"], setting, surrogate)


def with_deepxde(spec: str, minutes: float) -> Trained:
    """DeepXDE for as many minutes, its import not counted, as pinnlora's is not."""
    dde = deepxde()
    problem, start = load_problem(spec), time.perf_counter()
    dde.config.set_default_float("float64")
    dde.config.set_random_seed(SEED)
    model = _model(dde, problem)
    weights = [1.0] * len(problem.residual_signature(problem, _ones(problem)))
    weights += [WEIGHT] * len(model.data.bcs)
    steps = _adam(model, weights, start, 60 * minutes * ADAM)
    iterations = _lbfgs(dde, model, weights, start, 60 * minutes)
    seconds = time.perf_counter() - start

    def predict(values: dict[str, np.ndarray], points: np.ndarray) -> np.ndarray:
        embedded = problem.task.embed(values)
        with torch.no_grad():
            return np.stack([_outputs(model, points, parameters) for parameters in embedded])

    setting = f"Adam {steps} steps, L-BFGS {iterations} iterations, {INTERIOR} points, float64"
    return Trained(predict, seconds, "", setting)


METHODS = {"pinnlora": with_pinnlora, "deepxde": with_deepxde}


def _model(dde: Any, problem: Problem) -> Any:
    box, task = problem.coords, problem.task
    size = len(box.names)
    low, high = np.array([*box.low, *[-1.0] * task.size]), np.array([*box.high, *[1.0] * task.size])

    def values_at(inputs: Tensor) -> dict[str, Tensor]:
        return task.decode(inputs[:, size:])

    residual = deepxde_residual(dde, problem, values_at)
    conditions = _conditions(dde, problem, values_at)
    with contextlib.redirect_stdout(io.StringIO()):
        data = dde.data.PDE(
            dde.geometry.Hypercube(low, high), residual, conditions, INTERIOR, train_distribution="pseudo"
        )
        sizes = [size + task.size, *[WIDTH] * LAYERS, len(problem.fields)]
        net = dde.nn.FNN(sizes, "tanh", "Glorot normal")
    middle, half = torch.from_numpy((high + low) / 2), torch.from_numpy((high - low) / 2)
    net.apply_feature_transform(lambda inputs: (inputs - middle) / half)
    return dde.Model(data, net)


def _conditions(dde: Any, problem: Problem, values_at: Callable[[Tensor], dict[str, Tensor]]) -> list[Any]:
    """Each prescribed value on its faces, at random points and parameters."""
    found, generator = [], torch.Generator().manual_seed(SEED)
    size, parameters = len(problem.coords.names), problem.task.size
    for condition in problem.bound_conditions:
        places = []
        for face in condition.faces:
            unit = torch.rand(FACE, size + parameters, generator=generator, dtype=torch.float64)
            places.append(
                torch.cat([face.project(problem.coords.scale(unit[:, :size])), 2 * unit[:, size:] - 1], 1)
            )
        points = torch.cat(places)
        for name, target in targets_at(problem, condition, points[:, :size], values_at(points)).items():
            number, order = parse(problem, name)
            if order:
                operator = lambda x, y, _, i=number, j=order[0]: dde.grad.jacobian(y, x, i=i, j=j)  # noqa: E731
            else:
                operator = lambda x, y, _, i=number: y[:, i : i + 1]  # noqa: E731
            found.append(dde.icbc.PointSetOperatorBC(points.numpy(), target[:, None].numpy(), operator))
    return found


def _ones(problem: Problem) -> Callable[[str], Tensor]:
    return lambda _: torch.ones(1)


def _adam(model: Any, weights: list[float], start: float, until: float) -> int:
    """Adam until so many seconds are over; the number of steps."""
    model.compile("adam", lr=RATE, loss_weights=weights, verbose=0)
    steps = 0
    while (share := (time.perf_counter() - start) / until) < 1:
        if steps % FRESH == 0:
            model.data.resample_train_points(bc_points=False)
            batch = model.data.train_next_batch()
        model.opt.param_groups[0]["lr"] = RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)
        model.train_step(*batch)
        steps += 1
    return steps


def _lbfgs(dde: Any, model: Any, weights: list[float], start: float, until: float) -> int:
    """L-BFGS until so many seconds are over, with fresh points where it stands still; the number of iterations."""
    dde.optimizers.config.LBFGS_options.update(iter_per_step=TOGETHER, fun_per_step=TOGETHER * 5 // 4)
    done = before = 0
    batch = fresh = None
    while time.perf_counter() - start < until:
        if batch is None:
            model.data.resample_train_points(bc_points=False)
            batch, before, fresh = model.data.train_next_batch(), 0, True
            model.compile("L-BFGS", loss_weights=weights, verbose=0)
        kept = [parameter.detach().clone() for parameter in model.net.parameters()]
        model.train_step(*batch)
        if not all(bool(parameter.isfinite().all()) for parameter in model.net.parameters()):
            with torch.no_grad():
                for parameter, value in zip(model.net.parameters(), kept, strict=True):
                    parameter.copy_(value)
            batch = None
            continue
        now = model.opt.state_dict()["state"][0]["n_iter"]
        gained, before = now - before, now
        done += gained
        if gained <= 1:  # DeepXDE's own sign that it has converged
            if fresh:
                break
            batch = None
        fresh = False
    return done


def _outputs(model: Any, points: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    inputs = np.hstack([points, np.broadcast_to(parameters, (len(points), len(parameters)))])
    return model.net(torch.from_numpy(inputs)).numpy()
