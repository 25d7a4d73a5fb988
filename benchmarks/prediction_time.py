"""How long does one new task take at 10,000 points: a surrogate, the solver of its reference, DeepXDE's DeepONet?

The surrogate is of the size of the default study and untrained, which its time does not depend on; float32. The
DeepONet has the hypernetwork's body for a branch and the base network for a trunk; with points that are the same for
every task its trunk could be kept, so it stands there twice.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import CPU, SEED, arguments, in_turn, report, run, settings_of
from torch import Tensor

from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem
from pinnlora.query.surrogate import Surrogate
from pinnlora.train.setup import base_weights, embedding_of, network_of, parametrisation_of, torch_generator

POINTS, MANY = 10_000, 100


def surrogate_of(problem: Problem, name: str) -> Surrogate:
    """Random weights in the layout of the default study, rank 4, float32."""
    settings, dtype = settings_of("config", name), torch.float32
    problem = problem.formulated(settings.network.formulation)
    network, shape = network_of(problem, settings.network), settings.hypernetwork
    base = network.initial(1, torch_generator(SEED, "base")).flat().to(dtype)
    weights = base_weights(network, base, CPU, dtype)
    parametrisation = parametrisation_of(network, 4, weights, settings.network)
    embed = embedding_of(problem, shape.embedding)
    task = problem.task.sample(1, np.random.default_rng(SEED))
    inputs = embed({key: torch.from_numpy(value) for key, value in task.items()}).shape[1]
    start = parametrisation.initial(1, torch_generator(SEED, "start"))[0]
    body = Hypernetwork(inputs, shape.body, start, shape.activation).to(dtype)
    return Surrogate(problem, parametrisation, body, embed, base, settings.network.symmetry)


def deeponet_of(
    problem: Problem, surrogate: Surrogate, tasks: dict, places: np.ndarray
) -> dict[str, Callable[[], Any]]:
    """One task by a DeepONet with layers of the same widths: at new points, and at points that it has seen."""
    os.environ["DDE_BACKEND"] = "pytorch"
    with contextlib.redirect_stderr(io.StringIO()):
        import deepxde

    deepxde.config.set_default_float("float32")
    body, network = surrogate.hypernetwork, surrogate.parametrisation.network
    widths, fields = [layer.out_features for layer in body.layers], len(problem.fields)
    trunk = [network.coords, *[network.width] * network.hidden_layers, network.width * fields]
    branch = [body.layers[0].in_features, *widths, network.width * fields]
    split = "split_both" if fields > 1 else None
    net = deepxde.nn.DeepONetCartesianProd(
        branch, trunk, "tanh", "Glorot normal", num_outputs=fields, multi_output_strategy=split
    )
    points = torch.from_numpy(places).float()
    one = {name: torch.as_tensor(np.asarray(value)[None]).float() for name, value in tasks.items()}

    @torch.no_grad()
    def everywhere() -> Tensor:
        return net((surrogate.embed(one), points))

    with torch.no_grad():
        seen = net.activation_trunk(net.trunk(points))

    @torch.no_grad()
    def known() -> Tensor:
        return net.branch(surrogate.embed(one)) @ seen.T

    return {"DeepONet": everywhere, "DeepONet, trunk kept": known}


def main(options: argparse.Namespace) -> None:
    """One row a problem."""
    rows, points = [], 500 if options.quick else POINTS
    for name in ("kovasznay", "burgers2d", "burgers1d"):
        problem = load_problem(name)
        surrogate = surrogate_of(problem, name)
        rng = np.random.default_rng(SEED)
        task = {key: value[0] for key, value in problem.task.sample(1, rng).items()}
        tasks = problem.task.sample(MANY, rng)
        box = problem.coords
        places = rng.uniform(box.low, box.high, (points, len(box.names)))
        at = dict(zip(box.names, places.T, strict=True))
        few = {key: value[:30] for key, value in at.items()}
        contestants = {
            "fields": lambda s=surrogate, a=at, t=task: s.predict(at=a, estimate="none", **t),
            "scored": lambda s=surrogate, a=at, t=task: s.predict(at=a, **t),
            "many": lambda s=surrogate, a=few, t=tasks: s.predict(at=a, estimate="none", **t),
        }
        if problem.has_solver:
            contestants["solver"] = lambda p=problem, t=task: p.reference(
                {key: v[None] for key, v in t.items()}
            )
        contestants |= deeponet_of(problem, surrogate, task, places)
        times = in_turn(contestants, 2 if options.quick else options.rounds)
        milliseconds = {key: 1e3 * statistics.median(each) for key, each in times.items()}
        rows.append({
            "problem": name,
            f"fields at {points} points, ms": milliseconds["fields"],
            "with residual and estimated error, ms": milliseconds["scored"],
            f"{MANY} tasks at 30 points, ms": milliseconds["many"],
            "DeepONet of DeepXDE, ms": milliseconds["DeepONet"],
            "its trunk kept, ms": milliseconds["DeepONet, trunk kept"],
            "reference solver, ms": milliseconds.get("solver", "exact"),
            "_times": times,
        })  # fmt: skip
    notes = ["medians over rounds; the solver's time is that of its whole grid, on which it has to solve"]
    report("prediction_time", "One new task, float32", rows, notes, options)


if __name__ == "__main__":
    run(main, arguments(__doc__, rounds=(20, "rounds")))
