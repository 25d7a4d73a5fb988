"""Operator networks for 1D Burgers: DeepXDE's DeepONet, by physics or by data, and neuraloperator's FNO, by data.

The DeepONets are of the size of DeepXDE's own examples, exactly periodic by their trunk's inputs as its example of
advection. By physics its zero coordinate shift gives the derivatives, the fastest way that it has; functions and
points are drawn anew every few steps. The FNO is asked in two shapes: in x with a channel for each time, and in x and
t, trained on every fourth time and asked for all, as resolutions do not matter to it; x is not among its inputs, so
that it commutes with translations as the equation does.
"""

from __future__ import annotations

import contextlib
import io
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from common import SEED
from examples_truth import Truth
from opponents import deepxde, finder
from peers_training import CHECKED, RATES, Peer, Values, best_of, cosine, solved
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.base import Problem
from pinnlora.problem.gaussian_field import GaussianField
from pinnlora.problem.interpolate import fourier
from pinnlora.problem.load import load_problem

TAUGHT = 100
"""Training tasks of those that learn from data, as many as the paper's."""
LAYERS, WIDTH, WAVES = 3, 128, 2
"""Of a DeepONet: hidden layers of branch and trunk, their width, and waves in x among the trunk's inputs."""
FUNCTIONS, INTERIOR, START, FRESH = 32, 400, 64, 10
"""By physics: functions, points of the equation and of the start in a step, and steps between fresh ones."""
WEIGHT = 20.0
"""How much a soft initial condition counts beside the equation."""
PLACES = 2000
"""Points of the grid in a step of the DeepONet on data, which sees all tasks in every step."""
SHAPES = {
    "in x": {"n_modes": (64,), "hidden_channels": 64, "in_channels": 1},
    "in x and t": {
        "n_modes": (48, 12),
        "hidden_channels": 24,
        "in_channels": 2,
        "domain_padding": [0.0, 0.2],
    },
}
TASKS, EVERY = {"in x": 20, "in x and t": 5}, {"in x": 1, "in x and t": 4}
"""Tasks in a step of the FNO, and the times that it is trained on."""


@dataclass(frozen=True)
class Functions:
    """The problem's own initial states, as DeepXDE asks for a space of functions."""

    field: GaussianField
    random_numbers: np.random.Generator

    def random(self, size: int) -> np.ndarray:
        """(size, points)."""
        return self.field.sample(size, self.random_numbers)[self.field.name].astype(np.float32)

    def eval_batch(self, features: np.ndarray, xs: np.ndarray) -> np.ndarray:
        """Functions (function, points) at places (point, 1): (function, point)."""
        places = torch.from_numpy(xs[:, 0].astype(np.float32)).unsqueeze(0)
        return fourier(torch.from_numpy(features), places).numpy()


def _network(dde: Any, sensors: int) -> Any:
    """A DeepONet from a function at so many points; a trunk of waves in x, and t."""

    def periodic(inputs: Tensor) -> Tensor:
        x, t = 2 * torch.pi * inputs[:, :1], inputs[:, 1:]
        return torch.cat(
            [*(wave(k * x) for k in range(1, WAVES + 1) for wave in (torch.cos, torch.sin)), t], 1
        )

    hidden = [WIDTH] * LAYERS
    net = dde.nn.DeepONetCartesianProd([sensors, *hidden], [2 * WAVES + 1, *hidden], "tanh", "Glorot normal")
    net.apply_feature_transform(periodic)
    return net


class _DeepONet:
    """What both DeepONets share."""

    def __init__(self, problem: Problem, rate: float) -> None:
        self.dde = deepxde()
        self.dde.config.set_random_seed(SEED)
        self.problem, self.rate, self.steps = problem, rate, 0
        self.field: GaussianField = problem.task.functions["u0"]
        self.net = _network(self.dde, self.field.points)
        self.points = problem.places().astype(np.float32)

    def _improve(self, model: Any, share: float, batch: tuple) -> None:
        model.opt.param_groups[0]["lr"] = cosine(self.rate, share)
        model.train_step(*batch)
        self.steps += 1

    @torch.no_grad()
    def predict(self, values: Values) -> np.ndarray:
        """Fields (task, point, 1) on the evaluation grid."""
        given = torch.from_numpy(values["u0"].astype(np.float32)), torch.from_numpy(self.points)
        return self.net(given).double().numpy()[..., None]


class DeepONetByPhysics(_DeepONet):
    """No data; `start` is 'soft', a term of the loss, or 'hard', u = u0 + t N."""

    def __init__(self, problem: Problem, start: str, rate: float) -> None:
        super().__init__(problem, rate)
        dde, soft = self.dde, start == "soft"
        domain = dde.geometry.GeometryXTime(dde.geometry.Interval(0, 1), dde.geometry.TimeDomain(0, 1))
        begins = dde.icbc.IC(domain, lambda x, u0: u0, lambda _, on_initial: on_initial)
        with contextlib.redirect_stdout(io.StringIO()):
            equation = dde.data.TimePDE(
                domain, self._residual, [begins] if soft else [], num_domain=INTERIOR,
                num_initial=START if soft else 0, train_distribution="pseudo",
            )  # fmt: skip
            functions = Functions(self.field, np.random.default_rng(SEED))
            self.data = dde.zcs.PDEOperatorCartesianProd(
                equation, functions, self.field.grid[:, None], FUNCTIONS, function_variables=[0]
            )
        if not soft:
            self.net.apply_output_transform(
                lambda inputs, outputs: (
                    fourier(inputs[0], inputs[1][:, 0].unsqueeze(0)) + inputs[1][:, 1] * outputs
                )
            )
        self.model = dde.zcs.Model(self.data, self.net)
        self.model.compile("adam", lr=rate, loss_weights=[1.0, WEIGHT] if soft else None, verbose=0)

    def _residual(self, shifts: dict, u: Tensor, _: Tensor) -> list[Tensor]:
        slopes = self.dde.zcs.LazyGrad(shifts, u)

        def derivative(number: int, order: tuple[int, ...]) -> Tensor:
            return slopes.compute((order.count(0), order.count(1))) if order else u

        found = finder(self.problem, {}, u, derivative)
        return list(self.problem.residual_signature(self.problem, found).values())

    def step(self, share: float) -> None:
        """A step of Adam, on fresh functions and points every FRESH."""
        if self.steps % FRESH == 0:
            self.data.pde.resample_train_points()
            self.data.train_x = None
            self.batch = self.data.train_next_batch()
        self._improve(self.model, share, self.batch)


