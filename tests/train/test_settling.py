"""Learners whose problem changes on the way, by its horizon or its weights: what they minimise, when it settles."""

from itertools import product

import numpy as np
import pytest
import torch
from declared import Heat, Poisson
from small import CPU, generator, random_theta, task_values, tiny

from pinnlora.loss.draw import Draw
from pinnlora.nets.adapters import Full
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.optimise.first_order import FirstOrder
from pinnlora.train.data import Solutions, fields_of, grid_coords, task_set
from pinnlora.train.fit import fit
from pinnlora.train.hyperlearner import Hyperlearner
from pinnlora.train.loop import train
from pinnlora.train.settings import NetworkSettings, StageSettings
from pinnlora.train.setup import draw_of, network_of, numpy_generator, torch_generator
from pinnlora.train.single import TaskFits

SMALL = {"dtype": "float64", "points": 30, "condition_points": 12, "steps": 20, "horizon": "auto"}


def fits(problem, conditions: str = "soft", **more) -> TaskFits:
    full = Full(network_of(problem, NetworkSettings(width=6, hidden_layers=2, conditions=conditions)))
    values = {name: value.numpy() for name, value in task_values(problem, 2).items()}
    tasks = task_set(problem, values, False, CPU, torch.float64)
    draw = Draw(generator(4), CPU, torch.float64)
    return TaskFits(problem, full, tasks, random_theta(full, 2), StageSettings(**SMALL | more), draw)


def hyper(problem_name: str, **more) -> Hyperlearner:
    problem, full = tiny(problem_name, "full", width=5)
    tasks = task_set(problem, task_values(problem, 2), False, CPU, torch.float64)
    grid = grid_coords(problem, CPU, torch.float64)
    known = Solutions(tasks, grid, torch.zeros(2, grid.shape[1], len(problem.fields), dtype=torch.float64))
    start, inputs = random_theta(full, 1)[0], problem.embed(tasks.values).shape[1]
    body = Hypernetwork(inputs, (8,), start, "silu", torch_generator(0, "body")).double()
    stage = StageSettings(**SMALL | {"tasks_per_step": 2} | more)
    randoms = draw_of(0, "points", CPU, torch.float64), numpy_generator(0, "tasks")
    return Hyperlearner(problem, full, body, "physics", known, known, stage, *randoms, problem.embed)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("optimiser", ["levenberg_marquardt", "adam"])
def test_single_tasks_see_no_point_beyond_the_horizon(optimiser, adaptive):
    learner = fits(Heat(), optimiser=optimiser, adaptive=adaptive)
    for step in range(20):
        learner.step(step)
        share = min(1.0, 0.1 + 0.9 * step / 7)
        latest = {name: float(coords[..., 1].max()) for name, coords in learner._points.coords.items()}
        assert share - 0.2 < latest["interior"] <= share and latest["ends"] <= share
        assert learner.settled(step) == (step >= 7)
    assert float(learner._held_out.coords["interior"][..., 1].max()) > 0.9  # judged on the whole problem


def test_lbfgs_is_given_the_whole_interval():
    learner = fits(Heat(), optimiser="adam+lbfgs", steps=4, lbfgs_steps=2)
    learner.step(0)
    assert learner.next_phase() and learner.settled(0)
    learner.step(0)
    assert float(learner._points.coords["interior"][..., 1].max()) > 0.9


@pytest.mark.parametrize("optimiser", ["gauss_newton", "adam"])
def test_hypernetworks_see_no_point_beyond_the_horizon(optimiser):
    learner, seen = hyper("burgers2d", optimiser=optimiser, adaptive=True), []
    draw = learner._physics.points
    learner._physics.points = lambda *given: seen.append(draw(*given)) or seen[-1]
    for step in range(20):
        learner.step(step)
        share = min(1.0, 0.1 + 0.9 * step / 7)
        assert share - 0.2 < float(seen[-1].coords["interior"][..., 2].max()) <= share
        assert learner.settled(step) == (step >= 7)


def test_a_steady_problem_has_no_horizon_but_settles_like_one():
    learner = fits(Poisson(), optimiser="adam")
    learner.step(0)
    assert float(learner._points.coords["interior"].max()) > 0.9


def test_conditions_that_are_held_get_no_points():
    learner = fits(Heat(), "auto", optimiser="adam", adaptive=True, condition_points={})
    assert list(learner.step(0)) == ["heat"] and list(learner._points.coords) == ["interior"]


