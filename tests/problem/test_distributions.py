"""Distributions against their theory: spectra, ranges, embeddings, independent splits."""

import numpy as np
import pytest
import torch

from pinnlora.errors import UserError
from pinnlora.problem.distributions import reals, sample_splits
from pinnlora.problem.gaussian_field import GaussianField
from pinnlora.problem.scalars import LogUniform, Uniform

FIELD = GaussianField("u0")


def coefficients(field: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, sqrt(2) cos and sqrt(2) sin coefficients by plain quadrature, (task, k) with k = 0..64."""
    x = np.arange(field.shape[1]) / field.shape[1]
    phase = 2 * np.pi * np.arange(65)[:, None] * x
    return field.mean(1), field @ np.cos(phase).T * 2**0.5 / len(x), field @ np.sin(phase).T * 2**0.5 / len(x)


def test_field_has_the_covariance_of_its_operator():
    count = 4000
    mean, cosine, sine = coefficients(FIELD.sample(count, np.random.default_rng(1))["u0"])
    k = np.arange(1, 64)
    theory = 625.0 * ((2 * np.pi * k) ** 2 + 25.0) ** -2.0
    np.testing.assert_allclose(FIELD.spectrum()[1:], theory, rtol=1e-12)
    for modes in (cosine[:, 1:64], sine[:, 1:64]):
        # a sample variance scatters by sqrt(2 / count) = 2.2 %; 126 of them stay within 5 of that
        assert np.abs(modes.var(0) / theory - 1).max() < 5 * np.sqrt(2 / count)
        assert np.abs(modes.mean(0) / np.sqrt(theory)).max() < 5 / np.sqrt(count)
    correlation = np.corrcoef(np.hstack([cosine[:, 1:20], sine[:, 1:20]]).T) - np.eye(38)
    assert np.abs(correlation).max() < 5.5 / np.sqrt(count)
    assert np.abs(mean).max() < 1e-13 and np.abs(cosine[:, 64]).max() < 1e-13


def test_field_is_stationary_and_embedded_to_unit_variance():
    for mode in ("zero", "keep"):
        field = GaussianField("u0", mean_mode=mode)
        sample = field.sample(4000, np.random.default_rng(2))
        assert sample["u0"].shape == (4000, 128)
        assert np.abs(field.embed(sample).var(0) - 1).max() < 5 * np.sqrt(2 / 4000)
    kept = GaussianField("u0", mean_mode="keep")
    assert kept.spectrum()[0] == pytest.approx(1.0)  # 625 / 25^2
    means = kept.sample(4000, np.random.default_rng(3))["u0"].mean(1)
    assert means.var() == pytest.approx(1.0, rel=5 * np.sqrt(2 / 4000))


def test_scalars_follow_their_laws():
    rng = np.random.default_rng(4)
    uniform, logarithmic = Uniform(re=(20, 100)), LogUniform(nu=(1e-4, 1e-3))
    for family in (uniform, logarithmic):
        embedded = family.embed(family.sample(5000, rng))[:, 0]
        assert embedded.shape == (5000,)
        # Kolmogorov-Smirnov distance from the uniform law on [-1, 1]
        distance = np.abs(np.sort(embedded) - np.linspace(-1, 1, 5000)).max() / 2
        assert distance < 2 / np.sqrt(5000)
    ends = {"nu": np.array([1e-4, 10**-3.5, 1e-3])}
    np.testing.assert_allclose(logarithmic.embed(ends)[:, 0], [-1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(uniform.embed({"re": np.array([20.0, 60, 100])})[:, 0], [-1, 0, 1], atol=1e-12)


@pytest.mark.parametrize(
    "family", [Uniform(re=(20, 100), pr=(1, 2)), LogUniform(nu=(1e-4, 1e-3), mu=(1, 9)), FIELD]
)
def test_embedding_of_tensors_equals_that_of_arrays_and_carries_gradients(family):
    arrays = family.sample(7, np.random.default_rng(5))
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in arrays.items()}
    embedded = family.embed(tensors)
    assert embedded.shape == (7, family.size) and embedded.dtype == torch.float64
    np.testing.assert_allclose(embedded.detach().numpy(), family.embed(arrays), rtol=1e-12)
    embedded.sum().backward()
    assert all((tensor.grad > 0).all() for tensor in tensors.values())
    assert family.embed({name: t.detach().float() for name, t in tensors.items()}).dtype == torch.float32
    single = torch.func.vmap(family.embed)({name: t.detach() for name, t in tensors.items()})
    torch.testing.assert_close(single, embedded.detach())


@pytest.mark.parametrize("family", [Uniform(re=(20, 100), pr=(1, 2)), LogUniform(nu=(1e-4, 1e-3)), FIELD])
def test_splits_are_disjoint_and_do_not_move_each_other(family):
    small, labels = sample_splits(family, {"train": 5, "validation": 4, "test": 6}, seed=7)
    large, more = sample_splits(family, {"train": 50, "validation": 0, "test": 6}, seed=7)
    assert list(labels) == ["train"] * 5 + ["validation"] * 4 + ["test"] * 6 + ["base"]
    for name in family.names:
        for split in ("train", "test", "base"):
            before, after = small[name][labels == split], large[name][more == split]
            np.testing.assert_array_equal(before, after[: len(before)])
        rows = small[name].reshape(16, -1)
        assert len(np.unique(rows, axis=0)) == 16
    other, _ = sample_splits(family, {"train": 5, "validation": 4, "test": 6}, seed=8)
    assert all((other[name] != small[name]).all() for name in family.names)


def test_streams_are_the_same_in_every_process():
    values, _ = sample_splits(Uniform(re=(20, 100)), {"train": 1, "test": 1}, seed=2023)
    np.testing.assert_allclose(
        values["re"], [56.59384727615947, 34.321370260187784, 74.29078835091735], rtol=1e-14
    )


def test_inside_knows_the_trained_range():
    assert list(Uniform(re=(20, 100)).inside({"re": [19.9, 20, 60, 100, 100.1]})) == [0, 1, 1, 1, 0]
    nu = np.array([1e-4, 1e-3], dtype=np.float32)  # rounded, still inside
    assert LogUniform(nu=(1e-4, 1e-3)).inside({"nu": nu}).all()
    assert not LogUniform(nu=(1e-4, 1e-3)).inside({"nu": 9e-5}).any()
    x = FIELD.grid
    wave = np.sin(2 * np.pi * x)
    fields = [
        wave,
        0 * x,
        5 * wave,
        wave + 0.1,
        np.sign(x - 0.5) * (x != 0.5) * (x != 0),
        np.cos(np.pi * 128 * x),
    ]
    assert list(FIELD.inside({"u0": np.array(fields)})) == [1, 1, 0, 0, 0, 0]
    assert list(GaussianField("u0", mean_mode="keep").inside({"u0": np.array([wave + 0.1, wave + 9])})) == [
        1,
        0,
    ]


def test_inside_accepts_its_own_samples_and_rejects_rougher_or_larger_ones():
    rng = np.random.default_rng(6)
    own = FIELD.sample(20000, rng)
    assert (~FIELD.inside({"u0": own["u0"].astype(np.float32)})).mean() < 5e-4  # 1e-4 by construction
    rough = GaussianField("u0", power=1.5).sample(200, rng)
    large = GaussianField("u0", scale=625 * 25).sample(200, rng)
    assert FIELD.inside(rough).mean() < 0.01 and FIELD.inside(large).mean() < 0.01


def test_inside_uses_the_chi_square_law(monkeypatch):
    """With a false alarm of 20 % shared over 7 bands that mostly move apart, 10 to 20 % alarms are due."""
    monkeypatch.setattr("pinnlora.problem.gaussian_field.FALSE_ALARM", 0.2)
    alarms = (~FIELD.inside(FIELD.sample(5000, np.random.default_rng(8)))).mean()
    assert 0.1 < alarms < 0.2


def test_check_returns_arrays_with_a_task_axis():
    assert Uniform(re=(20, 100)).check({"re": 42})["re"].shape == (1,)
    assert FIELD.check({"u0": np.zeros(128)})["u0"].shape == (1, 128)
    checked = Uniform(re=(20, 100)).check({"re": torch.tensor([30.0, 40.0])})["re"]
    assert isinstance(checked, np.ndarray) and checked.dtype == np.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Uniform(re=(20, 100)).check({"rr": 30}), "did you mean 're'"),
        (lambda: Uniform(re=(20, 100)).check({}), "'re' is missing"),
        (lambda: Uniform(re=(20, 100)).check({"re": np.zeros((2, 2))}), r"shape \(2, 2\)"),
        (lambda: Uniform(re=(20, 100)).check({"re": [1.0, np.nan]}), "1 NaN"),
        (lambda: Uniform(re=(20, 100)).check({"re": "fast"}), "expected numbers"),
        (lambda: Uniform(a=(0, 1), b=(0, 1)).check({"a": [0, 1], "b": [0, 1, 1]}), "shape"),
        (lambda: LogUniform(nu=(1e-4, 1e-3)).check({"nu": -1.0}), "of another sign"),
        (lambda: FIELD.check({"u0": np.zeros((3, 64))}), r"shape \(3, 64\); expected \(128,\)"),
        (lambda: Uniform(re=(100, 20)), "low < high"),
        (lambda: LogUniform(nu=(0, 1)), "0 < low < high"),
        (lambda: GaussianField("u0", mean_mode="drop"), "'zero' or 'keep'"),
        (lambda: sample_splits(FIELD, {"base": 1}, seed=1), "always drawn"),
    ],
)
def test_errors_say_what_came_and_what_was_expected(call, message):
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_distributions_cannot_be_changed_and_compare_by_value():
    assert Uniform(re=(20, 100)) == Uniform(re=(20, 100)) != Uniform(re=(20, 101))
    assert Uniform(re=(1, 2)) != LogUniform(re=(1, 2)) and hash(FIELD) == hash(GaussianField("u0"))
    with pytest.raises(AttributeError):
        FIELD.points = 64
    with pytest.raises(AttributeError):
        Uniform(re=(20, 100)).ranges = ()
    assert "constant mode dropped" in FIELD.description


@pytest.mark.parametrize(
    ("distribution", "low", "high"),
    [
        (Uniform(a=(20, 100)), 16, 104),
        (LogUniform(a=(1e-4, 1e-3)), 1e-4 * 10**-0.05, 1e-3 * 10**0.05),
        (Uniform(a=(0, 1)), 0, 1.05),  # a range of one sign keeps it
        (Uniform(a=(0.01, 1)), 0.005, 1.0495),
        (Uniform(a=(-1, 0)), -1.05, 0),
        (Uniform(a=(-1, -0.01)), -1.0495, -0.005),
        (Uniform(a=(-1, 3)), -1.2, 3.2),
    ],
)
def test_fresh_tasks_lie_as_chebyshev_nodes_over_a_little_more_than_the_range(distribution, low, high):
    drawn = np.sort(distribution.spread(4000, np.random.default_rng(0), 0.05)["a"])
    assert low <= drawn[0] and drawn[-1] <= high
    assert drawn[0] == pytest.approx(low, abs=1e-3 * (high - low))
    assert drawn[-1] == pytest.approx(high, rel=1e-3, abs=1e-3 * (high - low))
    middle = (low * high) ** 0.5 if isinstance(distribution, LogUniform) else (low + high) / 2
    assert np.median(drawn) == pytest.approx(middle, rel=1e-3)
    logarithm = isinstance(distribution, LogUniform)
    whole, left, found = (np.log(x) if logarithm else np.asarray(x, float) for x in (high, low, drawn))
    share = (found - left) / (whole - left)
    for part, below in ((0.1, 0.204833), (0.25, 1 / 3), (0.9, 0.795167)):  # arcsine distribution function
        assert np.mean(share < part) == pytest.approx(below, abs=2e-3)
    exact = np.sort(distribution.spread(4000, np.random.default_rng(0), 0.0)["a"])
    ends = distribution.ranges[0][1:]
    assert ends[0] <= exact[0] and exact[-1] <= ends[1]


def test_a_field_has_no_ends_to_go_beyond():
    field = GaussianField("u0")
    drawn, spread = field.sample(3, np.random.default_rng(0)), field.spread(3, np.random.default_rng(0), 0.3)
    assert np.array_equal(drawn["u0"], spread["u0"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Uniform(20, 100), r"Uniform\(\) names no parameter; write for example Uniform\(re="),
        (lambda: GaussianField(3), r"GaussianField\(3\): expected the function's name first"),
        (lambda: GaussianField("f", points="64"), "points='64'; expected a whole number"),
        (lambda: GaussianField("f", points=64.5), "points=64.5; expected a whole number"),
        (lambda: GaussianField("f", scale="1"), "scale, shift and power are .*; expected numbers"),
        (lambda: GaussianField("f", power=float("nan")), "scale, shift and power are .*; expected numbers"),
    ],
)
def test_what_is_no_law_is_one_line(make, words):
    with pytest.raises(UserError, match=words):
        make()
    assert GaussianField("f", points=np.int64(8)).points == 8


def test_masked_values_are_none():
    given = np.ma.masked_array([1, 2, 3], mask=[False, True, False])
    for found in (reals("re", given), reals("re", given.astype(float))):
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, [1, np.nan, 3])
    with pytest.raises(UserError, match="re holds 1 NaN"):
        Uniform(re=(1, 5)).check({"re": given})
