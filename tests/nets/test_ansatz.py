"""The ansatz u = h + t N of 1D Burgers, h from the heat equation: everything that reads fields must know of it."""

import math

import pytest
import torch
from declared import Plate
from small import CPU, dense, function_jet, generator, plain, random_theta, relative, task_values, tiny

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.terms import interior, physics, supervised
from pinnlora.nets.adapters import Full
from pinnlora.nets.ansatz import lifted
from pinnlora.nets.mlp import MLP
from pinnlora.problem.channels import Channels
from pinnlora.problem.load import load_problem
from pinnlora.train.data import Solutions, fields_of, grid_coords, task_set

PROBLEM, FULL = tiny("burgers1d", "full", lift=True)
THETA, VALUES = random_theta(FULL, 2), task_values(PROBLEM, 2)
CHANNELS = Channels.of([(0, 0), (1,)])


def truth(coords: torch.Tensor) -> torch.Tensor:
    """Jets of u at coords (task, point, 2), written out for one point and differentiated by torch.func."""
    k = 2 * math.pi * torch.arange(64, dtype=torch.float64)
    jets = []
    for theta, u0, points in zip(THETA, VALUES["u0"], coords, strict=True):
        modes = torch.fft.rfft(u0)[:64] / 128 * torch.where(k == 0, 1.0, 2.0)
        matrices, biases = dense(FULL, theta)

        def u(point, modes=modes, matrices=matrices, biases=biases):
            heat = (modes * torch.exp(1j * k * point[0] - 0.01 * k**2 * point[1])).real.sum()
            return heat + point[1] * plain(FULL.network, matrices, biases, point)

        jets.append(function_jet(u, points, CHANNELS.orders))
    return torch.stack(jets)


def some_points(count: int = 9) -> torch.Tensor:
    return torch.rand(2, count, 2, generator=generator(), dtype=torch.float64)


def test_fields_and_their_derivatives():
    coords = some_points()
    coords[:, :4, 1] = 0
    jet = FULL.network.forward(FULL.weights(THETA), coords, CHANNELS)
    fields = lifted(PROBLEM, FULL.network, coords, VALUES, CHANNELS)(jet)
    assert relative(fields, truth(coords)) < 1e-10
    initial = PROBLEM.function_values("u0", VALUES["u0"], coords)[:, :4]
    assert relative(fields[:, 0, :4, 0], initial) < 1e-12


def test_an_own_ansatz_of_fourth_order():
    """offset + factor N with jets of all mixtures of x and t."""
    problem, network = Plate(), MLP(2, 1, width=5, hidden_layers=2, lift=True)
    channels, coords = Channels.of([(0, 0, 1, 1), (0, 0, 0, 1), (1, 1, 1)]), some_points()
    theta = random_theta(Full(network), 2)
    parts = [lambda p: torch.exp(p[0]) * torch.cos(p[1]), lambda p: torch.sin(p[0] * p[1])]
    jets = [torch.stack([function_jet(lambda p: part(p).view(1), at, channels.orders) for at in coords])  # noqa: B023
            for part in parts]  # fmt: skip
    problem.lift = lambda coords, values, channels: tuple(jets)
    jet = network.forward(network.unflatten(theta), coords, channels)
    found = lifted(problem, network, coords, {}, channels)(jet)
    for task in range(2):
        matrices, biases = dense(Full(network), theta[task])

        def u(point, matrices=matrices, biases=biases):
            return parts[0](point) + parts[1](point) * plain(network, matrices, biases, point)

        assert relative(found[task], function_jet(u, coords[task], channels.orders)) < 1e-10


def test_physics_sees_the_fields():
    points = draw_points(PROBLEM, Draw(generator(), CPU, torch.float64), VALUES, 9, 6)
    objective = physics(PROBLEM, FULL, VALUES, points)
    u, u_x, u_t, u_xx = truth(points["interior"])[..., 0].unbind(1)
    jet = FULL.network.forward(FULL.weights(THETA), points["interior"], objective.blocks[0].channels)
    assert relative(objective.blocks[0].terms(jet)["burgers"], u_t + u * u_x - 0.01 * u_xx) < 1e-10
    losses = objective.losses(THETA)
    assert float(losses["initial_u"].max()) < 1e-25  # held by the ansatz, whatever the network
    jump = truth(points["periodic"][:, :6]) - truth(points["periodic"][:, 6:])
    assert relative(losses["periodic_u"], jump[:, 0, :, 0].square().mean(1)) < 1e-10


def test_solutions_predictions_and_supervision_see_the_fields():
    tasks = task_set(PROBLEM, {"u0": VALUES["u0"].numpy()}, False, CPU, torch.float64)
    grid = grid_coords(PROBLEM, CPU, torch.float64)[:, ::997]
    fields = truth(grid.expand(2, -1, -1))[:, 0]
    everything = torch.arange(grid.shape[1])
    assert float(Solutions(tasks, grid, fields).error(THETA, FULL, everything).max()) < 1e-25
    assert relative(fields_of(FULL, THETA, tasks, grid), fields) < 1e-12
    objective = supervised(PROBLEM, FULL, VALUES, grid.expand(2, -1, -1), fields)
    assert float(objective.total(THETA).max()) < 1e-25


def test_the_size_of_a_points_rows_is_that_of_the_fields_residual():
    """With the ansatz: what adaptive points are drawn by."""
    pool = some_points(400)
    found = interior(PROBLEM, FULL.network, VALUES, pool).size(FULL, THETA)
    everywhere = {name: pool for name in ("interior", "initial", "periodic")}
    block = physics(PROBLEM, FULL, VALUES, everywhere).blocks[0]
    rows = block.terms(FULL.network.forward(FULL.weights(THETA), pool, block.channels))
    assert relative(found, rows["burgers"].abs() / pool.shape[1] ** 0.5) < 1e-12


def test_a_problem_without_an_ansatz_says_so():
    with pytest.raises(UserError, match="kovasznay has no lift"):
        lifted(load_problem("kovasznay"), MLP(2, 3, lift=True), some_points(), {}, CHANNELS)
