"""The training loop: every network of the study, single tasks and hypernetworks alike, is trained by it."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pinnlora.train.checkpoint import Checkpoint
from pinnlora.train.progress import History, Progress

ASTRAY = 100.0
"""Validation losses of so many times the least are of a training that will not come back by itself."""


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

    def turn_back(self, astray: Tensor) -> None:
        """Go on from the stored states of those entries, with shorter steps; those of second order are damped."""

    def drop(self, finished: Tensor) -> bool:
        """Stop training those entries; true when none is left."""

    def restore(self) -> None:
        """Go back to the stored states."""

    def next_phase(self) -> bool:
        """Go on to the next optimiser, from the best states; false when there is none."""

    def look(self, losses: dict[str, Tensor], step: int) -> None:
        """Tell of tasks whose losses, or whose gradients in that step, are not finite."""

    def error(self) -> float:
        """Mean squared error against a few reference solutions: for the record, never for a decision."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step changes."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take all that back, into a learner made of the same settings."""


def train(
    learner: Learner,
    report_every: int,
    patience: int = 0,
    title: str = "training",
    quiet: bool = False,
    checkpoint: Checkpoint | None = None,
    fill: bool = True,
) -> History:
    """Run the learner's phases, keep the best state of every entry, stop entries that no longer improve.

    A learner with a budget of seconds is where the clock says among its steps, of which some are left out, or taken
    twice to `fill` the time: schedules come to their end in time. What a checkpoint has of this training is not done
    again. Progress is a bar on a terminal and a line an interval elsewhere, nothing when `quiet`.
    """
    checkpoint = checkpoint or Checkpoint()
    progress = _resumed(learner, checkpoint) or Progress.begin(learner)
    checkpoint.part("loop", lambda: progress.state_dict())
    checkpoint.part("learner", lambda: learner.state_dict())
    with checkpoint.watching():
        more = True
        while more:
            _phase(learner, progress, report_every, patience, title, quiet, checkpoint, fill)
            learner.restore()
            more = learner.next_phase()
            progress = progress.next_phase(learner) if more else progress
    progress.history.seconds = time.perf_counter() - progress.began
    return progress.history


def _resumed(learner: Learner, checkpoint: Checkpoint) -> Progress | None:
    known, state = checkpoint.found("loop"), checkpoint.found("learner")
    if known is None or state is None:
        return None
    learner.load_state_dict(state)
    progress = Progress.of(known, learner.validate())
    seconds = time.perf_counter() - progress.began
    print(f"after {progress.history.iterations} steps and {seconds:.1f} s", flush=True)
    return progress


def _phase(
    learner: Learner,
    progress: Progress,
    report_every: int,
    patience: int,
    title: str,
    quiet: bool,
    checkpoint: Checkpoint,
    fill: bool,
) -> None:
    hidden = quiet or not sys.stderr.isatty()
    bar = tqdm(total=learner.steps, initial=progress.following, desc=title, disable=hidden)
    while True:
        checkpoint.poll()
        if (step := progress.following) >= learner.steps:
            break
        losses = learner.step(step)
        progress.history.iterations += 1
        progress.done, progress.following = progress.done + 1, step + 1
        if learner.seconds:
            share = (time.perf_counter() - progress.phase_began) / learner.seconds
            progress.following = max(int(share * learner.steps), 0 if fill else step + 1)
        bar.update(progress.following - step)
        due = progress.done % report_every == 0 or progress.following >= learner.steps
        if due or progress.done == 1:  # later, weights that are nan hide what made them so
            learner.look(losses, step)
        if not due:
            continue
        validation = _judge(learner, progress, step, report_every)
        _report(progress, learner, losses, validation)
        _show(bar, progress.history.rows[-1], quiet)
        if patience:
            progress.finished = progress.finished | (progress.stale >= patience)
            if learner.drop(progress.finished):
                break
    bar.close()


def _judge(learner: Learner, progress: Progress, step: int, report_every: int) -> Tensor:
    """Validate, and keep what is better; the validation losses."""
    history, validation = progress.history, learner.validate()
    afresh = validation.isfinite() & (not progress.settled)  # losses before were of a part of the problem
    progress.settled = learner.settled(step)
    better = ((validation < history.best) | afresh) & ~progress.finished  # what has stopped stays as it was
    history.best = torch.where(better, validation, history.best)
    progress.stale = torch.where(better | (not progress.settled), 0, progress.stale + report_every)
    learner.keep(better)
    astray = (validation > ASTRAY * history.best) & ~progress.finished
    if progress.settled and bool(astray.any()):
        learner.turn_back(astray)
    return validation


def _report(progress: Progress, learner: Learner, losses: dict[str, Tensor], validation: Tensor) -> None:
    history, seconds = progress.history, time.perf_counter() - progress.began
    row = {"seconds": seconds, "step": history.iterations, "validation": _mean(validation)}
    row["mse"] = learner.error()
    row |= {f"loss_{name}": _mean(value) for name, value in losses.items()}
    row["loss"] = sum(value for name, value in row.items() if name.startswith("loss_"))
    history.rows.append(row)


def _mean(values: Tensor) -> float:
    """The mean of the tasks that have a number; one that failed hides nothing of the others."""
    known = values[values.isfinite()]
    return float((known if len(known) else values).mean())


def _show(bar: tqdm, row: dict[str, float], quiet: bool) -> None:
    known = "" if np.isnan(row["mse"]) else f"  mse {row['mse']:.2e}"
    text = f"loss {row['loss']:.2e}  validation {row['validation']:.2e}{known}"
    if not bar.disable:
        bar.set_postfix_str(text)
    elif not quiet:
        print(f"step {row['step']:>6}  {row['seconds']:7.1f} s  {text}", flush=True)