@pytest.mark.parametrize("learner", [lambda: fits(Heat(), balance=True, horizon="none")] + [
    lambda optimiser=optimiser: hyper("kovasznay", balance=True, horizon="none", optimiser=optimiser)
    for optimiser in ("gauss_newton", "adam")
])  # fmt: skip
def test_balanced_losses_are_the_weighted_ones_until_the_end(learner):
    learner = learner()
    for step in range(20):
        losses = learner.step(step)
        weights = dict(learner._physics.balance.weights)
        assert set(weights) == set(losses) and min(weights.values()) > 0.5
        assert learner.settled(step) == (step >= 7)
        if step == 7:
            final = weights
    assert weights == final and max(weights.values()) > 1.5
    balance = learner._physics.balance
    before = learner.validate()
    balance.weights = {name: 4 * weight for name, weight in final.items()}
    torch.testing.assert_close(learner.validate(), 4 * before)


@pytest.mark.parametrize("of_task", [True, False])
def test_the_guard_is_told_while_the_problem_still_grows(of_task, monkeypatch):
    learner = (
        fits(Heat(), optimiser="adam") if of_task else hyper("burgers2d", optimiser="adam", horizon="auto")
    )
    told, step = [], FirstOrder.step

    def watched(self, theta, objective, rows=None, at=None, moving=False):
        told.append(moving)
        return step(self, theta, objective, rows, at, moving)

    monkeypatch.setattr(FirstOrder, "step", watched)
    for number in range(10):
        learner.step(number)
    assert told == [not learner.settled(number) for number in range(10)] and told[0] and not told[-1]


def test_the_weight_of_conditions_comes_on_top_of_the_balance():
    """Terms are balanced as they are, so that it does not cancel."""
    one, ten = (
        fits(Heat(), balance=True, horizon="none", condition_weight=weight, conditions="soft")
        for weight in (1.0, 10.0)
    )
    for learner in (one, ten):
        learner.step(0)
    assert ten._physics.balance.weights == pytest.approx(one._physics.balance.weights)


def test_balance_replaces_the_search_for_a_weight():
    """Poisson with soft walls, two seeds: far nearer than with weight 1; more in benchmarks/balance.py."""
    problem, values = Poisson(), {"a": np.array([1.0]), "b": np.array([0.7])}
    network = NetworkSettings(width=32, hidden_layers=3, conditions="soft")
    truth = torch.from_numpy(problem.reference(values)["u"]).reshape(1, -1)
    tasks, grid = (
        task_set(problem, values, False, CPU, torch.float64),
        grid_coords(problem, CPU, torch.float64),
    )
    errors = {True: 1.0, False: 1.0}
    for balance, seed in product(errors, range(2)):
        stage = StageSettings(
            optimiser="levenberg_marquardt", dtype="float64", steps=60, points=300, condition_points=80,
            balance=balance,
        )  # fmt: skip
        theta = fit(problem, values, stage, network, "pinn", "full", seed, "cpu")[0]
        found = fields_of(Full(network_of(problem, network)), theta, tasks, grid)[..., 0]
        errors[balance] *= float((found - truth).square().mean()) ** 0.5  # the geometric mean
    assert errors[True] < 1e-5 and errors[True] < errors[False] / 30


def test_a_horizon_needs_points_that_are_drawn_anew():
    for fixed in ({"resample": 0}, {"points_on": "grid"}):
        with pytest.raises(ValueError, match="horizon: auto draws new points"):
            StageSettings(horizon="auto", **fixed)


def test_nothing_is_judged_before_tasks_are_their_own():
    """Patience would end a fit on its way from an easier task, at a start that is nobody's solution."""
    way = {"horizon": "none", "continuation": {"alpha": 1.0}, "continuation_steps": 15, "report_every": 1}
    learner = fits(Heat(), optimiser="levenberg_marquardt", **way)
    assert [learner.settled(step) for step in (0, 14, 15)] == [False, False, True]
    start = learner.theta.detach().clone()
    history = train(learner, 1, patience=2, quiet=True)
    assert history.iterations > 15 and not torch.equal(learner.theta, start)
    assert history.rows[-1]["validation"] < 0.1 * history.rows[14]["validation"]


def test_patience_does_not_count_before(monkeypatch):
    """Though no validation loss is finite on the way."""
    way = {"horizon": "none", "continuation": {"alpha": 1.0}, "continuation_steps": 15, "report_every": 1}
    learner = fits(Heat(), optimiser="levenberg_marquardt", **way)
    own, steps = learner.validate, []
    monkeypatch.setattr(learner, "step", lambda step: steps.append(step) or {"heat": torch.ones(2)})
    monkeypatch.setattr(learner, "validate", lambda: own() * (torch.inf if len(steps) < 12 else 1.0))
    train(learner, 1, patience=3, quiet=True)
    assert steps[-1] == 18  # settled at 15, and no better than then for three steps
