"""Predictions of many tasks anywhere: places, derivatives against differences and jets, chunks, what files hold."""

import textwrap
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from test_surrogate import KINDS, OWN, bundle, task_of

from pinnlora import Ball, Box, Vector
from pinnlora.errors import UserError
from pinnlora.nets.ansatz import lifted
from pinnlora.problem.channels import Channels
from pinnlora.query import networks as networks_module
from pinnlora.query.derivatives import read_order
from pinnlora.query.scattered import scattered_places

DERIVED = {
    "kovasznay": ("kovasznay", 2, "float64", {}),
    "burgers2d, hard": ("burgers2d", 2, "float64", {"conditions": "hard"}),
    "burgers1d, symmetry": (
        "burgers1d",
        2,
        "float64",
        {"input_map": "periodic", "symmetry": True, "lift": True},
    ),
    "burgers1d, potential": KINDS["burgers1d, potential"],
}


@pytest.fixture(scope="module")
def surrogates(tmp_path_factory):
    where = tmp_path_factory.mktemp("bundles")
    return {name: bundle(where / name, *kind) for name, kind in DERIVED.items()}


def some_tasks(surrogate, count=3):
    return surrogate.problem.task.sample(count, np.random.default_rng(3))


def inner_points(surrogate, count=5):
    unit = np.random.default_rng(4).uniform(0.2, 0.8, (count, len(surrogate.problem.coords.names)))
    return dict(zip(surrogate.problem.coords.names, unit.T, strict=True))


def test_many_tasks_are_each_task_alone(surrogates):
    surrogate = surrogates["kovasznay"]
    together = surrogate.predict(re=[30.0, 42.0, 200.0], at={"x": [0.1, 0.2], "y": 0.5})
    assert together["u"].dims == ("task", "point") and together["y"].dims == ()
    assert together.in_range.values.tolist() == [1, 1, 0] and together.re.values.tolist() == [30, 42, 200]
    for k, re in enumerate((30.0, 42.0, 200.0)):
        alone = surrogate.predict(re=re, at={"x": [0.1, 0.2], "y": 0.5})
        assert alone["u"].dims == ("point",)
        for name in ("u", "residual", "mismatch"):
            np.testing.assert_allclose(together[name][k], alone[name], rtol=1e-9)


def test_places_are_told_by_their_dimensions(surrogates):
    surrogate = surrogates["kovasznay"]
    grid = surrogate.predict(re=42.0)
    axis = np.array([0.0, 0.3, 1.0])
    for at in (
        xr.Dataset(coords={"x": axis, "y": axis}),
        xr.Dataset({"x": ("i", axis), "y": ("j", axis)}),
    ):
        fields = surrogate.predict(re=42.0, at=at)
        assert fields["u"].shape == (3, 3)
        np.testing.assert_allclose(fields["u"][1, 2], grid["u"][30, 100], rtol=1e-12)
    scattered = surrogate.predict(re=42.0, at=xr.Dataset({"x": ("point", axis), "y": ("point", axis)}))
    np.testing.assert_allclose(scattered["u"][1], grid["u"][30, 30], rtol=1e-12)
    own = xr.Dataset({"x": (("task", "point"), [[0.1], [0.3]]), "y": ("point", [0.3])})
    each = surrogate.predict(re=[42.0, 42.0], at=own)
    np.testing.assert_allclose(each["u"][1, 0], grid["u"][30, 30], rtol=1e-12)
    assert surrogate.predict(re=42.0, at={"x": 0.3, "y": 0.3})["u"].shape == ()


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ({"x": [0.1]}, "no coordinate 'y'; expected x, y"),
        ({"x": [0.1], "y": [0.1], "z": [1]}, "no coordinate 'z'"),
        ({"x": [0.1, 0.2], "y": [0.1, 0.2, 0.3]}, "x 2, y 3.*arrays of one length"),
        ({"x": [0.1, 1.2], "y": 0.5}, "1 of 2 points lie outside the domain, x = 1.2; expected 0 to 1"),
        ({"x": [np.nan], "y": 0.5}, "x holds NaN"),
        ({"x": ["left"], "y": 0.5}, "expected real numbers"),
    ],
)
def test_a_wrong_place_is_one_line(surrogates, at, words):
    with pytest.raises(UserError, match=words) as caught:
        surrogates["kovasznay"].predict(re=42.0, at=at)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", DERIVED)
def test_derivatives_are_the_slopes_of_the_fields(surrogates, kind):
    """Central differences of step h err by h^2 and by rounding over h: h = 1e-4 leaves about 1e-7 of the size."""
    surrogate, step = surrogates[kind], 1e-4
    task, at = some_tasks(surrogate), inner_points(surrogate)
    names = surrogate.problem.coords.names
    for axis in names:
        low, high = (
            surrogate.predict(at=at | {axis: at[axis] + sign * step}, fields=["u", f"u_{names[0]}"], **task)
            for sign in (-1, 1)
        )
        found = surrogate.predict(at=at, fields=[f"u_{axis}", f"u_{names[0]}_{axis}"], **task)
        for name, base in ((f"u_{axis}", "u"), (f"u_{names[0]}_{axis}", f"u_{names[0]}")):
            slope = (high[base] - low[base]).values / (2 * step)
            np.testing.assert_allclose(found[name], slope, atol=1e-4 * np.abs(slope).max())


