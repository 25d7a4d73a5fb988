"""Estimated errors: conformal quantiles, coverage of true errors, the choice of the score, out of range."""

import json
import math
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from small import generator
from test_surrogate import OWN, bundle

from pinnlora.errors import UserError
from pinnlora.loss.measure import physics_errors
from pinnlora.query.calibration import LEVEL, Calibration
from pinnlora.query.load import load
from pinnlora.query.refine import improved
from pinnlora.query.score import Score, score
from pinnlora.query.trust import calibrate, coverage, error_map, root_mean_square, some_points, trust
from pinnlora.train.single import TaskFits


@pytest.fixture(scope="module")
def surrogate(tmp_path_factory):
    """Untrained, but calibrated against the exact solution."""
    plain = bundle(tmp_path_factory.mktemp("bundles") / "bundle", "kovasznay", 2, "float64")
    values = plain.problem.task.sample(4, np.random.default_rng(1))
    return replace(plain, calibration=calibrate(plain, values, unknown(plain, 4), np.random.default_rng(2)))


def unknown(surrogate, tasks):
    points = math.prod(len(axis) for axis in surrogate.problem.axes().values())
    return np.full((tasks, points, len(surrogate.problem.fields)), np.nan)


def test_the_interval_is_that_of_split_conformal_prediction():
    calibration = Calibration({"residual": [float(k) for k in range(1, 100)]})
    low, high = calibration.interval("residual", np.array([2.0]))
    assert (low[0], high[0]) == (2 * 5, 2 * 95)  # floor(100 * 0.05) and ceil(100 * 0.95)
    assert calibration.estimate("residual", np.array([2.0]))[0] == 2 * 50
    few = Calibration({"residual": [float(k) for k in range(1, 11)]}).interval("residual", np.array([1.0]))
    assert (few[0][0], few[1][0]) == (0, 10)  # one-sided: ceil(11 * 0.9)
    for ratios in ([1.0] * 8, [1.0] * 12, [1.0] * 31):
        low, high = Calibration({"residual": ratios}).interval("residual", np.array([np.inf, np.nan, 0.0]))
        assert not low.any() and np.isinf(high[:2]).all()
    assert Calibration({"residual": [1.0] * 8}).interval("residual", np.array([1.0]))[1][0] == math.inf


@pytest.mark.parametrize("count", [9, 18, 19, 40, 100])
def test_the_interval_holds_as_often_as_it_says(count):
    """The mean coverage of split conformal intervals is at least LEVEL; 4,000 draws leave 0.005."""
    rng, held = np.random.default_rng(5), []
    for _ in range(4000):
        ratios = rng.lognormal(0, 1, count)
        low, high = Calibration({"residual": ratios}).interval("residual", np.array([1.0]))
        held.append(low[0] <= rng.lognormal(0, 1) <= high[0])
    assert np.mean(held) >= LEVEL - 0.015


def test_a_residual_that_says_little_gives_way_to_the_refined_estimate():
    steady, wild = [1.0, 1.1, 1.2] * 7, list(np.geomspace(0.01, 1, 21))
    assert Calibration({"residual": steady, "refined": wild}).default == "residual"
    assert Calibration({"residual": wild, "refined": steady}).default == "refined"
    assert Calibration({"residual": wild}).default == "residual"


def test_scores_are_what_the_tables_measure(surrogate):
    networks = surrogate.networks(re=[30.0, 60.0])
    found = score(networks)
    residual, mismatch = physics_errors(
        networks.problem, networks.parametrisation, networks.theta, networks.tasks.values
    )
    np.testing.assert_allclose(found.residual, residual, rtol=0.1)  # other points
    np.testing.assert_allclose(found.mismatch, mismatch, rtol=0.1, atol=1e-15)  # held exactly: rounding
    for k in range(2):
        assert score(networks.take(np.array([k]))).loss[0] == pytest.approx(found.loss[k])


