"""Training of one hypernetwork from settings: builds networks, data and learner, and runs the loop."""

from __future__ import annotations

from functools import partial
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
from pinnlora.train.checkpoint import Checkpoint
from pinnlora.train.data import Monitor, Solutions, of_split, read_reference, task_set
from pinnlora.train.hyperlearner import Hyperlearner
from pinnlora.train.progress import History
from pinnlora.train.ranks import train_cutting
from pinnlora.train.settings import FROM_TEACHERS, HypernetworkSettings, NetworkSettings, StageSettings
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

    `base` (1, size) are the base network's numbers, `teachers` (task, size) those of the training tasks' PINNs, nan for
    those that failed. UserError where no task can be trained on, or where ranks cannot be found ('auto').
    """
    stage, shape = StageSettings(**settings["stage"]), HypernetworkSettings(**settings["hypernetwork"])
    where, dtype = device_of(device), dtype_of(stage.dtype)
    mode, rank, seed = settings["mode"], settings["rank"], settings["seed"]
    network = network_of(problem, own := NetworkSettings(**settings["network"]))
    first = _first_rank(mode, rank, shape)
    parametrisation = parametrisation_of(network, first, base_weights(network, base, where, dtype), own)

    def solutions(split: str) -> Solutions:
        tasks = task_set(problem, of_split(values, splits, split), own.symmetry, where, dtype)
        return Solutions.of(tasks, read_reference(reference, problem, values, splits == split))

    training, taught = _taught(mode, solutions("train"), teachers, where, dtype)
    embed, start = embedding_of(problem, shape.embedding), _start(parametrisation, settings, base, taught)
    title, inputs = f"{problem.name} {mode}", embed(training.tasks.values).shape[1]
    new = partial(_new, settings, shape, inputs, where, dtype)
    announce(f"{title} rank {rank}", where, dtype, network, **_counts(parametrisation, new(start), stage))
    watched, validation = Monitor.of(solutions("test")), solutions("validation")
    origin = task_set(problem, of_split(values, splits, "base"), own.symmetry, where, dtype).values

    def learner_of(of: Parametrisation, first: Tensor, stage: StageSettings) -> Hyperlearner:
        return Hyperlearner(
            problem, of, new(first), mode, training, validation, stage,
            draw_of(seed, f"{mode} {rank} points", where, dtype), numpy_generator(seed, f"{mode} {rank} tasks"),
            embed, taught, own.symmetry, watched, origin,
        )  # fmt: skip

    tolerance = shape.tolerance if rank == "auto" else None
    learner, history = train_cutting(stage, learner_of, parametrisation, start, tolerance, title, checkpoint)
    return _sound(learner, history, title).hypernetwork, learner.parametrisation, history


def _first_rank(mode: str, rank: int | str, shape: HypernetworkSettings) -> int | str:
    """The rank that training begins with."""
    if rank == "auto" and mode in FROM_TEACHERS:
        raise UserError(
            f"rank auto is for modes data and physics: {mode} learns from teachers of a rank; give that"
        )
    return shape.largest_rank if rank == "auto" else rank


def _sound(learner: Hyperlearner, history: History, title: str) -> Hyperlearner:
    if learner.failed(history.best):
        raise UserError(f"{title}: the hypernetwork cannot be trained: {learner.why}")
    return learner


def _known(solutions: Solutions) -> Solutions:
    if not bool(solutions.known.any()):
        raise UserError(
            "mode data: no training task has a reference solution to learn from; leave data out of modes, or give "
            "reference: FILE.nc"
        )
    return solutions.take(solutions.known.nonzero()[:, 0])


def _taught(
    mode: str, training: Solutions, teachers: Tensor | None, device: torch.device, dtype: torch.dtype
) -> tuple[Solutions, Tensor]:
    """The training tasks that can be learned from, and their teachers for the modes that have some."""
    if mode not in FROM_TEACHERS:
        return (_known(training) if mode == "data" else training), torch.empty(0)
    if teachers is None:
        raise UserError(f"mode {mode} learns from per-task PINNs: give --teachers DIR")
    there = teachers.isfinite().all(-1).nonzero()[:, 0]
    if not len(there):
        raise UserError(f"mode {mode}: all teachers failed, there is nothing to learn from: see their log")
    if len(there) < len(teachers):
        print(f"{len(teachers) - len(there)} training tasks have no teacher: their fits failed", flush=True)
    return training.take(there.to(device)), teachers[there].to(device, dtype)


def _new(
    settings: dict[str, Any],
    shape: HypernetworkSettings,
    inputs: int,
    device: torch.device,
    dtype: torch.dtype,
    start: Tensor,
) -> Hypernetwork:
    generator = torch_generator(settings["seed"], f"{settings['mode']} {settings['rank']} body")
    return Hypernetwork(inputs, shape.body, start, shape.activation, generator).to(device, dtype)


def _counts(
    parametrisation: Parametrisation, hypernetwork: Hypernetwork, stage: StageSettings
) -> dict[str, int | str]:
    weights = sum(p.numel() for p in hypernetwork.parameters())
    return {"outputs": parametrisation.size, "hypernetwork": weights, "optimiser": stage.optimiser}


def _start(
    parametrisation: Parametrisation, settings: dict[str, Any], base: Tensor, teachers: Tensor
) -> Tensor:
    """What the hypernetwork predicts before training: the teachers' mean, the base network, or no correction."""
    mode, rank = settings["mode"], settings["rank"]
    if mode == "weights":
        return teachers.mean(0).double().cpu()
    if rank == "full":
        return base[0].double()
    return parametrisation.initial(1, torch_generator(settings["seed"], f"{mode} {rank} start"))[0]
