"""Reading what was trained: bundles with a hypernetwork, and refined networks on their own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.files import load_weights
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.problem.base import Problem
from pinnlora.problem.carry import CARRIED, made_here
from pinnlora.problem.load import Spec, load_problem
from pinnlora.query.calibration import FORMAT, Calibration
from pinnlora.query.solved import Solved, read_networks
from pinnlora.query.surrogate import Surrogate
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import base_weights, device_of, embedding_of, network_of, parametrisation_of


def load(path: str | Path, device: str = "cpu", trust: bool = False) -> Surrogate | Solved:
    """Read a bundle, or networks that `refine(save=...)` wrote; UserError when it is neither, or damaged.

    One that carries a problem's code and was not made on this machine is read with `trust` only: the code runs.
    """
    path = Path(path)
    config = _config(path)
    spec = Spec.of(config["problem"])
    if spec.file is not None and not trust and not made_here(path, config.get("seal")):
        raise UserError(
            f"{path} carries code, {spec.file}, that was made or changed elsewhere and would run: read it, and then "
            "load with trust=True, or --trust"
        )
    named = spec.name if spec.file is None else f"{(path / spec.file).resolve()}:{spec.name}"
    problem, config = load_problem(named), config | {"problem": named}
    tensors, about = load_weights(path / "model.safetensors", str(device_of(device)))
    if about.get("provenance") != config.get("provenance", about.get("provenance")):
        raise UserError(
            f"{path}: model.safetensors and config.json are of different trainings: copy the bundle again"
        )
    if not all(bool(part.isfinite().all()) for part in tensors.values()):
        raise UserError(f"{path}: model.safetensors holds numbers that are not finite: train it anew")
    try:
        return (read_networks if config.get("kind") == "networks" else _surrogate)(problem, config, tensors)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, LookupError) as error:
        text = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: config.json and model.safetensors do not fit together ({text})") from None


def load_surrogate(path: str | Path, device: str = "cpu", trust: bool = False) -> Surrogate:
    """As `load`, of a bundle with a hypernetwork; UserError for refined networks."""
    found = load(path, device, trust)
    if isinstance(found, Solved):
        raise UserError(f"{path} is refined networks of given tasks: this needs the hypernetwork")
    return found


def _config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    if not os.path.isfile(file):  # a name too long is none either
        raise UserError(f"{path} is no bundle: expected a directory with config.json and model.safetensors")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(config["problem"], str) or not isinstance(config["network"], dict):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is no bundle: its config.json is damaged, or another program's") from None
    if not isinstance(config.get("format", 1), int) or Spec.of(config["problem"]).file not in (None, CARRIED):
        raise UserError(f"{path} is no bundle: its config.json is damaged, or another program's")
    if config.get("format", 1) > FORMAT:
        raise UserError(
            f"{path} has format {config['format']}, written by pinnlora {config.get('version')}; this version reads "
            f"formats up to {FORMAT}: install that one"
        )
    return config


def _surrogate(problem: Problem, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Surrogate:
    settings, base = NetworkSettings(**config["network"]), tensors["base"]
    problem = problem.formulated(settings.formulation)
    network, dtype = network_of(problem, settings), tensors["hypernetwork.head.weight"].dtype
    weights = base_weights(network, base, base.device, dtype)
    parametrisation = parametrisation_of(network, config.get("ranks", config["rank"]), weights, settings)
    if parametrisation.size != config["outputs"]:
        raise ValueError(f"{config['outputs']} outputs, but rank {config['rank']} has {parametrisation.size}")
    shape, outputs = config["hypernetwork"], torch.zeros(config["outputs"])
    body = Hypernetwork(config["inputs"], tuple(shape["body"]), outputs, shape["activation"]).to(
        base.device, dtype
    )
    body.load_state_dict(
        {name.removeprefix("hypernetwork."): p for name, p in tensors.items() if name != "base"}
    )
    calibration = Calibration(**config["calibration"]) if "calibration" in config else None
    embed = embedding_of(problem, shape["embedding"])
    return Surrogate(problem, parametrisation, body, embed, base, settings.symmetry, config, calibration)
