"""Weights of terms from the traces of their tangent kernels: the traces against the whole Jacobian, and their use."""

import statistics

import pytest
import torch
from small import CPU, generator, random_theta, task_values, tiny

from pinnlora.loss.balance import Balance, traces
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.terms import physics

PROBLEM, ADAPTED = tiny("kovasznay", "lora")
THETA, VALUES = random_theta(ADAPTED, 2), task_values(PROBLEM, 2)
TERMS = ["momentum_x", "momentum_y", "continuity", "walls_u", "walls_v", "outflow_p"]


def objective(interior: int, faces: int):
    points = draw_points(PROBLEM, Draw(generator(1), CPU, torch.float64), VALUES, interior, faces)
    return physics(PROBLEM, ADAPTED, VALUES, points)


def by_jacobian(residuals) -> dict[str, float]:
    """Sums of squares of each term's rows of the whole Jacobian, mean over tasks."""
    _, _, jacobian, _ = residuals.linearise(THETA)
    counts = [block.coords.shape[1] for block in residuals.blocks]
    sizes = [counts[0]] * 3 + [counts[1]] * 2 + [counts[2]]
    parts = jacobian.square().sum(-1).split(sizes, 1)
    return {name: float(part.sum(1).mean()) for name, part in zip(TERMS, parts, strict=True)}


def test_the_trace_of_one_row_is_exact():
    residuals = objective(1, 4)
    found, expected = traces(residuals, THETA, generator()), by_jacobian(residuals)
    for name in ("momentum_x", "momentum_y", "continuity"):
        assert found[name] == pytest.approx(expected[name], rel=1e-10)


def test_traces_are_right_on_average():
    residuals, stream = objective(20, 12), generator(3)
    samples = [traces(residuals, THETA, stream) for _ in range(300)]
    for name, expected in by_jacobian(residuals).items():
        assert sum(sample[name] for sample in samples) / 300 == pytest.approx(expected, rel=0.2)


def test_one_estimate_of_the_traces_is_near_enough_to_weigh_terms():
    """Random signs alone are off by the trace's own size."""
    residuals, stream = objective(20, 12), generator(3)
    samples = [traces(residuals, THETA, stream) for _ in range(60)]
    for name in TERMS:
        each = [sample[name] for sample in samples]
        assert statistics.stdev(each) < 0.5 * statistics.mean(each)


def test_terms_count_with_the_inverse_of_their_trace():
    residuals, balance = objective(1, 4), Balance(True, 100, generator())
    balance.renew(0, lambda: residuals, THETA)
    found = traces(residuals, THETA, generator())
    assert min(balance.weights.values()) == 1.0
    plain, weighted = residuals.losses(THETA), balance.apply(residuals).losses(THETA)
    for name in TERMS:
        assert balance.weights[name] == pytest.approx(max(found.values()) / found[name])
        torch.testing.assert_close(weighted[name], balance.weights[name] * plain[name])


def test_weights_are_renewed_smoothly_and_stay_in_the_end():
    balance, seen = Balance(True, 200, generator()), []
    for step in range(200):
        assert balance.settled(step) == (step >= 70)
        balance.renew(step, lambda: objective(5, 8), THETA)
        seen.append(dict(balance.weights))
    fresh = [k for k in range(1, 200) if seen[k] != seen[k - 1]]
    assert fresh == list(range(3, 70, 3))


def test_without_it_nothing_changes_and_nothing_is_drawn():
    balance, stream, residuals = Balance(False, 100, generator(5)), generator(5), objective(5, 8)
    balance.renew(0, lambda: residuals, THETA)
    assert balance.settled(0) and balance.apply(residuals) is residuals
    assert torch.equal(torch.rand(3, generator=balance.generator), torch.rand(3, generator=stream))
