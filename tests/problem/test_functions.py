"""Function-valued parameters on any interval, and products of distributions, against independent truths."""

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from pinnlora import Box, Condition, GaussianField, LogUniform, Periodic, Problem, Uniform
from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.problem.distributions import sample_splits
from pinnlora.problem.interpolate import fourier, spline
from pinnlora.problem.signature import lookup
from pinnlora.study.jobs import tasks

OPEN = GaussianField("k", periodic=False, points=65)
MIXED = Uniform(a=(1, 2)) * LogUniform(nu=(1e-3, 1e-1)) * GaussianField("u0", points=32)


def problem_with(task, conditions=(), box=None):
    """A problem whose residual asks for nothing but u and the coordinates."""
    parts = {"coords": box or Box(y=(-1, 3), t=(0, 1)), "fields": ("u",), "task": task}
    residual = {"residual": lambda self, u, u_y: {"row": u_y + u}, "conditions": list(conditions)}
    return type("Any", (Problem,), parts | residual)()


def test_a_field_that_is_not_periodic_has_the_covariance_of_its_operator():
    count, mode = 4000, OPEN.sample(4000, np.random.default_rng(1))["k"]
    s = np.linspace(0, 1, 65)
    weights = np.full(65, 1 / 64)
    weights[[0, -1]] /= 2  # the trapezoidal rule is exact for products of these cosines
    k = np.arange(1, 33)
    cosines = 2**0.5 * np.cos(np.pi * np.outer(k, s))
    found = mode @ (cosines * weights).T
    theory = 625.0 * ((np.pi * k) ** 2 + 25.0) ** -2.0
    assert np.abs(found.var(0) / theory - 1).max() < 5 * np.sqrt(2 / count)
    correlation = np.corrcoef(found.T) - np.eye(32)
    assert np.abs(correlation).max() < 5.5 / np.sqrt(count)
    np.testing.assert_allclose(found @ cosines, mode, atol=1e-12)  # these modes and no others
    assert np.abs(OPEN.embed({"k": mode}).var(0) - 1).max() < 5 * np.sqrt(2 / count)


def test_inside_knows_fields_that_are_not_periodic():
    rng = np.random.default_rng(2)
    assert (~OPEN.inside(OPEN.sample(20000, rng))).mean() < 5e-4
    for law in ({"scale": 625 * 25}, {"power": 1.2}):
        other = GaussianField("k", periodic=False, points=65, **law)
        assert OPEN.inside(other.sample(200, rng)).mean() < 0.02
    x = OPEN.grid
    smooth, step = 0.3 * np.sin(2 * x + 1), np.sign(x - 0.5)
    smooth -= np.trapezoid(smooth, x)
    assert list(OPEN.inside({"k": np.array([smooth, step, 0 * x, smooth + 1])})) == [1, 0, 1, 0]


@pytest.mark.parametrize("periodic", [True, False])
def test_a_field_lives_where_its_problem_says(periodic):
    problem = problem_with(GaussianField("k", points=16), [Periodic("y")] if periodic else [])
    field = problem.task
    assert (field.on, field.interval, field.wraps) == ("y", (-1.0, 3.0), periodic)
    np.testing.assert_allclose(field.grid, -1 + 4 * np.arange(16) / (16 if periodic else 15))
    assert ("[-1, 3)" if periodic else "[-1, 3]") in field.description
    fixed = problem_with(
        GaussianField("k", on="t", periodic=not periodic), [Periodic("y")] if periodic else []
    )
    assert (fixed.task.on, fixed.task.interval, fixed.task.wraps) == ("t", (0.0, 1.0), not periodic)
    longer = type("Longer", (type(problem),), {"coords": Box(y=(0, 9), t=(0, 1))})()
    assert longer.task.interval == (0.0, 9.0)


