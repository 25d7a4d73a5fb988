"""What a training has done so far: the history that is kept of it, and where its loop is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

if TYPE_CHECKING:
    from pinnlora.train.loop import Learner


@dataclass
class History:
    """What happened, one sample an interval; `taken` is what a budget of seconds left of a stage's points."""

    rows: list[dict[str, float]] = field(default_factory=list)
    iterations: int = 0
    seconds: float = 0.0
    best: Tensor = field(default_factory=lambda: torch.empty(0))
    taken: dict[str, Any] = field(default_factory=dict)

    def dataset(self) -> xr.Dataset:
        """Samples as NetCDF variables; a term that a sample lacks is nan."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        described = {
            "seconds": ("wall time since the start of training", "s"),
            "step": ("optimiser step", "1"),
            "loss": ("training loss, all terms", "1"),
            "validation": ("validation loss, mean over the tasks that have one", "1"),
            "mse": ("mean squared error against reference solutions, for the record only", "1"),
        }
        out = xr.Dataset()
        for name in names:
            long_name, units = described.get(name, (f"training loss, term {name.removeprefix('loss_')}", "1"))
            values = np.array([row.get(name, np.nan) for row in self.rows], dtype=float)
            out[name] = ("sample", values, {"long_name": long_name, "units": units})
        out.attrs.update(iterations=self.iterations, seconds=self.seconds)
        return out


@dataclass
class Progress:
    """Where the loop is: all of it that a checkpoint keeps. `done` and `following` are steps of this phase, those
    taken and the learner's next one; times of beginning, by `time.perf_counter`."""

    history: History
    stale: Tensor
    finished: Tensor
    settled: bool
    done: int = 0
    following: int = 0
    began: float = field(default_factory=lambda: time.perf_counter())
    phase_began: float = field(default_factory=lambda: time.perf_counter())

    @classmethod
    def begin(cls, learner: Learner) -> Progress:
        """At the first step of the first phase, with the state at the start as the best one."""
        began = time.perf_counter()
        best = learner.validate()
        learner.keep(torch.ones_like(best, dtype=torch.bool))
        return cls(History(best=best), began=began, **cls._fresh(learner, best))

    @staticmethod
    def _fresh(learner: Learner, best: Tensor) -> dict[str, Any]:
        none = torch.zeros_like(best)
        return {"stale": none, "finished": none.bool(), "settled": learner.settled(0)}

    def next_phase(self, learner: Learner) -> Progress:
        """At the first step of the next phase."""
        return Progress(self.history, began=self.began, **self._fresh(learner, self.history.best))

    def state_dict(self) -> dict[str, Any]:
        """As numbers, and times as seconds used."""
        now = time.perf_counter()
        used = {name: now - getattr(self, name) for name in ("began", "phase_began")}
        return vars(self) | {"history": vars(self.history)} | used

    @classmethod
    def of(cls, state: dict[str, Any], like: Tensor) -> Progress:
        """From `state_dict`, its tensors on the device of `like`."""
        now = time.perf_counter()
        state = {
            name: value.to(like.device) if torch.is_tensor(value) else value for name, value in state.items()
        }
        used = {name: now - state[name] for name in ("began", "phase_began")}
        history = History(**state["history"])
        history.best = history.best.to(like.device)
        return cls(**state | used | {"history": history})
