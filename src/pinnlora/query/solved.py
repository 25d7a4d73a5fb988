"""Refined networks on their own: saved, loaded and asked without the hypernetwork that they came from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.files import atomic_directory, refuse_foreign, save_weights, version
from pinnlora.nets.adapters import Full
from pinnlora.problem.base import Problem
from pinnlora.problem.carry import copy_problem
from pinnlora.query.calibration import FORMAT, Calibration
from pinnlora.query.export import SolutionModule
from pinnlora.query.networks import Networks
from pinnlora.query.predict import predicted
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of


@dataclass(frozen=True)
class Solved:
    """The networks of one or many refined tasks."""

    networks: Networks

    def predict(
        self,
        at: Mapping[str, Any] | xr.Dataset | None = None,
        fields: Sequence[str] | None = None,
        estimate: str = "auto",
    ) -> xr.Dataset:
        """Fields of the tasks it was saved with; arguments as those of `Surrogate.predict`."""
        return predicted(self.networks, at, fields, estimate)

    def module(self) -> SolutionModule:
        """A plain torch module of the one task, coordinates (point, dim) -> fields (point, field); numbers alone, as
        `Surrogate.module` has them."""
        return SolutionModule(self.networks)


def check_place(output: str | Path) -> None:
    """UserError where networks would replace anything but networks, such as the bundle that they come from."""
    if not isinstance(output, str | os.PathLike):
        raise UserError(f"save = {repr(output)[:60]}; expected the name of a directory")
    output = Path(output)
    refuse_foreign(output, directory=True)
    config = output / "config.json"
    if not output.is_dir() or not any(output.iterdir()):
        return
    try:
        same = json.loads(config.read_text(encoding="utf-8"))["kind"] == "networks"
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise UserError(f"{output} holds something else than saved networks: give another directory for them")


def save_networks(networks: Networks, output: Path) -> None:
    """Write all weights, the tasks and what is needed to read them; all or nothing. UserError as `check_place`."""
    check_place(output)
    networks = networks.full()
    kept = ("problem", "mode", "network", "stage")
    config = {name: networks.config[name] for name in kept if name in networks.config}
    config |= {"format": FORMAT, "kind": "networks", "alone": networks.alone, "version": version()}
    if networks.calibration is not None:
        config["calibration"] = networks.calibration.stored()
    tensors = {"theta": networks.theta}
    for name, value in networks.given.items():
        tensors[f"task.{name}"] = networks.theta.new_tensor(value)
    with atomic_directory(output) as temporary:
        config |= copy_problem(config["problem"], temporary)
        save_weights(temporary / "model.safetensors", tensors, {"format": "pinnlora networks"})
        (temporary / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_networks(problem: Problem, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Solved:
    """The inverse of `save_networks`, of what was read."""
    settings = NetworkSettings(**config["network"])
    problem = problem.formulated(settings.formulation)
    given = {
        name.removeprefix("task."): value.cpu().numpy() for name, value in tensors.items() if name != "theta"
    }
    calibration = Calibration(**config["calibration"]) if "calibration" in config else None
    parametrisation = Full(network_of(problem, settings))
    return Solved(
        Networks(
            problem,
            parametrisation,
            tensors["theta"],
            given,
            config["alone"],
            settings.symmetry,
            config,
            calibration,
            refined=True,
        )
    )
