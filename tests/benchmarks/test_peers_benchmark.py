"""The benchmark of the peers: its methods learn, a cell is run once, its page says what the cells say."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from cells import read_cells
from peers import HERE, code_of
from peers_methods import METHODS
from peers_operators import TASKS, WEIGHT, DeepONetByPhysics, FNOByData, Functions
from peers_page import BY_DATA, CELLS, draw, page
from peers_training import TRIAL, best_of, seconds_of_one, solved, squared, trained

from pinnlora.problem.load import load_problem

needs_deepxde = pytest.mark.skipif(find_spec("deepxde") is None, reason="deepxde is not installed")
needs_neuralop = pytest.mark.skipif(find_spec("neuralop") is None, reason="neuraloperator is not installed")


@pytest.fixture(scope="module")
def burgers():
    return load_problem("burgers1d")


@pytest.fixture(scope="module")
def few(burgers):
    """Six training tasks with their solutions."""
    return solved(burgers, "train", 6)


@pytest.fixture(autouse=True)
def defaults():
    """DeepXDE sets torch's own."""
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device("cpu")


class Shrinking:
    """Comes nearer to the solution at every step by a factor that is its setting."""

    built = []

    def __init__(self, factor):
        self.error, self.factor, self.shares = 1.0, factor, []
        Shrinking.built.append(self)

    def step(self, share):
        self.error *= self.factor
        self.shares.append(share)

    def predict(self, values):
        return np.full((len(values["u0"]), 4, 1), self.error)


class Nothing:
    """Tasks whose solution is zero."""

    values = {"u0": np.zeros((2, 3))}
    solved = type("Zero", (), {"fields": np.zeros((2, 4, 1))})


def test_the_best_of_what_was_tried_has_the_whole_time():
    Shrinking.built.clear()
    peer = best_of(Shrinking, [{"factor": 1.0}, {"factor": 0.99}, {"factor": np.nan}], 0.02, Nothing, Nothing)
    *trials, last = Shrinking.built
    assert [each.factor for each in trials[:2]] == [1.0, 0.99] and last.factor == 0.99
    assert peer.seconds >= 0.02 and peer.setting.startswith("factor 0.99, ")
    assert len(trials[0].shares) < len(last.shares) and trials[0].shares[-1] < 1 and TRIAL < 0.5
    assert peer.tried[0] == ("factor 1", 1.0) and np.isinf(peer.tried[2][1])
    seconds, errors = zip(*peer.curve, strict=True)
    assert list(seconds) == sorted(seconds) and list(errors) == sorted(errors, reverse=True)
    assert (peer.predict(Nothing.values) == last.error).all()


def test_errors_are_means_of_squares_over_grid_and_fields(few):
    found = few.solved.fields.copy()
    found[0] += 0.5
    found[1, 0] = np.nan
    errors = squared(few, found)
    assert errors[0] == pytest.approx(0.25) and np.isinf(errors[1]) and (errors[2:] == 0).all()


def test_tasks_are_those_of_the_studies(few, burgers):
    more = solved(burgers, "train", 7)
    np.testing.assert_array_equal(more.values["u0"][:6], few.values["u0"])
    u0 = few.solved.fields.reshape(6, 128, 101)[:, :, 0]
    np.testing.assert_allclose(u0, few.values["u0"], atol=1e-12)


def test_functions_are_the_problems_own_and_anywhere(burgers):
    field = burgers.task.functions["u0"]
    drawn = Functions(field, np.random.default_rng(3))
    functions = drawn.random(4)
    np.testing.assert_array_equal(
        functions, field.sample(4, np.random.default_rng(3))["u0"].astype(np.float32)
    )
    places = np.stack([field.grid, np.linspace(0, 1, 128)], 1)
    np.testing.assert_allclose(drawn.eval_batch(functions, places), functions, atol=2e-5)


