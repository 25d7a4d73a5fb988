"""From settings to objects: device, precision, named random generators, networks, what is trained of them."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.nets.adapters import Full, LowRank, Parametrisation
from pinnlora.nets.derivatives.exact import Exact
from pinnlora.nets.derivatives.random import Random
from pinnlora.nets.derivatives.stein import Stein
from pinnlora.nets.derivatives.way import Derivatives
from pinnlora.nets.hard import NONE, hard_conditions
from pinnlora.nets.mlp import MLP, Weights
from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem
from pinnlora.problem.signature import Values
from pinnlora.train.settings import NetworkSettings, StageSettings


def device_of(text: str) -> torch.device:
    """'auto' is the GPU where there is one; UserError when 'cuda' is asked for and absent."""
    if text == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda, but torch sees no GPU here; set device: auto or cpu")
    if text == "auto":
        text = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(text)


def dtype_of(text: str) -> torch.dtype:
    """float32 or float64."""
    return getattr(torch, text)


def torch_generator(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for every purpose, so that one more draw here changes nothing there.

    On the CPU torch looks at the lowest 32 bits of a seed only: both seed and name must go into these.
    """
    return torch.Generator(device).manual_seed(zlib.crc32(f"{seed} {name}".encode()))


def numpy_generator(seed: int, name: str) -> np.random.Generator:
    """The same for numpy."""
    return np.random.default_rng((seed, zlib.crc32(name.encode())))


def draw_of(seed: int, name: str, device: torch.device, dtype: torch.dtype) -> Draw:
    """Random points for one stage."""
    return Draw(torch_generator(seed, name, device), device, dtype)


def problem_of(settings: Mapping[str, Any]) -> Problem:
    """The problem that a training job's settings name, in the formulation that its networks are for."""
    return load_problem(settings["problem"]).formulated(NetworkSettings(**settings["network"]).formulation)


def network_of(problem: Problem, settings: NetworkSettings) -> MLP:
    """The base network of a problem; UserError when a periodic input map finds nothing periodic, or a
    formulation not the symmetry that it needs."""
    if problem.needs_symmetry and not settings.symmetry:
        raise UserError(
            f"network.formulation: {settings.formulation} of problem {problem.name} needs network.symmetry: true"
        )
    hard = NONE
    if settings.conditions != "soft":
        hard = hard_conditions(problem, settings.lift, insist=settings.conditions == "hard")
    box = problem.coords
    cycles = tuple(box.names.index(name) for name in box.cycles)
    axes = tuple(dict.fromkeys((*cycles, *hard.periodic)))
    if settings.input_map == "periodic":
        axes = tuple(c.periodic for c in problem.bound_conditions if c.periodic is not None)
        if not axes:
            raise UserError(
                f"network.input_map: periodic, but problem {problem.name} has no Periodic condition; use identity"
            )
    waves = tuple((axis, box.low[axis], box.high[axis] - box.low[axis]) for axis in axes)
    coords, fields, shape = len(box.names), len(problem.unknowns), (settings.width, settings.hidden_layers)
    return MLP(coords, fields, *shape, waves, settings.modes, settings.lift, hard, settings.smoothing)


def parametrisation_of(
    network: MLP, rank: int | str | Sequence[int], base: Weights | None, settings: NetworkSettings
) -> Parametrisation:
    """All weights for rank 'full', else adapters on the base network, of one rank or of one each."""
    if rank == "full":
        return Full(network)
    if base is None:
        raise UserError(f"rank {rank}: adapters need a base network")
    ranks = int(rank) if isinstance(rank, int | str) else tuple(rank)
    return LowRank(network, base, ranks, tuple(settings.unadapted))


def derivatives_of(settings: StageSettings, network: MLP, generator: torch.Generator) -> Derivatives:
    """The way to derivatives in space that a stage asks for; UserError where it and the network do not agree."""
    kind = settings.derivatives
    if (kind == "stein") != (network.smoothing > 0):
        raise UserError(
            f"derivatives: {kind} with network.smoothing: {network.smoothing:g}; stein is for a smoothed network "
            "(network.smoothing above 0, such as 0.01), exact and random for one that is not"
        )
    if kind == "stein" and settings.balance:
        raise UserError("balance: true needs slopes that derivatives: stein does without; set it to false")
    if kind == "stein":
        return Stein(settings.directions, network.smoothing, generator)
    if kind == "random":
        return Random(settings.directions, settings.direction_kind, settings.unbiased, generator)
    return Exact()


def base_weights(network: MLP, theta: Tensor, device: torch.device, dtype: torch.dtype) -> Weights:
    """The base network's weights (1, ...) from its flat numbers (1, size); UserError where another network's came."""
    if theta.shape != (1, network.size):
        raise UserError(
            f"a base network of shape {tuple(theta.shape)} came, expected (1, {network.size}): another one?"
        )
    return network.unflatten(theta.to(device, dtype))


def embedding_of(problem: Problem, kind: str) -> Callable[[Values], Tensor]:
    """What the hypernetwork reads of a task: the problem's own embedding, or its distribution's ('raw')."""
    return problem.embed if kind == "default" else problem.task.embed


def announce(title: str, device: torch.device, dtype: torch.dtype, network: MLP, **counts: int | str) -> None:
    """The first lines of every training job: what runs where, how large it is, what is held exactly and what not."""
    on_cpu = device.type == "cpu"
    where = f"cpu, {torch.get_num_threads()} threads" if on_cpu else torch.cuda.get_device_name()
    precision = str(dtype).removeprefix("torch.")
    print(f"{time.strftime('%H:%M:%S')} {title}: device {where}; dtype {precision}", flush=True)
    print("; ".join(f"{name} {value}" for name, value in counts.items()), flush=True)
    for line in network.hard.describe() if network.hard != NONE else ():
        print(line, flush=True)