@pytest.mark.parametrize("periodic", [True, False])
def test_functions_are_given_at_any_point_with_their_derivatives(periodic):
    problem = problem_with(GaussianField("k", points=81), [Periodic("y")] if periodic else [])
    y, wave = problem.task.grid, 2 * np.pi / 4 * np.array([1.0, 3.0])[:, None]
    values = {"k": torch.from_numpy(np.sin(wave * y))}
    coords = torch.rand(2, 50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4 - 1
    find, at, angle = lookup(problem, coords, values), coords[..., 0], torch.from_numpy(wave)
    for name, expected, tolerance in (
        ("k", torch.sin(angle * at), 1e-4),
        ("k_y", angle * torch.cos(angle * at), 5e-3),
        ("k_yy", -(angle**2) * torch.sin(angle * at), 0.3),
    ):
        assert (find(name) - expected).abs().max() < (1e-11 if periodic else tolerance)
    with pytest.raises(TypeError, match="unknown argument 'k_t'"):
        type("Other", (type(problem),), {"residual": lambda self, u, k_t: {"row": u + k_t}})


def test_the_spline_is_that_of_scipy():
    values = torch.randn(3, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    place = torch.linspace(0, 1, 200, dtype=torch.float64).expand(3, -1).clone().requires_grad_()
    found = spline(values, place)
    first = torch.autograd.grad(found.sum(), place, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), place)[0]
    expected = CubicSpline(np.linspace(0, 1, 12), values.numpy(), axis=1)
    inside = slice(1, -1)  # where a knot is met to rounding, either piece may answer
    for order in (1, 2):
        torch.testing.assert_close(
            spline(values, place, order), (found, first, second)[order], atol=1e-8, rtol=1e-8
        )
    for order, ours in enumerate((found, first, second)):
        theirs = expected(place[0].detach().numpy(), order)
        np.testing.assert_allclose(ours.detach().numpy()[:, inside], theirs[:, inside], atol=1e-9 * 12**order)
    shared = spline(values, place[:1].detach())  # points that all tasks share
    torch.testing.assert_close(shared, found.detach())


def test_the_fourier_series_passes_through_its_points():
    values = torch.randn(3, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(fourier(values, torch.arange(15, dtype=torch.float64)[None] / 15), values)


def test_a_product_is_its_factors_side_by_side():
    assert MIXED.names == ("a", "nu", "u0") and MIXED.size == 34 and set(MIXED.functions) == {"u0"}
    assert Uniform(a=(1, 2)) * (LogUniform(nu=(1e-3, 1e-1)) * GaussianField("u0", points=32)) == MIXED
    assert "Uniform(a=(1, 2)) * LogUniform(nu=(0.001, 0.1)) * u0 ~ N(" in MIXED.description
    sample = MIXED.sample(500, np.random.default_rng(0))
    embedded = MIXED.embed(sample)
    for k, factor in enumerate(MIXED.factors):
        own = {name: sample[name] for name in factor.names}
        start = sum(f.size for f in MIXED.factors[:k])
        np.testing.assert_array_equal(embedded[:, start : start + factor.size], factor.embed(own))
    correlation = np.corrcoef(embedded[:, :3].T) - np.eye(3)
    assert np.abs(correlation).max() < 5 / np.sqrt(500)  # the factors draw from streams of their own
    tensors = {name: torch.from_numpy(value) for name, value in sample.items()}
    np.testing.assert_allclose(MIXED.embed(tensors).numpy(), embedded, rtol=1e-12)
    outside = {**sample, "a": sample["a"] + 1}
    assert MIXED.inside(sample).all() and not MIXED.inside(outside).any()


def test_a_product_draws_the_same_first_tasks_and_spreads_every_number():
    few, many = (MIXED.sample(count, np.random.default_rng(3)) for count in (4, 9))
    for name in MIXED.names:
        np.testing.assert_array_equal(few[name], many[name][:4])
    generator = np.random.default_rng(4)
    spread, again = MIXED.spread(8, generator), MIXED.spread(8, generator)
    for name, place in (("a", spread["a"] - 1), ("nu", np.log(spread["nu"] / 1e-3) / np.log(100))):
        cells = np.floor(8 * np.arccos(1 - 2 * place) / np.pi)
        assert sorted(cells) == list(range(8)), name  # one between neighbouring Chebyshev nodes
    assert not np.array_equal(spread["a"], again["a"])
    values, _ = sample_splits(MIXED, {"train": 5}, seed=7)
    assert values["u0"].shape == (6, 32) and len(np.unique(values["a"])) == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Uniform(a=(1, 2)) * LogUniform(a=(1, 2)), "'a' is in two factors"),
        (lambda: MIXED.check({"a": 1, "nu": 0.1}), "'u0' is missing; expected a, nu, u0"),
        (
            lambda: MIXED.check({"a": 1, "nu": 0.1, "u": np.zeros(32)}),
            "'u'; did you mean 'nu'|'u'; did you mean 'u0'",
        ),
        (lambda: MIXED.check({"a": [1, 2], "nu": 0.1, "u0": np.zeros(32)}), "2 of a, 1 of nu, 1 of u0"),
        (lambda: MIXED.check({"a": 1, "nu": -1, "u0": np.zeros(32)}), "of another sign"),
        (lambda: MIXED.check({"a": 1, "nu": 1, "u0": np.zeros(31)}), r"expected \(32,\)"),
    ],
)
def test_errors_of_products(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_tasks_of_several_kinds_are_written_with_their_coordinates(tmp_path):
    (tmp_path / "own.py").write_text(
        "from pinnlora import *\n"
        "class Own(Problem):\n"
        "    coords, fields = Box(x=(0, 2), t=(0, 1)), ('u',)\n"
        "    task = Uniform(a=(1, 2)) * GaussianField('f', points=8) * GaussianField('g', points=5, on='t')\n"
        "    def residual(self, u_t, f, g, a): return {'row': u_t - a * f * g}\n"
    )
    settings = {"problem": f"{tmp_path / 'own.py'}:Own", "tasks": {"train": 2, "test": 1}, "seed": 1}
    tasks.run(settings, tmp_path / "tasks.nc")
    written = read_netcdf(tmp_path / "tasks.nc")
    assert (
        written["a"].dims == ("task",)
        and written["f"].dims == ("task", "f_x")
        and written["g"].shape == (4, 5)
    )
    np.testing.assert_allclose(written["f_x"], np.linspace(0, 2, 8))
    np.testing.assert_allclose(written["g_t"], np.linspace(0, 1, 5))


def test_a_condition_may_ask_for_a_function_on_its_face():
    problem = problem_with(
        GaussianField("k", points=12, on="t"), [Condition(lambda self, k: {"u": k}, on="y=-1")]
    )
    assert problem.bound_conditions[0].targets == ("u",)


@pytest.mark.parametrize("periodic", [True, False])
def test_what_is_never_drawn_is_what_a_law_has_no_variance_for(periodic):
    """Nothing of its own functions; of others the mean, and the wave that the points cannot tell from its mirror."""
    law = GaussianField("f", points=16, periodic=periodic).within({"x": (0.0, 2.0)}, ())
    drawn = law.sample(3, np.random.default_rng(0))["f"]
    finest = np.cos(np.pi * np.arange(16))
    rest = law.never_drawn(drawn + 0.3 + 0.1 * finest)
    np.testing.assert_allclose(rest, np.broadcast_to(0.3 + 0.1 * finest, (3, 16)), atol=1e-12)
    np.testing.assert_allclose(law.never_drawn(drawn), 0, atol=1e-12)
