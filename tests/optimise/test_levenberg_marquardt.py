"""Damped least squares: the step in both spaces, the damping rule, batches, and scipy's minimum."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from small import CPU, generator, random_theta, relative, task_values, tiny

from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.terms import physics
from pinnlora.optimise.damping import HIGHEST, LOWEST, adapt
from pinnlora.optimise.gram import lower_gram, solve_lower
from pinnlora.optimise.levenberg_marquardt import LevenbergMarquardt, solve


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize(("rows", "size"), [(150, 90), (90, 150), (80, 80), (3, 200)])
def test_the_step_is_the_same_in_parameter_and_in_sample_space(rows, size):
    jacobian, r, damping = random(2, rows, size), random(2, rows, seed=1), torch.tensor([1e-2, 3.0]).double()
    move, predicted = solve(jacobian, r, damping)
    for task in range(2):
        j, residual, mu = jacobian[task], r[task], float(damping[task])
        by_parameters = -torch.linalg.solve(j.T @ j + mu * torch.eye(size).double(), j.T @ residual)
        by_samples = -j.T @ torch.linalg.solve(j @ j.T + mu * torch.eye(rows).double(), residual)
        assert relative(move[task], by_parameters) < 1e-9
        assert relative(move[task], by_samples) < 1e-9
        decrease = residual.square().sum() - (residual + j @ move[task]).square().sum()
        assert relative(predicted[task], decrease) < 1e-9


@pytest.mark.parametrize("count", [5, 64, 150, 700])
def test_half_a_gram_matrix_is_all_that_cholesky_needs(count):
    rows, right = random(2, count, 20), random(2, count, seed=1)
    half = lower_gram(rows)
    assert relative(half.tril(), (rows @ rows.mT).tril()) < 1e-14
    half.diagonal(dim1=-2, dim2=-1).add_(0.5)
    full = rows @ rows.mT + 0.5 * torch.eye(count).double()
    expected = torch.linalg.solve(full, right)
    half += torch.full_like(half, torch.nan).triu(1)  # so that what is not read cannot matter
    assert relative(solve_lower(half, right), expected) < 1e-9


def test_a_matrix_that_is_not_positive_gives_nan_for_its_own_task_only():
    gram = torch.stack((torch.eye(3), -torch.eye(3)))
    solution = solve_lower(gram, torch.ones(2, 3))
    assert solution[0].tolist() == [1.0] * 3
    assert solution[1].isnan().all()


@pytest.mark.parametrize(
    ("damping", "before", "after", "predicted", "expected", "accepted"),
    [
        (0.9, 10.0, 1.0, 10.0, 0.3, True),  # ratio 0.9
        (0.9, 10.0, 7.0, 10.0, 0.9, True),  # ratio 0.3
        (0.9, 10.0, 9.5, 10.0, 1.8, True),  # ratio 0.05
        (0.9, 10.0, 11.0, 10.0, 3.6, False),
        (0.9, 10.0, float("nan"), 10.0, 3.6, False),
        (0.9, 10.0, float("nan"), float("nan"), 3.6, False),
        (0.9, 10.0, float("inf"), 10.0, 3.6, False),
        (HIGHEST, 10.0, 11.0, 1.0, HIGHEST, False),
        (LOWEST, 10.0, 1.0, 10.0, LOWEST, True),
    ],
)
def test_the_damping_rule(damping, before, after, predicted, expected, accepted):
    arguments = (torch.tensor([x], dtype=torch.float64) for x in (damping, before, after, predicted))
    new, taken = adapt(*arguments)
    assert new.item() == pytest.approx(expected)
    assert taken.item() is accepted


@dataclass(frozen=True)
class Exponentials:
    """Rows theta_0 exp(theta_1 x) - y: two numbers a task, a residual that cannot vanish."""

    x: torch.Tensor
    y: torch.Tensor

    def count(self, theta):
        return len(self.x)

    def residual(self, theta):
        return theta[:, :1] * torch.exp(theta[:, 1:] * self.x) - self.y

    def total(self, theta):
        return self.residual(theta).square().sum(-1)

    def linearise(self, theta, workspace=None):
        growth = torch.exp(theta[:, 1:] * self.x)
        jacobian = torch.stack((growth, theta[:, :1] * self.x * growth), -1)
        return {"fit": self.total(theta)}, self.residual(theta), jacobian, self


def test_it_reaches_the_minimum_that_scipy_finds():
    x = torch.linspace(0, 2, 15, dtype=torch.float64)
    y = torch.tensor([[1.5], [0.5]]) * torch.exp(torch.tensor([[-0.7], [1.1]]) * x) + 0.2 * random(2, 15)
    start = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).double()
    theta, method = start.clone(), LevenbergMarquardt(2)
    for _ in range(60):
        losses = method.step(theta, lambda keep: Exponentials(x, y[keep]), torch.arange(2))
    for task in range(2):

        def residual(p, task=task):
            return p[0] * np.exp(p[1] * x.numpy()) - y[task].numpy()

        truth = least_squares(residual, [1.0, 0.0], method="lm", xtol=1e-14, ftol=1e-14)
        assert theta[task].tolist() == pytest.approx(truth.x.tolist(), rel=1e-6)
        assert losses["fit"][task].item() == pytest.approx(2 * truth.cost, rel=1e-9)
        assert truth.cost > 0.1


@dataclass(frozen=True)
class Rows:
    """Rows X theta - y: linear."""

    x: torch.Tensor
    y: torch.Tensor

    def count(self, theta):
        return self.x.shape[0]

    def total(self, theta):
        return (theta @ self.x.T - self.y).square().sum(-1)

    def linearise(self, theta, workspace=None):
        r = theta @ self.x.T - self.y
        return {"fit": self.total(theta)}, r, self.x.expand(len(theta), -1, -1), self


def fitted(floor: float, rows: int) -> tuple[float, float]:
    """The error between the points, and the damping, after 60 steps on ever new rows with errors of 0.1."""
    scale = torch.arange(1, 61, dtype=torch.float64) ** -2
    truth, theta = random(1, 60, seed=5), torch.zeros(1, 60).double()
    method = LevenbergMarquardt(1, floor=floor)
    for step in range(60):
        x = random(rows, 60, seed=10 + step) * scale
        y = truth @ x.T + 0.1 * random(1, rows, seed=100 + step)
        method.step(theta, lambda keep, x=x, y=y: Rows(x / rows**0.5, y / rows**0.5), torch.arange(1))
    return float(((theta - truth) * scale).norm()), float(method.dampings)


def test_with_a_floor_few_rows_that_are_new_at_every_step_are_not_met_exactly():
    followed, held = fitted(0.0, 40), fitted(1e-3, 40)
    assert held[0] < 0.3 * followed[0]  # 0.05, 0.25
    assert (
        followed[1] < 1e-12 and 1e-5 < held[1] < 1e-4
    )  # the trace is about 1, the loss falls to 0.03 of the first
    assert fitted(1e-3, 80) == fitted(0.0, 80)  # more rows than numbers: none is met exactly


def kovasznay():
    """Three tasks of adapters on Kovasznay flow, and the physics objective of any of them."""
    problem, lora = tiny("kovasznay", "lora")
    values = task_values(problem, 3)
    points = draw_points(problem, Draw(generator(1), CPU, torch.float64), values, 12, 4)

    def objective(keep):
        own = {name: value[keep] for name, value in values.items()}
        return physics(problem, lora, own, {name: coords[keep] for name, coords in points.items()})

    return random_theta(lora, 3), objective


def run(theta, objective, active, steps=6, memory=1e9) -> torch.Tensor:
    theta, method = theta.clone(), LevenbergMarquardt(3, memory=memory)
    for _ in range(steps):
        method.step(theta, objective, active)
    return theta


def test_tasks_in_a_batch_go_the_way_each_goes_alone():
    theta, objective = kovasznay()
    together = run(theta, objective, torch.arange(3))
    assert (objective(torch.arange(3)).total(together) < 0.5 * objective(torch.arange(3)).total(theta)).all()
    for task in range(3):
        alone = run(theta, objective, torch.tensor([task]))
        assert relative(together[task], alone[task]) < 1e-8
        others = [k for k in range(3) if k != task]
        assert torch.equal(alone[others], theta[others])  # tasks that are not active stay as they are
    assert relative(run(theta, objective, torch.arange(3), memory=1.0), together) < 1e-8  # task by task


def test_a_task_that_fails_stays_where_it_is():
    theta, objective = kovasznay()
    theta[1, 0] = torch.nan
    before, method = theta.clone(), LevenbergMarquardt(3, damping=1e-2)
    method.step(theta, objective, torch.arange(3))
    assert torch.equal(theta[1].nan_to_num(7), before[1].nan_to_num(7))
    assert method.dampings[1].item() == pytest.approx(4e-2)
    assert not torch.equal(theta[0], before[0]) and theta[0].isfinite().all()


def test_a_task_whose_step_fails_is_tried_again_with_more_damping_the_others_are_not():
    x = torch.linspace(0, 2, 15, dtype=torch.float64)
    rows = Exponentials(x, torch.stack((torch.exp(2 * x), 1 + 0.1 * x)))
    start, method = torch.tensor([[1.0, -3.0], [1.0, 0.0]]).double(), LevenbergMarquardt(2, damping=0.1)
    theta = start.clone()
    method.step(theta, lambda keep: rows, torch.arange(2))
    assert method.dampings.tolist() == pytest.approx([0.1 * 16 / 3, 0.1 / 3]), "two tries failed, and none"
    assert (rows.total(theta) < rows.total(start)).all()


def test_the_last_steps_are_short_ones_in_the_same_direction():
    theta, objective = kovasznay()
    moves = []
    for relaxation in (1.0, 0.2):
        moved, method = theta.clone(), LevenbergMarquardt(3, damping=1e-2, relaxation=relaxation)
        method.step(moved, objective, torch.arange(3), progress=1.0)
        moves.append(moved - theta)
    assert moves[0].any() and relative(moves[1], 0.2 * moves[0]) < 1e-9