def test_intervals_hold_the_true_errors_of_new_tasks(surrogate):
    values = surrogate.problem.task.sample(60, np.random.default_rng(6))
    networks = surrogate.networks(**values)
    exact = surrogate.problem.reference(values)
    reference = np.stack([exact[name].reshape(60, -1) for name in surrogate.problem.fields], -1)
    assert 0.8 <= coverage(networks, reference) <= 1
    grid, chosen = some_points(surrogate.problem)
    error = root_mean_square(networks.fields(grid).numpy() - reference[:, chosen])
    assert np.median(trust(networks).estimate / error) == pytest.approx(1, rel=0.2)
    mesh = np.stack(np.meshgrid(*surrogate.problem.axes().values(), indexing="ij"), -1).reshape(1, -1, 2)
    everywhere = root_mean_square(networks.fields(mesh).numpy() - reference)
    np.testing.assert_allclose(error, everywhere, rtol=0.1)


def test_outside_the_range_the_error_is_not_known(surrogate):
    found = surrogate.predict(re=[60.0, 110.0], at={"x": 0.5, "y": 0.5})
    assert found.in_range.values.tolist() == [1, 0]
    assert np.isfinite(found.estimated_error_high.values).tolist() == [True, False]
    assert found.estimated_error_low.values[1] == 0 and found.estimated_error_low.values[0] > 0
    assert (found.estimated_error_low < found.estimated_error).all()
    assert "100 tasks, against reference solutions" in found.attrs["calibration"]


def test_without_a_calibration_nothing_is_promised(surrogate):
    found = replace(surrogate, calibration=None).predict(re=60.0, at={"x": 0.5, "y": 0.5})
    assert np.isnan(found.estimated_error) and found.estimated_error_high == np.inf and found.residual > 0
    with pytest.raises(UserError, match="expected auto, residual, refined or none"):
        surrogate.predict(re=60.0, estimate="best")


def test_the_refined_estimate_brings_a_map_of_the_error(surrogate):
    at = {"x": np.linspace(0, 1, 20), "y": np.linspace(0, 1, 20)}
    found = surrogate.predict(re=60.0, at=at, estimate="refined")
    assert found.attrs["estimate"] == "refined"
    for name in surrogate.problem.fields:
        assert (
            found[f"estimated_error_{name}"].shape == (20,) and (found[f"estimated_error_{name}"] >= 0).all()
        )


@pytest.fixture
def the_start_is_preferred(monkeypatch):
    """Held-out points that no step helps at, as happens by chance where a network is nearly as good as it can be."""
    monkeypatch.setattr(TaskFits, "validate", lambda self: torch.ones(len(self.tasks)))


@pytest.mark.usefixtures("the_start_is_preferred")
def test_what_held_out_points_do_not_like_is_an_error_all_the_same(surrogate):
    networks = surrogate.networks(re=[30.0, 60.0])
    torch.testing.assert_close(improved(networks, 3, 300).theta, networks.theta)
    unsure = replace(networks, calibration=Calibration({"residual": [1.0] * 20, "refined": [1.0] * 20}))
    grid, _ = some_points(surrogate.problem)
    exact = surrogate.problem.exact_at(torch.from_numpy(grid), {"re": torch.tensor([[30.0], [60.0]])[:, 0]})
    error = root_mean_square((networks.fields(grid) - torch.stack(list(exact.values()), -1)).numpy())
    found = trust(unsure, "refined")
    assert (found.estimate > 0.2 * error).all() and (found.low > 0).all() and np.isfinite(found.high).all()
    assert (root_mean_square(error_map(unsure, grid, found.moved)) == found.estimate).all()


@pytest.mark.usefixtures("the_start_is_preferred")
def test_a_prediction_that_came_out_as_the_best_is_no_measure_of_itself(tmp_path):
    (tmp_path / "heat.py").write_text(textwrap.dedent(OWN))
    plain = bundle(tmp_path / "bundle", f"{tmp_path / 'heat.py'}:Heat", 2, "float32")
    values = plain.problem.task.sample(3, np.random.default_rng(1))
    assert calibrate(plain, values, unknown(plain, 3), np.random.default_rng(2), seconds=0.0) is None