@needs_deepxde
@pytest.mark.parametrize("start", ["soft", "hard"])
def test_a_deeponet_by_physics_learns_and_is_periodic(burgers, few, start):
    learner = DeepONetByPhysics(burgers, start, 1e-3)

    def loss():
        learner.model.data.train_x = None
        return float(learner.model.outputs_losses_train(*learner.data.train_next_batch())[1].detach().sum())

    before = loss()
    for step in range(20):
        learner.step(step / 100)
    assert loss() < 0.7 * before
    given, t = torch.from_numpy(few.values["u0"].astype(np.float32)), torch.linspace(0, 1, 9)
    ends = [learner.net((given, torch.stack((torch.full_like(t, x), t), 1))) for x in (0.0, 1.0)]
    torch.testing.assert_close(*ends, atol=1e-4, rtol=0)
    if start == "hard":
        found = learner.predict(few.values).reshape(6, 128, 101)[:, :, 0]
        np.testing.assert_allclose(found, few.values["u0"], atol=1e-5)


@needs_deepxde
def test_the_residual_of_a_deeponet_is_the_equations(burgers, monkeypatch):
    """By zero coordinate shift as by plain differentiation."""
    monkeypatch.setattr("peers_operators.FUNCTIONS", 2)
    monkeypatch.setattr("peers_operators.INTERIOR", 5)
    learner = DeepONetByPhysics(burgers, "soft", 1e-3)
    (given, points), _, _ = batch = learner.data.train_next_batch()
    equation, beginning = learner.model.outputs_losses_train(*batch)[1].tolist()
    (count,) = learner.data.pde.num_bcs
    inside = torch.from_numpy(points[count:]).requires_grad_()
    squares = []
    for one in torch.from_numpy(given):
        u = learner.net((one[None], inside))[0]
        slope = torch.autograd.grad(u.sum(), inside, create_graph=True)[0]
        bend = torch.autograd.grad(slope[:, 0].sum(), inside, retain_graph=True)[0][:, 0]
        squares.append((slope[:, 1] + u * slope[:, 0] - 0.01 * bend).square().mean().item())
    assert equation == pytest.approx(np.mean(squares), rel=1e-4)
    start = learner.net((torch.from_numpy(given), torch.from_numpy(points[:count])))
    wanted = torch.from_numpy(learner.data.func_space.eval_batch(given, points[:count]))
    assert (points[:count, 1] == 0).all()
    assert beginning == pytest.approx(WEIGHT * (start - wanted).square().mean().item(), rel=1e-4)


@needs_neuralop
@pytest.mark.parametrize("shape", ["in x", "in x and t"])
def test_an_fno_learns_and_moves_with_its_task(burgers, few, shape, monkeypatch):
    monkeypatch.setitem(TASKS, shape, 6)
    learner = FNOByData(burgers, few, shape, 3e-3)
    before = squared(few, learner.predict(few.values)).mean()
    for step in range(12):
        learner.step(step / 100)
    found = learner.predict(few.values)
    assert squared(few, found).mean() < 0.8 * before
    moved = learner.predict({"u0": np.roll(few.values["u0"], 16, 1)}).reshape(6, 128, 101)
    np.testing.assert_allclose(moved, np.roll(found.reshape(6, 128, 101), 16, 1), atol=1e-4)


@needs_deepxde
@needs_neuralop
@pytest.mark.parametrize("method", ["pi-deeponet", "deeponet", "fno"])
def test_an_operator_network_is_tried_and_trained(few, method, monkeypatch):
    monkeypatch.setattr("peers_operators.TAUGHT", 6)
    monkeypatch.setattr("peers_operators.CHECKED", 2)
    monkeypatch.setattr("peers_operators.TASKS", dict.fromkeys(TASKS, 6))
    peer = METHODS[method]("burgers1d", 1e-3, few)
    assert len(peer.tried) == (3 if method == "deeponet" else 4)
    assert all(0 < error < np.inf for _, error in peer.tried)
    assert (peer.data_seconds > 0) == (method in BY_DATA)
    assert 0 < squared(few, peer.predict(few.values)).max() < np.inf
    assert 0 < seconds_of_one(peer, few.values, rounds=1) < 60


def test_time_is_that_of_steps():
    learner = Shrinking(0.5)
    curve, seconds, steps = trained(learner, 0.01, Nothing)
    assert seconds >= 0.01 and steps == len(learner.shares) and learner.shares[0] == 0
    assert len(curve) <= 6


