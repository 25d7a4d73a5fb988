"""1D Burgers for its potential, u = psi_x: the ansatz, and everything that reads fields off its derivative."""

import math
import re

import numpy as np
import pytest
import torch
from small import CPU, dense, function_jet, generator, plain, random_theta, relative

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.terms import physics, supervised
from pinnlora.nets.adapters import Full
from pinnlora.nets.ansatz import fields_at, lifted
from pinnlora.nets.mlp import MLP
from pinnlora.problem.base import Problem
from pinnlora.problem.channels import Channels
from pinnlora.problem.domain.box import Box
from pinnlora.problem.load import load_problem
from pinnlora.problem.scalars import Uniform
from pinnlora.problem.verify import verify_problem
from pinnlora.train.data import Solutions, fields_of, grid_coords, task_set
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of

PROBLEM = load_problem("burgers1d").formulated("potential")
FULL = Full(MLP(2, 1, 5, 3, lift=True))
THETA = random_theta(FULL, 2)
TASKS = task_set(PROBLEM, PROBLEM.task.sample(2, np.random.default_rng(0)), True, CPU, torch.float64)
VALUES = TASKS.values
CHANNELS = Channels.of([(0, 0), (1,)])
NU, C = 0.01, 0.1


def truth(coords: torch.Tensor) -> torch.Tensor:
    """Jets of psi at coords (task, point, 2), written out for one point and differentiated by torch.func."""
    fine = torch.arange(1024, dtype=torch.float64) / 1024
    jets = []
    for theta, u0, points in zip(THETA, VALUES["u0"], coords, strict=True):
        matrices, biases = dense(FULL, theta)
        k = 2 * math.pi * torch.arange(1, 64, dtype=torch.float64)
        modes = torch.fft.rfft(u0)[1:64] / 64
        start = (modes * torch.exp(1j * k * fine[:, None])).real.sum(1)
        n = 2 * math.pi * torch.arange(128, dtype=torch.float64)
        squares = torch.stack([(-(start**2) / 2 * torch.exp(-1j * m * fine)).mean() for m in n])
        squares = squares * torch.where(n == 0, 1.0, 2.0)

        def psi(point, modes=modes, squares=squares, matrices=matrices, biases=biases, k=k, n=n):
            x, t = point[0], point[1]
            flow = (modes / (1j * k) * torch.exp(1j * k * x - NU * k**2 * t)).real.sum()
            early = (squares * torch.exp(1j * n * x - NU * n**2 * t)).real.sum()
            network = plain(FULL.network, matrices, biases, point)
            return flow + t * torch.exp(-t / C) * early + t**2 / (t + C / 2) * network

        jets.append(function_jet(psi, points, CHANNELS.orders))
    return torch.stack(jets)


def some_points(count: int = 9) -> torch.Tensor:
    return torch.rand(2, count, 2, generator=generator(), dtype=torch.float64)


def test_the_unknown_and_its_derivatives():
    coords = some_points()
    jet = FULL.network.forward(FULL.weights(THETA), coords, CHANNELS)
    assert relative(lifted(PROBLEM, FULL.network, coords, VALUES, CHANNELS)(jet), truth(coords)) < 1e-10


def test_the_equation_holds_at_the_start_whatever_the_network():
    coords = some_points()
    coords[..., 1] = 0
    _, psi_x, psi_t, psi_xx = truth(coords)[..., 0].unbind(1)
    initial = PROBLEM.function_values("u0", VALUES["u0"], coords)
    assert relative(psi_x, initial) < 1e-12
    assert relative(psi_t, NU * psi_xx - psi_x**2 / 2) < 1e-10


def test_physics_is_the_integrated_equation():
    points = draw_points(PROBLEM, Draw(generator(), CPU, torch.float64), VALUES, 9, 6)
    objective = physics(PROBLEM, FULL, VALUES, points)
    _, psi_x, psi_t, psi_xx = truth(points["interior"])[..., 0].unbind(1)
    jet = FULL.network.forward(FULL.weights(THETA), points["interior"], objective.blocks[0].channels)
    found = objective.blocks[0].terms(jet)["burgers"]
    assert relative(found, psi_t + psi_x**2 / 2 - NU * psi_xx) < 1e-10
    assert float(objective.losses(THETA)["initial_psi_x"].max()) < 1e-25


def test_its_derivative_is_the_equation_for_u():
    """The spectral solution's potential solves it: psi_t from differences in time, the rest from its spectrum."""
    u0 = VALUES["u0"][:1].numpy()
    u = PROBLEM.reference({"u0": u0})["u"][0]
    wave = 2j * np.pi * np.fft.rfftfreq(128, 1 / 128)
    spectrum = np.fft.rfft(u, axis=0)
    psi = np.fft.irfft(np.divide(spectrum, wave[:, None], where=wave[:, None] != 0, out=0 * spectrum), axis=0)
    u_x = np.fft.irfft(wave[:, None] * spectrum, axis=0)
    psi_t = (psi[:, 60:] - psi[:, 58:-2]) / 0.02  # at steps 59 to 99
    rest = u[:, 59:-1] ** 2 / 2 - NU * u_x[:, 59:-1]
    found = PROBLEM.residual(psi_t, u[:, 59:-1], u_x[:, 59:-1])["burgers"]
    assert np.ptp(found, axis=0).max() < 2e-3 * np.ptp(rest)  # a function of t alone: psi's constant


