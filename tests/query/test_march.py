"""Marching: windows are predictions of each other's ends, put together in the order asked for; trust of each window."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from test_surrogate import KINDS, bundle

from pinnlora.cli import main
from pinnlora.errors import UserError
from pinnlora.query.calibration import Calibration
from pinnlora.query.march import _times

SURE = Calibration({"residual": [2.0] * 20})

OWN = '''
"""Problems whose own ansatz is all there is: a network times zero."""
import torch
from pinnlora import Box, Condition, Cycle, GaussianField, Problem, Uniform

class Growth(Problem):
    coords = Box(x=Cycle(0, 2), t=(1, 3))
    fields = ("u",)
    task = GaussianField("u0", points=16) * Uniform(rate=(0.1, 1))
    grid = {"x": 5, "t": 5}

    def residual(self, u, u_t, rate):
        return {"growth": u_t - rate * u}

    def start(self, u0):
        return {"u": u0}

    conditions = [Condition(start, on="t=1")]

    def lift(self, coords, values, channels):
        """u0 exp(rate (t - 1)) and its derivative in t."""
        rate = values["rate"].unsqueeze(-1)
        u = self.function_values("u0", values["u0"], coords) * torch.exp(rate * (coords[..., 1] - 1))
        rows = [rate ** len(order) * u if set(order) <= {1} else 0 * u for order in channels.orders]
        jet = torch.stack(rows, 1).unsqueeze(-1)
        return jet, torch.zeros_like(jet)

class Drift(Growth):
    task = GaussianField("u0", points=16)
    coords = Box(x=Cycle(0, 2), t=(0, 1))

    def residual(self, u_t):
        return {"still": u_t}

    conditions = [Condition(Growth.start, on="t=0")]

    def lift(self, coords, values, channels):
        """u0 + 0.01 t: what a network that is a little wrong makes of a state that stays."""
        u = self.function_values("u0", values["u0"], coords) + 0.01 * coords[..., 1]
        rows = [u if not order else 0.01 + 0 * u if order == (1,) else 0 * u for order in channels.orders]
        jet = torch.stack(rows, 1).unsqueeze(-1)
        return jet, torch.zeros_like(jet)
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Surrogates of the problems above, by class and calibration."""
    where = tmp_path_factory.mktemp("own")
    (where / "own.py").write_text(OWN)
    network = {"input_map": "periodic", "modes": 2, "lift": True}

    def made(name, calibration=None):
        spec = f"{where / 'own.py'}:{name}"
        return bundle(where / f"{name}{calibration is None}", spec, 2, "float64", network, calibration)

    return made


@pytest.fixture(scope="module")
def burgers(tmp_path_factory):
    return bundle(
        tmp_path_factory.mktemp("march") / "bundle", *KINDS["burgers1d, potential"], calibration=SURE
    )


def states(surrogate, count=2, seed=0):
    return surrogate.problem.task.sample(count, np.random.default_rng(seed))


def grid(surrogate, times):
    return xr.Dataset(coords=surrogate.problem.axes() | {"t": np.array(times)})


