"""A hypernetwork of the physics mode with adapters of rank 4, ready to be stepped: what two benchmarks share."""

from __future__ import annotations

import numpy as np
import torch
from common import CPU, SEED
from torch import Tensor

from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.problem.base import Problem
from pinnlora.problem.distributions import sample_splits
from pinnlora.study.settings import ProblemSettings
from pinnlora.train.data import Solutions, grid_coords, of_split, task_set
from pinnlora.train.hyperlearner import Hyperlearner
from pinnlora.train.settings import HypernetworkSettings, StageSettings
from pinnlora.train.setup import (
    base_weights,
    draw_of,
    dtype_of,
    embedding_of,
    network_of,
    numpy_generator,
    parametrisation_of,
    torch_generator,
)

RANK = 4


def solutions(
    problem: Problem,
    settings: ProblemSettings,
    split: str,
    dtype: torch.dtype,
    device: torch.device = CPU,
) -> Solutions:
    """The tasks of one split with their reference solutions."""
    values, splits = sample_splits(problem.task, settings.tasks.model_dump(), SEED)
    own = of_split(values, splits, split)
    fields = np.stack([f.reshape(len(f), -1) for f in problem.reference(own).values()], -1)
    tasks = task_set(problem, own, settings.network.symmetry, device, dtype)
    return Solutions(tasks, grid_coords(problem, device, dtype), torch.from_numpy(fields).to(device, dtype))


def hyperlearner(
    problem: Problem,
    settings: ProblemSettings,
    stage: StageSettings,
    body: HypernetworkSettings,
    base: Tensor,
    rank: int = RANK,
    device: torch.device = CPU,
) -> Hyperlearner:
    """The learner of the job `hypernetwork` in mode physics; base (1, size)."""
    dtype, name = dtype_of(stage.dtype), f"physics {rank}"
    network = network_of(problem, settings.network)
    frozen = base_weights(network, base, device, dtype)
    parametrisation = parametrisation_of(network, rank, frozen, settings.network)
    training = solutions(problem, settings, "train", dtype, device)
    embed = embedding_of(problem, body.embedding)
    start = parametrisation.initial(1, torch_generator(SEED, f"{name} start"))[0]
    hypernetwork = Hypernetwork(
        embed(training.tasks.values).shape[1], body.body, start, body.activation,
        torch_generator(SEED, f"{name} body"),
    ).to(device, dtype)  # fmt: skip
    return Hyperlearner(
        problem, parametrisation, hypernetwork, "physics", training,
        solutions(problem, settings, "validation", dtype, device), stage,
        draw_of(SEED, f"{name} points", device, dtype), numpy_generator(SEED, f"{name} tasks"), embed,
        symmetry=settings.network.symmetry,
    )  # fmt: skip


@torch.no_grad()
def test_error(learner: Hyperlearner, test: Solutions, every: int = 1) -> float:
    """The mean squared error over test tasks, fields and each `every`-th point of the grid."""
    theta = learner.hypernetwork(learner.embed(test.tasks.values))
    points = torch.arange(0, test.grid.shape[1], every)
    return float(test.error(theta, learner.parametrisation, points).mean())
