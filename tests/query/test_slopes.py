"""Slopes of fields in the unknowns of a task: the chain rule gives what forward mode through all of it gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_surrogate import bundle

from pinnlora.errors import UserError
from pinnlora.query import slopes as module
from pinnlora.query.slopes import derivative_of, slopes

FUNCTION = """
from pinnlora import Box, Condition, GaussianField, Problem, Uniform


class Decay(Problem):
    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u",)
    task = GaussianField("f", points=12, scale=2000, on="x") * Uniform(k=(1, 2))
    grid = {"x": 11, "t": 6}

    def residual(self, u_t, u_xx):
        return {"heat": u_t - u_xx}

    def start(self, f):
        HERE
        return {"u": f}

    conditions = [Condition(start, on="t=0")]
"""


def both(surrogate, points=20):
    """Fields and Jacobian at two tasks and random points, with many unknowns and with few."""
    surrogate = surrogate.to(torch.float64)
    problem, task = surrogate.problem, surrogate.problem.task
    rng = np.random.default_rng(3)
    z = torch.from_numpy(rng.uniform(-0.9, 0.9, (2, len(task.bounded))))
    at = torch.from_numpy(rng.uniform(0.1, 0.9, (2, points, len(problem.coords.names))))
    given = (surrogate, task.decode, z, at)
    return slopes(*given), given


def check(surrogate, monkeypatch):
    """In one go, in parts of few points, and by forward mode for any number of unknowns."""
    (fields, jacobian), given = both(surrogate)
    assert jacobian.shape == (2, 20 * len(surrogate.problem.fields), given[2].shape[1])
    assert jacobian.abs().max() > 1e-4
    for name, value in (("NUMBERS", 2000), ("FEW", 10**6)):
        monkeypatch.setattr(module, name, value)
        again = slopes(*given)
        torch.testing.assert_close(fields, again[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(jacobian, again[1], rtol=0, atol=1e-11)


@pytest.mark.parametrize("symmetry", [True, False])
def test_through_a_hypernetwork_a_lift_a_potential_and_a_symmetry(tmp_path, monkeypatch, symmetry):
    surrogate = bundle(tmp_path / "bundle", "burgers1d", 2, "float64")
    assert len(surrogate.problem.task.bounded) > module.FEW
    check(replace(surrogate, symmetry=symmetry), monkeypatch)


@pytest.mark.parametrize("here", ["pass", "f.sum().item()"])  # the second cannot be vectorised
def test_of_a_problem_that_is_ones_own(tmp_path, monkeypatch, here):
    (tmp_path / "decay.py").write_text(FUNCTION.replace("HERE", here))
    check(bundle(tmp_path / "bundle", f"{tmp_path / 'decay.py'}:Decay", 2, "float64"), monkeypatch)


def test_a_smoothed_network_is_refused_with_many_unknowns_as_with_few(tmp_path):
    (tmp_path / "decay.py").write_text(FUNCTION.replace("HERE", "pass"))
    network = {"smoothing": 0.05}
    surrogate = bundle(tmp_path / "bundle", f"{tmp_path / 'decay.py'}:Decay", 2, "float64", network)
    with pytest.raises(UserError, match="smoothed network"):
        both(surrogate)


def test_jacobians_are_those_of_differences():
    at = torch.randn(3, 2, dtype=torch.float64)
    values, slope = derivative_of(lambda z: torch.stack((z[:, 0] * z[:, 1], z[:, 1].sin()), 1), at)
    expected = torch.stack(
        [torch.stack([at[:, 1], at[:, 0]], 1), torch.stack([0 * at[:, 0], at[:, 1].cos()], 1)], 1
    )
    torch.testing.assert_close(slope, expected)
    torch.testing.assert_close(values[:, 0], at[:, 0] * at[:, 1])
