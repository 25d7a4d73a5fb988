"""References of a study: each task refined by its own physics, a solver, or solutions of a file."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from test_no_reference import MARQUARDT, STUDY, exact

from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.problem.load import load_problem
from pinnlora.report.jobs import table
from pinnlora.study.evaluation import Truth, measure
from pinnlora.study.graph import Job, inputs
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import evaluate, fit, hypernetwork, reference, tasks
from pinnlora.study.references import _changed, given_references, own_references
from pinnlora.study.settings import load_settings, load_study

VALUES = {"alpha": np.array([0.05, 0.06, 0.07, 0.08])}
SPLITS = np.array(["base", "train", "test", "test"])


def write_file(path, rates, x=21, t=11, **wrong):
    """Solutions of some tasks as a user hands them over."""
    axes = {"x": np.linspace(0, 1, x), "t": np.linspace(0, 1, t)}
    u = exact(rates, axes)
    data = {"u": (("t", "task", "x"), np.moveaxis(u, 2, 0)), "alpha": ("task", np.asarray(rates))} | wrong
    xr.Dataset({k: v for k, v in data.items() if v is not None}, coords=axes).to_netcdf(path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory, heat):
    """Tasks and a base network of a size that can be refined to many digits."""
    home = tmp_path_factory.mktemp("refined")
    base = MARQUARDT | {"steps": 20, "points": 300, "damping": 1e-8}
    settings = load_settings(
        STUDY,
        {
            "problems": [heat],
            "reference": "refined",
            "tasks": {"train": 1, "validation": 1, "test": 1},
            "network": {"width": 20},
            "training": {"base": base},
        },
    )
    tasks.run(job_settings(settings, "heat", "tasks"), home / "tasks.nc")
    fit.run(job_settings(settings, "heat", "base"), home / "tasks.nc", home / "base", device="cpu")
    return home, job_settings(settings, "heat", "reference")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("mine.nc", "no file mine.nc"),
        ("best", "'best' is not one of auto, none, refined"),
        (3, "3 is not one"),
    ],
)
def test_a_wrong_reference_is_one_line(value, words):
    with pytest.raises(UserError, match=f"^config: reference: {words}[^\n]*$"):
        load_settings({"reference": value})


def test_only_a_refined_reference_reads_the_base(heat):
    for kind, read in [("refined", ["tasks", "base"]), ("none", ["tasks"])]:
        settings = load_settings({"problems": [heat], "reference": kind})
        assert list(inputs(settings, Job("reference", "heat"))) == read


def test_a_refined_reference_is_the_solution(made, capsys):
    home, settings = made
    reference.run(settings, home / "tasks.nc", home / "reference.nc", home / "base", "cpu")
    found, given = read_netcdf(home / "reference.nc"), read_netcdf(home / "tasks.nc")
    assert (
        found.attrs["reference"] == "refined"
        and "steps on its own physics, to a loss of" in found.attrs["reference_note"]
    )
    truth = exact(given["alpha"].values, {name: found[name].values for name in ("x", "t")})
    chosen = np.isin(given["split"].values, ("validation", "test"))
    assert np.isnan(found["u"].values[~chosen]).all() and chosen.sum() == 2
    error = ((found["u"].values - truth)[chosen] ** 2).mean()
    assert math.sqrt(error) < 1e-8
    assert error / 10 < found.attrs["floor_reference"] < 1e-13, "an estimate: the right order, no bound"
    with pytest.raises(UserError, match="refined starts from the base network"):
        reference.run(settings, home / "tasks.nc", home / "other.nc")


def test_the_table_and_the_card_call_it_a_distance(made, tmp_path):
    """The steps after the reference, with one bundle."""
    home, settings = made
    spec = settings["problem"]
    if not (home / "reference.nc").exists():
        reference.run(settings, home / "tasks.nc", home / "reference.nc", home / "base", "cpu")
    study = load_settings(STUDY, {"problems": [spec], "network": {"width": 20}})
    files = {"tasks": home / "tasks.nc", "reference": home / "reference.nc", "base": home / "base"}
    own = job_settings(study, spec, "hypernetwork", 2, "physics")
    hypernetwork.run(own, **files, output=tmp_path / "bundle", device="cpu")
    assert "distance to each test task's own refined solution" in (tmp_path / "bundle/README.md").read_text()
    output = tmp_path / "evaluation.nc"
    bundles = [tmp_path / "bundle"]
    evaluate.run(
        job_settings(study, spec, "evaluate"), **files, surrogate=bundles, output=output, device="cpu"
    )
    found = read_netcdf(output)
    of = found["mse"].sel({"method": "physics", "rank": "2", "field": "u"})
    assert np.isnan(of.sel(split="train")).all() and float(of.sel(split="test").max()) < 1e-2
    table.run({"number": 2}, [output], tmp_path / "t.csv", tmp_path / "t.md")
    text = (tmp_path / "t.md").read_text()
    assert "distances to the task's own refined solution" in text and "test, distance" in text
    assert not re.search(r"\bnan\b|analytic", text) and "residual, distance" not in text


def test_an_own_solver_needs_no_floor(heat, tmp_path):
    path = tmp_path / "solved.py"
    solver = """
    def reference(self, values):
        return {"u": values["alpha"][:, None, None] + torch.zeros(1, 21, 11).numpy()}
