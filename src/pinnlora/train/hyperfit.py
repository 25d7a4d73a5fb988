"""Training of one hypernetwork from settings: builds networks, data and learner, and runs the loop."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.train.budget import train_within
from pinnlora.train.checkpoint import Checkpoint
from pinnlora.train.data import Monitor, Solutions, of_split, read_reference, task_set
from pinnlora.train.hyperlearner import Hyperlearner
from pinnlora.train.loop import History
from pinnlora.train.settings import HypernetworkSettings, NetworkSettings, StageSettings
from pinnlora.train.setup import (
    announce,
    base_weights,
    device_of,
    draw_of,
    dtype_of,
    embedding_of,
    network_of,
    numpy_generator,
    parametrisation_of,
    torch_generator,
)


def fit_hypernetwork(
    problem: Problem,
    settings: dict[str, Any],
    values: Values,
    splits: np.ndarray,
    reference: Path,
    base: Tensor,
    teachers: Tensor | None = None,
    device: str = "auto",
    checkpoint: Checkpoint | None = None,
) -> tuple[Hypernetwork, Parametrisation, History]:
    """Train one mode at one rank, on from `checkpoint`; `settings` is the job's part of the configuration.

    `base` (1, size) are the base network's numbers, `teachers` (task, size) those of the training tasks' PINNs,
    nan for those that failed. UserError where no task can be trained on.
    """
    stage, shape = StageSettings(**settings["stage"]), HypernetworkSettings(**settings["hypernetwork"])
    where, dtype = device_of(device), dtype_of(stage.dtype)
    mode, rank, seed = settings["mode"], settings["rank"], settings["seed"]
    network = network_of(problem, own := NetworkSettings(**settings["network"]))
    parametrisation = parametrisation_of(network, rank, base_weights(network, base, where, dtype), own)
    taught = _taught(mode, teachers, where, dtype)

    def solutions(split: str) -> Solutions:
        tasks = task_set(problem, of_split(values, splits, split), own.symmetry, where, dtype)
        return Solutions.of(tasks, read_reference(reference, problem, values, splits == split))

    training = solutions("train") if mode != "data" else _known(solutions("train"))
    training, taught = _with_teacher(training, taught)
    embed = embedding_of(problem, shape.embedding)
    start, inputs = _start(parametrisation, settings, base, taught), embed(training.tasks.values).shape[1]
    generator = torch_generator(seed, f"{mode} {rank} body")
    hypernetwork = Hypernetwork(inputs, shape.body, start, shape.activation, generator).to(where, dtype)
    title, weights = f"{problem.name} {mode}", sum(p.numel() for p in hypernetwork.parameters())
    counts = {"outputs": parametrisation.size, "hypernetwork": weights, "optimiser": stage.optimiser}
    announce(f"{title} rank {rank}", where, dtype, network, **counts)
    watched, validation = Monitor.of(solutions("test")), solutions("validation")
    origin = task_set(problem, of_split(values, splits, "base"), own.symmetry, where, dtype).values

    def learner_of(stage: StageSettings) -> Hyperlearner:
        return Hyperlearner(
            problem, parametrisation, deepcopy(hypernetwork), mode, training, validation, stage,
            draw_of(seed, f"{mode} {rank} points", where, dtype), numpy_generator(seed, f"{mode} {rank} tasks"),
            embed, taught, own.symmetry, watched, origin,
        )  # fmt: skip

    learner, history = train_within(stage, learner_of, title, checkpoint)
    if learner.failed(history.best):
        raise UserError(f"{title} rank {rank}: the hypernetwork cannot be trained: {learner.why}")
    return learner.hypernetwork, parametrisation, history


def _with_teacher(training: Solutions, taught: Tensor | None) -> tuple[Solutions, Tensor | None]:
    """The training tasks that can be learned from, and their teachers, if there are any."""
    if taught is None:
        return training, None
    there = taught.isfinite().all(-1).nonzero()[:, 0]
    if not len(there):
        raise UserError("all teachers failed: there is nothing to learn from")
    if len(there) < len(taught):
        print(f"{len(taught) - len(there)} training tasks have no teacher: their fits failed", flush=True)
    return training.take(there), taught[there]


def _known(solutions: Solutions) -> Solutions:
    if not bool(solutions.known.any()):
        raise UserError("mode data: no training task has a reference solution to learn from")
    return solutions.take(solutions.known.nonzero()[:, 0])


def _taught(mode: str, teachers: Tensor | None, device: torch.device, dtype: torch.dtype) -> Tensor | None:
    if mode not in ("weights", "distilled"):
        return None
    if teachers is None:
        raise UserError(f"mode {mode} learns from per-task PINNs: give --teachers DIR")
    return teachers.to(device, dtype)


def _start(
    parametrisation: Parametrisation, settings: dict[str, Any], base: Tensor, teachers: Tensor | None
) -> Tensor:
    """What the hypernetwork predicts before training: the teachers' mean, the base network, or no correction."""
    mode, rank = settings["mode"], settings["rank"]
    if mode == "weights":
        return teachers.mean(0).double().cpu()
    if rank == "full":
        return base[0].double()
    return parametrisation.initial(1, torch_generator(settings["seed"], f"{mode} {rank} start"))[0]
