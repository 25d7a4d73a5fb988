"""Residual rows, their weights, their losses and their Jacobian against torch.func on a plain network."""

import math

import pytest
import torch
from declared import Dispersion, Plate, Poisson, Ripples
from small import (
    CPU,
    dense,
    generator,
    plain_jet,
    plain_rows,
    random_theta,
    random_weights,
    relative,
    task_values,
    tiny,
)
from torch.func import jacrev

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.residuals import Workspace
from pinnlora.loss.terms import _causal, physics, supervised, weights
from pinnlora.nets.adapters import Full, LowRank
from pinnlora.nets.mlp import MLP
from pinnlora.problem.channels import VALUE

PROBLEMS = ("kovasznay", "burgers2d", "burgers1d")
TASKS, POINTS = 2, 6


def setting(name: str, kind: str, lift: bool = False):
    """Problem, parametrisation, theta, tasks and points; 2D Burgers at larger nu, for fields of order one."""
    problem, parametrisation = tiny(name, kind, lift=lift)
    values = task_values(problem, TASKS)
    if name == "burgers2d":
        values = {"nu": 100 * values["nu"]}
    points = draw_points(problem, Draw(generator(1), CPU, torch.float64), values, POINTS, 4)
    return problem, parametrisation, random_theta(parametrisation, TASKS), values, points


def one_task(task: int, problem, parametrisation, values, points, importance, **settings):
    """The physics objective of one task alone."""
    values = {name: value[task : task + 1] for name, value in values.items()}
    points = {name: coords[task : task + 1] for name, coords in points.items()}
    own = {name: weight[task : task + 1] for name, weight in importance.items()}
    return physics(problem, parametrisation, values, points, own, **settings)


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("name", [*PROBLEMS, "burgers1d lifted"])
def test_rows_and_jacobian_are_those_of_torch_func(name, kind):
    name, _, lift = name.partition(" ")
    problem, parametrisation, theta, values, points = setting(name, kind, bool(lift))
    importance = {"interior": 0.5 + torch.rand(TASKS, POINTS, generator=generator(2), dtype=torch.float64)}
    for condition in problem.bound_conditions:
        if condition.periodic is None:  # 4 points each
            importance[condition.name] = torch.tensor([[0.5, 1, 2, 0.5], [3, 0.1, 0.4, 0.5]]).double()
    settings = {"condition_weight": 3.0, "causal": 2.0}
    objective = physics(problem, parametrisation, values, points, importance, **settings)
    assert any(block.sides == 2 for block in objective.blocks) == (name == "burgers1d")
    losses, rows, jacobian, frozen = objective.linearise(theta)
    assert objective.count(theta) == rows.shape[1]
    assert relative(torch.stack(list(losses.values())).sum(0), rows.square().sum(1)) < 1e-13
    assert relative(objective.total(theta), rows.square().sum(1)) < 1e-12
    assert relative(frozen.total(theta), rows.square().sum(1)) < 1e-12
    for task in range(TASKS):
        alone = one_task(task, problem, parametrisation, values, points, importance, **settings)
        still = alone.linearise(theta[task : task + 1])[3]
        expected = plain_rows(alone, still, theta[task])
        assert relative(rows[task], expected) < 1e-10
        derivative = jacrev(lambda flat: plain_rows(alone, still, flat))(theta[task])  # noqa: B023
        assert relative(jacobian[task], derivative) < 1e-10


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("problem", [Plate(), Dispersion(), Ripples()], ids=lambda problem: problem.name)
def test_rows_and_jacobian_of_third_and_fourth_order(problem, kind):
    network = MLP(2, 1, width=5, hidden_layers=2)
    base = random_weights(network, 1, seed=9)
    parametrisation = Full(network) if kind == "full" else LowRank(network, base, 2, unadapted=(1,))
    theta, values = random_theta(parametrisation, 1), task_values(problem, 1)
    points = draw_points(problem, Draw(generator(1), CPU, torch.float64), values, 5, 3)
    objective = physics(problem, parametrisation, values, points)
    _, rows, jacobian, frozen = objective.linearise(theta)
    assert relative(rows[0], plain_rows(objective, frozen, theta[0])) < 1e-10
    expected = jacrev(lambda flat: plain_rows(objective, frozen, flat))(theta[0])
    assert relative(jacobian[0], expected) < 1e-10
    (gradient,) = torch.autograd.grad(objective.total(theta.requires_grad_()).sum(), theta)
    assert relative(gradient, 2 * (jacobian.mT @ rows.unsqueeze(-1)).squeeze(-1)) < 1e-11


def test_periodicity_of_a_fourth_order_equation_has_slopes_up_to_the_third():
    problem, network = Ripples(), MLP(2, 1, width=5, hidden_layers=2)
    values = task_values(problem, 1)
    points = draw_points(problem, Draw(generator(1), CPU, torch.float64), values, 5, 3)
    losses = physics(problem, Full(network), values, points).losses(random_theta(Full(network), 1))
    slopes = ["u", "u_xi", "u_xi_xi", "u_xi_xi_xi"]
    assert list(losses) == ["ripples", "start_u", *(f"periodic_{name}" for name in slopes)]


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_jacobian_of_supervised_rows(kind):
    problem, parametrisation, theta, _, _ = setting("kovasznay", kind)
    coords, targets = torch.rand(2, 3, 7, 3, generator=generator(4), dtype=torch.float64)[:, :TASKS]
    objective = supervised(problem, parametrisation, {}, coords[..., :2], targets)
    losses, _, jacobian, frozen = objective.linearise(theta)
    fields = parametrisation.network.forward(parametrisation.weights(theta), coords[..., :2], VALUE)[:, 0]
    assert list(losses) == ["data_u", "data_v", "data_p"]
    assert relative(sum(losses.values()), (fields - targets).square().mean((1, 2))) < 1e-12
    for task in range(TASKS):
        alone = supervised(problem, parametrisation, {}, coords[[task], :, :2], targets[[task]])
        derivative = jacrev(lambda flat: plain_rows(alone, frozen, flat))(theta[task])  # noqa: B023
        assert relative(jacobian[task], derivative) < 1e-10


