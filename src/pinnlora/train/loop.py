"""The training loop: every network of the study, single tasks and hypernetworks alike, is trained by it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from tqdm import tqdm


class Learner(Protocol):
    """What the loop needs to know of what it trains; a per-task learner has one entry a task, else one."""

    steps: int
    seconds: float
    """Wall time of all its phases; 0: as long as the steps take."""

    def step(self, step: int) -> dict[str, Tensor]:
        """Improve once, as is due after `step` of its steps; losses by term, (task,)."""

    def settled(self, step: int) -> bool:
        """Whether states are judged by the validation loss yet: before, the latest one is kept."""

    def validate(self) -> Tensor:
        """The validation loss the best state is chosen by: (task,) or (1,)."""

    def keep(self, better: Tensor) -> None:
        """Store the state of the entries that are better than ever."""

    def drop(self, finished: Tensor) -> bool:
        """Stop training those entries; true when none is left."""

    def restore(self) -> None:
        """Go back to the stored states."""

    def next_phase(self) -> bool:
        """Go on to the next optimiser, from the best states; false when there is none."""

    def error(self) -> float:
        """Mean squared error against a few reference solutions: for the record, never for a decision."""


@dataclass
class History:
    """What happened, one sample an interval."""

    rows: list[dict[str, float]] = field(default_factory=list)
    iterations: int = 0
    seconds: float = 0.0
    best: Tensor | None = None

    def dataset(self) -> xr.Dataset:
        """Samples as NetCDF variables; a term that a sample lacks is nan."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        described = {
            "seconds": ("wall time since the start of training", "s"),
            "step": ("optimiser step", "1"),
            "loss": ("training loss, all terms", "1"),
            "validation": ("validation loss, mean over tasks", "1"),
            "mse": ("mean squared error against reference solutions, for the record only", "1"),
        }
        out = xr.Dataset()
        for name in names:
            long_name, units = described.get(name, (f"training loss, term {name.removeprefix('loss_')}", "1"))
            values = np.array([row.get(name, np.nan) for row in self.rows], dtype=float)
            out[name] = ("sample", values, {"long_name": long_name, "units": units})
        out.attrs.update(iterations=self.iterations, seconds=self.seconds)
        return out


def train(
    learner: Learner, report_every: int, patience: int = 0, title: str = "training", quiet: bool = False
) -> History:
    """Run the learner's phases, keep the best state of every entry, stop entries that no longer improve.

    A learner with a budget of seconds is where the clock says among its steps, of which some are left out or taken
    twice: schedules come to their end in time.
    Progress is a bar on a terminal and a line an interval elsewhere, nothing when `quiet`.
    """
    history = History()
    start = time.perf_counter()
    history.best = learner.validate()
    learner.keep(torch.ones_like(history.best, dtype=torch.bool))
    more = True
    while more:
        bar = tqdm(total=learner.steps, desc=title, disable=quiet or not sys.stderr.isatty())
        _phase(learner, history, bar, report_every, patience, start, quiet)
        learner.restore()
        more = learner.next_phase()
    history.seconds = time.perf_counter() - start
    return history


def _phase(
    learner: Learner, history: History, bar: tqdm, report_every: int, patience: int, start: float, quiet: bool
) -> None:
    stale, settled = torch.zeros_like(history.best), learner.settled(0)
    finished = torch.zeros_like(history.best, dtype=torch.bool)
    done, following, began = 0, 0, time.perf_counter()
    while (step := following) < learner.steps:
        losses = learner.step(step)
        history.iterations += 1
        done, following = done + 1, step + 1
        if learner.seconds:
            following = int((time.perf_counter() - began) / learner.seconds * learner.steps)
        bar.update(following - step)
        if done % report_every and following < learner.steps:
            continue
        validation = learner.validate()
        afresh = validation.isfinite() & (not settled)  # losses before were of a part of the problem
        settled = learner.settled(step)
        better = ((validation < history.best) | afresh) & ~finished  # what has stopped stays as it was
        history.best = torch.where(better, validation, history.best)
        stale = torch.where(better, 0, stale + report_every)
        learner.keep(better)
        _report(history, learner, losses, validation, history.iterations, time.perf_counter() - start)
        _show(bar, history.rows[-1], quiet)
        if patience:
            finished |= stale >= patience
            if learner.drop(finished):
                break
    bar.close()


def _report(history: History, learner: Learner, losses, validation, step: int, seconds: float) -> None:
    row = {"seconds": seconds, "step": step, "validation": float(validation.mean()), "mse": learner.error()}
    row |= {f"loss_{name}": float(value.mean()) for name, value in losses.items()}
    row["loss"] = sum(value for name, value in row.items() if name.startswith("loss_"))
    history.rows.append(row)


def _show(bar: tqdm, row: dict[str, float], quiet: bool) -> None:
    known = "" if np.isnan(row["mse"]) else f"  mse {row['mse']:.2e}"
    text = f"loss {row['loss']:.2e}  validation {row['validation']:.2e}{known}"
    if not bar.disable:
        bar.set_postfix_str(text)
    elif not quiet:
        print(f"step {row['step']:>6}  {row['seconds']:7.1f} s  {text}", flush=True)