def test_steps_that_were_not_taken_are_no_estimate_but_a_residual_of_nothing_is(surrogate, monkeypatch):
    monkeypatch.setattr(TaskFits, "step", lambda self, step: {})
    networks = surrogate.networks(re=60.0)
    found = trust(networks, "refined")
    assert np.isnan(found.estimate[0]) and (found.low[0], found.high[0]) == (0, np.inf)
    exact = trust(networks, "residual", Score(*np.zeros((3, 1))))
    assert exact.estimate[0] == 0 and exact.high[0] < 1e-300


def test_a_task_is_refined_once_for_its_estimate_and_its_map(surrogate, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "pinnlora.query.trust.improved", lambda *args, **more: calls.append(1) or improved(*args, **more)
    )
    surrogate.predict(re=60.0, at={"x": 0.5, "y": 0.5}, estimate="refined")
    assert calls == [1]


@pytest.fixture(scope="module")
def solved(surrogate):
    """All weights of a network that solves one task to 5e-4; no calibration corrects its estimates."""
    return improved(replace(surrogate, calibration=None).networks(re=60.0).full(), steps=150, points=300)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_map_is_where_the_error_is(solved, seed):
    """A solution that was moved away by a hundred times its own error and more, so that its own plays no part."""
    noise = torch.randn(solved.theta.shape, generator=generator(seed), dtype=torch.float64)
    moved = replace(solved, theta=solved.theta + 0.01 * noise)
    side = np.linspace(0, 1, 15)
    places = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(1, -1, 2)
    exact = solved.problem.exact_at(
        torch.from_numpy(places), {"re": torch.tensor([60.0], dtype=torch.float64)}
    )
    true = np.abs(moved.fields(places).numpy() - torch.stack(list(exact.values()), -1).numpy())[0]
    found = error_map(moved, places)[0]
    for field in range(3):
        assert np.corrcoef(found[:, field], true[:, field])[0, 1] > 0.9
    assert np.sqrt((found**2).mean() / (true**2).mean()) == pytest.approx(1, rel=0.15)


def test_without_solutions_the_calibration_is_against_refined_ones(tmp_path):
    (tmp_path / "heat.py").write_text(textwrap.dedent(OWN))
    plain = bundle(tmp_path / "bundle", f"{tmp_path / 'heat.py'}:Heat", 2, "float64")
    values = plain.problem.task.sample(3, np.random.default_rng(1))
    found = calibrate(plain, values, unknown(plain, 3), np.random.default_rng(2), seconds=0.0)
    assert found.truth == "refined" and len(found.ratios["residual"]) == 1  # no time for more than one
    kept = Calibration(**found.stored())
    assert kept.ratios["residual"] == pytest.approx(found.ratios["residual"], rel=1e-5)
    assert kept.default == "residual"


def test_tasks_whose_solution_is_not_known_everywhere_do_not_calibrate(surrogate, monkeypatch):
    problem = surrogate.problem
    exact = type(problem).exact_at

    def broken(self, coords, values):
        found = exact(self, coords, values)
        return {name: row.where(values["re"].unsqueeze(-1) < 60, torch.nan) for name, row in found.items()}

    monkeypatch.setattr(type(problem), "exact_at", broken)
    nothing = np.full((1, 1, 3), np.nan)
    found = calibrate(surrogate, {"re": np.array([30.0])}, nothing, np.random.default_rng(0), 0.0)
    assert 9 < len(found.ratios["residual"]) < 90 and max(found.ratios["residual"]) < 1e6


def test_a_bundle_keeps_its_calibration(surrogate, tmp_path):
    bundle(tmp_path / "bundle")
    file = tmp_path / "bundle" / "config.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"calibration": surrogate.calibration.stored()})
    )
    before, after = (each.predict(re=42.0) for each in (surrogate, load(tmp_path / "bundle")))
    assert after.attrs["calibration"] == before.attrs["calibration"]
