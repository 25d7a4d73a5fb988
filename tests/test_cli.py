"""The command line: queries of bundles, checks of problems, one clear line for what is wrong."""

import json
import textwrap
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from test_surrogate import KINDS, OWN, bundle, task_of

import pinnlora
from pinnlora.files import read_netcdf
from pinnlora.query.calibration import Calibration
from pinnlora.study.jobs.query import write_dataset
from pinnlora.study.told import told

WRONG = (
    OWN
    + """
        def exact(self, x, t, alpha):
            return {"u": torch.sin(torch.pi * x) * torch.exp(-alpha * t)}
"""
)
RIGHT = WRONG.replace("torch.exp(-alpha", "torch.exp(-torch.pi**2 * alpha")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Untrained bundles by name."""
    where = tmp_path_factory.mktemp("bundles")
    for name, kind in (("kovasznay", "kovasznay, rank 2"), ("burgers1d", "burgers1d")):
        bundle(where / name, *KINDS[kind])
    return where


def test_a_prediction_is_written_with_its_origin(run, bundles, tmp_path):
    status, said, _ = run("predict", bundles / "kovasznay", "--set", "re=42", "-o", tmp_path / "out.nc")
    assert status == 0 and said.splitlines() == [
        "warning: the error is not known, as this bundle's errors were never measured",
        f"wrote {tmp_path / 'out.nc'}",
    ]
    fields = read_netcdf(tmp_path / "out.nc")
    assert fields.attrs["Conventions"].startswith("CF-")
    assert fields.attrs["title"] == "kovasznay, predicted fields"
    assert "pinnlora" in fields.attrs["source"] and "predict" in fields.attrs["history"]
    expected = pinnlora.load(bundles / "kovasznay").predict(re=42.0)
    xr.testing.assert_equal(fields, expected)
    assert fields.re == 42 and fields["v"].attrs == {"long_name": "predicted v", "units": "1"}


def test_out_of_range_is_a_warning(run, bundles, tmp_path):
    status, said, _ = run("predict", bundles / "kovasznay", "--set", "re=500", "-o", tmp_path / "out.nc")
    assert (
        status == 0 and "warning: the task lies outside the range" in said and "try `pinnlora refine`" in said
    )
    assert read_netcdf(tmp_path / "out.nc").in_range == 0
    said = run("refine", bundles / "kovasznay", "--set", "re=500", "-o", tmp_path / "out.nc", "--steps", 1)[1]
    assert "outside the range" in said and "pinnlora refine" not in said


def test_an_error_that_is_not_known_hides_no_other(bundles):
    calibrated = replace(
        pinnlora.load(bundles / "kovasznay"), calibration=Calibration({"residual": [1.0] * 20})
    )
    dataset = calibrated.predict(re=[30.0, 42.0, 60.0, 500.0], at={"x": 0.5, "y": 0.5})
    dataset["estimated_error"][:2] = [np.inf, np.nan]
    known = f"{float(dataset['estimated_error'][2]):.1e}"
    assert told(dataset, False)[1:] == [
        "warning: the error of 2 of 3 tasks in range is not known",
        f"estimated error of the worst task in range: {known} (90 %: {known} to {known})",
    ]
    assert told(dataset.isel(task=0), True) == ["warning: the error is not known"]


def test_refined_fields_are_written(run, bundles, tmp_path):
    out = tmp_path / "out.nc"
    assert run("refine", bundles / "kovasznay", "--set", "re=42", "-o", out, "--steps", 2)[0] == 0
    fields = read_netcdf(out)
    assert fields.refinement_steps == 2 and fields.attrs["title"] == "kovasznay, refined fields"
    assert not fields["u"].equals(pinnlora.load(bundles / "kovasznay").predict(re=42.0)["u"])


def test_many_tasks_at_points_come_from_tables_and_go_into_tables(run, bundles, tmp_path):
    (tmp_path / "tasks.csv").write_text("re\n30\n42\n")
    (tmp_path / "points.csv").write_text("x,y\n0.1,0.2\n0.3,0.4\n0.5,0.6\n")
    expected = pinnlora.load(bundles / "kovasznay").predict(
        re=[30, 42], at={"x": [0.1, 0.3, 0.5], "y": [0.2, 0.4, 0.6]}, fields=["u", "u_x", "u_re"]
    )
    asked = (
        "predict",
        bundles / "kovasznay",
        "--tasks",
        tmp_path / "tasks.csv",
        "--at",
        tmp_path / "points.csv",
    )
    for ending in ("nc", "csv", "npz"):
        out = tmp_path / f"out.{ending}"
        status, _, error = run(*asked, "--fields", "u,u_x,u_re", "-o", out)
        assert status == 0, error
    xr.testing.assert_equal(read_netcdf(tmp_path / "out.nc"), expected)
    table = pd.read_csv(tmp_path / "out.csv").sort_values(["re", "x"])
    assert len(table) == 6 and table["in_range"].eq(1).all()
    np.testing.assert_allclose(table["u_re"], expected["u_re"].values.ravel(), rtol=1e-6)
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_array_equal(arrays["u_x"], expected["u_x"])
        assert json.loads(str(arrays["attributes"]))["problem"] == "kovasznay"


def test_a_table_of_one_point_says_where_it_is_and_what_it_has_no_place_for(run, bundles, tmp_path):
    xr.Dataset(coords={"x": 0.1, "y": 0.2}).to_netcdf(tmp_path / "at.nc")
    asked = ("predict", bundles / "kovasznay", "--set", "re=42", "--at", tmp_path / "at.nc")
    status, said, error = run(*asked, "-o", tmp_path / "out.csv")
    assert status == 0, error
    table = pd.read_csv(tmp_path / "out.csv")
    assert table.loc[0, ["x", "y", "re"]].tolist() == [0.1, 0.2, 42] and "no place" not in said


def test_a_table_says_what_it_has_no_place_for(tmp_path, capsys):
    """Places in many dimensions a column a component; a variable along another dimension has no place."""
    points = xr.Variable(("point", "x_component"), [[0.1, 0.2], [0.3, 0.4]])
    dataset = xr.Dataset({"u": (("task", "point"), [[1.0, 2.0]]), "in_range": ("window", [1, 0, 0])})
    write_dataset(dataset.assign_coords(x=points), tmp_path / "out.csv", "fields")
    table = pd.read_csv(tmp_path / "out.csv")
    assert table[["x1", "x2", "u"]].values.tolist() == [[0.1, 0.2, 1.0], [0.3, 0.4, 2.0]]
    assert "has no place for in_range" in capsys.readouterr().out


def test_a_part_of_our_own_file_may_be_asked_for(run, bundles, tmp_path):
    asked = ("predict", bundles / "kovasznay", "--set", "re=42")
    assert run(*asked, "-o", tmp_path / "whole.nc")[0] == 0
    read_netcdf(tmp_path / "whole.nc").isel(x=[1, 2], y=[3]).to_netcdf(tmp_path / "part.nc")
    status, _, error = run(*asked, "--at", tmp_path / "part.nc", "-o", tmp_path / "out.nc")
    assert status == 0, error
    assert read_netcdf(tmp_path / "out.nc")["u"].shape == (2, 1)


@pytest.mark.parametrize("suffix", ["npy", "nc"])
@pytest.mark.parametrize("shape", [(128,), (1, 128)])
def test_a_function_comes_from_a_file(run, bundles, tmp_path, suffix, shape):
    u0, file = task_of("burgers1d")["u0"].reshape(shape), tmp_path / f"u0.{suffix}"
    if suffix == "npy":
        np.save(file, u0)
    else:
        xr.Dataset({"u0": (("task", "x")[-len(shape) :], u0)}).to_netcdf(file)
    assert run("predict", bundles / "burgers1d", "--set", f"u0={file}", "-o", tmp_path / "out.nc")[0] == 0
    expected = pinnlora.load(bundles / "burgers1d").predict(u0=u0 if suffix == "npy" else u0.squeeze())
    xr.testing.assert_equal(read_netcdf(tmp_path / "out.nc"), expected)


def test_info_prints_the_model_card(run, bundles, tmp_path):
    status, said, _ = run("info", bundles / "kovasznay")
    assert status == 0 and said.startswith("# kovasznay: hypernetwork, mode physics, rank 2")
    assert "Uniform(re=(20, 100))" in said and "predict(re=...)" in said
    assert run("info", tmp_path)[0] == 2


def own(tmp_path, text: str) -> str:
    (tmp_path / "heat.py").write_text(textwrap.dedent(text))
    return f"{tmp_path / 'heat.py'}:Heat"


def test_a_good_problem_is_told_back(run, tmp_path):
    status, said, error = run("check", own(tmp_path, RIGHT))
    assert (status, error) == (0, "")
    for line in (
        "heat: Heat equation with a sine arch at the start.",
        "domain      x in [0, 1], t in [0, 1]",
        "residual    needs u_t, u_xx, alpha",
        "condition   start on t=0",
        "note        Heat.exact: solves heat",
    ):
        assert line in said
    assert "neither exact() nor reference()" in run("check", own(tmp_path, OWN))[1]
    said = run("check", "burgers2d")[1]
    assert "solves momentum_x" in said and "held exactly: initial (u), initial (v), walls (u)" in said


def test_all_that_is_wrong_is_told_and_train_stops_at_it(run, tmp_path):
    spec = own(tmp_path, WRONG.replace('{"u": 0.0}', '{"u": 1.0}'))
    for arguments in (["check", spec], ["train", spec, "-o", tmp_path / "heat"]):
        status, said, error = run(*arguments)
        assert status == 2 and not (tmp_path / "heat").exists()
        assert "error       Heat.exact: does not solve heat of residual()" in said
        assert "error       Heat.exact: does not meet ends" in said
        assert error.startswith("error: Heat.") and error.count("\n") == 1 and "more, see above" in error


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("u_xx, alpha", "u_xy, alpha", ["Heat.residual: unknown argument 'u_xy'", "Did you mean 'u_x"]),
        ('on="t=0"', 'on="t=2"', ["on='t=2': expected one of x=0, x=1, t=0, t=1"]),
        ('{"u": torch.sin', '{"w": torch.sin', ["Heat.start", "'w'"]),
        ("class Heat", "class Cold", ["no problem 'Heat'", "Cold"]),
        ("(Problem):", "(Problem:", ["heat.py"]),
        ("import torch", "import touch", ["touch"]),
        ("Uniform(alpha", "Uniform(", ["heat.py"]),
    ],
)
def test_a_bad_problem_is_one_line(run, tmp_path, old, new, words):
    assert old in OWN
    status, said, error = run("check", own(tmp_path, OWN.replace(old, new)))
    assert (status, said) == (2, "")
    assert error.startswith("error: ") and error.count("\n") == 1
    assert all(word in error for word in words), error


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("study.jobs.reference", [], "job study.jobs.reference: missing a required argument: 'tasks'"),
        ("study.jobs.tasks", ["--device", "cpu"], "job study.jobs.tasks: got an unexpected keyword argument"),
        (
            "study.jobs.tasks",
            ["--checkpoint-minutes", "0"],
            "job study.jobs.tasks: got an unexpected keyword argument",
        ),
        ("study.jobs.tasks", ["--provenance", "0" * 16], "code or inputs of this job changed after it was"),
    ],
)
def test_a_job_that_cannot_be_run_is_one_line(run, tmp_path, name, more, words):
    settings = {"problem": "kovasznay", "seed": 1, "tasks": {"train": 1, "validation": 1, "test": 1}}
    told = ("--settings", json.dumps(settings), "--output", tmp_path / "a.nc")
    status, said, error = run("job", name, *told, *more)
    assert (status, said) == (2, "") and not (tmp_path / "a.nc").exists()
    assert error.startswith(f"error: {words}") and error.count("\n") == 1
