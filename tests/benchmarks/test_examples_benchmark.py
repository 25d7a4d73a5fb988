"""The benchmark of the examples: its truths are true, its methods run, its page says what the cells say."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from examples_page import Example, page
from examples_pictures import LARGEST, draw
from examples_truth import POINTS, tasks_of, truth_of
from truths import film, lines, seepage

from examples import EXAMPLES, HERE, PROBLEMS, code_of, described, read_cells
from pinnlora.problem.load import load_problem


def problem_of(name):
    return load_problem(f"{EXAMPLES / name}.py:{PROBLEMS[name].cls}")


def cell(**more):
    where = {
        "commit": "a" * 40,
        "threads": 2,
        "load": 1.0,
        "machine": "m",
        "python": "3",
        "torch": "2",
        "pinnlora": "0",
    }
    return {
        "problem": "heat", "method": "pinnlora", "minutes": 2.0, "mean": 2e-4, "worst": 3e-4, "seconds": 119.0,
        "verdict": "converged", "setting": "some", "truth": "exact", "truth_error": 0.0,
        "where": where | {"pinnlora": "0", "deepxde": "1"},
    } | more  # fmt: skip


def test_tasks_hold_the_ends_of_every_range_and_embed_evenly():
    problem = problem_of("convection_diffusion")
    values = tasks_of(problem)
    assert len(values["nu"]) == 25
    assert (values["nu"].min(), values["nu"].max()) == pytest.approx((2e-2, 2e-1), rel=1e-12)
    for ladder in problem.task.embed(values).T:
        np.testing.assert_allclose(np.unique(np.round(ladder, 9)), [-1, -0.5, 0, 0.5, 1])


def test_the_method_of_lines_finds_an_exact_solution_at_second_order():
    problem, one = problem_of("heat"), {"alpha": np.array([0.1])}
    axes = [np.linspace(0, 1, 21), np.linspace(0, 1, 11)]
    exact = np.exp(-0.1 * np.pi**2 * axes[1]) * np.sin(np.pi * axes[0])[:, None]
    errors = [np.abs(lines.on_lines(problem, one, axes, cells) - exact).max() for cells in (40, 80)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.02)
    assert errors[1] < 1e-4


@pytest.mark.parametrize("name", ["fisher_kpp", "allen_cahn"])
def test_a_computed_truth_keeps_its_conditions_and_knows_its_error(name):
    truth = truth_of(problem_of(name), "lines")
    x, t = truth.points.T
    u = truth.solved.fields[:, :, 0]
    if name == "allen_cahn":
        assert np.abs(u[:, np.abs(x) == 1] + 1).max() == 0
        np.testing.assert_allclose(u[0, t == 0], x[t == 0] ** 2 * np.cos(np.pi * x[t == 0]), atol=1e-12)
    else:
        assert u.min() > -1e-6 and u.max() < 1 + 1e-6  # between the steady states
        u = u.reshape(len(u), 201, 201)
        assert np.abs(u - u[:, ::-1]).max() < 1e-7  # as even as its start
    assert 0 < truth.solved.error < 1e-6


def test_the_film_starts_as_it_should_and_keeps_its_balance():
    """d/dt of half the energy is that of the slope less nu times that of the curvature; the mean stays zero."""
    x, t = 2 * np.pi * np.arange(201) / 200, np.linspace(0, 1, 2001)
    found = film.solve(None, {"nu": np.array([0.3, 0.8])}, [x, t])
    assert found.error < 1e-6
    for nu, u in zip((0.3, 0.8), found.fields.reshape(2, 201, 2001), strict=True):
        np.testing.assert_allclose(u[:, 0], np.sin(x) + np.cos(2 * x) / 2, atol=1e-12)
        np.testing.assert_allclose(u[0], u[-1], atol=1e-12)
        wave, modes = np.arange(101)[:, None], np.abs(np.fft.rfft(u[:-1], axis=0)) ** 2
        energy, gain = modes.sum(0) / 2, ((wave**2 - nu * wave**4.0) * modes).sum(0)
        change = np.gradient(energy, t)
        np.testing.assert_allclose(change[1:-1], gain[1:-1], atol=5e-5 * np.abs(gain).max())
        assert modes[0].max() < 1e-12 * modes.max()


def test_seepage_through_even_rock_is_poissons_equation():
    problem, axis = problem_of("darcy"), np.linspace(0, 1, 201)
    found = seepage.solve(problem, {"k": np.zeros((1, 32))}, [axis, axis])
    assert found.fields[0].reshape(201, 201)[100, 100] == pytest.approx(0.0736713532814, rel=1e-8)
    assert found.error < 1e-6


def test_the_flow_around_a_cylinder_has_the_known_drag():
    if find_spec("skfem") is None:
        pytest.skip("scikit-fem is not installed")
    from truths import flow

    mesh = flow.Mesh(1)
    state = mesh.solved(20.0, np.concatenate([mesh.start, mesh.pressure.zeros()]))
    assert mesh.drag(20.0, state) == pytest.approx(flow.DRAG, rel=2e-3)  # its circle has 64 edges
    u, v, p = mesh.fields([20.0], np.array([[-2.0, 0.05], [6.0, 0.05], [1.0, 0.05]]))[0].T
    assert u[0] == pytest.approx(1.5, rel=1e-3) and abs(v[0]) < 1e-9  # the middle of the inlet
    assert p[0] > p[1] > p[2] and u[2] < u[1]  # behind the cylinder pressure is low and the wake is slow


def test_a_truth_is_blank_outside_of_a_shape():
    problem = problem_of("annulus")
    truth = truth_of(problem, "exact")
    radius = np.hypot(*truth.points.T)
    for k, inner in enumerate(truth.values["inner"]):
        blank = np.isnan(truth.solved.fields[k, :, 0])
        assert (blank == ((radius > 1 + 1e-5) | (radius < inner - 1e-5)))[np.abs(radius - inner) > 1e-4].all()
    wrong = np.nan_to_num(truth.solved.fields, nan=7.0) * 1.01
    np.testing.assert_allclose(truth.errors(wrong), 0.01)


@pytest.mark.parametrize("name", ["convection_diffusion", "heat", "heat2d", "plate_with_hole"])
def test_a_picture_is_small_and_says_what_it_shows(tmp_path, name, monkeypatch):
    monkeypatch.setitem(POINTS, 3, 21)
    problem = problem_of(name)
    truth = truth_of(problem, "exact")
    noise = np.random.default_rng(0).normal(size=truth.solved.fields.shape)
    found = truth.solved.fields + 1e-4 * noise
    said = draw(problem, truth, found, truth.errors(found), tmp_path / "some.png")
    assert (tmp_path / "some.png").stat().st_size < LARGEST
    assert said["file"] == "some.png" and set(said["task"]) == set(problem.task.names)
    assert said["cut"] == ("t = 1" if name == "heat2d" else "")


@pytest.mark.parametrize("method", ["pinnlora", "deepxde"])
def test_a_cell_runs_end_to_end_once(tmp_path, method):
    if method == "deepxde" and find_spec("deepxde") is None:
        pytest.skip("deepxde is not installed")
    command = [
        sys.executable,
        HERE / "examples.py",
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
        "--pictures",
        tmp_path / "pictures",
    ]
    first, again = (subprocess.run(command, capture_output=True, text=True) for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stdout + first.stderr
    assert "there already" in again.stdout and "there already" not in first.stdout
    found = json.loads((tmp_path / f"convection_diffusion-{method}-0.03.json").read_text())
    assert found["code"] == code_of("convection_diffusion", method)
    assert 0 < found["mean"] < found["worst"] < np.inf and len(found["errors"]) == 25
    row = next(line for line in (tmp_path / "page.md").read_text().splitlines() if "convection" in line)
    assert (f"{found['mean']:.1e}" in row) == (method == "pinnlora")
    assert (tmp_path / "pictures" / "convection_diffusion-0.03.png").exists() == (method == "pinnlora")


def test_the_page_tells_missed_targets_wrong_verdicts_and_what_was_not_run():
    drag = [["drag", 5.6, 5.5]]
    picture = {"file": "heat.png", "task": {"alpha": 0.0316}, "cut": "t = 1", "error": 3e-5, "field": "u"}
    cells = [
        cell(),
        cell(method="deepxde", mean=1e-2, worst=1e-1, verdict=""),
        cell(minutes=5.0, mean=5e-5, seconds=340.0, picture=picture),
        cell(problem="wave", worst=0.5, mean=0.1, quantities=drag),
        cell(problem="poisson", mean=1e-6),
    ]
    names = ("heat", "wave", "poisson", "heat2d")
    examples = {
        name: Example(1e-4, f"About {name}.", "u_t = u", "a in (0, 1)", name == "heat") for name in names
    }
    text = page(cells, examples, [2.0, 5.0])
    five, _, two = text.partition("## After 2 minutes")
    assert "misses its target in 2 of 3 problems that were run: heat, wave." in two
    assert "not in the worst task: poisson" in two and "above 1e-2: wave." in two
    assert "below its on 1 of 1" in two and "DeepXDE, mean" not in five
    assert "in 0 of 1 problems" in five and "longer than it was given: heat" in five
    rows = [line for line in five.splitlines() if line.startswith("| heat2d")]
    assert len(rows) == 1 and rows[0].count("not run") == 3
    assert "![u at alpha = 0.0316, t = 1](examples/heat.png)" in text and "error 3.0e-05" in text
    assert "The drag: 5.6000, in the literature 5.5000, off by 1.8e-02." in text
    assert "About heat2d." in text and "After any minutes: not run." in text


def test_the_page_in_the_documentation_says_what_the_results_say():
    """After a change of results, examples or the page: python benchmarks/examples.py --page-only."""
    cells, docs = read_cells(HERE / "results" / "examples"), HERE.parent / "docs"
    assert (docs / "examples.md").read_text() == page(cells, described(), [5.0])
    pictures = {cell["picture"]["file"] for cell in cells if "picture" in cell}
    assert pictures == {path.name for path in (docs / "examples").glob("*")}
    assert all(path.stat().st_size < LARGEST for path in (docs / "examples").glob("*"))


def test_an_unknown_problem_is_refused_in_one_line():
    command = [sys.executable, Path(HERE) / "examples.py", "--problems", "het"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "heat" in done.stderr and "Traceback" not in done.stderr
