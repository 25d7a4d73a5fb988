"""The forward Laplacian against torch.func, and its reverse pass against autograd."""

import pytest
import torch
from small import generator, plain, random_theta, random_weights, relative
from torch.func import grad, hessian, vmap

import pinnlora.nets.stack
from pinnlora.errors import UserError
from pinnlora.nets.adapters import Full, LowRank
from pinnlora.nets.derivatives.random import Random
from pinnlora.nets.mlp import MLP, Tape
from pinnlora.problem.channels import Channels, gradient, product

NETWORK = MLP(6, 2, width=7, hidden_layers=3)
SPACE = (0, 1, 2, 3, 5)
CHANNELS = Channels.of([(4,), (4, 4)], SPACE)


def random(*shape: int, seed: int = 5) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def directions(kind: str, count: int, twice: bool = False) -> Random:
    return Random(count, kind, twice, generator(8))


@pytest.mark.parametrize("cache", [2**21, 0], ids=["whole", "chunks"])
@pytest.mark.parametrize("shared", [False, True], ids=["own points", "shared points"])
def test_value_gradient_and_laplacian_are_those_of_torch_func(shared, cache, monkeypatch):
    monkeypatch.setattr(pinnlora.nets.stack, "CACHE", cache)
    weights, coords = random_weights(NETWORK, 3), random(1 if shared else 3, 150, 6)
    jet = NETWORK.forward(weights, coords, CHANNELS)
    assert jet.shape == (3, 3 + 5 + 1, 150, 2)
    for task in range(3):
        maps = [m[task] for m in weights.matrices], [b[task] for b in weights.biases]
        points = coords[0 if shared else task]
        for field in range(2):

            def function(point, maps=maps, field=field):
                return plain(NETWORK, *maps, point)[field]

            slope, second = vmap(grad(function))(points), vmap(hessian(function))(points)
            own = jet[task : task + 1, ..., field]
            expected = torch.stack((vmap(function)(points), slope[:, 4], second[:, 4, 4]))
            assert relative(own[0, :3], expected) < 1e-10
            assert relative(gradient(own, CHANNELS)[0], slope[:, SPACE]) < 1e-10
            laplacian = second.diagonal(dim1=1, dim2=2)[:, SPACE].sum(-1)
            assert relative(own[0, -1], laplacian) < 1e-10


@pytest.mark.parametrize("points", [9, 150])
@pytest.mark.parametrize("way", ["exact", "rademacher", "axes"])
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_the_reverse_pass_is_that_of_autograd_map_by_map(kind, way, points, monkeypatch):
    monkeypatch.setattr(pinnlora.nets.stack, "CACHE", 0)
    base = random_weights(NETWORK, 1, seed=9)
    parametrisation = Full(NETWORK) if kind == "full" else LowRank(NETWORK, base, 2, unadapted=(1,))
    theta, coords = random_theta(parametrisation, 3).requires_grad_(), random(3, points, 6)
    channels = CHANNELS if way == "exact" else directions(way, 3).ways(CHANNELS, coords)[0]
    jets = [
        NETWORK.forward(parametrisation.weights(theta), coords, channels, tape)
        for tape in (None, Tape([], []))
    ]
    mix = random(*jets[0].shape)
    assert relative(jets[0].detach(), jets[1].detach()) < 1e-13
    gradients = [torch.autograd.grad((mix * jet + jet**2).sum(), theta)[0] for jet in jets]
    assert relative(*gradients) < 1e-12


def test_the_reverse_pass_of_tanh_is_the_gradient_of_its_formula():
    from pinnlora.nets.jet import tanh_jet

    z, bias = random(2, len(CHANNELS), 4, 3).requires_grad_(), random(2, 3, seed=1).requires_grad_()
    out = tanh_jet(z, bias, CHANNELS)
    t = torch.tanh(z[:, 0] + bias.unsqueeze(1))
    s, rays = 1 - t**2, z[:, 3:8]
    laplacian = s * (z[:, 8] - 2 * t * rays.square().sum(1))
    second = s * (z[:, 2] - 2 * t * z[:, 1] ** 2)
    expected = torch.cat(
        (torch.stack((t, s * z[:, 1], second), 1), s.unsqueeze(1) * rays, laplacian.unsqueeze(1)), 1
    )
    assert relative(out.detach(), expected.detach()) < 1e-14
    mix = random(*out.shape, seed=3)
    for one, other in zip(
        torch.autograd.grad((mix * out).sum(), (z, bias)),
        torch.autograd.grad((mix * expected).sum(), (z, bias)),
        strict=True,
    ):
        assert relative(one, other) < 1e-13


def test_the_laplacian_of_a_product_has_twice_the_product_of_the_gradients():
    networks = [MLP(6, 1, width=5, hidden_layers=2) for _ in range(2)]
    coords = random(1, 20, 6)
    weights = [random_weights(network, 1, seed=k) for k, network in enumerate(networks)]
    jets = [n.forward(w, coords, CHANNELS) for n, w in zip(networks, weights, strict=True)]

    def both(point):
        maps = [([m[0] for m in w.matrices], [b[0] for b in w.biases]) for w in weights]
        return plain(networks[0], *maps[0], point)[0] * plain(networks[1], *maps[1], point)[0]

    second = vmap(hessian(both))(coords[0]).diagonal(dim1=1, dim2=2)
    found = product(*jets, CHANNELS)
    assert relative(found[0, -1, :, 0], second[:, SPACE].sum(-1)) < 1e-10
    assert relative(found[0, 2, :, 0], second[:, 4]) < 1e-10


def test_periodic_inputs_are_refused():
    network = MLP(6, 2, width=7, hidden_layers=3, periodic=((1, 0.0, 1.0),))
    with pytest.raises(UserError, match="periodic inputs"):
        network.forward(random_weights(network, 1), random(1, 4, 6), CHANNELS)
