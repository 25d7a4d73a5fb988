"""Directories of trained networks: model.safetensors with its metadata, history.nc beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.files import atomic_directory, load_weights, save_weights, write_netcdf
from pinnlora.nets.adapters import Parametrisation
from pinnlora.problem.base import Problem
from pinnlora.train.progress import History
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
    """Write a directory of fits at once: theta (task, size), nan for tasks that failed (`failed` in the metadata has
    their indices), the base's flat numbers (1, size)."""
    failed = (~theta.isfinite()).any(-1).nonzero()[:, 0].tolist()
    if failed:
        print(f"{len(failed)} of {len(theta)} tasks failed: {', '.join(map(str, failed))}", flush=True)
    metadata = metadata | {"failed": failed} | {"iterations": history.iterations, "seconds": history.seconds}
    tensors = {"theta": theta.detach().cpu()}
    if base is not None:
        tensors["base"] = base.detach().cpu()
    with atomic_directory(output) as temporary:
        save_weights(temporary / "model.safetensors", tensors, metadata)
        write_netcdf(history.dataset(), temporary / "history.nc", f"training history of {metadata['method']}")


def read_fits(
    path: Path,
    problem: Problem,
    device: torch.device,
    dtype: torch.dtype | None = None,
    start: Tensor | None = None,
) -> Stored:
    """Read a directory that `save_fits` wrote; without `dtype` in the precision it was trained in. UserError where it
    is damaged, its numbers are not those of its network, or its adapters are on another base network than `start`."""
    tensors, metadata = _load(path, str(device))
    if start is not None and not torch.equal(tensors.get("base", start), start):
        raise UserError(f"{path} holds adapters on another base network than the one given: train them again")
    settings = NetworkSettings(**metadata["network"])
    problem = problem.formulated(settings.formulation)
    network = network_of(problem, settings)
    dtype = dtype or tensors["theta"].dtype
    base = base_weights(network, tensors["base"], device, dtype) if "base" in tensors else None
    parametrisation = parametrisation_of(network, metadata["rank"], base, settings)
    if tensors["theta"].shape[1:] != (parametrisation.size,):
        shape = tuple(tensors["theta"].shape)
        raise UserError(f"{path} holds numbers of shape {shape}, expected (task, {parametrisation.size})")
    return Stored(problem, parametrisation, tensors["theta"].to(dtype), metadata)


def read_base(path: Path) -> Tensor:
    """The base network's flat numbers, (1, size); UserError where it is damaged, or no base network."""
    tensors, metadata = _load(path)
    if metadata["method"] != "base" or len(tensors["theta"]) != 1:
        raise UserError(
            f"{path} holds {metadata['method']} of {len(tensors['theta'])} tasks, expected a base network"
        )
    if metadata["failed"]:
        raise UserError(f"{path} holds a base network that could not be trained: see the log of its training")
    return tensors["theta"]


def _load(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a directory of fits, finite but for the tasks that failed."""
    tensors, metadata = load_weights(Path(path) / "model.safetensors", device)
    if not ("theta" in tensors and {"method", "rank", "network", "failed"} <= metadata.keys()):
        raise UserError(f"{path} is no directory of fits: expected one of the jobs base, fit or teachers")
    sound = torch.ones(len(tensors["theta"]), dtype=torch.bool, device=tensors["theta"].device)
    sound[metadata["failed"]] = False
    if not all(bool(part.isfinite().all()) for part in (tensors["theta"][sound], tensors.get("base", sound))):
        raise UserError(f"{path} holds numbers that are not finite: make it anew")
    return tensors, metadata
