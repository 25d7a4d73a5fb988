"""Stein's estimates against functions whose Gaussian smoothing is known in closed form: means and variances."""

import pytest
import torch
from small import generator, random_weights, relative

from pinnlora.errors import UserError
from pinnlora.nets.adapters import Full
from pinnlora.nets.derivatives.stein import Noise, NoiseEntry, Stein, estimated
from pinnlora.nets.mlp import MLP, Tape
from pinnlora.problem.channels import VALUE, Channels, gradient

DIM, SIGMA = 5, 0.3
CHANNELS = Channels.of([(4,), (4, 4)], range(4))
WAVE = torch.tensor([0.7, -1.1, 0.4, 1.5, 0.9], dtype=torch.float64)


def estimates(function, point: torch.Tensor, samples: int, repeats: int, channels=CHANNELS, sigma=SIGMA):
    """Independent estimates (repeat, channel) of the smoothed function's jet at one point (dim,)."""
    pool = torch.randn(samples * repeats, len(point), generator=generator(3), dtype=torch.float64)
    chosen = torch.arange(samples * repeats).view(repeats, samples)
    noise = Noise(pool, chosen, sigma, len(channels.space))
    steps = sigma * pool[chosen]
    centre = point.expand(repeats, 1, -1)
    places = torch.cat((centre, centre + steps, centre - steps), 1)
    values = function(places)[None, ..., None]
    jet = estimated(values, noise, channels.by(noise))
    return jet[0, :, :, 0].mT


def test_of_a_wave_they_are_the_derivatives_of_the_smoothed_wave():
    """E sin(a (x + e)) = sin(a x) exp(-sigma^2 |a|^2 / 2)."""
    point = torch.tensor([0.3, 0.1, -0.5, 0.2, 0.4], dtype=torch.float64)
    found = estimates(lambda at: torch.sin(at @ WAVE), point, samples=64, repeats=4000)
    damped, phase = torch.exp(-(SIGMA**2) * WAVE.square().sum() / 2), WAVE @ point
    value, slope = damped * torch.sin(phase), damped * torch.cos(phase)
    expected = torch.stack(
        (
            value,
            WAVE[4] * slope,
            -(WAVE[4] ** 2) * value,
            *(WAVE[:4] * slope),
            -WAVE[:4].square().sum() * value,
        )
    )
    error = found.std(0) / 4000**0.5
    assert ((found.mean(0) - expected).abs() < 4 * error).all()
    assert (error < 0.04 * expected.abs()).all()  # so that the test says something


@pytest.mark.parametrize("samples", [16, 256])
def test_the_variance_of_a_quadratic_is_the_one_in_closed_form(samples):
    """With g = c |x|^2 / 2 the estimate is the mean of c (q - d) q / 2, q = |z|^2, whose moments are known."""
    size, c = 4, 1.7
    channels = Channels.of([], range(size))
    found = estimates(
        lambda at: c / 2 * at.square().sum(-1),
        torch.ones(size, dtype=torch.float64),
        samples,
        20_000 // samples * 8,
        channels,
    )[:, -1]
    moments = [1.0]
    for k in range(4):
        moments.append(moments[-1] * (size + 2 * k))  # E q^(k + 1) of chi squared
    second = moments[4] - 2 * size * moments[3] + size**2 * moments[2]
    variance = c**2 / 4 * (second - (moments[2] - size * moments[1]) ** 2) / samples
    assert abs(float(found.mean()) / (c * size) - 1) < 4 * float(found.std()) / len(found) ** 0.5 / (c * size)
    assert abs(float(found.var()) / variance - 1) < 0.15


def test_the_control_variate_keeps_the_variance_finite_as_sigma_falls():
    point = torch.zeros(5, dtype=torch.float64) + 0.2
    spread = [
        float(estimates(lambda at: torch.cos(at @ WAVE), point, 32, 500, sigma=sigma)[:, -1].std())
        for sigma in (0.1, 0.001)
    ]
    assert spread[1] < 1.2 * spread[0]  # without it 1e4 times as large


NETWORK = MLP(5, 2, width=6, hidden_layers=2, smoothing=SIGMA)


def test_the_first_map_shared_by_all_noise_gives_what_single_points_give():
    weights, coords = random_weights(NETWORK, 2), torch.randn(2, 6, 5, generator=generator(1)).double()
    noise = Stein(7, SIGMA, generator(2)).ways(CHANNELS, coords)[0].way
    entry = NoiseEntry(coords, noise)
    steps = SIGMA * noise.pool[noise.chosen]
    centre = coords.unsqueeze(2)
    places = torch.cat((centre, centre + steps, centre - steps), 2).flatten(1, 2)
    bare = MLP(5, 2, width=6, hidden_layers=2)
    values = bare.forward(weights, places, VALUE)[:, 0].unflatten(1, (6, entry.many))
    found = NETWORK.forward(weights, coords, CHANNELS.by(noise))
    assert relative(found, estimated(values, noise, CHANNELS.by(noise))) < 1e-11


def test_its_gradient_in_the_weights_is_that_of_autograd(monkeypatch):
    import pinnlora.nets.stack

    monkeypatch.setattr(pinnlora.nets.stack, "CACHE", 0)  # chunks of 64 values, in the midst of points
    full, coords = Full(NETWORK), torch.randn(1, 30, 5, generator=generator(1)).double()
    theta = random_weights(NETWORK, 2).flat().requires_grad_()
    noise = Stein(7, SIGMA, generator(2)).ways(CHANNELS, coords)[0].way
    channels = CHANNELS.by(noise)
    found = NETWORK.forward(full.weights(theta), coords, channels)
    steps = SIGMA * noise.pool[noise.chosen]
    centre = coords.unsqueeze(2)
    places = torch.cat((centre, centre + steps, centre - steps), 2).flatten(1, 2)
    bare = MLP(5, 2, width=6, hidden_layers=2)
    values = bare.forward(full.weights(theta), places, VALUE, Tape([], []))[:, 0].unflatten(1, (30, 15))
    expected = estimated(values, noise, channels)
    one, other = (torch.autograd.grad(jet.square().sum(), theta)[0] for jet in (found, expected))
    assert relative(one, other) < 1e-10


def test_a_smoothed_network_is_what_is_evaluated():
    """By the same noise at every call and every point, the mean of which is its own values' mean to its error."""
    weights, coords = random_weights(NETWORK, 1), torch.randn(1, 3, 5, generator=generator(1)).double()
    found, bare = NETWORK.forward(weights, coords, VALUE), MLP(5, 2, width=6, hidden_layers=2)
    noise = Noise.of_network(NETWORK, coords, VALUE)
    steps = SIGMA * noise.pool
    for k in range(3):
        places = torch.cat((coords[:, k : k + 1] + steps, coords[:, k : k + 1] - steps), 1)
        many = bare.forward(weights, places, VALUE)[0, 0]
        torch.testing.assert_close(found[0, 0, k], many.mean(0), rtol=1e-10, atol=1e-12)
    assert torch.equal(NETWORK.forward(weights, coords, VALUE), found)
    assert gradient(NETWORK.forward(weights, coords, CHANNELS)[..., 0], CHANNELS).shape == (1, 3, 4)


def test_third_derivatives_are_refused():
    with pytest.raises(UserError, match="order 3"):
        NETWORK.forward(random_weights(NETWORK, 1), torch.zeros(1, 2, 5).double(), Channels.of([(4, 4, 4)]))
