"""Residuals and mismatches at fresh points, against what they are by hand."""

import math

import numpy as np
import pytest
import torch
from declared import Heat, Torus
from small import CPU, task_values
from test_surrogate import KINDS, bundle, task_of

from pinnlora.loss.draw import Draw
from pinnlora.loss.measure import physics_errors, residual_map
from pinnlora.nets.adapters import Full
from pinnlora.problem.library.burgers2d import Burgers2D
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of


def whole(problem, conditions: str = "soft") -> Full:
    return Full(network_of(problem, NetworkSettings(width=6, hidden_layers=2, conditions=conditions)))


def test_of_nothing_the_mismatch_is_the_size_of_what_is_prescribed():
    """u = 0 solves the heat equation and misses an arch on a line, and ends at 0 and 2."""
    problem = Heat()
    parametrisation, values = whole(problem), task_values(problem, 3)
    theta = torch.zeros(3, parametrisation.size, dtype=torch.float64)
    residual, mismatch = physics_errors(problem, parametrisation, theta, values)
    x = np.linspace(0, 2, 10001)
    expected = math.sqrt((((np.sin(np.pi * x / 2) + x) ** 2).mean() + 2) / 2)
    assert residual.tolist() == [0, 0, 0]
    assert mismatch.tolist() == pytest.approx([expected] * 3, rel=0.01)


def test_conditions_that_are_held_are_measured_too():
    problem = Heat()
    parametrisation, values = whole(problem, "hard"), task_values(problem, 2)
    theta = torch.randn(
        2, parametrisation.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    residual, mismatch = physics_errors(problem, parametrisation, theta, values)
    assert float(mismatch.max()) < 1e-14 and float(residual.min()) > 0.01


def test_a_diverged_task_is_infinite():
    problem = Torus()
    parametrisation = whole(problem)
    theta = torch.full((1, parametrisation.size), math.nan, dtype=torch.float64)
    assert [float(each) for each in physics_errors(problem, parametrisation, theta, task_values(problem, 1))] == [
        math.inf, math.inf,
    ]  # fmt: skip


def test_the_problems_own_weight_plays_no_part(monkeypatch):
    problem = Burgers2D()
    assert problem.weight_signature is not None
    parametrisation, values = whole(problem), task_values(problem, 1)
    theta = 5 * torch.randn(
        1, parametrisation.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    weighted = physics_errors(problem, parametrisation, theta, values)
    monkeypatch.setattr(Burgers2D, "weight_signature", None)
    assert torch.equal(weighted[0], physics_errors(problem, parametrisation, theta, values)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_has_the_residuals_mean_square(tmp_path, kind):
    surrogate = bundle(tmp_path / "bundle", *KINDS[kind])
    tasks = surrogate.tasks(**task_of(KINDS[kind][0]))
    theta, parametrisation = surrogate.numbers(tasks), surrogate.parametrisation
    residual, mismatch = physics_errors(tasks.problem, parametrisation, theta, tasks.values)
    draw = Draw(torch.Generator(), CPU, theta.dtype).frozen(11)
    coords = tasks.problem.coords.scale(draw.unit(1, 4096, 2))
    found = residual_map(tasks.problem, parametrisation, theta, tasks.values, coords)
    assert found.shape == (1, 4096) and bool(torch.isfinite(mismatch).all())
    assert float(found.square().mean().sqrt()) == pytest.approx(float(residual), rel=0.1)
