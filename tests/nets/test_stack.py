"""Jets in chunks against jets map by map: values, gradients, memory that is used again."""

import pytest
import torch
from small import generator, random_theta, random_weights, relative

import pinnlora.nets.stack
from pinnlora.nets.adapters import Full, LowRank
from pinnlora.nets.mlp import MLP, Tape, Weights
from pinnlora.problem.channels import Channels

CHANNELS = Channels.of([(0, 0), (0, 1), (1, 1, 1, 1), (2,)])
NETWORK = MLP(3, 2, width=6, hidden_layers=3)
KINDS = {
    "full": Full(NETWORK),
    "lora": LowRank(NETWORK, random_weights(NETWORK, 1, seed=9), 2, unadapted=(0, 1)),
}


@pytest.fixture(params=["whole", "tasks apart", "points apart"])
def points(request, monkeypatch) -> int:
    """How many points make one chunk of everything, some of one task each, or several of one task."""
    if request.param != "whole":
        monkeypatch.setattr(pinnlora.nets.stack, "CACHE", 0)
    return {"whole": 9, "tasks apart": 30, "points apart": 150}[request.param]


def by_maps(weights: Weights, coords: torch.Tensor) -> torch.Tensor:
    """The jet as it is pushed when a tape is kept: map by map, every map a node of its own."""
    return NETWORK.forward(weights, coords, CHANNELS, Tape([], []))


def random_coords(tasks: int, points: int) -> torch.Tensor:
    return torch.randn(tasks, points, 3, generator=generator(3), dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [False, True], ids=["own points", "shared points"])
def test_chunks_give_what_single_maps_give(points, kind, shared):
    parametrisation, coords = KINDS[kind], random_coords(1 if shared else 3, points)
    theta = random_theta(parametrisation, 3).requires_grad_()
    mix = torch.randn(3, len(CHANNELS), points, 2, generator=generator(4), dtype=torch.float64)
    found, expected = (
        push(parametrisation.weights(theta), coords)
        for push in (lambda w, at: NETWORK.forward(w, at, CHANNELS), by_maps)
    )
    assert relative(found.detach(), expected.detach()) < 1e-13
    gradients = [torch.autograd.grad((mix * jet + jet**2).sum(), theta)[0] for jet in (found, expected)]
    assert relative(*gradients) < 1e-12
    with torch.no_grad():
        assert (
            relative(NETWORK.forward(parametrisation.weights(theta), coords, CHANNELS), expected.detach())
            < 1e-13
        )


def test_one_network_serves_the_points_of_many_tasks():
    weights, coords = random_weights(NETWORK, 1), random_coords(3, 5)
    matrices = tuple(matrix.requires_grad_() for matrix in weights.matrices)
    jets = [push(Weights(matrices, weights.biases), coords) for push in
            (lambda w, at: NETWORK.forward(w, at, CHANNELS), by_maps)]  # fmt: skip
    found, expected = (torch.autograd.grad(jet.square().sum(), matrices) for jet in jets)
    assert all(relative(f, e) < 1e-12 for f, e in zip(found, expected, strict=True))


def test_memory_is_used_again_but_never_by_two_jets_at_once():
    network, coords = MLP(3, 2, width=6, hidden_layers=3), random_coords(2, 8)
    theta = random_theta(Full(network), 2).requires_grad_()

    def gradient(jet):
        return torch.autograd.grad(jet.square().sum(), theta)[0]

    alone = gradient(network.forward(network.unflatten(theta), coords, CHANNELS))
    lent = {flat.data_ptr() for flat in network.memory._free}
    two = [network.forward(network.unflatten(theta), coords, CHANNELS) for _ in range(2)]
    assert all(torch.equal(gradient(jet), alone) for jet in two)
    assert lent < {flat.data_ptr() for flat in network.memory._free}
    held = len(network.memory._free)
    for _ in range(3):
        gradient(network.forward(network.unflatten(theta), coords, CHANNELS))
    assert len(network.memory._free) == held


def test_a_second_reverse_pass_is_refused():
    theta = random_theta(Full(NETWORK), 1).requires_grad_()
    total = NETWORK.forward(NETWORK.unflatten(theta), random_coords(1, 4), CHANNELS).sum()
    torch.autograd.grad(total, theta, retain_graph=True)
    with pytest.raises(RuntimeError, match="differentiated twice"):
        torch.autograd.grad(total, theta)


def test_one_task_in_single_precision_goes_another_way_to_the_same_values(monkeypatch):
    weights, coords = random_weights(NETWORK, 1), random_coords(1, 40)
    exact = NETWORK.forward(weights, coords, CHANNELS)
    single = Weights(*(tuple(part.float() for part in parts) for parts in (weights.matrices, weights.biases)))
    for way in (pinnlora.nets.stack.ONEDNN, None):
        monkeypatch.setattr(pinnlora.nets.stack, "ONEDNN", way)
        assert relative(NETWORK.forward(single, coords.float(), CHANNELS).double(), exact) < 1e-6
