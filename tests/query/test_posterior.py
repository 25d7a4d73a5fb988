"""The most probable unknowns and the Gaussian around them: where searches end, what leads them, what stays unknown."""

import pytest
import torch

from pinnlora.query.posterior import Fit, covariance, fit_unknowns, learned, search_unknowns


def test_data_far_more_precise_than_the_law_leave_what_they_do_not_determine():
    """Fields depend on a + b alone, a billion times more precisely than a and b are known beforehand."""
    jacobian = 1e10 * torch.tensor([[[1.0, 1.0], [1.0, 1.0], [0.5, 0.5]]], dtype=torch.float64)
    fit = Fit(torch.zeros(1, 2), torch.zeros(1), jacobian, torch.zeros(1, 3))
    found = covariance(fit, torch.tensor([True, True]))[0]
    across = torch.tensor([1.0, -1.0], dtype=torch.float64) / 2**0.5
    assert float(across @ found @ across) == pytest.approx(1 / 3, rel=1e-3)
    assert float(learned(fit, torch.tensor([True, True]))) == pytest.approx(1, abs=1e-3)


def test_a_search_ends_where_its_cost_hardly_falls():
    """A slope along which the cost falls for ever, by less than any measurement could tell."""
    asked = []

    def linearise(z, which):
        asked.append(len(z))
        return 10 + 1e-5 * torch.exp(-z), -1e-5 * torch.exp(-z).unsqueeze(-1)

    fit_unknowns(linearise, torch.zeros(3, 1, dtype=torch.float64), torch.tensor([True]))
    assert asked == [3, 3]
    asked.clear()
    fit_unknowns(lambda z, k: (asked.append(len(z)), (10 * z.cos(), -10 * z.sin().unsqueeze(-1)))[1],
                 torch.full((1, 1), 0.3, dtype=torch.float64), torch.tensor([False]), 2)  # fmt: skip
    assert len(asked) == 3  # the start, and the steps that were asked for


def test_a_search_is_led_by_what_is_known_beforehand():
    """Waves that move by their own height, as in a fluid: from far off, data alone lead into the next minimum."""
    x, wave = torch.arange(63, dtype=torch.float64) / 64, torch.arange(1.0, 7.0, dtype=torch.float64)

    def height(z, at):
        phase = 2 * torch.pi * wave * at.unsqueeze(-1)
        return (
            torch.cat((phase.cos(), phase.sin()), -1) @ (z / wave.repeat(2) ** 1.5).unsqueeze(-1)
        ).squeeze(-1)

    def fields(z):
        at = x.expand(len(z), -1)
        for _ in range(3):
            at = x - 0.1 * height(z, at)
        return height(z, at)

    def linearise(z, which):
        slope = torch.func.vmap(torch.func.jacrev(lambda one: fields(one[None])[0]))(z)
        return (fields(z) - data[which]) / 0.01, slope / 0.01

    generator = torch.Generator().manual_seed(0)
    truth, start = torch.randn(2, 20, 12, dtype=torch.float64, generator=generator)
    data, free = fields(truth), torch.zeros(12, dtype=torch.bool)
    alone = fit_unknowns(linearise, start / 2, free)
    led = search_unknowns(linearise, start / 2, free, torch.full((20,), 63))
    led = fit_unknowns(linearise, led.unknowns, free)
    assert (alone.cost < 100).double().mean() < 0.5
    assert (led.cost < 100).double().mean() > 0.7
    assert ((learned(led, free) > 8) & (learned(led, free) <= 12)).all()
