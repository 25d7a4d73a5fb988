"""Jets against torch.func: values, derivatives, gradients in the weights, periodic inputs."""

from itertools import combinations_with_replacement

import pytest
import torch
from small import function_jet, generator, plain, plain_jet, random_weights, relative
from torch.func import grad

from pinnlora.nets.jet import TanhJet, tanh_jet
from pinnlora.nets.mlp import MLP
from pinnlora.problem.channels import Channels, product

ALL = Channels.of([(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)])
THIRD = Channels.of([(0, 0, 0), (0, 1, 2), (1, 1, 2)])
FOURTH = Channels.of(combinations_with_replacement(range(3), 4))
SETS = {"second order": ALL, "third order": THIRD, "fourth order": FOURTH}
HIGH = [(network, order) for network in ("identity", "two axes") for order in ("third order", "fourth order")]
NETWORKS = {
    "identity": MLP(3, 2, width=7, hidden_layers=3),
    "periodic": MLP(3, 2, width=7, hidden_layers=3, periodic=((1, -0.5, 2.0),)),
    "three modes": MLP(3, 2, width=7, hidden_layers=3, periodic=((1, -0.5, 2.0),), modes=3),
    "two axes": MLP(3, 2, width=7, hidden_layers=3, periodic=((2, 0.0, 1.0), (0, -1.0, 3.0)), modes=2),
}


def random(*shape: int, seed: int = 5) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("shared", [False, True], ids=["own points", "shared points"])
@pytest.mark.parametrize(("input_map", "order"), [*((name, "second order") for name in NETWORKS), *HIGH])
def test_every_channel_is_the_derivative_torch_func_finds(input_map, order, shared):
    network, channels = NETWORKS[input_map], SETS[order]
    weights, coords = random_weights(network, 3), random(1 if shared else 3, 6, 3)
    jet = network.forward(weights, coords, channels)
    assert jet.shape == (3, len(channels), 6, 2)
    for task in range(3):
        matrices, biases = [m[task] for m in weights.matrices], [b[task] for b in weights.biases]
        points = coords[0 if shared else task]
        expected = plain_jet(network, matrices, biases, points, channels.orders)
        for channel in range(len(channels)):
            assert relative(jet[task, channel], expected[channel]) < 1e-10, channels.orders[channel]


def test_channels_hold_what_is_asked_and_what_that_needs():
    assert Channels.of([(2, 0)]).orders == ((), (0,), (2,), (0, 2))
    assert Channels.of([]).orders == ((),)
    assert Channels.of([(1, 0, 1)]).orders == ((), (0,), (1,), (0, 1), (1, 1), (0, 1, 1))
    assert len(ALL) == 10 and len(FOURTH) == 1 + 3 + 6 + 10 + 15
    network = NETWORKS["identity"]
    weights, coords = random_weights(network, 2), random(2, 4, 3)
    every = network.forward(weights, coords, FOURTH)
    for few in (Channels.of([(0, 2), (1,)]), THIRD, Channels.of([(0, 1, 1, 2)])):
        found = network.forward(weights, coords, few)
        expected = torch.stack([every[:, FOURTH.position(order)] for order in few.orders], 1)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("channels", SETS.values(), ids=SETS)
@pytest.mark.parametrize("input_map", ["identity", "two axes"])
def test_gradient_in_the_weights_is_that_of_torch_func(input_map, channels):
    network = NETWORKS[input_map]
    coords, mix = random(4, 3), random(len(channels), 4, 2, seed=6)
    theta = random_weights(network, 1).flat().requires_grad_()

    def scalar(jet):
        return (mix * jet + (mix * jet) ** 3).sum()

    def by_functions(flat):
        weights = network.unflatten(flat)
        matrices, biases = [m[0] for m in weights.matrices], [b[0] for b in weights.biases]
        return scalar(plain_jet(network, matrices, biases, coords, channels.orders))

    scalar(network.forward(network.unflatten(theta), coords.unsqueeze(0), channels)[0]).backward()
    assert relative(theta.grad, grad(by_functions)(theta.detach())) < 1e-10


