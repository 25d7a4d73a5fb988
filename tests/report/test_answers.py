"""The figure of one prediction."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from test_surrogate import KINDS, bundle

from pinnlora.query.calibration import Calibration
from pinnlora.report.answers import answer_of, figure_of

ANNULUS = f"{Path(__file__).parents[2] / 'examples/annulus.py'}:Annulus"


def test_errors_are_shown_beside_the_field(tmp_path):
    surrogate = bundle(tmp_path / "bundle", *KINDS["kovasznay, rank 2"])
    calibrated = replace(surrogate, calibration=Calibration({"residual": [0.1] * 20, "refined": [2.0] * 20}))
    dataset = answer_of(calibrated.networks(re=42.0))
    exact = surrogate.problem.reference({"re": np.array([42.0])})["u"][0]
    np.testing.assert_allclose(dataset["true_error_u"], np.abs(dataset["u"] - exact), atol=1e-5)
    assert dataset["residual_at"].shape == dataset["estimated_error_p"].shape == (101, 101)
    figure = figure_of(dataset)
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible() and axes.get_title()]
    assert titles.count("residual") == 1 and "true error of p" in titles and len(titles) == 10
    assert "re = 42; estimated error" in figure.get_suptitle()


def test_nothing_is_shown_in_a_hole(tmp_path):
    """The annulus' exact solution is infinite in the middle of its hole."""
    surrogate = bundle(tmp_path / "bundle", ANNULUS, network={"conditions": "auto"})
    dataset = answer_of(surrogate.networks(inner=0.4, k=2.0))
    radius = np.hypot(*np.meshgrid(dataset["x"], dataset["y"], indexing="ij"))
    within, outside = (radius > 0.41) & (radius < 0.99), (radius < 0.39) | (radius > 1.01)
    for name in ("u", "residual_at", "estimated_error_u", "true_error_u"):
        assert (
            np.isfinite(dataset[name].values[within]).all() and np.isnan(dataset[name].values[outside]).all()
        )
    scales = {
        axes.get_title(): axes.collections[0].norm for axes in figure_of(dataset).axes if axes.get_title()
    }
    for title, name in (("true error of u", "true_error_u"), ("residual", "residual_at")):
        assert scales[title].vmax == pytest.approx(dataset[name].values[within].max(), rel=0.5)


def test_an_infinite_value_is_none_of_the_scale(tmp_path):
    surrogate = bundle(tmp_path / "bundle", *KINDS["kovasznay, rank 2"])
    dataset = answer_of(surrogate.networks(re=42.0))
    largest = float(dataset["true_error_v"].max())
    dataset["true_error_u"] = dataset["true_error_v"].copy()
    dataset["true_error_u"][0, 0] = np.inf
    figure = figure_of(dataset)
    (panel,) = [axes for axes in figure.axes if axes.get_title() == "true error of u"]
    assert panel.collections[0].norm.vmax <= largest


@pytest.mark.parametrize("name", ["kovasznay", "burgers2d"])
def test_a_plot_is_written(run, tmp_path, name):
    bundle(tmp_path / "bundle", name)
    value = {"kovasznay": "re=420", "burgers2d": "nu=3e-4"}[name]
    status, said, error = run("plot", tmp_path / "bundle", "--set", value, "-o", tmp_path / "out.png")
    assert status == 0 and "wrote" in said, error
    assert imread(tmp_path / "out.png").std() > 0.05
    assert run("plot", tmp_path / "bundle", "--set", value, "-o", tmp_path / "out.gif")[0] == 2
