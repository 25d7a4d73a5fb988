"""A problem with neither exact() nor reference(): trained, queried and studied; references from elsewhere."""

import json
import math
import re

import numpy as np
import pytest
import xarray as xr
import yaml

import pinnlora
from pinnlora.cli import main
from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.problem.load import has_reference, load_problem
from pinnlora.report.jobs import figure, table
from pinnlora.study.evaluation import Truth, measure
from pinnlora.study.graph import Job, inputs
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import evaluate, fit, hypernetwork, reference, tasks
from pinnlora.study.references import given_references, own_references
from pinnlora.study.settings import load_settings, load_study

HEAT = '''
import torch
from pinnlora import Box, Condition, Problem, Uniform

class Heat(Problem):
    """Heat equation, of which nobody gave a solution."""

    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u",)
    task = Uniform(alpha=(0.05, 0.1))
    grid = {"x": 21, "t": 11}

    def residual(self, u_t, u_xx, alpha):
        return {"heat": u_t - alpha * u_xx}

    def start(self, x):
        return {"u": torch.sin(torch.pi * x)}

    def ends(self):
        return {"u": 0.0}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1"))]
'''
MARQUARDT = {
    "optimiser": "levenberg_marquardt",
    "dtype": "float64",
    "steps": 12,
    "points": 100,
    "condition_points": 30,
    "damping": 1e-6,
    "report_every": 4,
}
NEWTON = {
    "optimiser": "gauss_newton",
    "dtype": "float64",
    "steps": 3,
    "points": 20,
    "condition_points": 10,
    "tasks_per_step": 3,
    "report_every": 1,
}
STUDY = {
    "device": "cpu",
    "lora_ranks": [2],
    "hypernetwork_ranks": [2],
    "modes": ["weights", "distilled", "physics"],
    "tasks": {"train": 3, "validation": 2, "test": 2},
    "network": {"width": 12, "hidden_layers": 2, "unadapted": [], "conditions": "auto"},
    "hypernetwork": {"body": [8, 8]},
    "evaluation": {"figure_rank": 2, "refine_steps": 2, "refine_points": 30},
    "training": {stage: MARQUARDT for stage in ("base", "pinn", "finetuned", "lora", "teachers")}
    | {"weights": {"steps": 5}, "distilled": {"steps": 5, "points": 20}, "physics": NEWTON},
}


def exact(alpha, axes) -> np.ndarray:
    """The solution that the problem does not know, (task, x, t)."""
    x, t = np.asarray(axes["x"]), np.asarray(axes["t"])
    decay = np.exp(-np.asarray(alpha)[:, None, None] * math.pi**2 * t)
    return np.sin(math.pi * x)[None, :, None] * decay


