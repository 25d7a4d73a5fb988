"""Teachers that can be learned from: fits along a tree through task space, each started from its neighbour.

Fits from one common start wander along the flat directions of the loss and cannot be interpolated; fits that
follow each other in small damped steps lie on a smooth surface.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from torch import Tensor

from pinnlora.loss.draw import Draw
from pinnlora.nets.adapters import Parametrisation
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values
from pinnlora.train.checkpoint import Checkpoint
from pinnlora.train.data import TaskSet
from pinnlora.train.loop import train
from pinnlora.train.progress import History
from pinnlora.train.settings import StageSettings
from pinnlora.train.single import TaskFits

SUBSTEPS = 4
"""How many intermediate tasks lie between a task and its neighbour."""


def levels(embedding: Tensor) -> list[tuple[Tensor, Tensor | None]]:
    """The minimum spanning tree of tasks embedded as (task, size), from the median task on, level by level.

    Each level holds the indices of its tasks, and of their parents (None for the root).
    """
    distance = torch.cdist(embedding, embedding).double().cpu().numpy()
    root = int(distance.sum(1).argmin())
    tree = minimum_spanning_tree(distance + 1)  # the same tree; an entry of zero would mean no edge
    order, parents = breadth_first_order(tree, root, directed=False)
    depth = np.zeros(len(distance), dtype=int)
    for task in order[1:]:
        depth[task] = depth[parents[task]] + 1
    of_depth = [np.flatnonzero(depth == level) for level in range(1, depth.max() + 1)]
    return [(torch.tensor([root]), None)] + [
        (torch.from_numpy(tasks), torch.from_numpy(parents[tasks]).long()) for tasks in of_depth
    ]


def fit_chain(
    problem: Problem,
    parametrisation: Parametrisation,
    tasks: TaskSet,
    start: Tensor,
    stage: StageSettings,
    draw: Draw,
    checkpoint: Checkpoint | None = None,
) -> tuple[Tensor, History]:
    """Fit all tasks along the tree, those of one depth as a batch; the stage's iterations a task, five times as many
    for the first.

    The points are one fixed set, so that nothing but the task changes from fit to fit, and damping, where there is any,
    stays at or above its start. Returns theta (task, size), nan for tasks that failed, and a history with one sample a
    level of the tree. What `checkpoint` has of it is not done again.
    """
    still = {"resample": 0, "adaptive": False, "horizon": "none", "balance": False, "seconds": 0.0}
    fixed = stage.model_copy(update=still | {"report_every": 10**9, "patience": 0})
    checkpoint = checkpoint or Checkpoint()
    walk = Walk.of(checkpoint.found("chain"), start)
    checkpoint.part("chain", walk.state_dict)
    for number, leg in enumerate(_legs(problem, tasks, stage.steps)):
        if number < walk.leg:
            continue
        level = leg.level.to(start.device)
        if leg.first:
            walk.current = start[level] if leg.parents is None else walk.theta[leg.parents.to(start.device)]
        settings = fixed.model_copy(update={"steps": leg.steps})
        way = TaskSet(problem, leg.values, tasks.take(level).move)
        learner = TaskFits(problem, parametrisation, way, walk.current, settings, draw)
        history = train(learner, leg.steps, quiet=True, checkpoint=checkpoint)
        walk.current, walk.leg = learner.theta.detach(), number + 1
        walk.history.iterations += history.iterations
        if leg.last:
            walk.theta[level] = walk.current
            walk.failed[level] = learner.failed(history.best)
            walk.done += len(level)
            _record(walk, learner, len(tasks))
    walk.history.seconds = time.perf_counter() - walk.began
    walk.theta[walk.failed] = torch.nan
    return walk.theta, walk.history


@dataclass
class Walk:
    """How far along the tree the fits are: the next leg, where it starts, and all that was made before it."""

    theta: Tensor
    current: Tensor
    failed: Tensor
    history: History = field(default_factory=History)
    leg: int = 0
    done: int = 0
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, state: dict[str, Any] | None, start: Tensor) -> Walk:
        """At the beginning, or where a checkpoint was written."""
        if state is None:
            return cls(start.clone(), start, torch.zeros(len(start), dtype=torch.bool, device=start.device))
        tensors = {name: state[name].to(start.device) for name in ("theta", "current", "failed")}
        began = time.perf_counter() - state["began"]
        return cls(**state | tensors | {"history": History(**state["history"]), "began": began})

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint; the time as seconds used."""
        return vars(self) | {"history": vars(self.history), "began": time.perf_counter() - self.began}


@dataclass(frozen=True)
class Leg:
    """Part of the way to the tasks of one level: fits of `values`, by so many iterations."""

    level: Tensor
    parents: Tensor | None
    values: Values
    steps: int
    first: bool
    last: bool


def _legs(problem: Problem, tasks: TaskSet, steps: int) -> Iterator[Leg]:
    """The way along the tree, level by level, in SUBSTEPS from the parents to their children."""
    for level, parents in levels(problem.embed(tasks.values)):
        goal = tasks.take(level).values
        if parents is None:
            yield Leg(level, None, goal, 5 * steps, True, True)
            continue
        origin = tasks.take(parents).values
        for k in range(1, SUBSTEPS + 1):
            values = {name: origin[name] + k / SUBSTEPS * (goal[name] - origin[name]) for name in goal}
            yield Leg(level, parents, values, max(1, steps // SUBSTEPS), k == 1, k == SUBSTEPS)


def _record(walk: Walk, learner: TaskFits, total: int) -> None:
    loss, seconds = float(learner.validate().mean()), time.perf_counter() - walk.began
    walk.history.rows.append(
        {"seconds": seconds, "step": walk.history.iterations, "validation": loss, "mse": float("nan")}
    )
    print(f"teachers {walk.done:>4} of {total}  {seconds:7.1f} s  validation {loss:.2e}", flush=True)