@pytest.mark.parametrize("kind", ["kovasznay", "burgers2d, hard"])
def test_derivatives_in_the_task_are_the_slopes_of_the_fields(surrogates, kind):
    surrogate, at = surrogates[kind], inner_points(surrogates[kind])
    ((name, values),) = some_tasks(surrogate).items()
    step = 1e-5 * values
    low, high = (
        surrogate.predict(at=at, fields=["u", "u_x"], **{name: values + sign * step}) for sign in (-1, 1)
    )
    found = surrogate.predict(at=at, fields=[f"u_{name}", f"u_x_{name}"], **{name: values})
    for order, base in ((f"u_{name}", "u"), (f"u_x_{name}", "u_x")):
        slope = (high[base] - low[base]).values / (2 * step[:, None])
        np.testing.assert_allclose(found[order], slope, atol=1e-5 * np.abs(slope).max())


def test_derivatives_are_those_of_the_jets(surrogates):
    surrogate = surrogates["burgers2d, hard"]
    networks, at = surrogate.networks(**some_tasks(surrogate)), inner_points(surrogate)
    points = torch.from_numpy(np.stack(list(at.values()), -1))[None]
    channels, network = Channels.of([(0, 1), (2,)]), networks.parametrisation.network
    jet = network.forward(networks.parametrisation.weights(networks.theta), points, channels)
    jet = lifted(networks.problem, network, points, networks.tasks.values, channels)(jet).detach()
    found = networks.fields(points, [(1, ("x", "y")), (1, ("t",))])
    for k, order in enumerate([(0, 1), (2,)]):
        torch.testing.assert_close(
            found[..., k], jet[:, channels.position(order), :, 1], rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("text", ["w", "u_z", "u_", "u_rey", "u_x_"])
def test_a_field_that_does_not_exist_is_one_line(surrogates, text):
    with pytest.raises(
        UserError, match="no field or derivative; fields are u, v, p, derivatives such as u_x and u_re"
    ):
        surrogates["kovasznay"].predict(re=42.0, fields=[text])


def test_points_of_single_precision_lie_in_a_domain_whose_ends_it_lacks(tmp_path):
    """In float32 2.2 and 0.1 are a little more than they are."""
    text = textwrap.dedent(OWN).replace("x=(0, 1), t=(0, 1)", "x=(0, 2.2), t=(0, 0.1)")
    (tmp_path / "own.py").write_text(text.replace('"x=1"', '"x=2.2"'))
    surrogate = bundle(tmp_path / "bundle", f"{tmp_path / 'own.py'}:Heat", 2, "float64")
    at = {"x": torch.linspace(0, 2.2, 5), "t": np.float32(0.1)}
    found = surrogate.predict(alpha=0.5, at=at)
    assert float(found.x[-1]) == float(at["x"][-1]) > 2.2
    assert float(found.u[-1]) == pytest.approx(
        float(surrogate.predict(alpha=0.5, at={"x": 2.2, "t": 0.1}).u), 1e-12
    )
    with pytest.raises(
        UserError, match=r"1 of 1 points lie outside the domain, x = 2\.200005; expected 0 to"
    ):
        surrogate.predict(alpha=0.5, at={"x": 2.200005, "t": 0.1})


def test_a_coordinate_that_closes_on_itself_may_be_asked_for_beyond_its_ends(tmp_path):
    """Its conditions are in the loss, and nothing but the training would make the network periodic."""
    surrogate, task = bundle(tmp_path / "bundle", *KINDS["burgers1d, plain"]), task_of("burgers1d")
    at = {"x": [0.3, 1.3, -6.7, 1.0], "t": 0.4}
    found = surrogate.predict(at=at, fields=["u", "u_x"], **task)
    np.testing.assert_allclose(found.x, at["x"])
    start = surrogate.predict(at={"x": 0.0, "t": 0.4}, **task)
    assert float(found.u[3]) != float(start.u)  # the end itself is where it was
    for name in ("u", "u_x"):
        np.testing.assert_allclose(found[name][1:3], found[name][[0, 0]], rtol=1e-9)
    with pytest.raises(UserError, match=r"1 of 1 points lie outside the domain, t = 1\.4"):
        surrogate.predict(at={"x": 0.3, "t": 1.4}, **task)


def test_a_vectors_components_are_told_by_their_dimension():
    problem = SimpleNamespace(coords=Ball(x=Vector(3), radius=1))
    points = np.arange(9.0).reshape(3, 3) / 20
    across = xr.DataArray(points.T, dims=("x_component", "point"))
    for given in (points, across, across.T):
        np.testing.assert_array_equal(scattered_places(problem, {"x": given})[0], points)


def test_places_in_many_dimensions_lie_along_one_dimension_the_same_for_all_tasks():
    problem = SimpleNamespace(coords=Ball(x=Vector(3), radius=1) * Box(t=(0, 1)))
    points = np.arange(9.0).reshape(3, 3) / 20

    def places(*dims):
        x = (("point" if not dims else dims[0], "x_component"), points)
        return xr.Dataset(coords={"x": x, "t": (("point",) if not dims else dims[1:], [0.1, 0.2, 0.3])})

    assert scattered_places(problem, places())[0].shape == (3, 4)
    for x, t in (
        (
            (("point", "d"), points),
            ("point", [0.1, 0.2, 0.3]),
        ),  # whatever the components' dimension is called
        ((("point", "x_component"), points), ("t", [0.1])),
        (("d", points[0]), ("point", [0.1, 0.2, 0.3])),
    ):
        assert scattered_places(problem, xr.Dataset(coords={"x": x, "t": t}))[0].shape == (3, 4)
    for dims in (("task", "task"), ("q", "t")):
        labelled = {
            "x": xr.DataArray(points, dims=(dims[0], "x_component")),
            "t": xr.DataArray(points[0], dims=dims[1:]),
        }
        for given in (places(*dims), labelled):
            with pytest.raises(UserError, match="points along one dimension, the same for all tasks"):
                scattered_places(problem, given)


def test_names_with_underscores_and_many_letters_are_told_apart(surrogates):
    problem = surrogates["kovasznay"].problem
    assert read_order(problem, "u_xy_re") == (0, ("x", "y", "re"))
    assert read_order(problem, "p_x_x") == (2, ("x", "x"))


def test_an_equation_may_hold_trained_numbers_of_its_own(tmp_path):
    text = (
        textwrap.dedent(OWN)
        .replace("u_t - alpha", "u_t - SOURCE - alpha")
        .replace("class Heat", "SOURCE = torch.nn.Parameter(torch.tensor(0.1))\n\n\nclass Heat")
    )
    (tmp_path / "own.py").write_text(text)
    surrogate = bundle(tmp_path / "bundle", f"{tmp_path / 'own.py'}:Heat", 2)
    assert np.isfinite(surrogate.predict(alpha=0.5)["residual"])


def test_memory_is_bounded_and_chunks_change_nothing(surrogates, monkeypatch):
    surrogate = surrogates["kovasznay"]
    task, at = {"re": np.linspace(20, 100, 7)}, inner_points(surrogate, 9)
    whole = surrogate.predict(at=at, fields=["u", "u_x"], **task)
    largest = []
    found = networks_module.Networks._at

    def watched(self, points, orders):
        largest.append((len(self) * points.shape[1], len(self)))
        return found(self, points, orders)

    monkeypatch.setattr(networks_module.Networks, "_at", watched)
    for bound, most in (("ROWS", 8), ("NUMBERS", 3 * surrogate.parametrisation.network.size)):
        largest.clear()
        with monkeypatch.context() as bounded:
            bounded.setattr(networks_module, bound, most)
            parts = surrogate.predict(at=at, fields=["u", "u_x"], **task)
        rows, tasks = np.max(largest, 0)
        assert rows <= 8 if bound == "ROWS" else tasks == 3
        xr.testing.assert_allclose(whole, parts, rtol=1e-9)


def test_one_function_serves_many_numbers(tmp_path):
    (tmp_path / "mixed.py").write_text(
        "import torch\nfrom pinnlora import Box, Condition, GaussianField, Problem, Uniform\n"
        "class Heat(Problem):\n"
        "    coords = Box(x=(0, 1), t=(0, 1))\n    fields = ('u',)\n"
        "    task = Uniform(a=(1, 2)) * GaussianField('f', points=16)\n    grid = {'x': 6, 't': 4}\n"
        "    def residual(self, u_t, u_xx, a, f):\n        return {'heat': u_t - a * u_xx - f}\n"
        "    def start(self):\n        return {'u': 0.0}\n"
        "    conditions = [Condition(start, on=('t=0', 'x=0', 'x=1'))]\n"
    )
    surrogate = bundle(tmp_path / "bundle", f"{tmp_path / 'mixed.py'}:Heat", 2, "float64")
    f = some_tasks(surrogate, 1)["f"][0]
    both = surrogate.predict(a=[1.2, 1.7], f=f)
    assert both["u"].dims == ("task", "x", "t") and both["f"].dims == ("task", "f_x")
    np.testing.assert_allclose(both["u"][1], surrogate.predict(a=1.7, f=f)["u"], rtol=1e-9)
    assert surrogate.predict(a=1.7, f=f, fields=["u_a"])["u_a"].dims == ("x", "t")
    with pytest.raises(UserError, match="no field or derivative"):
        surrogate.predict(a=1.7, f=f, fields=["u_f"])


def test_a_thousand_tasks_in_one_call(tmp_path):
    surrogate = bundle(tmp_path / "bundle")
    found = surrogate.predict(re=np.linspace(20, 100, 1000), at=inner_points(surrogate, 30), estimate="none")
    assert found["p"].shape == (1000, 30) and found["u"].dtype == np.float32
