"""Fits of single tasks: they learn, do not feel each other, use the points they are told to, and repeat."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from small import CPU, generator, random_theta, relative, task_values, tiny

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.problem.load import load_problem
from pinnlora.train.data import Monitor, Solutions, TaskSet, grid_coords, task_set
from pinnlora.train.fit import fit
from pinnlora.train.loop import train
from pinnlora.train.settings import NetworkSettings, StageSettings
from pinnlora.train.single import TaskFits

TINY = {"dtype": "float64", "points": 40, "condition_points": 16, "report_every": 5}


def stage(optimiser: str, steps: int, **more) -> StageSettings:
    return StageSettings(**TINY | {"optimiser": optimiser, "steps": steps} | more)


def learner_of(settings: StageSettings, keep=(0, 1, 2), name="kovasznay", monitor=False, **more) -> TaskFits:
    """A learner of some of three tasks; a task has the same start whichever others are there."""
    problem, full = tiny(name, "full", width=8)
    keep = list(keep)
    values = {key: value[keep] for key, value in task_values(problem, 3).items()}
    tasks = task_set(problem, values, False, CPU, torch.float64)
    watch = None
    if monitor:
        reference = problem.reference({key: value.numpy() for key, value in values.items()})
        flat = np.stack([reference[field].reshape(len(keep), -1) for field in problem.fields], -1)
        watch = Monitor.of(Solutions.of(tasks, flat))
    draw = Draw(generator(4), CPU, torch.float64)
    return TaskFits(problem, full, tasks, random_theta(full, 3)[keep], settings, draw, watch, **more)


@pytest.mark.parametrize(
    ("optimiser", "more", "gain"),
    [
        ("levenberg_marquardt", {"steps": 25}, 20),
        ("levenberg_marquardt", {"steps": 25, "adaptive": True}, 20),
        ("adam", {"steps": 300, "learning_rate": 1e-2}, 3),
        ("adam+lbfgs", {"steps": 100, "lbfgs_steps": 60, "learning_rate": 1e-2}, 5),
    ],
)
def test_physics_alone_lowers_the_error_against_the_exact_solution(optimiser, more, gain):
    learner = learner_of(stage(optimiser, **more), monitor=True)
    before, loss = learner.error(), learner.validate()
    history = train(learner, 5, quiet=True)
    assert learner.error() < before / gain
    assert (history.best < loss / gain).all()
    assert torch.equal(learner.theta.detach(), learner.best)
    torch.testing.assert_close(learner.validate(), history.best)


def test_lbfgs_goes_on_from_the_best_state_of_adam_on_points_that_stay():
    learner = learner_of(stage("adam+lbfgs", 4, lbfgs_steps=4, report_every=1))
    assert learner.steps == 4
    seen, total = [], []
    for step in range(8):
        if step == 4:
            learner.best = torch.zeros_like(learner.best)
            learner.restore()
            assert learner.next_phase() and learner.steps == 4
        total.append(learner.step(step % 4))
        if step == 4:  # the first step of L-BFGS has length 1 in this norm at most
            assert (learner.theta.detach().abs().sum(1) <= 1).all()
        seen.append(learner._points.coords["interior"])
    fresh = [not torch.equal(before, after) for before, after in pairwise(seen)]
    assert fresh == [True] * 4 + [False] * 3
    assert list(total[3]) != ["total"] and list(total[4]) == ["total"]
    assert all((after["total"] <= before["total"]).all() for before, after in pairwise(total[4:]))
    assert not learner.next_phase()


@pytest.mark.parametrize(
    ("optimiser", "more", "tolerance"),
    [
        ("adam", {"steps": 60}, 1e-12),
        ("adam+lbfgs", {"steps": 20, "lbfgs_steps": 20}, 1e-7),
        ("levenberg_marquardt", {"steps": 6}, 1e-7),
    ],
)
def test_with_fixed_points_a_task_goes_the_way_it_goes_alone(optimiser, more, tolerance):
    settings = stage(optimiser, **more, resample=0)
    together = learner_of(settings)
    train(together, 5, quiet=True)
    for task in range(3):
        alone = learner_of(settings, [task])
        train(alone, 5, quiet=True)
        assert relative(together.best[task], alone.best[0]) < tolerance


@pytest.mark.parametrize("optimiser", ["adam", "levenberg_marquardt"])
def test_a_task_that_has_stopped_is_left_alone(optimiser):
    learner = learner_of(stage(optimiser, 10, resample=0))
    for step in range(3):
        learner.step(step)
    learner.keep(torch.tensor([True, True, True]))
    kept = learner.theta.detach().clone()
    assert not learner.drop(torch.tensor([False, True, False]))
    for step in range(3, 8):
        losses = learner.step(step)
    assert all(value.shape == (2,) for value in losses.values())
    learner.keep(torch.tensor([True, False, True]))
    learner.restore()
    moved = (learner.theta.detach() != kept).any(1)
    assert moved.tolist() == [True, False, True]
    assert learner.drop(torch.tensor([True, True, True]))


@pytest.mark.parametrize(("resample", "changes"), [(0, []), (1, [1, 2, 3, 4, 5]), (2, [2, 4])])
def test_points_are_drawn_when_they_are_due(resample, changes):
    learner = learner_of(stage("levenberg_marquardt", 6, resample=resample))
    seen = []
    for step in range(6):
        learner.step(step)
        seen.append(learner._points.coords)
    for name in ("interior", "walls", "outflow"):
        fresh = [k for k in range(1, 6) if not torch.equal(seen[k][name], seen[k - 1][name])]
        assert fresh == changes


def test_continuation_walks_the_tasks_to_their_own_values():
    settings = stage("levenberg_marquardt", 5, continuation={"re": 10.0}, continuation_steps=4)
    learner = learner_of(settings)
    own = learner.tasks.values["re"]
    walked = torch.stack([learner._values(step)["re"] for step in range(6)])
    assert walked[0].tolist() == [10.0] * 3 and torch.equal(walked[4], own) and torch.equal(walked[5], own)
    torch.testing.assert_close(walked[2], (10.0 * own).sqrt())


def test_continuation_starts_at_the_base_tasks_own_value_by_name():
    settings = stage("levenberg_marquardt", 5, continuation={"re": "base"}, continuation_steps=4)
    learner = learner_of(settings, origin={"re": torch.tensor([30.0], dtype=torch.float64)})
    assert learner._values(0)["re"].tolist() == pytest.approx([30.0] * 3)
    assert torch.equal(learner._values(4)["re"], learner.tasks.values["re"])
    with pytest.raises(
        UserError, match=r"continuation: {re: base} needs the base task's re, but none is known"
    ):
        learner_of(settings)


def test_a_fit_with_adaptive_points_remembers_and_draws_anew():
    learner = learner_of(stage("levenberg_marquardt", 4, adaptive=True))
    assert learner._physics.sampler.remembered is None
    seen = []
    for step in range(3):
        learner.step(step)
        seen.append(learner._physics.sampler.remembered)
        assert relative(learner.problem.coords.scale(seen[-1]), learner._points.coords["interior"]) == 0
    assert all(points.shape == (3, 40, 2) for points in seen)
    assert not any(torch.equal(before, after) for before, after in pairwise(seen))


def test_the_weight_of_the_residual_can_be_left_out():
    weighted, plain = (
        learner_of(stage("adam", 1, resample=0, residual_weight=on), name="burgers2d") for on in (True, False)
    )
    own = [learner.step(0)["momentum_x"] for learner in (weighted, plain)]
    assert (own[0] < 0.95 * own[1]).all()
    assert (weighted.validate() < plain.validate()).all()


def test_the_monitor_compares_with_the_reference_in_the_given_frame():
    """1D Burgers in its canonical frame: fields are moved back before they are compared."""
    problem, full = tiny("burgers1d", "full", width=8)
    values = {"u0": task_values(problem, 2)["u0"].numpy() + 0.3}
    tasks = task_set(problem, values, True, CPU, torch.float64)
    assert isinstance(tasks, TaskSet) and tasks.move is not None
    theta, grid = random_theta(full, 2), grid_coords(problem, CPU, torch.float64)
    x, t = grid[0].T
    expected = []
    for k in range(2):
        mean, sign, shift = (tasks.move[name][k] for name in ("mean", "sign", "shift"))
        there = torch.stack((torch.remainder(sign * (x - shift - mean * t), 1), t), -1)
        (weights,) = [full.weights(theta[k : k + 1])]
        hidden = there
        for matrix, bias in list(zip(weights.matrices, weights.biases, strict=True))[:-1]:
            hidden = torch.tanh(hidden @ matrix[0].T + bias[0])
        expected.append(mean + sign * (hidden @ weights.matrices[-1][0].T + weights.biases[-1][0]))
    fields = torch.stack(expected)
    assert Monitor.of(Solutions.of(tasks, fields.numpy()))(theta, full) < 1e-25
    assert Monitor.of(Solutions.of(tasks, fields.numpy() + 0.1))(theta, full) == pytest.approx(0.01)


def test_a_seed_repeats_a_fit_and_another_seed_does_not():
    problem = load_problem("kovasznay")
    values = {"re": np.array([30.0, 60.0])}
    network = NetworkSettings(width=6, hidden_layers=2)

    def run(seed: int, method: str = "pinn", dtype: str = "float64"):
        settings = stage("levenberg_marquardt", 3, dtype=dtype)
        return fit(problem, values, settings, network, method, "full", seed, "cpu")[0]

    assert torch.equal(run(1), run(1))
    assert relative(run(2), run(1)) > 1e-2
    assert relative(run(1, "base"), run(1)) > 1e-2  # every stage has random numbers of its own
    assert run(1, dtype="float32").dtype == torch.float32


def test_lbfgs_follows_an_adam_that_was_stopped_early():
    """The paper's protocol: stop when validation has not improved, then L-BFGS."""
    settings = stage("adam+lbfgs", 100, lbfgs_steps=20, learning_rate=1e-30, patience=10, resample=0)
    learner = learner_of(settings)
    before = learner.validate()
    train(learner, 5, settings.patience, quiet=True)
    assert (learner.validate() < 0.5 * before).all()


