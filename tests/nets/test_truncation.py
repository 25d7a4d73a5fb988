"""Directions of adapters over tasks: ranked by what they contribute, and cut."""

import pytest
import torch
from small import dense, generator, plain, random_weights, relative
from torch.func import jacfwd, vmap

from pinnlora.nets.adapters import LowRank
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.nets.mlp import MLP
from pinnlora.nets.truncation import ranked_directions, truncated
from pinnlora.problem.channels import VALUE

NETWORK = MLP(2, 3, width=6, hidden_layers=3)
LORA = LowRank(NETWORK, random_weights(NETWORK, 1, seed=3), rank=4, unadapted=(1,))
TASKS = torch.linspace(-1, 1, 7, dtype=torch.float64)[:, None]
COORDS = torch.rand(1, 20, 2, generator=generator(5), dtype=torch.float64)


def hypernetwork(effective: int = 4) -> Hypernetwork:
    """One whose adapters have `effective` directions, hidden among four by an invertible matrix."""
    body = Hypernetwork(1, (8, 8), torch.zeros(LORA.size), "tanh", generator(1)).double()
    every = 0.3 * torch.randn(9, LORA.size, generator=generator(2), dtype=torch.float64)
    mixed = torch.randn(4, 4, generator=generator(3), dtype=torch.float64)
    for down, up in LORA.factors(every):
        up[..., effective:] = 0
        down.copy_(mixed @ down)
        up.copy_(up @ torch.linalg.inv(mixed))
    with torch.no_grad():
        body.head.weight.copy_(every[:-1].mT)
        body.head.bias.copy_(every[-1])
    return body


def fields(lora: LowRank, theta: torch.Tensor) -> torch.Tensor:
    return NETWORK.forward(lora.weights(theta), COORDS, VALUE)[:, 0]


def jacobian(lora: LowRank, theta: torch.Tensor) -> torch.Tensor:
    """By automatic differentiation of plain networks, (1, row, size)."""

    def rows(own: torch.Tensor) -> torch.Tensor:
        return vmap(lambda point: plain(NETWORK, *dense(lora, own), point))(COORDS[0]).flatten()

    return jacfwd(rows)(theta[0])[None]


def directions(body: Hypernetwork):
    theta = body(TASKS).detach()
    return ranked_directions(LORA, [(one[None], jacobian(LORA, one[None])) for one in theta])


def test_all_directions_together_are_the_same_network():
    body = hypernetwork()
    before = body(TASKS).detach()
    after, lora = truncated(before, LORA, directions(body), (4, 4, 4))
    assert relative(fields(lora, after), fields(LORA, before)) < 1e-9
    for down, _ in lora.factors(after):
        norms = down.square().sum(-1).mean(0)
        assert torch.allclose(norms, torch.ones_like(norms), rtol=1e-6)


def test_directions_that_do_nothing_are_found_and_cut_without_a_change():
    body = hypernetwork(effective=2)
    found = directions(body)
    assert found.kept(LORA, 1e-9) == (2, 2, 2)
    before = body(TASKS).detach()
    after, lora = truncated(before, LORA, found, (2, 2, 2))
    assert lora.size == LORA.size // 2 == after.shape[1]
    assert relative(fields(lora, after), fields(LORA, before)) < 1e-6


def test_contributions_fall_and_what_is_cut_is_within_the_tolerance():
    found = directions(hypernetwork())
    assert all(bool((own.diff() <= 0).all()) for own in found.contributions)
    total, sizes = float(torch.cat(found.contributions).sum()), []
    for tolerance in (1e-12, 0.01, 0.1, 0.5, 0.99):
        ranks = found.kept(LORA, tolerance)
        parts = [own.tensor_split([rank]) for own, rank in zip(found.contributions, ranks, strict=True)]
        cut = float(torch.cat([left for _, left in parts]).sum())
        least = min(float(kept[-1]) for kept, _ in parts if len(kept))
        assert cut <= tolerance * total < cut + 1.5 * least  # the maps' numbers a direction: 8, 12 and 9
        sizes.append(sum(ranks))
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1] >= 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_of_one_direction_the_contribution_is_the_change_in_the_fields(place):
    """With one direction in one map the two sides of its change are not independent, but what is cut is all of it."""
    ranks = tuple(int(k == place) for k in range(3))
    lora = LowRank(NETWORK, LORA.base, ranks, unadapted=(1,))
    theta = 1e-4 * torch.randn(1, lora.size, generator=generator(4), dtype=torch.float64)
    found = ranked_directions(lora, [(theta, jacobian(lora, theta))])
    change = fields(lora, theta) - fields(lora, torch.zeros_like(theta))
    total = sum(float(own.sum()) for own in found.contributions)
    assert total == pytest.approx(float(change.square().sum()), rel=1e-2)


def test_adapters_that_are_still_zero_have_no_directions():
    body = Hypernetwork(1, (8, 8), LORA.initial(1, generator())[0], "tanh", generator(1)).double()
    with torch.no_grad():
        body.head.weight.zero_()
    found = directions(body)
    assert all(float(own.sum()) < 1e-25 for own in found.contributions)
    smaller, lora = truncated(body(TASKS).detach(), LORA, found, (1, 1, 1))
    assert bool(fields(lora, smaller).isfinite().all())