def test_marching_is_predicting_from_the_end_of_a_prediction(burgers):
    u0 = states(burgers)["u0"]
    both = burgers.march(until=2, times=[0, 0.5, 1, 1.5, 2], u0=u0)
    first = burgers.predict(u0=u0, at=grid(burgers, [0, 0.5, 1]))
    second = burgers.predict(u0=first["u"].values[..., 2], at=grid(burgers, [0.5, 1]))
    assert both["u"].dims == ("task", "x", "t") and both.t.values.tolist() == [0, 0.5, 1, 1.5, 2]
    np.testing.assert_allclose(both["u"][..., :3], first["u"], rtol=1e-12)
    np.testing.assert_allclose(both["u"][..., 3:], second["u"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(both.u0[:, 1], first["u"][..., 2], atol=1e-12)
    assert both.window.values.tolist() == [0, 1]
    for k, window in enumerate((first, second)):
        for name in ("residual", "mismatch", "in_range", "estimated_error", "estimated_error_high"):
            np.testing.assert_allclose(both[name][:, k], window[name], rtol=1e-6, atol=1e-12)
    total = (first.estimated_error + second.estimated_error).values
    np.testing.assert_allclose(
        both.accumulated_error[:, :3], first.estimated_error.values[:, None].repeat(3, 1)
    )
    np.testing.assert_allclose(both.accumulated_error[:, 3:], total[:, None].repeat(2, 1), rtol=1e-6)


def test_times_of_single_precision_end_where_the_march_does(burgers):
    """In float32 1.2 is a little more than it is."""
    u0 = states(burgers, 1)["u0"][0]
    single, double = (
        burgers.march(until=1.2, times=np.array([0.5, 1.2], dtype), u0=u0) for dtype in ("f4", "f8")
    )
    assert float(single.t[-1]) > 1.2 and single.sizes["window"] == 2
    np.testing.assert_allclose(single["u"], double["u"], atol=1e-5)


def test_points_come_back_in_the_order_asked_for(burgers):
    u0 = states(burgers)["u0"][0]
    x, t = np.array([0.1, 0.7, 0.3, 0.9, 0.5]), np.array([1.7, 0.2, 2.5, 1.0, 0.0])
    scattered = burgers.march(until=2.5, at={"x": x, "t": t}, fields=["u", "u_x"], u0=u0)
    assert scattered["u"].dims == ("point",) and scattered.sizes["window"] == 3
    for k in range(5):
        alone = burgers.march(until=2.5, at={"x": x[k], "t": t[k]}, fields=["u", "u_x"], u0=u0)
        assert alone["u"].dims == () and float(alone.t) == t[k]
        for name in ("u", "u_x", "accumulated_error"):
            assert float(alone[name]) == pytest.approx(float(scattered[name][k]), rel=1e-9)
    own = xr.Dataset({"x": (("task", "point"), [x, x]), "t": ("point", t)})
    each = burgers.march(until=2.5, at=own, u0=np.stack([u0, u0]))
    np.testing.assert_allclose(each["u"], [scattered["u"]] * 2, rtol=1e-6)


def test_a_march_of_exact_windows_is_the_solution_and_tells_when_it_has_grown_out_of_range(own):
    """exp(rate t) from t = 1, windows of length 2; a state of the law grown by e^4 is none of the law."""
    growth = own("Growth", SURE)
    u0, rate = states(growth, 1)["u0"][0], 1.0
    found = growth.march(until=6.5, u0=u0, rate=rate)
    assert found.t.values.tolist() == [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5]
    x = growth.problem.task.functions["u0"].grid
    at = xr.Dataset(coords={"x": x, "t": [1.0, 3.0, 4.0, 6.5]})
    found = growth.march(until=6.5, at=at, u0=u0, rate=rate)
    np.testing.assert_allclose(found["u"], u0[:, None] * np.exp(at.t.values - 1), rtol=1e-9)
    assert found.window.values.tolist() == [1, 3, 5]
    inside = found.in_range.values.tolist()
    assert inside[0] == 1 and inside[2] == 0
    high = found.accumulated_error_high.values
    assert np.isfinite(high[:2]).all() and np.isinf(high[3])
    later = growth.march(until=6.5, u0=[u0, u0], rate=[1.0, 0.1], estimate="none")
    assert later["u"].dims == ("task", "x", "t") and "in_range" not in later


@pytest.mark.parametrize(
    ("calibration", "inside"), [(SURE, 1), (None, 0), (Calibration({"residual": [0.1] * 20}), 0)]
)
def test_what_the_law_never_draws_is_left_out_within_the_estimated_error(own, calibration, inside):
    """A mean of 0.01 where the law has none, from windows with an error estimated as 0.02, unknown, or 0.001."""
    drift = own("Drift", calibration)
    found = drift.march(until=2, times=[2], u0=states(drift, 1)["u0"][0])
    assert found.in_range.values.tolist() == [1, inside]
    mean = float(found.u0[1].mean())
    assert mean == pytest.approx(0 if inside else 0.01, abs=1e-12)


@pytest.mark.parametrize("length", [1.0, 3600.1, 1e-11])
def test_times_of_the_grid_meet_between_windows_whatever_their_unit(length):
    axis = np.linspace(0, length, 101)
    problem = SimpleNamespace(
        coords=SimpleNamespace(boxes=lambda: {"t": (0.0, length)}), axes=lambda: {"t": axis}
    )
    found = _times(problem, 30 * length, 30)
    assert len(found) == 3001 and np.diff(found).min() > 0.009 * length


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"until": 0}, "until = 0; expected a time after 0"),
        ({"until": np.nan}, "until = nan"),
        ({"until": 1e9}, "at most 10000 are marched"),
        ({"until": None}, "until = None; expected numbers"),
        ({"until": "soon"}, "until = 'soon'; expected numbers"),
        ({"until": np.array([2.0])}, "until = array.*; expected one time"),
        ({"until": 2, "times": [[0.5, 1.0]]}, "times: shape .1, 2.; expected numbers one after the other"),
        ({"until": 2, "times": [0, 3]}, "1 of 2 times lie outside, t = 3; expected 0 to until = 2"),
        ({"until": 2, "times": [1], "at": {"x": 0.5, "t": 1}}, "at and times are both given"),
        ({"until": 2, "at": {"x": 0.5}}, "no coordinate 't'"),
        ({"until": 2, "at": [0.5]}, "at: a list"),
        ({"until": 2, "at": xr.Dataset({"x": 0.5, "t": (("a", "b"), [[1.0]])})}, "t has dimensions a, b"),
        ({"until": 2, "at": {"x": [0.1, 0.2], "t": [1.0]}}, "arrays of different lengths .x 2, t 1."),
        ({"until": 2, "at": xr.Dataset({"x": ("window", [0.1]), "t": 1.0})}, "dimension called 'window'"),
        (
            {"until": 2, "at": {"x": xr.DataArray([0.1, 0.2], dims="t"), "t": 1.0}},
            "called 't', which is one number",
        ),
        ({"until": 2, "fields": ["w"]}, "fields: 'w' is no field"),
    ],
)
def test_what_cannot_be_meant_is_one_line(burgers, asked, words):
    with pytest.raises(UserError, match=words) as caught:
        burgers.march(u0=states(burgers)["u0"][0], **asked)
    assert "\n" not in str(caught.value)