@pytest.fixture(scope="module")
def heat(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("own") / "heat.py"
    path.write_text(HEAT)
    return f"{path}:Heat"


def run_study(home, spec: str, **more):
    """All jobs of a study in the order of the workflow; the reference last of what it reads."""
    settings = load_study(STUDY, {"problems": [spec]}, more)

    def part(job: str, **which) -> dict:
        return job_settings(settings, spec, job, **which)

    files = {"tasks": home / "tasks.nc"}
    tasks.run(part("tasks"), files["tasks"])
    fit.run(part("base"), files["tasks"], home / "base", device="cpu")
    files |= {"reference": home / "reference.nc", "base": home / "base"}
    base = {"base": home / "base"} if settings.problem(spec).reference == "refined" else {}
    reference.run(part("reference"), files["tasks"], files["reference"], device="cpu", **base)
    fits = []
    for method, rank in settings.problem(spec).fits():
        fits.append(home / f"{method}-{rank}")
        fit.run(part("fit", mode=method, rank=rank), **files, output=fits[-1], device="cpu")
    fit.run(part("teachers", rank=2), **files, output=home / "teachers", device="cpu")
    bundles = []
    for mode, rank in settings.problem(spec).surrogates():
        bundles.append(home / mode)
        taught = home / "teachers" if mode in ("weights", "distilled") else None
        own = part("hypernetwork", mode=mode, rank=rank)
        hypernetwork.run(own, **files, output=bundles[-1], teachers=taught, device="cpu")
    output = home / "evaluation.nc"
    evaluate.run(part("evaluate"), **files, fit=fits, surrogate=bundles, output=output, device="cpu")
    for number in (1, 2, 3):
        table.run({"number": number}, [output], home / f"table{number}.csv", home / f"table{number}.md")
    for kind in ("fields", "rank", "time"):
        figure.run({"kind": kind}, [output], home / f"{kind}.png", home / f"{kind}.pdf")
    return home


@pytest.fixture(scope="module")
def study(tmp_path_factory, heat):
    """A study without any reference, and what was printed."""
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("builtins.print", lambda *words, **_: printed.append(" ".join(map(str, words))))
        home = run_study(tmp_path_factory.mktemp("none"), heat)
    return home, printed


def test_nothing_says_nan_or_analytic(study):
    home, printed = study
    texts = [(home / f"table{n}.md").read_text() for n in (1, 2, 3)]
    texts += [(home / mode / "README.md").read_text() for mode in STUDY["modes"]] + printed
    assert len(printed) > 20
    for text in texts:
        assert not re.search(r"\bnan\b|analytic| mse ", text), text


def test_a_study_without_reference_measures_residuals_and_mismatches(study):
    found = read_netcdf(study[0] / "evaluation.nc")
    assert found.attrs["reference"] == "none" and "floor_reference" not in found.attrs
    assert np.isnan(found["mse"]).all() and "showcase_reference" not in found
    for method, rank, splits in [("lora", "2", 1), ("physics", "2", 3), ("base", "full", 3)]:
        one = found["residual"].sel({"method": method, "rank": rank})
        assert one.dims == ("split", "task")
        assert int(np.isfinite(one).sum()) == {1: 2, 3: 7}[splits]
    assert float(found["mismatch"].max()) < 1e-6  # held by the trial function, some in single precision
    assert int(np.isfinite(found["residual_refined"]).sum()) == 2


def test_residuals_are_those_of_the_prediction(study):
    """Against the residual of the predicted fields by finite differences, far from a test of digits."""
    home, _ = study
    given, found = read_netcdf(home / "tasks.nc"), read_netcdf(home / "evaluation.nc")
    alpha = float(given["alpha"][given["split"] == "test"][0])
    surrogate = pinnlora.load(home / "physics")
    axes = {"x": np.linspace(0, 1, 201), "t": np.linspace(0, 1, 201)}
    surrogate.problem.axes = lambda: axes
    u = surrogate.predict(alpha=alpha)["u"].values
    u_t = np.gradient(u, axes["t"], axis=1)
    u_xx = np.gradient(np.gradient(u, axes["x"], axis=0), axes["x"], axis=0)
    expected = math.sqrt(((u_t - alpha * u_xx)[3:-3, 3:-3] ** 2).mean())
    one = found["residual"].sel({"method": "physics", "rank": "2", "split": "test"})[0]
    assert float(one) == pytest.approx(expected, rel=0.15)


def test_tables_show_residuals_and_leave_out_errors(study):
    for number in (1, 2, 3):
        text = (study[0] / f"table{number}.md").read_text()
        header = next(line for line in text.splitlines() if line.startswith("|") and "residual" in line)
        assert "mismatch" in header and "MSE" not in header and "rel. L2" not in header
        assert "No test task has a reference solution" in text
    assert "refined" in text and "same error is" not in text


def test_the_card_says_what_is_known(study):
    text = (study[0] / "physics" / "README.md").read_text()
    assert "No test task has a reference solution" in text and "of the equations' residuals" in text
    config = json.loads((study[0] / "physics" / "config.json").read_text())
    assert "test_mse" not in config and config["test_residual"] > 0


def test_figures_are_drawn(study):
    for kind in ("fields", "rank", "time"):
        assert (study[0] / f"{kind}.png").stat().st_size > 5000


def test_data_is_refused_when_the_study_is_planned(heat):
    load_settings({"problems": [heat]})  # training alone needs no mode but physics
    with pytest.raises(
        UserError, match=r"data learns from reference solutions .* but heat has neither exact"
    ):
        load_study({"problems": [heat]})
    with pytest.raises(UserError, match="kovasznay has reference: none"):
        load_study({"problems": ["kovasznay"], "reference": "none"})
    load_study({"problems": ["kovasznay"]})
    load_study({"problems": [heat], "modes": ["physics"]})


def test_what_has_a_reference_is_seen_without_running_it(tmp_path):
    path = tmp_path / "several.py"
    path.write_text(
        "class A(Problem):\n    def exact(self): ...\nclass B(A):\n    pass\nclass C(pinnlora.Problem):\n    pass\n"
        "class D(C):\n    def reference(self): ...\nclass E(Elsewhere):\n    pass\n"
    )
    found = {name: has_reference(f"{path}:{name}") for name in "ABCDE"}
    assert found == {"A": True, "B": True, "C": False, "D": True, "E": True}


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


@pytest.mark.parametrize("kind", ["none", "refined"])
def test_it_trains_predicts_and_refines_from_the_command_line(heat, tmp_path, monkeypatch, capsys, kind):
    def call(*words) -> str:
        monkeypatch.setattr("sys.argv", ["pinnlora", *map(str, words)])
        with pytest.raises(SystemExit) as done:
            main()
        assert done.value.code == 0
        return capsys.readouterr().out

    config = tmp_path / "heat.yaml"
    short = {"training": STUDY["training"] | {"base": MARQUARDT | {"steps": 4}}}
    few = {"tasks": {"train": 1, "validation": 1, "test": 1}, "modes": ["physics"], "reference": kind}
    config.write_text(yaml.safe_dump(STUDY | short | few))
    said = call("train", heat, "-o", tmp_path / "out", "--rank", 2, "--config", config)
    assert f"reference of heat: {kind}" in said and not re.search(r"\bnan\b", said)
    assert (" mse " in said) == (kind == "refined")
    for query in ("predict", "refine"):
        call(query, tmp_path / "out/bundle", "--set", "alpha=0.07", "-o", tmp_path / f"{query}.nc")
    given = read_netcdf(tmp_path / "refine.nc")
    error = np.abs(given["u"].values - exact([0.07], given)[0]).max()
    assert error < 1e-2


def test_an_own_solver_needs_no_floor(tmp_path):
    path = tmp_path / "solved.py"
    solver = """
    def reference(self, values):
        return {"u": values["alpha"][:, None, None] + torch.zeros(1, 21, 11).numpy()}
"""
    path.write_text(HEAT + solver)
    found = own_references(load_problem(f"{path}:Heat"), VALUES)
    assert found.kind == "solver" and np.isnan(found.floor) and "unknown error" in found.note
    np.testing.assert_array_equal(found.fields["u"][:, 3, 3], VALUES["alpha"])


def write_file(path, rates, x=21, t=11, **wrong):
    """Solutions of some tasks as a user hands them over."""
    axes = {"x": np.linspace(0, 1, x), "t": np.linspace(0, 1, t)}
    u = exact(rates, axes)
    data = {"u": (("t", "task", "x"), np.moveaxis(u, 2, 0)), "alpha": ("task", np.asarray(rates))} | wrong
    xr.Dataset({k: v for k, v in data.items() if v is not None}, coords=axes).to_netcdf(path)
    return path


VALUES = {"alpha": np.array([0.05, 0.06, 0.07, 0.08])}
SPLITS = np.array(["base", "train", "test", "test"])


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
    ],
)
def test_a_wrong_file_is_one_line(heat, tmp_path, wrong, words):
    path = write_file(tmp_path / "mine.nc", [0.07, 0.08], **wrong)
    with pytest.raises(UserError, match=f"^[^\n]*{words}[^\n]*$"):
        given_references(path, load_problem(heat), VALUES, SPLITS)


def test_a_file_that_changes_is_another_study(heat, made, tmp_path):
    path = write_file(tmp_path / "mine.nc", [0.07])
    settings = load_study({"problems": [heat], "reference": str(path)})
    before = job_settings(settings, heat, "reference")
    write_file(path, [0.08])
    assert job_settings(settings, heat, "reference") != before
    with pytest.raises(UserError, match="changed after the job was planned"):
        reference.run(before, made[0] / "tasks.nc", tmp_path / "reference.nc")
