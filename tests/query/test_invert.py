"""Inversion: the task comes back, intervals hold as often as they say, and what is not identifiable is said."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from test_surrogate import bundle

from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.query.calibration import Calibration

FLOW = """
from torch import exp, sin

from pinnlora import Box, Condition, GaussianField, LogUniform, Problem, Uniform


class Decay(Problem):
    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u",)
    task = {task}
    grid = {{"x": 11, "t": 6}}

    def residual(self, u_t, u_xx):
        return {{"heat": u_t - u_xx}}

    def start(self):
        return {{"u": 0.0}}

    conditions = [Condition(start, on="t=0"), Condition(start, on=("x=0", "x=1"), name="ends")]
"""


@pytest.fixture(scope="module")
def kovasznay(tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("bundles") / "kovasznay", "kovasznay", 2, "float64")


def own(tmp_path, task, body="float64"):
    (tmp_path / "decay.py").write_text(FLOW.format(task=task))
    return bundle(tmp_path / "bundle", f"{tmp_path / 'decay.py'}:Decay", 2, body)


def measured(surrogate, values, points, noise, seed=0):
    """What the surrogate itself says, with noise: sets of `points` random points, one a task."""
    rng, names = np.random.default_rng(seed), surrogate.problem.coords.names
    count = len(next(iter(values.values())))
    at = xr.Dataset({name: (("task", "point"), rng.random((count, points))) for name in names})
    fields = surrogate.predict(at=at, estimate="none", **values)
    for name in surrogate.problem.fields:
        fields[name] = fields[name] + noise * rng.standard_normal((count, points))
    return fields.reset_coords()[[*surrogate.problem.fields, *names]]


def test_intervals_of_a_number_hold_as_often_as_they_say(kovasznay):
    """200 repetitions of 30 points: 90 % of them, give or take three deviations of 2 %."""
    re = np.random.default_rng(1).uniform(20, 100, 200)
    scale = float(kovasznay.predict(re=[20.0, 100.0], estimate="none")["u"].std("task").mean())
    found = kovasznay.invert(measured(kovasznay, {"re": re}, 30, 0.1 * scale), noise=0.1 * scale)
    held = (found.re_low.values <= re) & (re <= found.re_high.values)
    assert 0.83 <= held.mean() <= 0.96
    assert found.misfit.mean() == pytest.approx(1, abs=0.05)
    assert (found.re_high - found.re_low).median() < 20


def test_several_numbers_come_back_with_their_covariance(tmp_path):
    surrogate = own(tmp_path, "Uniform(a=(1, 2)) * LogUniform(b=(1e-3, 1e-1))", "float32")
    values = {"a": np.array([1.3]), "b": np.array([0.02])}
    data = measured(surrogate, values, 200, 1e-9).isel(task=0)
    found = surrogate.invert(data, noise=1e-5)
    assert found.covariance.shape == (2, 2) and found.parameter.values.tolist() == ["a", "b"]
    for name in ("a", "b"):
        assert found[f"{name}_low"] < values[name][0] < found[f"{name}_high"]
        deviation = float(np.sqrt(found.covariance.sel(parameter=name, other=name)))
        assert found[f"{name}_high"] - found[f"{name}_low"] == pytest.approx(2 * 1.645 * deviation, rel=0.05)


def test_a_function_comes_back_within_its_interval(tmp_path):
    surrogate = own(tmp_path, "GaussianField('f', points=12, scale=2000, on='x')")
    values = surrogate.problem.task.sample(25, np.random.default_rng(2))
    data = measured(surrogate, values, 80, 0.01)
    found = surrogate.invert(data, noise=0.01)
    assert found.f.dims == ("task", "f_x") and found.covariance.shape == (25, 12, 12)
    held = (found.f_low.values <= values["f"]) & (values["f"] <= found.f_high.values)
    assert 0.8 <= held.mean() <= 0.97
    assert found.misfit.mean() == pytest.approx(1, abs=0.1)


def test_what_is_not_identifiable_is_said(kovasznay):
    data = measured(kovasznay, {"re": np.array([40.0])}, 3, 0.0).isel(task=0)
    found = kovasznay.invert(data, noise=1e3)
    assert "re is not identifiable" in str(found.warning.values)
    assert (float(found.re_low), float(found.re_high)) == pytest.approx((20, 100), abs=5)
    far = data.assign({name: data[name] + 5.0 for name in kovasznay.problem.fields})
    assert "no task explains the measurements" in str(kovasznay.invert(far, noise=0.01).warning.values)
    assert not str(kovasznay.invert(data, noise=1e-6).warning.values)


HOLED = """
from pinnlora import Box, Condition, Disk, Problem, Uniform