SOURCE = """
from pinnlora import Box, Condition, GaussianField, LogUniform, Problem, Uniform


class Source(Problem):
    coords, fields, grid = Box(x=(-1, 1), t=(0, 1)), ("u",), {"x": 21, "t": 6}
    task = Uniform(a=(1, 2)) * LogUniform(nu=(1e-3, 1e-1)) * GaussianField("f", points=16, power=4, scale=1e6)

    def residual(self, u_t, u_xx, f, f_xx, t, a, nu):
        return {"heat": u_t - nu * u_xx - a * (f - nu * t * f_xx)}

    def exact(self, t, f, a):
        return {"u": a * t * f}

    def start(self):
        return {"u": 0.0}

    def ends(self, t, f, a):
        return self.exact(t, f, a)

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=-1", "x=1"))]
"""


def test_an_equation_with_numbers_of_two_laws_and_a_function_in_it_is_solved(tmp_path):
    (tmp_path / "own.py").write_text(SOURCE)
    settings = stage("levenberg_marquardt", 40, points=120, condition_points=40)
    learner = learner_of(settings, name=f"{tmp_path / 'own.py'}:Source", monitor=True)
    before = learner.error()
    train(learner, 40, quiet=True)
    assert learner.error() < before / 1000


def test_an_infinite_loss_is_no_number():
    """Of two tasks one overflows: it has failed, and the mean is that of the other."""
    learner = learner_of(stage("levenberg_marquardt", 3), keep=(0, 1))
    with torch.no_grad():
        learner.theta[1] *= 1e200
    history = train(learner, 1, quiet=True)
    assert learner.failed(history.best).tolist() == [False, True]
    assert history.best[1] == torch.inf and history.rows[-1]["validation"] < 1e3
