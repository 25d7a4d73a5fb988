"""The product of two independent estimates: its gradient is that of the exact loss in the mean, a square's is not."""

import torch
from small import generator, random_weights

from pinnlora import Box, Problem, Uniform, Vector
from pinnlora.loss.residuals import Residuals
from pinnlora.loss.terms import interior
from pinnlora.nets.adapters import Full
from pinnlora.nets.derivatives.exact import Exact
from pinnlora.nets.derivatives.random import Random
from pinnlora.nets.mlp import MLP

DRAWS, POINTS = 300, 400


class Source(Problem):
    """laplacian u = a."""

    coords = Box(x=Vector(6, -1, 1))
    fields = ("u",)
    task = Uniform(a=(0.5, 2))

    def residual(self, laplacian_u, a):
        return {"source": laplacian_u - a}


def gradients(derivatives, draws: int = DRAWS) -> torch.Tensor:
    """The loss's gradient in the weights at one point, that many times over, by so many draws: (draw, size)."""
    network = MLP(6, 1, width=4, hidden_layers=2)
    theta = random_weights(network, 1).flat().requires_grad_()
    coords = torch.rand(1, 1, 6, generator=generator(1), dtype=torch.float64).expand(1, POINTS, 6)
    values, found = {"a": torch.ones(1, dtype=torch.float64)}, []
    for _ in range(draws):
        block = interior(Source(), network, values, coords, derivatives=derivatives)
        loss = Residuals((block,), Full(network)).total(theta).sum()
        assert loss >= 0
        found.append(torch.autograd.grad(loss, theta)[0][0])
    return torch.stack(found)


def test_the_product_is_unbiased_and_the_square_is_not():
    exact = gradients(Exact(), 1)[0]
    off = {}
    for twice in (True, False):
        found = gradients(Random(1, "rademacher", twice, generator(3)))
        error = found.std(0) / DRAWS**0.5
        off[twice] = ((found.mean(0) - exact).abs() / error.clamp_min(1e-12)).max()
    assert off[True] < 5 and off[False] > 20