def test_losses_are_weighted_means_of_squares():
    problem, parametrisation, theta, values, points = setting("kovasznay", "full")
    objective = physics(problem, parametrisation, values, points, condition_weight=3.0)
    losses = objective.losses(theta)
    assert list(losses) == ["momentum_x", "momentum_y", "continuity", "walls_u", "walls_v", "outflow_p"]
    matrices, biases = dense(parametrisation, theta[1])
    orders = [(), (0,), (1,), (0, 0), (1, 1)]
    jet = plain_jet(parametrisation.network, matrices, biases, points["interior"][1], orders)
    value, dx, dy, dxx, dyy = jet
    (u, v, _), re = value.unbind(-1), values["re"][1]
    momentum = u * dx[:, 0] + v * dy[:, 0] + dx[:, 2] - (dxx + dyy)[:, 0] / re
    assert float(losses["momentum_x"][1]) == pytest.approx(float(momentum.square().mean()), rel=1e-11)
    assert float(losses["continuity"][1]) == pytest.approx(
        float((dx[:, 0] + dy[:, 1]).square().mean()), rel=1e-11
    )
    p = plain_jet(parametrisation.network, matrices, biases, points["outflow"][1], [()])[0, :, 2]
    exact = (1 - torch.exp(2 * (re / 2 - torch.sqrt(re**2 / 4 + 4 * math.pi**2)))) / 2
    assert float(losses["outflow_p"][1]) == pytest.approx(3 * float((p - exact).square().mean()), rel=1e-11)


def test_periodic_rows_compare_both_ends():
    problem, parametrisation, theta, values, points = setting("burgers1d", "full")
    losses = physics(problem, parametrisation, values, points).losses(theta)
    matrices, biases = dense(parametrisation, theta[0])
    low = points["periodic"][0, :4]
    high = low + torch.tensor([1.0, 0.0])
    assert not low[:, 0].any()
    left, right = (plain_jet(parametrisation.network, matrices, biases, at, [(), (0,)]) for at in (low, high))
    value, slope = (left - right).square().mean((1, 2)).tolist()
    assert float(losses["periodic_u"][0]) == pytest.approx(value, rel=1e-10)
    assert float(losses["periodic_u_x"][0]) == pytest.approx(slope, rel=1e-10)


def test_causal_weights_fall_with_the_residuals_before():
    t = torch.tensor([[0.5, 0.1, 0.9, 0.3]])
    squares = torch.tensor([[1.0, 2.0, 4.0, 8.0], [0.0, 0.0, 1.0, 1.0]])
    earlier = torch.tensor([[10.0, 0.0, 11.0, 2.0], [1.0, 0.0, 1.0, 0.0]])
    torch.testing.assert_close(_causal(t, squares, 0.1), torch.exp(-0.1 * earlier))
    together = torch.tensor([[0.5, 0.1, 0.5, 0.1]])
    earlier = torch.tensor([[10.0, 0.0, 10.0, 0.0], [1.0, 0.0, 1.0, 0.0]])
    torch.testing.assert_close(_causal(together, squares, 0.1), torch.exp(-0.1 * earlier))


def test_weights_do_not_take_part_in_the_gradient():
    """The gradient of the loss is that of the objective with its weights frozen: 2 J^T r."""
    problem, parametrisation, theta, values, points = setting("burgers2d", "lora")
    objective = physics(problem, parametrisation, values, points, causal=5.0)
    theta.requires_grad_()
    (gradient,) = torch.autograd.grad(objective.total(theta).sum(), theta)
    _, rows, jacobian, _ = objective.linearise(theta)
    assert relative(gradient, 2 * (jacobian.mT @ rows.unsqueeze(-1)).squeeze(-1)) < 1e-11


def test_regression_is_the_mean_squared_distance_of_the_numbers():
    target = torch.arange(6.0).view(2, 3)
    objective = weights(target)
    assert objective.total(target + torch.tensor([[1.0], [2.0]])).tolist() == [1.0, 4.0]
    assert list(objective.losses(target)) == ["weights"]


def test_the_jacobian_lives_in_memory_that_is_used_again():
    problem, parametrisation, theta, values, points = setting("kovasznay", "lora")
    objective, workspace = physics(problem, parametrisation, values, points), Workspace()
    first = objective.linearise(theta, workspace)[2]
    again = objective.linearise(theta, workspace)[2]
    assert first.data_ptr() == again.data_ptr()
    assert relative(again, objective.linearise(theta)[2]) < 1e-14


def test_two_terms_of_one_name_are_refused():
    """One of them would count in the steps and not in the loss."""

    class Twice(Poisson):
        def residual(self, u_xx, u_yy):
            return {"walls_u": u_xx + u_yy}

    problem = Twice()
    full = Full(MLP(2, 1, 4, 2))
    values = task_values(problem, 1)
    points = draw_points(problem, Draw(generator(1), CPU, torch.float64), values, 5, 4)
    with pytest.raises(UserError, match="two equations or conditions are called walls_u: rename one"):
        physics(problem, full, values, points).total(random_theta(full, 1))
