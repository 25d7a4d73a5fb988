"""The Burgers solver against the Cole-Hopf solution, against itself refined, and against known invariants."""

import numpy as np
import pytest

from pinnlora.errors import UserError
from pinnlora.problem.gaussian_field import GaussianField
from pinnlora.problem.spectral import etdrk4, solve_burgers, to_modes, to_points

NU = 0.01


def cole_hopf(velocity, potential, x: np.ndarray, t: float, nu: float) -> np.ndarray:
    """u = int u0 e^{-U0/2nu} G dy / int e^{-U0/2nu} G dy, heat kernel G of variance 2 nu t, U0' = u0.

    With y = x - 2 sqrt(nu t) s the trapezium rule in s converges exponentially; both integrals are scaled by
    their largest term, so that nothing overflows and the denominator has no cancellation.
    """
    s = np.linspace(-14, 14, 2801)
    y = x[:, None] - 2 * np.sqrt(nu * t) * s
    exponent = -(s**2) - potential(y) / (2 * nu)
    weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return (velocity(y) * weight).sum(axis=1) / weight.sum(axis=1)


def relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Relative L2 difference of each task, (task,)."""
    return np.linalg.norm((a - b).reshape(len(a), -1), axis=1) / np.linalg.norm(b.reshape(len(b), -1), axis=1)


def series(u0: np.ndarray):
    """A mean-free band-limited u0 (m,) and its potential, as functions of any x, by their plain series."""
    k = np.arange(1, len(u0) // 2)
    modes = np.fft.rfft(u0)[1 : len(u0) // 2] * 2 / len(u0)
    omega = 2 * np.pi * k

    def evaluate(amplitudes, x):
        # in blocks of rows, for (rows, points, k) is large
        return np.stack([np.real(np.exp(1j * np.multiply.outer(row, omega)) @ amplitudes) for row in x])

    return (lambda x: evaluate(modes, x)), (lambda x: evaluate(modes / (1j * omega), x))


def test_sine_against_cole_hopf():
    x, times = np.arange(128) / 128, np.linspace(0, 1, 11)

    def wave(y):
        return np.sin(2 * np.pi * y)

    computed = solve_burgers(wave(x)[None], NU, times)
    later = [cole_hopf(wave, lambda y: -np.cos(2 * np.pi * y) / (2 * np.pi), x, t, NU) for t in times[1:]]
    truth = np.stack([wave(x), *later])
    assert relative(computed, truth[None])[0] < 1e-10


def test_random_field_against_cole_hopf():
    u0 = GaussianField("u0").sample(2, np.random.default_rng(0))["u0"]
    computed = solve_burgers(u0, NU, np.array([0.3, 1.0]))
    x = np.arange(0, 128, 8) / 128
    for task in range(2):
        velocity, potential = series(u0[task])
        for index, t in enumerate((0.3, 1.0)):
            truth = cole_hopf(velocity, potential, x, t, NU)
            assert relative(computed[task : task + 1, index, ::8], truth[None])[0] < 1e-8


def test_random_fields_against_twice_the_modes_and_half_the_step():
    u0 = GaussianField("u0").sample(6, np.random.default_rng(1))["u0"]
    times = np.linspace(0, 1, 6)
    coarse = solve_burgers(u0, NU, times)
    fine = solve_burgers(u0, NU, times, modes=2048, step=1.25e-4)
    assert coarse.shape == (6, 6, 128)
    assert relative(coarse, fine).max() < 1e-8


def test_time_stepping_is_of_fourth_order():
    u0 = np.sin(2 * np.pi * np.arange(64) / 64)[None]
    times = np.array([0.5])
    exact = solve_burgers(u0, NU, times, modes=256, step=2.5e-4)
    errors = [relative(solve_burgers(u0, NU, times, 256, step), exact)[0] for step in (8e-3, 4e-3)]
    assert 3.6 < np.log2(errors[0] / errors[1]) < 4.4


def test_mean_is_kept_and_moves_the_solution():
    """Galilean invariance: with mean c, u(x, t) = c + w(x - c t, t)."""
    u0 = GaussianField("u0").sample(3, np.random.default_rng(2))["u0"]
    still = solve_burgers(u0, NU, np.array([0.5]))
    moved = solve_burgers(u0 + 0.75, NU, np.array([0.5]))  # by 0.375 = 48 points
    assert relative(moved - 0.75, np.roll(still, 48, axis=-1)).max() < 1e-8
    np.testing.assert_allclose(moved.mean(-1), 0.75, atol=1e-13)


def test_energy_decays():
    u0 = GaussianField("u0").sample(3, np.random.default_rng(3))["u0"]
    energy = (solve_burgers(u0, NU, np.linspace(0, 1, 11)) ** 2).mean(-1)
    assert (np.diff(energy, axis=1) < 0).all()


@pytest.mark.parametrize(("points", "modes"), [(128, 1024), (127, 1024), (128, 1000), (100, 768)])
def test_interpolation_returns_its_points_and_bounds_nyquist(points, modes):
    values = np.random.default_rng(4).standard_normal((2, points))  # white: all wavenumbers, Nyquist too
    state = to_modes(values, modes)
    np.testing.assert_allclose(to_points(state, modes, points), values, atol=1e-13)
    assert 3 * (state.shape[-1] - 1) < modes  # so that no product of two kept waves aliases onto a third
    if points % 2 == 0:
        saw = np.cos(np.pi * np.arange(points))[None]
        between = to_points(to_modes(saw, modes), modes, 8 * points)
        np.testing.assert_allclose(between[0], np.cos(np.pi * np.arange(8 * points) / 8), atol=1e-12)


def test_coefficients_against_their_limits():
    """For a vanishing linear part ETDRK4 is the classical Runge-Kutta method; far out Q is -1/L."""
    coefficients = etdrk4(np.array([0.0, -1e-9, -1e7]), 1e-3)
    np.testing.assert_allclose(np.array(coefficients)[:2, :2], 1, rtol=1e-11)
    np.testing.assert_allclose(coefficients[2][:2], 5e-4, rtol=1e-10)
    for weight, part in zip(coefficients[3:], (1 / 6, 1 / 3, 1 / 6), strict=True):
        np.testing.assert_allclose(weight[:2], 1e-3 * part, rtol=1e-10)
    assert coefficients[2][2] == pytest.approx(1e-7, rel=1e-6)


def test_output_times_need_not_be_even():
    u0 = GaussianField("u0").sample(2, np.random.default_rng(5))["u0"]
    uneven = solve_burgers(u0, NU, np.array([0.0, 0.013, 0.2, 0.2, 0.5]))
    np.testing.assert_allclose(uneven[:, 0], u0, atol=1e-13)
    np.testing.assert_array_equal(uneven[:, 2], uneven[:, 3])
    assert relative(uneven[:, -1], solve_burgers(u0, NU, np.array([0.5]))[:, 0]).max() < 1e-9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"u0": np.zeros(128)}, "shape"),
        ({"u0": np.full((1, 128), np.nan)}, "finite"),
        ({"times": [0.5, 0.1]}, "increasing"),
        ({"nu": 0.0}, "above 0"),
        ({"modes": 128}, "needs modes > 192"),
        ({"nu": 1e-4}, "not resolved|blew up"),
        ({"u0": 1e3 * np.sin(2 * np.pi * np.arange(128) / 128)[None]}, "not resolved|blew up"),
    ],
)
def test_bad_input_and_unresolved_solutions_are_errors(arguments, message):
    smooth = np.sin(2 * np.pi * np.arange(128) / 128)[None]
    with pytest.raises(UserError, match=message) as caught:
        solve_burgers(
            **{"u0": smooth, "nu": NU, "times": [0.0, 0.5], "modes": 256, "step": 2e-3, **arguments}
        )
    assert "\n" not in str(caught.value)
