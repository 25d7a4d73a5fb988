"""A problem in many dimensions from its class to a bundle that is asked: no grid anywhere."""

import numpy as np
import pytest
import xarray as xr

import pinnlora
from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.problem.load import load_problem
from pinnlora.study.evaluation import Truth, evaluate_surrogate
from pinnlora.study.jobs import train
from pinnlora.train.data import read_reference, read_tasks
from pinnlora.train.setup import device_of

SOURCE = '''
from pinnlora import Ball, Box, Condition, Problem, Uniform, Vector


class Warm(Problem):
    """u_t = laplacian u / d in a ball of 12 dimensions."""

    coords = Ball(x=Vector(12), radius=1) * Box(t=(0, 1))
    fields = ("u",)
    task = Uniform(a=(0.5, 2))
    grid = {"point": 300}

    def residual(self, u_t, laplacian_u):
        return {"heat": u_t - laplacian_u / 12}

    def start(self, x, a):
        return {"u": a * x.square().sum(-1) / 2}

    def rim(self, t, a):
        return {"u": a / 2 + a * t}

    conditions = [Condition(start, on="t=0"), Condition(rim, on="boundary")]

    def exact(self, x, t, a):
        return {"u": a * x.square().sum(-1) / 2 + a * t}
'''
STAGE = "steps: 4, points: 20, condition_points: 8, report_every: 2, derivatives: random, directions: 3"
CONFIG = f"""
modes: [physics]
tasks: {{train: 2, validation: 3, test: 2}}
network: {{width: 8, hidden_layers: 2, unadapted: [], conditions: soft}}
hypernetwork: {{body: [8]}}
evaluation: {{figure_rank: 1, refine_steps: 0, refine_points: 10}}
training:
  base: {{optimiser: adam, {STAGE}}}
  physics: {{optimiser: soap, tasks_per_step: 3, unbiased: true, {STAGE}}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of a training of a few steps, and the problem."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "warm.py").write_text(SOURCE)
    (folder / "config.yaml").write_text(CONFIG)
    spec = f"{folder / 'warm.py'}:Warm"
    train.run(spec, folder / "out", 1, folder / "config.yaml", device="cpu")
    return folder / "out", load_problem(spec)


def test_references_are_at_random_points_that_say_where_they_are(trained):
    path, _ = trained
    reference = read_netcdf(path / "reference.nc")
    assert reference["u"].dims == ("task", "point") and reference["x"].dims == ("point", "x_component")
    assert reference["x"].shape == (300, 12) and reference["t"].shape == (300,)
    a, square = reference["a"], (reference["x"] ** 2).sum("x_component")
    np.testing.assert_allclose(reference["u"], a * square / 2 + a * reference["t"], rtol=1e-12)


def test_a_bundle_is_asked_at_points(trained):
    path, _ = trained
    surrogate = pinnlora.load(path / "bundle", trust=True)
    found = surrogate.predict(a=1.0)
    assert found["u"].dims == ("point",) and found["x"].shape == (300, 12)
    assert np.isfinite(found["estimated_error"])
    points = np.full((4, 12), 0.1)
    by_vector = surrogate.predict(a=[1.0, 1.5], at={"x": points, "t": 0.5})
    assert by_vector["u"].shape == (2, 4)
    asked = xr.Dataset({"x": (("point", "x_component"), points), "t": ("point", np.full(4, 0.5))})
    np.testing.assert_array_equal(surrogate.predict(a=[1.0, 1.5], at=asked)["u"], by_vector["u"])
    slope = surrogate.predict(a=1.0, at={"x": points, "t": 0.5}, fields=["u", "u_t", "u_x3"])
    assert np.isfinite(slope["u_x3"]).all()
    with pytest.raises(UserError, match="outside the domain"):
        surrogate.predict(a=1.0, at={"x": np.full((1, 12), 3.0), "t": 0.5})


def test_errors_are_relative_in_both_norms(trained):
    path, problem = trained
    values, splits = read_tasks(path / "tasks.nc", problem)
    reference = read_reference(path / "reference.nc", problem, values, np.arange(len(splits)))
    settings = {"figure_rank": 1, "refine_steps": 0, "refine_points": 10}
    truth = Truth(problem, values, splits, reference)
    errors = evaluate_surrogate(path / "bundle", truth, device_of("cpu"), settings, 0).errors["test"]
    for name in ("relative_l2", "relative_l1"):
        assert errors[name].shape == (2, 1) and np.isfinite(errors[name]).all()


def test_a_file_is_no_reference_there_and_a_figure_says_nothing(trained, tmp_path):
    path, problem = trained
    from pinnlora.report.jobs.plot import draw
    from pinnlora.study.references import given_references

    values, splits = read_tasks(path / "tasks.nc", problem)
    with pytest.raises(UserError, match="in many dimensions a file is no reference"):
        given_references(path / "reference.nc", problem, values, splits)
    with pytest.raises(UserError, match="say little in many dimensions"):
        draw(path / "bundle", tmp_path / "out.png", ["a=1"], True)