@pytest.mark.parametrize(("problem", "method"), [("kovasznay", "hyperpinn"), ("kovasznay", "pinnlora")])
def test_a_cell_runs_end_to_end_once(tmp_path, problem, method):
    command = [
        sys.executable,
        HERE / "peers.py",
        "--problems",
        problem,
        "--methods",
        method,
        "--minutes",
        "0.02",
    ]
    command += ["--results", tmp_path / "cells", "--page", tmp_path / "page.md"]
    first, again = (subprocess.run(command, capture_output=True, text=True) for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stdout + first.stderr
    assert "there already" in again.stdout and "there already" not in first.stdout
    found = json.loads((tmp_path / "cells" / f"{problem}-{method}-0.02.json").read_text())
    assert found["code"] == code_of(method) and found["where"]["threads"] == 1
    assert 0 < found["mse"] <= found["worst_mse"] < np.inf and found["one_task"] > 0
    assert found["curve"][-1] == [found["seconds"], found["mse"]]
    assert len(found["tried"]) == (3 if method == "hyperpinn" else 0)
    text = (tmp_path / "page.md").read_text()
    assert f"{found['mse']:.1e}" in text and "After 0.02 minutes" in text
    assert (tmp_path / "page" / "errors.png").stat().st_size > 1000


def cell(problem, method, mse, **more):
    where = {"commit": "a" * 40, "threads": 1, "load": 1.0, "machine": "m", "python": "3", "torch": "2"}
    return {
        "problem": problem, "method": method, "minutes": 5.0, "mse": mse, "worst_mse": 4 * mse,
        "relative": mse**0.5, "worst_relative": 2 * mse**0.5, "seconds": 300.0, "one_task": 0.0125,
        "data_seconds": 0.0, "setting": "some", "tried": [], "curve": [(10.0, 1.0), (300.0, mse)],
        "where": where | {"pinnlora": "0", "deepxde": "1", "neuraloperator": "2"},
    } | more  # fmt: skip


def test_the_page_says_who_is_ahead_and_what_needs_data(tmp_path):
    cells = [
        cell("burgers1d", "pinnlora", 1e-4),
        cell("burgers1d", "fno", 2e-5, data_seconds=31.0, tried=[["in x, rate 0.003", 7e-3]]),
        cell("burgers1d", "pi-deeponet", float("inf"), minutes=1.0),
        cell("kovasznay", "deepxde", 1e-6),
    ]
    text = page(cells)
    burgers, _, kovasznay = text.partition("## Kovasznay flow")
    assert "that of FNO (neuraloperator), 5 times below that of pinnlora." in burgers
    row = next(line for line in burgers.splitlines() if line.startswith("| FNO"))
    assert "data (31.0 s)" in row and "2.0e-05" in row and "8.0e-05" in row and "12.5" in row
    assert "After 1 minutes" in burgers and "| physics" in burgers and "inf" in burgers
    assert "in x, rate 0.003" in kovasznay and "7.0e-03" in kovasznay
    assert "1.0e-06" in kovasznay and "aaaaaaaaa" in kovasznay and "times below" not in kovasznay
    draw(cells, tmp_path / "errors.png")
    assert (tmp_path / "errors.png").stat().st_size > 1000
    assert "Not run yet: DeepONet (DeepXDE)." in burgers
    assert "Not run yet: pinnlora, HyperPINN, full rank." in kovasznay
    assert "Nothing was run yet" in page([])


def test_the_page_in_the_documentation_says_what_the_results_say():
    """After a change of results or the page: python benchmarks/peers.py --page-only."""
    cells = read_cells(HERE / "results" / "peers")
    assert {cell["method"] for cell in cells} <= {method for each in CELLS.values() for method in each}
    assert (Path(HERE).parent / "docs" / "peers.md").read_text() == page(cells)


def test_an_unknown_method_is_refused_in_one_line():
    command = [sys.executable, Path(HERE) / "peers.py", "--methods", "fna"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "fno" in done.stderr and "Traceback" not in done.stderr
