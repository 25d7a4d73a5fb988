"""Verdicts: converged where it is, and not where a small loss would deceive."""

import numpy as np
import pytest
import torch
from declared import Heat, Mixed, Wave
from small import CPU, task_values
from test_growing_time import AllenCahn, mean_square_error

from pinnlora.nets.adapters import Full
from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Condition
from pinnlora.train.appraise import Verdict, _fallen, _verdict, appraise
from pinnlora.train.data import task_set
from pinnlora.train.fit import fit
from pinnlora.train.settings import NetworkSettings, StageSettings
from pinnlora.train.setup import network_of

LM = {"optimiser": "levenberg_marquardt", "dtype": "float64", "report_every": 5}


def appraised(problem, theta, values, network, validation=(1.0,), reference=None) -> Verdict:
    """The verdict on a whole network of one task."""
    full = Full(network_of(problem, network))
    tasks = task_set(problem, values, False, CPU, torch.float64)
    return appraise(full, theta, tasks, reference, np.array(validation))


def trained(problem, values, network, seed=0, **stage) -> tuple[Verdict, torch.Tensor]:
    """The verdict after training one network of one task."""
    stage = StageSettings(**LM | {"condition_points": 20} | stage)
    theta, history = fit(problem, values, stage, network, "pinn", "full", seed, "cpu")
    reference = None
    if problem.exact_signature is not None:
        reference = np.stack([part.reshape(1, -1) for part in problem.reference(values).values()], -1)
    validation = [row["validation"] for row in history.rows]
    return appraised(problem, theta, values, network, validation, reference), theta


SMALL = NetworkSettings(width=16, hidden_layers=2, conditions="auto")
SOFT = NetworkSettings(width=16, hidden_layers=2, conditions="soft")
ALPHA = {"alpha": np.array([0.03])}


@pytest.mark.parametrize("network", [SMALL, SOFT])
def test_what_is_solved_is_converged(network):
    verdict, _ = trained(Heat(), ALPHA, network, steps=60, points=200)
    assert verdict.text == "converged", verdict.text
    assert verdict.measured["error (relative L2)"].max() < 1e-3
    assert set(verdict.measured) == {
        "residual of heat",
        "largest residual of heat",
        "mismatch of start (u)",
        "mismatch of ends (u)",
        "estimated error",
        "error (relative L2)",
    }
    assert verdict.table()[1].startswith("residual of heat") and len(verdict.table()) == 7


class Pair(Problem):
    """Two heat equations, of which one has nothing to do."""

    coords = Heat.coords
    fields = ("u", "v")
    task = Heat.task

    def residual(self, u_t, u_xx, v_t, v_xx, alpha):
        """Twice the same."""
        return {"heat": u_t - alpha * u_xx, "idle": v_t - alpha * v_xx}

    def start(self, x):
        """One arch, and nothing."""
        return {"u": torch.sin(torch.pi * x / 2), "v": 0.0}

    def ends(self):
        """Nothing."""
        return {"u": 0.0, "v": 0.0}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=2"))]


def test_what_vanishes_is_measured_by_what_does_not():
    """v is zero to rounding or a little more, and its equation's terms are no larger than its residual."""
    verdict, _ = trained(Pair(), ALPHA, SMALL, steps=120, points=150)
    assert verdict.text == "converged", verdict.text


def test_too_few_steps_are_not_enough_and_the_verdict_says_so():
    verdict, _ = trained(Heat(), ALPHA, SMALL, steps=3, points=60, report_every=1)
    assert verdict.text.startswith("not converged: residual of heat") and "--minutes" in verdict.text


@pytest.mark.parametrize(("points", "weight", "resample"), [(20, 1, 0), (100, 1, 1), (200, 100, 1)])
def test_a_spurious_steady_state_is_not_converged_however_small_its_loss(points, weight, resample):
    """Allen-Cahn with soft conditions: the equation and its start are met to a percent, and the state is wrong."""
    values = {"eps": np.array([0.003])}
    network = NetworkSettings(width=20, hidden_layers=3, conditions="soft")
    more = {"condition_weight": weight, "resample": resample}
    verdict, theta = trained(AllenCahn(), values, network, steps=60, points=points, **more)
    assert mean_square_error(theta, network, 0.003) > 1e-2
    assert verdict.measured["estimated error"] > 0.05 and "estimated error" in verdict.text


def estimated_and_true(network, steps, seed) -> tuple[float, float]:
    measured = trained(Heat(), ALPHA, network, seed=seed, steps=steps, points=100)[0].measured
    return measured["estimated error"].item(), measured["error (relative L2)"].item()


@pytest.mark.parametrize(("network", "steps"), [(SMALL, 2), (SMALL, 4), (SOFT, 2), (SOFT, 4)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_estimated_error_is_the_error(network, steps, seed):
    """From 16 % down to 1e-4, without the solution; measured, 0.94 to 1.16 times the error."""
    estimated, true = estimated_and_true(network, steps, seed)
    assert estimated == pytest.approx(true, rel=0.25)


@pytest.mark.parametrize(("network", "least"), [(SMALL, 3e-5), (SOFT, 2e-3)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_where_the_network_has_no_more_to_give_the_estimate_is_on_the_safe_side(network, least, seed):
    """After 40 steps what is left lies beyond the linearised equations' reach: too large, but below `least`, a tenth of
    what it was after 4 steps."""
    estimated, true = estimated_and_true(network, 40, seed)
    assert true < estimated < least


def test_a_state_that_is_nothing_is_not_converged():
    """u = 0 solves the heat equation everywhere; only its conditions are against it."""
    theta = torch.zeros(1, network_of(Heat(), SOFT).size, dtype=torch.float64)
    assert "residual of heat nan" in appraised(Heat(), theta, ALPHA, SOFT).text


@pytest.mark.parametrize("problem", [Wave(), Mixed()])
def test_every_kind_of_condition_has_a_mismatch(problem):
    values = {name: value.numpy() for name, value in task_values(problem, 1).items()}
    theta = 0.3 * torch.randn(1, network_of(problem, SOFT).size, dtype=torch.float64)
    measured = appraised(problem, theta, values, SOFT).measured
    expected = {f"mismatch of {c.name} ({target})" for c in problem.bound_conditions for target in c.targets}
    assert {name for name in measured if name.startswith("mismatch")} == expected
    assert all(np.isfinite(value).all() and value.max() > 1e-6 for value in measured.values())


def test_a_loss_that_still_falls_counts_against_what_is_not_far_below_the_tolerance():
    falling, flat = 10.0 ** -np.arange(20), np.ones(20)
    assert _fallen(falling) == pytest.approx(1 - 1e-4) and _fallen(flat) == 0 and _fallen(falling[:3]) == 0
    near, far = {"estimated error": np.array([5e-3])}, {"estimated error": np.array([5e-4])}
    assert _verdict(near, flat).text == _verdict(far, falling).text == "converged"
    assert "still fell by 100% over the last fifth" in _verdict(near, falling).text