"""
    path.write_text(Path(heat.removesuffix(":Heat")).read_text() + solver)
    found = own_references(load_problem(f"{path}:Heat"), VALUES)
    assert found.kind == "solver" and np.isnan(found.floor) and "unknown error" in found.note
    np.testing.assert_array_equal(found.fields["u"][:, 3, 3], VALUES["alpha"])


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (
            "np.where(a > 0.065, np.nan, a) + np.zeros((1, 21, 11))",
            "'u' holds NaN or infinite values for 2 of 4 tasks",
        ),
        ("np.zeros((1, 21, 11))", r"'u' has shape \(1, 21, 11\) for 4 tasks"),
        ("np.linalg.inv(a * 0)", "reference: line .*Singular matrix|reference: line .*LinAlgError"),
    ],
)
def test_an_own_solver_that_fails_for_some_tasks_is_one_line(heat, tmp_path, solver, words):
    path = tmp_path / "solved.py"
    own = f"""
    def reference(self, values):
        a = values["alpha"][:, None, None]
        return {{"u": {solver}}}
"""
    path.write_text("import numpy as np\n" + Path(heat.removesuffix(":Heat")).read_text() + own)
    with pytest.raises(UserError, match=f"^[^\n]*{words}[^\n]*$"):
        own_references(load_problem(f"{path}:Heat"), VALUES)


@pytest.mark.parametrize(("x", "t", "close"), [(21, 11, 1e-15), (41, 38, 1e-6)])
def test_a_file_of_solutions_is_matched_by_value(heat, tmp_path, x, t, close):
    problem = load_problem(heat)
    path = write_file(tmp_path / "mine.nc", [0.3, 0.08, 0.06 * (1 + 1e-9)], x, t)
    found = given_references(path, problem, VALUES, SPLITS)
    assert (
        found.kind == "file"
        and "mine.nc: 1 of 1 train tasks, 0 of 0 validation tasks, 1 of 2 test" in found.note
    )
    assert ("splines" in found.note) == (x != 21)
    np.testing.assert_allclose(found.fields["u"][[1, 3]], exact([0.06, 0.08], problem.axes()), atol=close)
    assert np.isnan(found.fields["u"][[0, 2]]).all()


def test_tasks_without_a_reference_are_left_out_of_errors(heat, tmp_path):
    problem = load_problem(heat)
    found = given_references(write_file(tmp_path / "mine.nc", [0.08]), problem, VALUES, SPLITS)
    truth = Truth(problem, VALUES, SPLITS, found.fields["u"].reshape(4, -1, 1))
    fields = exact([0.07, 0.08], problem.axes()).reshape(2, -1, 1)
    fields[1, 0] = np.nan  # a diverged task is no missing one
    assert np.array_equal(measure(truth, fields, "test")["mse"].ravel(), [np.nan, np.inf], equal_nan=True)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"alpha": None}, "no variable 'alpha'"),
        ({"u": ("task", [1.0, 2.0])}, "u is on \\(task\\), expected \\(task, x, t\\)"),
        ({"alpha": ("task", [3.0, 4.0])}, "none of its 2 tasks is one of this study's 4"),
        ({"x": 3}, "x should rise, with 4 points or more, from 0 to 1; it has 3"),
        ({"u": (("task", "x", "t"), np.full((2, 21, 11), np.inf))}, "u holds nan or infinite values"),
        (
            {"x": 31, "u": (("task", "x", "t"), np.full((2, 31, 11), np.nan))},
            "nan or infinite values in a task",
        ),
    ],
)
def test_a_wrong_file_is_one_line(heat, tmp_path, wrong, words):
    path = write_file(tmp_path / "mine.nc", [0.07, 0.08], **wrong)
    with pytest.raises(UserError, match=f"^[^\n]*{words}[^\n]*$"):
        given_references(path, load_problem(heat), VALUES, SPLITS)


def test_an_axis_of_nan_is_one_line(heat, tmp_path):
    path = write_file(tmp_path / "mine.nc", [0.07, 0.08], x=31)
    dataset = xr.load_dataset(path)
    dataset.assign_coords(x=np.where(dataset.x == 1, np.nan, dataset.x)).to_netcdf(path)
    with pytest.raises(UserError, match="x should rise, with 4 points or more"):
        given_references(path, load_problem(heat), VALUES, SPLITS)


def test_a_file_that_changes_is_another_study(heat, made, tmp_path):
    path = write_file(tmp_path / "mine.nc", [0.07])
    settings = load_study({"problems": [heat], "reference": str(path)})
    before = job_settings(settings, heat, "reference")
    write_file(path, [0.08])
    assert job_settings(settings, heat, "reference") != before
    with pytest.raises(UserError, match="changed after the job was planned"):
        reference.run(before, made[0] / "tasks.nc", tmp_path / "reference.nc")


def test_a_floor_is_that_of_the_domain_without_its_holes():
    """What a network says in a hole is nobody's solution."""
    problem = load_problem(f"{Path(__file__).parents[2]}/examples/annulus.py:Annulus")
    values = problem.task.sample(2, np.random.default_rng(0))
    inside = torch.from_numpy(problem.inside(values).reshape(2, -1))
    found = torch.where(inside, 3.0, 1e9).unsqueeze(-1)
    assert 0 < inside.sum() < inside.numel()
    assert _changed(problem, values, found, torch.ones_like(found)) == 4.0
    two = torch.zeros(1, 5, 3)
    assert _changed(load_problem("kovasznay"), {"re": np.array([30.0])}, two, two + 2) == 4.0
