"""Errors on shapes: over what is inside, blind to what is outside, and not blind to a NaN inside."""

import numpy as np
import pytest
import torch
from small import CPU, generator, random_theta, task_values

from pinnlora import Condition, Disk, Problem, Uniform
from pinnlora.nets.adapters import Full
from pinnlora.nets.mlp import MLP
from pinnlora.study.evaluation import Truth, measure
from pinnlora.study.references import own_references
from pinnlora.train.data import Monitor, Solutions, fields_of, grid_coords, task_set


class Spot(Problem):
    """A disk of varying size."""

    coords = Disk(x=0, y=0, radius="r")
    fields = ("u",)
    task = Uniform(r=(0.5, 1))
    grid = {"x": 21, "y": 31}

    def residual(self, u_xx, u_yy):
        return {"poisson": u_xx + u_yy - 4}

    def rim(self, r):
        return {"u": r**2}

    def exact(self, x, y):
        return {"u": x**2 + y**2}

    conditions = [Condition(rim, on="disk")]


PROBLEM = Spot()
VALUES = {name: value.numpy() for name, value in task_values(PROBLEM, 3).items()}
REFERENCE = own_references(PROBLEM, VALUES).fields["u"].reshape(3, -1, 1)
INSIDE = np.isfinite(REFERENCE)
SPLITS = np.array(["test"] * 3)


def truth(reference=REFERENCE):
    return Truth(PROBLEM, VALUES, SPLITS, reference)


def test_errors_are_means_over_the_inside():
    junk = np.where(INSIDE, REFERENCE + 0.1, 1e9)
    errors = measure(truth(), junk, "test")
    assert errors["mse"] == pytest.approx(np.full((3, 1), 0.01))
    norm = [np.mean(field[there] ** 2) for field, there in zip(REFERENCE, INSIDE, strict=True)]
    assert errors["relative_l2"][:, 0] == pytest.approx(0.1 / np.sqrt(norm))
    assert (measure(truth(), np.where(INSIDE, REFERENCE, np.nan), "test")["mse"] == 0).all()


def test_a_nan_inside_is_seen():
    middle = 10 * 31 + 15  # the centre
    broken = REFERENCE.copy()
    broken[1, middle] = np.nan
    mse = measure(truth(), broken, "test")["mse"][:, 0]
    assert np.isinf(mse[1]) and (mse[[0, 2]] == 0).all()
    mse = measure(truth(broken), REFERENCE, "test")["mse"][:, 0]
    assert np.isnan(mse[1]) and (mse[[0, 2]] == 0).all()


def test_training_watches_and_learns_from_the_inside():
    tasks = task_set(PROBLEM, VALUES, False, CPU, torch.float32)
    full = Full(MLP(2, 1, 5, 2))
    theta = random_theta(full, 3).float()
    found = fields_of(full, theta, tasks, grid_coords(PROBLEM, CPU, torch.float32)).numpy()
    solutions = Solutions.of(tasks, np.where(INSIDE, found + 0.1, np.nan))
    assert solutions.known.all()
    assert solutions.everywhere(theta, full).numpy() == pytest.approx(np.full(3, 0.01), rel=1e-4)
    assert Monitor.of(solutions, 100)(theta, full) == pytest.approx(0.01, rel=1e-4)
    chosen = torch.tensor([2, 0])
    points = solutions.drawn(chosen, 200, generator())
    coords, targets = solutions.sample(chosen, points)
    assert coords.shape == (2, 200, 2) and targets.isfinite().all()
    radius = torch.from_numpy(VALUES["r"])[chosen].float()[:, None]
    assert (coords.norm(dim=-1) <= radius * (1 + 1e-5)).all()
    fields = fields_of(full, theta[chosen], tasks.take(chosen), coords)
    assert (fields + 0.1 - targets).abs().max() < 1e-5
