"""The benchmark of own problems: its truths are true, its two methods run, its page says what the cells say."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from own_page import page
from own_problems import EXAMPLES, HERE, PROBLEMS, code_of
from own_truth import _lines, placed, truth_of

from pinnlora.problem.load import load_problem


def problem_of(name):
    return load_problem(f"{EXAMPLES / name}.py:{PROBLEMS[name].cls}")


def cell(**more):
    where = {"commit": "a" * 40, "threads": 2, "machine": "m", "python": "3", "torch": "2", "pinnlora": "0"}
    return {
        "problem": "heat", "method": "pinnlora", "minutes": 2.0, "mean": 2e-4, "worst": 3e-4, "seconds": 119.0,
        "verdict": "converged", "setting": "some", "truth": "exact", "truth_error": 0.0, "current": True,
        "where": where | {"deepxde": "1"},
    } | more  # fmt: skip


def test_tasks_hold_the_ends_of_every_range_and_embed_evenly():
    problem = problem_of("convection_diffusion")
    values = truth_of(problem).values
    assert len(values["nu"]) == 25
    assert (values["nu"].min(), values["nu"].max()) == pytest.approx((2e-2, 2e-1), rel=1e-12)
    unit = np.random.default_rng(0).random((7, 2))
    np.testing.assert_allclose(problem.task.embed(placed(problem.task, unit)), 2 * unit - 1, atol=1e-12)


def test_the_method_of_lines_finds_an_exact_solution_at_second_order():
    problem, one = problem_of("heat"), {"alpha": np.array([0.1])}
    axes = [np.linspace(0, 1, 21), np.linspace(0, 1, 11)]
    exact = np.exp(-0.1 * np.pi**2 * axes[1]) * np.sin(np.pi * axes[0])[:, None]
    errors = [np.abs(_lines(problem, one, axes, cells) - exact).max() for cells in (40, 80)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.02)
    assert errors[1] < 1e-4


@pytest.mark.parametrize("name", ["fisher_kpp", "allen_cahn"])
def test_a_computed_truth_keeps_its_conditions_and_knows_its_error(name):
    truth = truth_of(problem_of(name))
    x, t = truth.points.T
    u = truth.fields[:, :, 0]
    if name == "allen_cahn":
        assert np.abs(u[:, np.abs(x) == 1] + 1).max() == 0
        np.testing.assert_allclose(u[0, t == 0], x[t == 0] ** 2 * np.cos(np.pi * x[t == 0]), atol=1e-12)
    else:
        assert u.min() > -1e-6 and u.max() < 1 + 1e-6  # between the steady states
        u = u.reshape(len(u), 201, 201)
        assert np.abs(u - u[:, ::-1]).max() < 1e-7  # as even as its start
    assert 0 < truth.error < 1e-6


@pytest.mark.parametrize("method", ["pinnlora", "deepxde"])
def test_a_cell_runs_end_to_end_once(tmp_path, method):
    if method == "deepxde" and find_spec("deepxde") is None:
        pytest.skip("deepxde is not installed")
    command = [
        sys.executable,
        HERE / "own_problems.py",
        "--problems",
        "convection_diffusion",
        "--threads",
        "1",
    ]
    command += [
        "--methods",
        method,
        "--minutes",
        "0.03",
        "--results",
        tmp_path,
        "--page",
        tmp_path / "page.md",
    ]
    first, again = (subprocess.run(command, capture_output=True, text=True) for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stdout + first.stderr
    assert "there already" in again.stdout and "there already" not in first.stdout
    found = json.loads((tmp_path / f"convection_diffusion-{method}-0.03.json").read_text())
    assert found["code"] == code_of("convection_diffusion", method)
    assert 0 < found["mean"] < found["worst"] < np.inf and len(found["errors"]) == 25
    row = next(line for line in (tmp_path / "page.md").read_text().splitlines() if "convection" in line)
    assert f"{found['mean']:.1e}" in row and "not run" in row


def test_the_page_tells_missed_targets_wrong_verdicts_and_what_was_not_run():
    cells = [
        cell(),
        cell(method="deepxde", mean=1e-2, worst=1e-1, verdict=""),
        cell(minutes=5.0, mean=5e-5, seconds=340.0),
    ]
    cells += [cell(problem="wave", worst=0.5, mean=0.1, current=False), cell(problem="poisson", mean=1e-6)]
    text = page(cells, {"heat": 1e-4, "wave": 1e-4, "poisson": 1e-4, "heat2d": 1e-4}, [2.0, 5.0])
    two, five = text.split("## After 5 minutes")
    assert "misses its target in 2 of 3 problems that were run: heat, wave." in two
    assert "not in the worst task: poisson" in two and "above 1e-2: wave." in two
    assert (
        "below DeepXDE's on 1 of 1" in two
        and "in 0 of 1 problems" in five
        and "longer than it was given: heat" in five
    )
    assert "longer than" not in two
    rows = [line for line in two.splitlines() if line.startswith("| heat2d")]
    assert len(rows) == 1 and rows[0].count("not run") == 5
    assert "other code than now" in next(
        r for r in five.splitlines() if r.startswith("| wave") and "some" in r
    )


def test_an_unknown_problem_is_refused_in_one_line():
    command = [sys.executable, Path(HERE) / "own_problems.py", "--problems", "het"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "heat" in done.stderr and "Traceback" not in done.stderr