def test_derivatives_in_the_task_end_with_the_first_window(own):
    """Later ones start from states that depend on the task, which no window knows."""
    growth = own("Growth")
    at, u0 = {"x": 0.5, "t": 2.0}, states(growth, 1)["u0"][0]
    assert "u_rate" in growth.march(until=3, at=at, fields=["u", "u_rate"], u0=u0, rate=1.0)
    with pytest.raises(UserError, match="march: no derivative in rate: later windows start from states that"):
        growth.march(until=4, at=at, fields=["u", "u_rate"], u0=u0, rate=1.0)


def test_a_problem_that_has_no_state_is_one_line(tmp_path):
    with pytest.raises(UserError, match="kovasznay cannot be marched"):
        bundle(tmp_path / "bundle").march(until=2, re=42.0)


def command(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["pinnlora", *map(str, words)])
    with pytest.raises(SystemExit) as done:
        main()
    return done.value.code


def test_the_command_marches_and_says_from_when_on_nothing_is_known(own, tmp_path, monkeypatch, capsys):
    growth = own("Growth", SURE)
    home = tmp_path / "bundle"
    bundle(
        home,
        growth.config["problem"],
        2,
        "float64",
        {"input_map": "periodic", "modes": 2, "lift": True},
        SURE,
    )
    np.save(tmp_path / "u0.npy", states(growth, 1)["u0"][0])
    words = ["predict", home, "--set", f"u0={tmp_path / 'u0.npy'}", "--set", "rate=1", "--until", 7]
    assert command(monkeypatch, *words, "-o", tmp_path / "out.nc") == 0
    told = capsys.readouterr().out
    with xr.open_dataset(tmp_path / "out.nc") as found:
        assert found.sizes["window"] == 3 and found.t[-1] == 7
        begins = found.window.values[found.in_range.values.argmin()]
    assert f"warning: the state at t = {begins:g} lies outside the range" in told
    assert command(monkeypatch, *words, "-o", tmp_path / "out.csv") == 0
    assert "accumulated_error_high" in (tmp_path / "out.csv").read_text().splitlines()[0]
    assert command(monkeypatch, *words[:-1], 0, "-o", tmp_path / "none.nc") == 2
    assert "error: until = 0; expected a time after 1" in capsys.readouterr().err
    assert not (tmp_path / "none.nc").exists()
