"""Teachers that can be learned from: fits along a tree through task space, each started from its neighbour.

Fits from one common start wander along the flat directions of the loss and cannot be interpolated; fits that
follow each other in small damped steps lie on a smooth surface.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from torch import Tensor

from pinnlora.loss.draw import Draw
from pinnlora.nets.adapters import Parametrisation
from pinnlora.problem.base import Problem
from pinnlora.train.data import TaskSet
from pinnlora.train.loop import History, train
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
) -> tuple[Tensor, History]:
    """Fit all tasks along the tree, those of one depth as a batch; `stage.steps` iterations a task, five times
    as many for the first.

    The points are one fixed set, so that nothing but the task changes from fit to fit, and the damping stays at
    or above its start. Returns theta (task, size) and a history with one sample a level of the tree.
    """
    still = {"resample": 0, "adaptive": False, "horizon": "none", "balance": False, "seconds": 0.0}
    fixed = stage.model_copy(update=still | {"report_every": 10**9, "patience": 0})
    theta, history, began = start.clone(), History(), time.perf_counter()
    done = 0
    for level, parents in levels(problem.embed(tasks.values)):
        level = level.to(start.device)
        parents = None if parents is None else parents.to(start.device)
        move, current = tasks.take(level).move, start[level] if parents is None else theta[parents]
        for values, steps in _way(tasks, level, parents, stage.steps):
            settings = fixed.model_copy(update={"steps": steps})
            way = TaskSet(problem, values, move)
            learner = TaskFits(problem, parametrisation, way, current, settings, draw)
            train(learner, steps, quiet=True)
            current = learner.theta.detach()
            history.iterations += steps
        theta[level] = current
        done += len(level)
        _record(history, learner, done, len(tasks), time.perf_counter() - began)
    history.seconds = time.perf_counter() - began
    return theta, history


def _way(tasks: TaskSet, level: Tensor, parents: Tensor | None, steps: int):
    """The tasks on the way from the parents (a batch), and the iterations spent on each."""
    goal = tasks.take(level).values
    if parents is None:
        yield goal, 5 * steps
        return
    origin = tasks.take(parents).values
    for k in range(1, SUBSTEPS + 1):
        part = k / SUBSTEPS
        values = {name: origin[name] + part * (goal[name] - origin[name]) for name in goal}
        yield values, max(1, steps // SUBSTEPS)


def _record(history: History, learner: TaskFits, done: int, total: int, seconds: float) -> None:
    loss = float(learner.validate().mean())
    history.rows.append(
        {"seconds": seconds, "step": history.iterations, "validation": loss, "mse": float("nan")}
    )
    print(f"teachers {done:>4} of {total}  {seconds:7.1f} s  validation {loss:.2e}", flush=True)
