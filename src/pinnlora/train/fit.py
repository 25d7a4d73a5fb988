"""Fits of a split's tasks from settings: builds network, start, learner and monitor, and runs the loop."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.train.budget import train_within
from pinnlora.train.chain import fit_chain
from pinnlora.train.checkpoint import Checkpoint
from pinnlora.train.data import Monitor, Solutions, task_set
from pinnlora.train.progress import History
from pinnlora.train.settings import NetworkSettings, StageSettings
from pinnlora.train.setup import (
    announce,
    base_weights,
    device_of,
    draw_of,
    dtype_of,
    network_of,
    parametrisation_of,
    torch_generator,
)
from pinnlora.train.single import TaskFits


def fit(
    problem: Problem,
    values: Values,
    stage: StageSettings,
    settings: NetworkSettings,
    method: str,
    rank: int | str,
    seed: int,
    device: str,
    base: Tensor | None = None,
    reference: np.ndarray | None = None,
    name: str | None = None,
    origin: Values | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Tensor, History]:
    """Train `method` on tasks given as numpy arrays; returns theta (task, size), nan for failed ones, and the history.

    method: 'base' and 'pinn' start from random weights, 'finetuned' and 'lora' from `base` (1, size); `origin` is
    the base task, where continuation may start. What `checkpoint` has of this training is not done again.
    UserError where the base network cannot be trained.
    """
    where, dtype, name = device_of(device), dtype_of(stage.dtype), name or method
    tasks = task_set(problem, values, settings.symmetry, where, dtype)
    first = None if origin is None else task_set(problem, origin, settings.symmetry, where, dtype).values
    network = network_of(problem, settings)
    weights = None if base is None else base_weights(network, base, where, dtype)
    parametrisation = parametrisation_of(network, rank, weights, settings)
    start = parametrisation.initial(len(tasks), torch_generator(seed, f"{name} start"))
    if method == "finetuned" and base is not None:
        start = base.repeat(len(tasks), 1)
    announce(
        f"{problem.name} {name} rank {rank}", where, dtype, network,
        tasks=len(tasks), parameters=parametrisation.size, weights=network.size, optimiser=stage.optimiser,
    )  # fmt: skip
    draw, start = draw_of(seed, f"{name} points", where, dtype), start.to(where, dtype)
    if stage.chain:
        return fit_chain(problem, parametrisation, tasks, start, stage, draw, checkpoint)
    monitor = None if reference is None else Monitor.of(Solutions.of(tasks, reference))

    def learner_of(stage: StageSettings) -> TaskFits:
        return TaskFits(problem, parametrisation, tasks, start, stage, draw, monitor, first)

    learner, history = train_within(stage, learner_of, f"{problem.name} {name}", checkpoint)
    return _marked(learner, history, method), history


def _marked(learner: TaskFits, history: History, method: str) -> Tensor:
    theta, failed = learner.theta.detach(), learner.failed(history.best)
    if method == "base" and bool(failed.any()):
        raise UserError(f"{learner.problem.name}: the base network cannot be trained: {learner.why}")
    theta[failed] = torch.nan
    return theta
