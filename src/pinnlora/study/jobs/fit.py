"""The jobs `base`, `fit` and `teachers`: networks of single tasks, all tasks of a split at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pinnlora.files import machine
from pinnlora.study.stored import read_base, save_fits
from pinnlora.train.budget import suited
from pinnlora.train.checkpoint import MINUTES, checkpointed
from pinnlora.train.data import of_split, read_reference, read_tasks
from pinnlora.train.fit import fit
from pinnlora.train.settings import NetworkSettings, PerTaskStage
from pinnlora.train.setup import device_of, problem_of


def run(
    settings: dict[str, Any],
    tasks: Path,
    output: Path,
    reference: Path | None = None,
    base: Path | None = None,
    device: str = "auto",
    provenance: str = "",
    checkpoint_minutes: float = MINUTES,
) -> None:
    """Write the directory of fits: of T0 from random weights, or of a split from the base network."""
    problem = problem_of(settings)
    stage = suited(PerTaskStage(**settings["stage"]), problem)
    settings = settings | {"stage": stage.model_dump(mode="json")}
    values, splits = read_tasks(tasks, problem)
    split, start = settings["split"], None if base is None else read_base(base)
    known_fields = None
    if reference is not None:
        known_fields = read_reference(reference, problem, values, splits == split)
    known = ("problem", "method", "split", "rank", "seed", "network", "stage")
    metadata = {key: settings[key] for key in known} | {"provenance": provenance}
    with checkpointed(output, provenance, device_of(device), checkpoint_minutes) as checkpoint:
        theta, history = fit(
            problem, of_split(values, splits, split), stage,
            NetworkSettings(**settings["network"]), settings["method"], settings["rank"], settings["seed"],
            device, start, known_fields,
            name="teachers" if split == "train" else None, origin=of_split(values, splits, "base"),
            checkpoint=checkpoint,
        )  # fmt: skip
        metadata |= {"machine": machine(device_of(device)), "taken": history.taken}
        save_fits(output, theta, None if settings["rank"] == "full" else start, metadata, history)
