"""Random directions: unbiased, exact where they are all axes, of the variance that theory says."""

import pytest
import torch
from small import generator, random_weights, relative

from pinnlora.errors import UserError
from pinnlora.nets.derivatives.random import Random
from pinnlora.nets.mlp import MLP
from pinnlora.problem.channels import Channels, gradient

NETWORK = MLP(9, 1, width=6, hidden_layers=2)
CHANNELS = Channels.of([(8,)], range(8))
KINDS = ("rademacher", "gaussian", "axes")


def of_hessian(hessian: torch.Tensor, kind: str, count: int, points: int) -> torch.Tensor:
    """So many estimates of a matrix' trace."""
    coords = torch.zeros(1, points, len(hessian), dtype=torch.float64)
    channels = Channels.of([], range(len(hessian)))
    way = Random(count, kind, False, generator(2)).ways(channels, coords)[0].way
    v = way.at()
    return torch.einsum("kpi,ij,kpj->p", v, hessian, v)


def test_all_axes_at_once_are_exact():
    weights, coords = random_weights(NETWORK, 2), torch.randn(2, 12, 9, generator=generator(1)).double()
    exact = NETWORK.forward(weights, coords, CHANNELS)
    channels = Random(8, "axes", False, generator(3)).ways(CHANNELS, coords)[0]
    found = NETWORK.forward(weights, coords, channels)
    assert relative(found[:, -1], exact[:, -1]) < 1e-12
    assert relative(gradient(found[..., 0], channels), gradient(exact[..., 0], CHANNELS)) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_of_all_estimates_is_exact(kind):
    weights, coords = random_weights(NETWORK, 1), torch.randn(1, 1, 9, generator=generator(1)).double()
    exact, many = NETWORK.forward(weights, coords, CHANNELS), coords.expand(1, 200, 9)
    method, jets = Random(3, kind, False, generator(4)), []
    for _ in range(200):
        channels = method.ways(CHANNELS, many)[0]
        jets.append(NETWORK.forward(weights, many, channels))
    jet = torch.cat(jets, 2)
    for found, wanted in (
        (jet[0, -1, :, 0], exact[0, -1, :, 0]),
        (jet[0, channels.rays, :, 0].square().sum(0), exact[0, CHANNELS.rays, :, 0].square().sum(0)),
    ):
        by_pool = found.view(200, 200).mean(1)  # points of one draw share a pool
        assert (found.mean() - wanted).abs() < 4 * by_pool.std() / 200**0.5


@pytest.mark.parametrize(("kind", "share"), [("rademacher", 2.0), ("gaussian", 2.0)])
def test_the_variance_is_that_of_hutchinsons_estimate(kind, share):
    hessian = torch.randn(10, 10, generator=generator(6)).double()
    hessian = hessian + hessian.mT
    size = hessian.square().sum() - (hessian.diagonal().square().sum() if kind == "rademacher" else 0)
    estimates = of_hessian(hessian, kind, count=4, points=4000)
    assert abs(float(estimates.var() / (share * size / 4)) - 1) < 0.35  # a pool of 256 directions


def test_of_a_multiple_of_the_identity_random_signs_have_no_variance():
    estimates = of_hessian(3 * torch.eye(50, dtype=torch.float64), "rademacher", 2, 100)
    torch.testing.assert_close(estimates, torch.full_like(estimates, 150.0), rtol=1e-13, atol=0)


def test_two_estimates_are_independent_and_a_fixed_one_stays():
    coords = torch.zeros(1, 7, 9, dtype=torch.float64)
    method = Random(3, "rademacher", True, generator(5))
    first, second = method.ways(CHANNELS, coords)
    assert not torch.equal(first.way.pool, second.way.pool)
    (one,), (other,) = method.fixed().ways(CHANNELS, coords), method.fixed().ways(CHANNELS, coords)
    assert torch.equal(one.way.at(), other.way.at())
    assert len(method.ways(Channels.of([(8,)]), coords)) == 1  # nothing to be drawn


def test_more_axes_than_there_are_is_a_line_that_says_so():
    with pytest.raises(UserError, match="9 axes, but space has 8"):
        Random(9, "axes", False, generator()).ways(CHANNELS, torch.zeros(1, 2, 9))