def test_solutions_predictions_and_supervision_see_the_derivative():
    grid = grid_coords(PROBLEM, CPU, torch.float64)[:, ::997]
    coords = TASKS.to_network(grid)
    fields = TASKS.from_network(truth(coords)[:, 1])
    everything = torch.arange(grid.shape[1])
    assert float(Solutions(TASKS, grid, fields).error(THETA, FULL, everything).max()) < 1e-25
    assert relative(fields_of(FULL, THETA, TASKS, grid), fields) < 1e-12
    objective = supervised(PROBLEM, FULL, VALUES, coords, truth(coords)[:, 1])
    assert float(objective.total(THETA).max()) < 1e-25


class StreamFunction(Problem):
    """An incompressible flow from its stream function."""

    coords = Box(x=(0, 1), y=(0, 1))
    fields = ("u", "v")
    potentials = ("s",)
    task = Uniform(re=(1, 2))

    def observe(self, s_x, s_y):
        return {"v": -s_x, "u": s_y}

    def residual(self, s_xx, s_yy, re):
        return {"vorticity": s_xx + s_yy - re}


def test_own_potentials_need_one_output_for_two_fields():
    problem, full = StreamFunction(), Full(MLP(2, 1, 5, 3))
    theta, coords = random_theta(full, 2), some_points()
    jet = full.network.forward(full.weights(theta), coords, Channels.of([(0,), (1,)]))
    fields = fields_at(problem, full.network, full.weights(theta), coords, {"re": torch.ones(2)})
    assert relative(fields, torch.stack((jet[:, 2, :, 0], -jet[:, 1, :, 0]), -1)) < 1e-12


def test_what_is_missing_or_unknown_is_said():
    with pytest.raises(UserError, match="formulation: pot, but problem kovasznay is formulated as: default"):
        load_problem("kovasznay").formulated("pot")
    with pytest.raises(
        UserError, match=r"formulation: potential of problem burgers1d needs network\.symmetry"
    ):
        network_of(PROBLEM, NetworkSettings(formulation="potential"))
    with pytest.raises(TypeError, match=r"potentials and observe\(\) go together"):
        type("Half", (StreamFunction,), {"potentials": ()})
    with pytest.raises(TypeError, match=r"unknown argument 'u_x'.*Potentials: s"):
        type("Wrong", (StreamFunction,), {"residual": lambda self, u_x: {"r": u_x}})


def test_an_exact_solution_of_fields_made_of_potentials_is_looked_at():
    """Though equations for the potential cannot be tried on it."""

    def wrong(self, x, y, re):
        return {"u": torch.sqrt(x - 0.5) * re, "v": y}

    problem = type("Wrong", (StreamFunction,), {"exact": wrong})()
    (found,) = [each.text for each in verify_problem(problem) if "exact" in each.text]
    assert "'u' is NaN or infinite" in found


def observing(function, **parts):
    return type("Flow", (StreamFunction,), {"fields": ("u", "v", "p"), "observe": function, **parts})()


def test_fields_may_be_numbers_and_parameters():
    def observe(self, s_x, s_y, re):
        return {"u": s_y, "v": 0.1, "p": re}

    problem, full = observing(observe), Full(MLP(2, 1, 5, 3))
    assert not [f for f in verify_problem(problem) if "Flow.observe" in f.text]
    theta, coords = random_theta(full, 2), some_points()
    re = torch.tensor([1.5, 2.0], dtype=torch.float64)
    fields = fields_at(problem, full.network, full.weights(theta), coords, {"re": re})
    assert fields.shape == (2, coords.shape[1], 3) and fields.dtype == torch.float64
    assert (fields[..., 1] == 0.1).all() and (fields[..., 2] == re[:, None]).all()


@pytest.mark.parametrize(
    "value, severity, words",
    [
        (lambda s, re: "fast", "error", "'p' is a str"),
        (lambda s, re: 0, "note", ""),
        (lambda s, re: s[:, :3], "error", r"'p' has shape \(6, 3\)"),
        (lambda s, re: torch.log(re - 3), "error", "'p' is NaN or infinite.*mend the formula"),
        (lambda s, re: torch.sqrt(s), "warning", "'p' is NaN or infinite.*any sign"),
    ],
)
def test_what_observe_returns_is_looked_at(value, severity, words):
    def observe(self, s_x, s_y, re):
        return {"u": s_y, "v": -s_x, "p": value(s_x, re)}

    found = [f for f in verify_problem(observing(observe)) if "Flow.observe" in f.text]
    if words:
        (finding,) = found
        assert finding.severity == severity and re.search(words, finding.text)
    else:
        assert not found


def test_a_field_too_few_of_observe_is_said():
    (finding,) = [f for f in verify_problem(observing(StreamFunction.observe)) if "observe" in f.text]
    assert finding.text == "Flow.observe: returns v, u; expected a dict of u, v, p"


def test_a_parameter_of_observe_alone_has_an_effect():
    def observe(self, s_x, s_y, rho):
        return {"u": s_y, "v": -s_x, "p": rho}

    problem = observing(observe, task=Uniform(re=(1, 2), rho=(1, 2), idle=(1, 2)))
    found = [f.text for f in verify_problem(problem) if "has no effect" in f.text]
    (text,) = found
    assert "'idle' has no effect on residual(), observe() or any condition" in text