class DeepONetByData(_DeepONet):
    """From solutions on the evaluation grid."""

    def __init__(self, problem: Problem, data: Truth, rate: float) -> None:
        super().__init__(problem, rate)
        self.given, self.wanted = (
            each.astype(np.float32) for each in (data.values["u0"], data.solved.fields[..., 0])
        )
        triple = self.dde.data.TripleCartesianProd(
            (self.given, self.points), self.wanted, (self.given[:1], self.points), self.wanted[:1]
        )
        self.model = self.dde.Model(triple, self.net)
        self.model.compile("adam", lr=rate, verbose=0)
        self.random = np.random.default_rng(SEED)

    def step(self, share: float) -> None:
        """A step of Adam on all tasks, at random points of the grid."""
        there = self.random.choice(len(self.points), PLACES, replace=False)
        self._improve(self.model, share, ((self.given, self.points[there]), self.wanted[:, there], None))


class FNOByData:
    """From solutions on the evaluation grid, by the relative L2 error, as its authors train."""

    def __init__(self, problem: Problem, data: Truth, shape: str, rate: float) -> None:
        try:
            from neuralop.losses import LpLoss
            from neuralop.models import FNO
        except ImportError:
            raise UserError("neuraloperator is not installed: pip install -e .[benchmarks]") from None
        torch.manual_seed(SEED)
        self.rate, self.flat, self.times = rate, shape == "in x", torch.from_numpy(data.axes[1]).float()
        self.net = FNO(
            out_channels=len(self.times) if self.flat else 1, positional_embedding=None, **SHAPES[shape]
        )
        self.loss = LpLoss(d=2, p=2, reduction="mean")
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=1e-4)
        self.given, self.random = self._inputs(data.values, EVERY[shape]), np.random.default_rng(SEED)
        fields = torch.from_numpy(data.solved.fields[..., 0]).float().unflatten(1, (-1, len(self.times)))
        self.wanted, self.tasks = (
            fields.mT if self.flat else fields[:, None, :, :: EVERY[shape]],
            TASKS[shape],
        )

    def _inputs(self, values: Values, every: int) -> Tensor:
        """(task, 1, x), or (task, 2, x, t) with t beside."""
        u0, t = torch.from_numpy(values["u0"]).float().unsqueeze(1), self.times[::every]
        if self.flat:
            return u0
        return torch.cat([part.expand(len(u0), 1, u0.shape[-1], len(t)) for part in (u0.unsqueeze(-1), t)], 1)

    def step(self, share: float) -> None:
        """A step of AdamW on some tasks."""
        chosen = torch.from_numpy(self.random.choice(len(self.given), self.tasks, replace=False))
        self.optimiser.param_groups[0]["lr"] = cosine(self.rate, share)
        self.optimiser.zero_grad()
        self.loss.rel(self.net(self.given[chosen]), self.wanted[chosen]).backward()
        self.optimiser.step()

    @torch.no_grad()
    def predict(self, values: Values) -> np.ndarray:
        """Fields (task, point, 1) on the evaluation grid."""
        found = self.net(self._inputs(values, 1))
        return (found.mT if self.flat else found[:, 0]).flatten(1).double().numpy()[..., None]


def deeponet_by_physics(name: str, minutes: float, test: Truth) -> Peer:
    """DeepXDE's, with the initial state held softly or exactly."""
    problem = load_problem(name)
    settings = [{"start": start, "rate": rate} for start in ("soft", "hard") for rate in RATES[:2]]
    checked = solved(problem, "validation", CHECKED)
    return best_of(partial(DeepONetByPhysics, problem), settings, 60 * minutes, checked, test)


def _by_data(kind: type, settings: list[dict], name: str, minutes: float, test: Truth) -> Peer:
    problem, began = load_problem(name), time.perf_counter()
    data = solved(problem, "train", TAUGHT)
    seconds = time.perf_counter() - began
    checked = solved(problem, "validation", CHECKED)
    found = best_of(partial(kind, problem, data), settings, 60 * minutes, checked, test)
    return Peer(found.predict, found.seconds, found.setting, found.curve, found.tried, seconds)


def deeponet_by_data(name: str, minutes: float, test: Truth) -> Peer:
    """DeepXDE's, from solutions."""
    return _by_data(DeepONetByData, [{"rate": rate} for rate in RATES], name, minutes, test)


def fno_by_data(name: str, minutes: float, test: Truth) -> Peer:
    """neuraloperator's, from solutions."""
    settings = [{"shape": shape, "rate": rate} for shape in ("in x", "in x and t") for rate in RATES[:2]]
    return _by_data(FNOByData, settings, name, minutes, test)