def test_gradient_is_that_of_double_backward():
    network, coords = NETWORKS["identity"], random(1, 5, 3).requires_grad_()
    theta = random_weights(network, 1).flat().requires_grad_()

    def laplacian_by_backward():
        u = network.forward(network.unflatten(theta), coords, Channels.of([]))[0, 0, :, 0]
        slopes = torch.autograd.grad(u.sum(), coords, create_graph=True)[0][0]
        rows = [
            torch.autograd.grad(slopes[:, k].sum(), coords, create_graph=True)[0][0, :, k] for k in (0, 1)
        ]
        return (sum(rows) ** 2).sum()

    channels = Channels.of([(0, 0), (1, 1)])
    jet = network.forward(network.unflatten(theta), coords.detach(), channels)[0, ..., 0]
    by_jet = ((jet[channels.position((0, 0))] + jet[channels.position((1, 1))]) ** 2).sum()
    found, expected = (torch.autograd.grad(loss, theta)[0] for loss in (by_jet, laplacian_by_backward()))
    assert relative(found, expected) < 1e-10


@pytest.mark.parametrize(
    "wanted", [[(0, 0), (0, 1), (1, 1), (2,)], [(0, 0, 0, 0), (2,)], [(0, 0, 1, 1)], [(0, 1, 2), (0, 0, 0)]]
)
def test_reverse_pass_through_tanh_is_exact(wanted):
    channels = Channels.of(wanted)
    z, bias = random(2, len(channels), 3, 4).requires_grad_(), random(2, 4, seed=7).requires_grad_()
    assert torch.autograd.gradcheck(lambda z, bias: TanhJet.apply(z, bias, channels), (z, bias), atol=1e-8)
    value = tanh_jet(z, bias, channels)[:, 0]
    torch.testing.assert_close(value, torch.tanh(z[:, 0] + bias.unsqueeze(1)))


def test_a_saturated_tanh_gives_finite_derivatives():
    """Where 1 - tanh^2 is zero to rounding, nothing is divided by it."""
    z = random(1, len(FOURTH), 3, 4)
    z[:, 0] = 400 * z[:, 0].sign()
    for dtype in (torch.float32, torch.float64):
        there = z.to(dtype).requires_grad_()
        jet = tanh_jet(there, torch.zeros(1, 4, dtype=dtype), FOURTH)
        (slope,) = torch.autograd.grad(jet.sum(), there)
        assert not jet[:, 1:].any() and not slope.any()


@pytest.mark.parametrize("channels", SETS.values(), ids=SETS)
def test_the_jet_of_a_product_follows_from_the_jets_of_its_factors(channels):
    left, right = (random_weights(NETWORKS["identity"], 2, seed) for seed in (0, 1))
    coords = random(2, 5, 3)
    jets = [NETWORKS["identity"].forward(weights, coords, channels) for weights in (left, right)]
    found = product(*jets, channels)
    for task in range(2):

        def function(point, task=task):
            parts = [
                plain(NETWORKS["identity"], [m[task] for m in w.matrices], [b[task] for b in w.biases], point)
                for w in (left, right)
            ]
            return parts[0] * parts[1]

        expected = function_jet(function, coords[task], channels.orders)
        assert relative(found[task], expected) < 1e-10


def test_fifth_order_is_refused():
    channels = Channels.of([(0, 0, 1, 1, 1)])
    network = NETWORKS["identity"]
    with pytest.raises(ValueError, match="order 5: jets go through tanh up to order 4"):
        network.forward(random_weights(network, 1), random(1, 2, 3), channels)


def test_periodic_inputs_make_values_and_derivatives_periodic():
    network = NETWORKS["three modes"]
    weights, low = random_weights(network, 2), random(1, 8, 3)
    low[..., 1] = -0.5
    high = low.clone()
    high[..., 1] = 1.5
    left, right = (network.forward(weights, coords, THIRD) for coords in (low, high))
    assert relative(left, right) < 1e-13
    assert float(left[:, THIRD.position((1,))].abs().min()) > 0
