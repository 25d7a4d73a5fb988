"""Refinement to a tolerance: it is reached or the reason is said, never worse, kept on its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_surrogate import bundle

import pinnlora
from pinnlora.errors import UserError
from pinnlora.nets.adapters import Full
from pinnlora.query.calibration import Calibration
from pinnlora.query.refine import refine
from pinnlora.query.solved import Solved
from pinnlora.train.single import TaskFits

CALIBRATION = Calibration({"residual": list(np.linspace(0.05, 0.2, 31))})


@pytest.fixture(scope="module")
def surrogate(tmp_path_factory):
    plain = bundle(tmp_path_factory.mktemp("bundles") / "bundle", "kovasznay", 2, "float64")
    return replace(plain, calibration=CALIBRATION)


def error(networks):
    """Root mean square distance to the exact solution at 200 points, (task,)."""
    points = torch.rand(1, 200, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    exact = networks.problem.exact_at(points, {"re": torch.from_numpy(networks.given["re"])})
    return (
        (networks.fields(points) - torch.stack(list(exact.values()), -1)).square().mean((1, 2)).sqrt().numpy()
    )


def test_a_tolerance_is_reached_with_few_steps_where_it_is_near(surrogate):
    networks = surrogate.networks(re=[30.0, 60.0, 150.0])  # the last one out of range
    before = CALIBRATION.estimate("residual", refine(networks, steps=1).before.loss)
    found = refine(networks, tolerance=float(before.min() / 4), points=150)
    assert found.ends == ["tolerance reached"] * 3
    assert (CALIBRATION.estimate("residual", found.after.loss) <= before.min() / 4).all()
    assert (found.steps % 10 == 0).all() and (found.steps < 100).all()
    assert (error(found.networks) < error(networks)).all()


def test_a_tolerance_out_of_reach_ends_with_the_reason(surrogate):
    found = refine(surrogate.networks(re=42.0), tolerance=1e-12, steps=10, points=60)
    assert found.ends[0].startswith("tolerance not reached in 10 steps, which still helped")
    narrow = refine(surrogate.networks(re=42.0), tolerance=1e-12, points=30)
    assert narrow.ends[0] == "tolerance not reached: steps at all weights do not help, take a wider network"
    assert isinstance(narrow.networks.parametrisation, Full) and narrow.steps[0] < 100
    assert narrow.after.loss[0] < found.before.loss[0]


def test_nothing_gets_worse(surrogate):
    """Too few points to fit: what only fits these is not taken."""
    networks = surrogate.networks(re=np.linspace(15, 150, 5))
    for points in (3, 20):
        found = refine(networks, steps=2, points=points)
        assert (found.after.loss <= found.before.loss).all()
        same = found.after.loss == found.before.loss
        torch.testing.assert_close(found.networks.theta[same], networks.theta[same].double())


def test_a_task_that_no_step_helps_is_said_to_be_as_it_was(surrogate, monkeypatch):
    monkeypatch.setattr(
        TaskFits, "validate", lambda self: torch.ones(len(self.tasks))
    )  # the start is as good
    found = refine(surrogate.networks(re=[30.0, 60.0]), steps=2, points=60)
    assert found.ends == ["none of 2 steps helped: as it was predicted; give more points"] * 2


def test_what_is_refined_tells_before_and_after(surrogate):
    found = surrogate.refine(re=[30.0, 60.0], steps=4, at={"x": [0.1, 0.9], "y": 0.5}, fields=["u", "u_x"])
    assert found["u_x"].dims == ("task", "point")
    assert (found.residual < found.residual_before).all()
    assert (found.estimated_error < found.estimated_error_before).all()
    assert found.refinement_steps.values.tolist() == [4, 4]
    assert found.refinement.values.tolist() == ["all 4 steps taken"] * 2
    with pytest.raises(UserError, match="no derivative in re: refined"):
        surrogate.refine(re=30.0, steps=1, fields=["u_re"])


def test_refined_networks_load_without_the_hypernetwork(surrogate, tmp_path):
    at = {"x": [0.1, 0.9], "y": 0.5}
    found = surrogate.refine(re=[30.0, 60.0], steps=2, at=at, save=tmp_path / "solved")
    loaded = pinnlora.load(tmp_path / "solved")
    assert isinstance(loaded, Solved)
    again = loaded.predict(at=at)
    for name in (
        "u",
        "v",
        "p",
        "re",
        "residual",
        "estimated_error",
        "estimated_error_low",
        "estimated_error_high",
    ):
        np.testing.assert_allclose(again[name], found[name], rtol=1e-9)
    assert np.isinf(again["estimated_error_high"]).all() and not again["estimated_error_low"].any()
    assert {path.name for path in (tmp_path / "solved").iterdir()} == {
        ".pinnlora", "config.json", "model.safetensors",
    }  # fmt: skip


@pytest.mark.parametrize("asked", [{"fields": ["zz"]}, {"fields": ["u_re"]}, {"at": {"x": 7.0, "y": 0.5}}])
def test_what_cannot_be_answered_is_refused_before_the_work(surrogate, monkeypatch, asked):
    monkeypatch.setattr("pinnlora.query.surrogate.refine", lambda *_: pytest.fail("refined"))
    with pytest.raises(UserError):
        surrogate.refine(re=30.0, steps=2, **asked)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"tolerance": 0.0}, "tolerance = 0.0; expected a number above 0"),
        ({"steps": 0}, "steps = 0; expected a whole number, at least 1"),
    ],
)
def test_a_wrong_refinement_is_one_line(surrogate, more, words):
    with pytest.raises(UserError, match=words):
        surrogate.refine(re=42.0, **more)


def test_a_tolerance_needs_a_calibration(surrogate):
    with pytest.raises(UserError, match="never calibrated and estimates no errors"):
        replace(surrogate, calibration=None).refine(re=42.0, tolerance=1e-3)
