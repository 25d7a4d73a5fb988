"""A problem with neither exact() nor reference(): trained, queried and studied."""

import json
import math
import re

import numpy as np
import pytest
import yaml

import pinnlora
from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.problem.load import has_reference
from pinnlora.report.jobs import figure, table
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import evaluate, fit, hypernetwork, reference, tasks
from pinnlora.study.settings import load_settings, load_study

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
        one = found["residual"].isel(seed=0).sel({"method": method, "rank": rank})
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
    one = found["residual"].isel(seed=0).sel({"method": "physics", "rank": "2", "split": "test"})[0]
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


@pytest.mark.parametrize("kind", ["none", "refined"])
def test_it_trains_predicts_and_refines_from_the_command_line(run, heat, tmp_path, kind):
    config = tmp_path / "heat.yaml"
    short = {"training": STUDY["training"] | {"base": MARQUARDT | {"steps": 4}}}
    few = {"tasks": {"train": 1, "validation": 1, "test": 1}, "modes": ["physics"], "reference": kind}
    config.write_text(yaml.safe_dump(STUDY | short | few))
    status, said, error = run("train", heat, "-o", tmp_path / "out", "--rank", 2, "--config", config)
    assert status == 0, error
    assert f"reference of heat: {kind}" in said and not re.search(r"\bnan\b", said)
    assert (" mse " in said) == (kind == "refined")
    for query in ("predict", "refine"):
        asked = (query, tmp_path / "out/bundle", "--set", "alpha=0.07", "-o", tmp_path / f"{query}.nc")
        assert run(*asked)[0] == 0
    given = read_netcdf(tmp_path / "refine.nc")
    error = np.abs(given["u"].values - exact([0.07], given)[0]).max()
    assert error < 1e-2