class Holed(Problem):
    coords = Box(x=(0, 1), y=(0, 1)) - Disk(x=0.5, y=0.5, radius={radius})
    fields = ("u",)
    task = Uniform(c=(0.1, 0.3))
    grid = {{"x": 11, "y": 11}}

    def residual(self, u_xx, u_yy, c):
        return {{"poisson": u_xx + u_yy + c}}

    def zero(self):
        return {{"u": 0.0}}

    conditions = [Condition(zero, on="boundary")]
"""


def test_what_was_measured_in_a_hole_is_refused_or_told(tmp_path):
    """A grid with zeros where there is nothing; nan says so."""
    for radius in (0.25, '"c"'):
        (tmp_path / "holed.py").write_text(HOLED.format(radius=radius))
        surrogate = bundle(
            tmp_path / f"bundle{radius}".strip('"'), f"{tmp_path / 'holed.py'}:Holed", 2, "float64"
        )
        data = {"x": [0.1, 0.2, 0.5], "y": [0.1, 0.8, 0.5], "u": [0.01, 0.02, 0.0]}
        if radius == 0.25:
            with pytest.raises(UserError, match="1 points with values lie outside the domain, first x"):
                surrogate.invert(data)
        else:
            assert "1 points with values lie outside the domain of the answer" in str(
                surrogate.invert(data).warning.values
            )
        found = surrogate.invert(data | {"u": [0.01, 0.02, np.nan]})
        assert "outside" not in str(found.warning.values)


def test_fields_without_bounds_where_nothing_was_measured_do_no_harm(tmp_path):
    """The condition that is held exactly is infinite in the middle of the hole, where the grid has a point."""
    code = (
        HOLED.format(radius=0.25)
        .replace("def zero(self):", "def zero(self, x, y):")
        .replace('{"u": 0.0}', '{"u": 0.1 / ((x - 0.5) ** 2 + (y - 0.5) ** 2)}')
    )
    (tmp_path / "holed.py").write_text(code)
    network = {"conditions": "hard"}
    surrogate = bundle(tmp_path / "bundle", f"{tmp_path / 'holed.py'}:Holed", 2, "float64", network=network)
    whole = surrogate.predict(c=0.2, estimate="none")
    fields = whole[["u"]].assign(u=whole["u"] + 1e-3).reset_coords(drop=True)
    found = surrogate.invert(fields, noise=0.01)
    assert np.isnan(fields["u"].values).any() and np.isfinite(float(found.misfit))
    assert float(found.c_low) < float(found.c_high)


def test_a_rival_is_judged_with_the_error_of_the_surrogate(tmp_path):
    """Fields of 1 and -1 differ by less than the surrogate knows them, and no a between gives those of 1."""
    surrogate = own(tmp_path, "Uniform(a=(-1, 1))")

    def embed(values):
        place = surrogate.embed(values)
        return place.square() + 1e-3 * place

    even = replace(surrogate, embed=embed)
    data = measured(even, {"a": np.array([0.9999])}, 60, 0.0).isel(task=0)
    assert "another task" not in str(even.invert(data, noise=1e-7).warning.values)
    unsure = replace(even, calibration=Calibration({"residual": [1e-3] * 20}))
    assert "another task" in str(unsure.invert(data, noise=1e-7).warning.values)


def test_another_minimum_is_told(tmp_path):
    """u depends on a by its square: both signs explain everything."""
    surrogate = own(tmp_path, "Uniform(a=(-1, 1))")
    even = replace(surrogate, embed=lambda values: surrogate.embed(values).square())
    data = measured(even, {"a": np.array([0.6])}, 30, 0.0).isel(task=0)
    found = even.invert(data, noise=1e-6)
    assert abs(float(found.a)) == pytest.approx(0.6, abs=1e-3)
    assert "another task, far away" in str(found.warning.values)


def test_the_error_of_the_surrogate_widens_the_interval(kovasznay):
    data = measured(kovasznay, {"re": np.array([40.0])}, 30, 0.0).isel(task=0)
    plain = kovasznay.invert(data, noise=1e-3)
    careful = replace(kovasznay, calibration=Calibration({"residual": [0.01] * 20})).invert(data, noise=1e-3)
    assert careful.re_high - careful.re_low > 2 * (plain.re_high - plain.re_low)


def test_the_error_is_estimated_as_predict_does(kovasznay):
    """By refining steps where the residual says little: here its ratios are too small by far."""
    data = measured(kovasznay, {"re": np.array([40.0])}, 30, 0.0).isel(task=0)
    plain = kovasznay.invert(data, noise=1e-3)
    ratios = {"residual": list(np.geomspace(1e-9, 1e-6, 21)), "refined": [1.0] * 21}
    careful = replace(kovasznay, calibration=Calibration(ratios)).invert(data, noise=1e-3)
    assert careful.re_high - careful.re_low > 2 * (plain.re_high - plain.re_low)
    assert careful.attrs["calibration"].startswith("21 tasks, against reference solutions")


def test_without_a_calibration_intervals_hold_the_noise_alone_and_it_is_said(kovasznay):
    data = measured(kovasznay, {"re": np.array([40.0])}, 30, 0.0).isel(task=0)
    found = kovasznay.invert(data, noise=1e-3)
    assert found.attrs["calibration"].startswith("none: intervals hold the noise alone")


def test_more_measurements_do_not_average_out_the_error_of_the_surrogate(kovasznay):
    sure = replace(kovasznay, calibration=Calibration({"residual": [1e-2] * 20}))

    def width(surrogate, points):
        data = measured(kovasznay, {"re": np.array([40.0])}, points, 0.0).isel(task=0)
        found = surrogate.invert(data, noise=1e-4)
        return float(found.re_high - found.re_low)

    assert width(kovasznay, 640) < 0.4 * width(kovasznay, 40)  # noise does, by the root of the number
    assert width(sure, 640) > 0.7 * width(sure, 40)


def test_an_answer_outside_of_what_was_trained_is_told(tmp_path):
    surrogate = own(tmp_path, "GaussianField('f', points=12, scale=2000, on='x')")
    values = {
        name: 12 * value for name, value in surrogate.problem.task.sample(1, np.random.default_rng(2)).items()
    }
    data = measured(surrogate, values, 200, 1e-4)
    found = surrogate.invert(data.isel(task=0), noise=1e-4)
    assert "outside the trained range" in str(found.warning.values)


def test_values_may_be_missing_and_on_a_grid(kovasznay):
    grid = kovasznay.predict(
        re=42.0, estimate="none", at=xr.Dataset(coords={"x": [0.1, 0.5], "y": [0.2, 0.7, 0.9]})
    )
    grid["u"][0, 1] = np.nan
    found = kovasznay.invert(grid[["u", "v"]], noise=1e-4)
    assert float(found.re) == pytest.approx(42, abs=0.5) and found.re.dims == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # what xarray will refuse
        listed = kovasznay.invert(grid[["u", "v"]].stack(point=("x", "y")), noise=1e-4)
    assert float(listed.re) == pytest.approx(float(found.re))


@pytest.mark.parametrize(
    ("data", "noise", "words"),
    [
        ({"x": [0.1], "y": [0.2]}, 0.1, "no field; expected one or more of u, v, p"),
        ({"x": [0.1], "y": [0.2], "w": [1.0]}, 0.1, "'w' is neither a field"),
        ({"x": [0.1], "u": [0.2]}, 0.1, "no coordinate 'y'"),
        ({"x": [0.1], "y": [0.2], "u": [np.nan]}, 0.1, "no value at all"),
        ({"x": [0.1], "y": [0.2], "u": [1.0, 2.0]}, 0.1, "one length"),
        ({"x": [0.1], "y": [0.2], "u": [1.0]}, 0.0, "noise = 0.0; expected"),
        ({"x": [0.1], "y": [0.2], "u": [1.0]}, {"u": 0.1}, "noise: none is given for v"),
        ({"x": [0.1], "y": [0.2], "u": [1.0]}, {"u": 1, "v": 1, "p": 1, "w": 1}, "noise: 'w' is no field"),
        ({"x": [0.1], "y": [0.2], "u": [1.0]}, True, "noise = True"),
        (xr.Dataset({n: ("task", []) for n in "xyu"}), 0.1, "the dimension task is empty"),
    ],
)
def test_wrong_measurements_are_one_line(kovasznay, data, noise, words):
    with pytest.raises(UserError, match=words):
        kovasznay.invert(data, noise=noise)


def test_a_seed_is_a_whole_number_and_noise_any_kind_of_number(kovasznay):
    data = {"x": [0.1], "y": [0.2], "u": [1.0]}
    with pytest.raises(UserError, match=r"seed = 1\.5; expected a whole number"):
        kovasznay.invert(data, seed=1.5)
    assert kovasznay.invert(data, noise=np.float32(0.1)).re.dims == ()


def test_on_the_command_line(run, kovasznay, tmp_path):
    bundle(tmp_path / "bundle", "kovasznay", 2, "float64")
    data = measured(kovasznay, {"re": np.array([40.0])}, 30, 1e-4).isel(task=0)
    pd.DataFrame({name: data[name].values for name in data.data_vars}).to_csv(
        tmp_path / "data.csv", index=False
    )
    status, said, error = run(
        "invert", tmp_path / "bundle", tmp_path / "data.csv", "-o", tmp_path / "out.nc", "--noise", "1e-4"
    )
    assert status == 0, error
    assert "re = 40" in said or "re = 39.9" in said
    assert "warning: intervals hold the noise alone" in said
    assert read_netcdf(tmp_path / "out.nc").re == pytest.approx(40, abs=0.5)
    status, _, error = run(
        "invert", tmp_path / "bundle", tmp_path / "data.csv", "-o", tmp_path / "out.csv", "--noise", "little"
    )
    assert status == 2 and "--noise little: expected a number" in error
