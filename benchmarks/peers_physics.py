"""Methods that learn a hypernetwork or one network from physics, each trained for so many minutes."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch._dynamo  # by torch's optimisers at their first use, where it would be on the clock
from common import CPU, SEED
from examples_methods import RANK, with_deepxde
from examples_truth import Truth
from hypernetwork_time import TUNED, TUNED_BODY
from hypernetworks import hyperlearner
from peers_training import CHECKED, RATES, Peer, Values, best_of, solved

from pinnlora.files import read_netcdf
from pinnlora.problem.load import load_problem
from pinnlora.query.load import load
from pinnlora.study.jobs import train
from pinnlora.study.settings import load_settings
from pinnlora.train.budget import settings_within
from pinnlora.train.data import fields_of, grid_coords, task_set
from pinnlora.train.setup import network_of, torch_generator


def pinnlora(name: str, minutes: float, _: Truth) -> Peer:
    """What `pinnlora train NAME --minutes M` gives; its own watch over some points of the grid is the curve, whose
    seconds begin with all that is no step of the hypernetwork."""
    problem = load_problem(name)
    with TemporaryDirectory() as folder:
        output, start = Path(folder) / "out", time.perf_counter()
        train.run(name, output, RANK, None, minutes, device="cpu")
        seconds = time.perf_counter() - start
        surrogate, history = load(output / "bundle"), read_netcdf(output / "bundle" / "history.nc")

    def predict(values: Values) -> np.ndarray:
        found = surrogate.predict(estimate="none", **values)
        count = len(next(iter(values.values())))
        return np.stack([found[field].values.reshape(count, -1) for field in problem.fields], -1)

    before = seconds - float(history["seconds"][-1])
    curve = [
        (before + float(at), float(mse)) for at, mse in zip(history["seconds"], history["mse"], strict=True)
    ]
    config = surrogate.config
    stage = config["stage"]
    setting = (
        f"rank {RANK}, {stage['optimiser']}, {config['iterations']} steps of {stage['tasks_per_step']} tasks"
    )
    return Peer(predict, seconds, f"{setting} x {stage['points']} points", curve)


class HyperPINN:
    """A hypernetwork that predicts all weights, from random ones on, by Adam; networks as pinnlora has them in the
    same minutes."""

    def __init__(self, name: str, minutes: float, rate: float) -> None:
        self.problem = load_problem(name)
        chosen = settings_within(self.problem, minutes)
        settings = load_settings(chosen, {"problems": [name]}).problem(name)
        network = network_of(self.problem, settings.network)
        start = network.initial(1, torch_generator(SEED, "base")).flat()
        stage = TUNED.model_copy(update={"learning_rate": rate})
        self.learner = hyperlearner(self.problem, settings, stage, TUNED_BODY, start, "full")
        self.symmetry = settings.network.symmetry

    def step(self, share: float) -> None:
        """A step of Adam on fresh tasks and points."""
        self.learner.step(int(share * self.learner.steps))

    @torch.no_grad()
    def predict(self, values: Values) -> np.ndarray:
        """Fields (task, point, field) on the evaluation grid."""
        tasks = task_set(self.problem, values, self.symmetry, CPU, torch.float32)
        theta = self.learner.hypernetwork(self.learner.embed(tasks.values))
        grid = grid_coords(self.problem, CPU, torch.float32)
        return fields_of(self.learner.parametrisation, theta, tasks, grid).double().numpy()


def hyperpinn(name: str, minutes: float, test: Truth) -> Peer:
    """In full rank, by physics."""
    checked = solved(load_problem(name), "validation", CHECKED)
    settings = [{"rate": rate} for rate in RATES]
    return best_of(partial(HyperPINN, name, minutes), settings, 60 * minutes, checked, test)


def one_network(name: str, minutes: float, _: Truth) -> Peer:
    """DeepXDE's network with the parameters as further inputs, as the benchmark of the examples has it."""
    found, points = with_deepxde(name, minutes), load_problem(name).places()
    return Peer(lambda values: found.predict(values, points), found.seconds, found.setting)
