"""Low-rank adapters and full weights: what the trained numbers stand for, and what stays frozen."""

import pytest
import torch
from small import CPU, dense, generator, random_theta, random_weights, relative, task_values, tiny

from pinnlora.loss.draw import Draw
from pinnlora.nets.adapters import Full, LowRank
from pinnlora.nets.mlp import MLP
from pinnlora.problem.channels import Channels
from pinnlora.train.data import TaskSet
from pinnlora.train.settings import StageSettings
from pinnlora.train.single import TaskFits

NETWORK = MLP(2, 3, width=6, hidden_layers=4)
BASE = random_weights(NETWORK, 1, seed=3)


def test_matrices_are_base_plus_b_times_a_and_the_rest_is_the_base():
    lora = LowRank(NETWORK, BASE, rank=2, unadapted=(1, 3))
    theta = random_theta(lora, 3)
    weights = lora.weights(theta)
    assert lora.size == 2 * ((2 + 6) + (6 + 6) + (6 + 3))
    for task in range(3):
        matrices, biases = dense(lora, theta[task])
        for k, (matrix, bias) in enumerate(zip(matrices, biases, strict=True)):
            torch.testing.assert_close(weights.matrices[k][task], matrix, rtol=1e-14, atol=1e-14)
            assert torch.equal(weights.biases[k][task], bias)
            adapted = not torch.equal(weights.matrices[k][task], BASE.matrices[k][0])
            assert adapted == (k not in (1, 3))
            change = weights.matrices[k][task] - BASE.matrices[k][0]
            assert torch.linalg.matrix_rank(change, rtol=1e-10) == (2 if adapted else 0)


def test_every_map_may_have_a_rank_of_its_own_and_none():
    lora = LowRank(NETWORK, BASE, rank=(3, 0, 2), unadapted=(1, 3))
    theta = random_theta(lora, 2)
    assert theta.shape == (2, 3 * (2 + 6) + 2 * (6 + 3))
    weights = lora.weights(theta)
    for task in range(2):
        for matrix, own in zip(dense(lora, theta[task])[0], weights.matrices, strict=True):
            torch.testing.assert_close(own[task], matrix, rtol=1e-14, atol=1e-14)
    assert torch.equal(weights.matrices[2], BASE.matrices[2].expand(2, -1, -1))
    first = lora.factors(lora.initial(1, generator()))
    assert [down.shape[1] for down, _ in first] == [up.shape[2] for _, up in first] == [3, 0, 2]
    with pytest.raises(ValueError, match="2 ranks for 3"):
        LowRank(NETWORK, BASE, rank=(3, 2), unadapted=(1, 3))


def test_first_adapters_leave_the_base_network_as_it_is_but_let_it_learn():
    lora = LowRank(NETWORK, BASE, rank=2)
    theta, coords = lora.initial(3, generator()), torch.rand(1, 5, 2, dtype=torch.float64)
    channels = Channels.of([(0, 0), (0, 1)])
    theta.requires_grad_()
    adapted = NETWORK.forward(lora.weights(theta), coords, channels)
    assert torch.equal(adapted, NETWORK.forward(BASE, coords, channels).expand(3, -1, -1, -1))
    gradient = torch.autograd.grad(adapted.square().sum(), theta)[0]
    for down, up in lora.factors(gradient):
        assert not down.any() and up.any()  # B = 0: only B feels the loss, and all of it does
    assert torch.equal(theta[0], theta[2])  # one A for all tasks


def test_full_weights_are_each_matrix_followed_by_its_bias():
    full = Full(NETWORK)
    theta = random_theta(full, 2)
    assert theta.shape == (2, full.size)
    assert torch.equal(full.weights(theta).flat(), theta)
    matrices, biases = dense(full, theta[1])
    weights = full.weights(theta)
    assert all(torch.equal(weights.matrices[k][1], matrix) for k, matrix in enumerate(matrices))
    assert all(torch.equal(weights.biases[k][1], bias) for k, bias in enumerate(biases))


def test_new_networks_are_glorot_normal_and_differ_from_task_to_task():
    network = MLP(2, 1, width=200, hidden_layers=2)
    weights = network.unflatten(Full(network).initial(2, generator()))
    assert abs(float(weights.matrices[1].std()) / (2 / 400) ** 0.5 - 1) < 0.02
    assert not any(bias.any() for bias in weights.biases)
    assert relative(weights.matrices[1][0], weights.matrices[1][1]) > 0.1


def test_training_adapters_touches_neither_base_nor_unadapted_map():
    problem, lora = tiny("kovasznay", "lora")
    before = [matrix.clone() for matrix in lora.base.matrices] + [bias.clone() for bias in lora.base.biases]
    tasks = TaskSet(problem, task_values(problem, 2), None)
    for optimiser in ("levenberg_marquardt", "adam"):
        stage = StageSettings(optimiser=optimiser, dtype="float64", steps=3, points=10, condition_points=4)
        start = lora.initial(2, generator())
        learner = TaskFits(problem, lora, tasks, start, stage, Draw(generator(), CPU, torch.float64))
        for step in range(3):
            learner.step(step)
        assert relative(learner.theta.detach(), start) > 1e-4
        after = [*lora.base.matrices, *lora.base.biases]
        assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
        weights = lora.weights(learner.theta.detach())
        assert torch.equal(weights.matrices[1], lora.base.matrices[1].expand(2, -1, -1))
