"""Directories of trained networks: model.safetensors with its metadata, history.nc beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pinnlora.files import atomic_directory, load_weights, save_weights, write_netcdf
from pinnlora.nets.adapters import Parametrisation
from pinnlora.problem.base import Problem
from pinnlora.train.loop import History
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import base_weights, network_of, parametrisation_of


@dataclass(frozen=True)
class Stored:
    """Trained numbers (task, size) of a directory, what they parametrise, of which problem, and its metadata."""

    problem: Problem
    parametrisation: Parametrisation
    theta: Tensor
    metadata: dict[str, Any]


def save_fits(
    output: Path, theta: Tensor, base: Tensor | None, metadata: dict[str, Any], history: History
) -> None:
    """Write a directory of fits at once: theta (task, size), the base's flat numbers (1, size)."""
    metadata = metadata | {"iterations": history.iterations, "seconds": history.seconds}
    tensors = {"theta": theta.detach().cpu()}
    if base is not None:
        tensors["base"] = base.detach().cpu()
    with atomic_directory(output) as temporary:
        save_weights(temporary / "model.safetensors", tensors, metadata)
        write_netcdf(history.dataset(), temporary / "history.nc", f"training history of {metadata['method']}")


def read_fits(path: Path, problem: Problem, device: torch.device, dtype: torch.dtype | None = None) -> Stored:
    """Read a directory that `save` wrote; without `dtype` in the precision it was trained in."""
    tensors, metadata = load_weights(Path(path) / "model.safetensors", str(device))
    settings = NetworkSettings(**metadata["network"])
    problem = problem.formulated(settings.formulation)
    network = network_of(problem, settings)
    dtype = dtype or tensors["theta"].dtype
    base = base_weights(network, tensors["base"], device, dtype) if "base" in tensors else None
    parametrisation = parametrisation_of(network, metadata["rank"], base, settings)
    return Stored(problem, parametrisation, tensors["theta"].to(dtype), metadata)


def read_base(path: Path) -> Tensor:
    """The base network's flat numbers, (1, size)."""
    return load_weights(Path(path) / "model.safetensors")[0]["theta"]
