"""The command line: queries of bundles, checks of problems, one clear line for what is wrong."""

import json
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from test_surrogate import KINDS, OWN, bundle, task_of

import pinnlora
from pinnlora.cli import main
from pinnlora.files import read_netcdf
from pinnlora.study.provenance import recorded

WRONG = (
    OWN
    + """
        def exact(self, x, t, alpha):
            return {"u": torch.sin(torch.pi * x) * torch.exp(-alpha * t)}
"""
)
RIGHT = WRONG.replace("torch.exp(-alpha", "torch.exp(-torch.pi**2 * alpha")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `pinnlora ARGUMENTS`: (exit status, standard output, standard error)."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["pinnlora", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            main()
        return done.value.code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Untrained bundles by name."""
    where = tmp_path_factory.mktemp("bundles")
    for name, kind in (("kovasznay", "kovasznay, rank 2"), ("burgers1d", "burgers1d")):
        bundle(where / name, *KINDS[kind])
    return where


def test_a_prediction_is_written_with_its_origin(run, bundles, tmp_path):
    status, said, _ = run("predict", bundles / "kovasznay", "--set", "re=42", "-o", tmp_path / "out.nc")
    assert (status, said) == (0, f"wrote {tmp_path / 'out.nc'}\n")  # an estimate needs a calibration
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


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("-o", "out.txt"), "out.txt: the ending says the format; expected one of .nc, .csv, .npz"),
        (("-o", "out.nc", "--tasks", "absent.csv"), "there is no file absent.csv"),
        (("-o", "out.nc", "--tasks", "text.csv"), "text.csv: column 're' holds no numbers"),
        (("-o", "out.nc", "--tasks", "empty.csv"), "empty.csv"),
        (("-o", "out.nc", "--tasks", "other.csv"), "unknown task parameter 'rey'"),
        (("-o", "out.nc", "--set", "re=42", "--fields", "w"), "'w' is no field"),
        (("-o", "out.nc", "--set", "re=42", "--estimate", "best"), "estimate = 'best'; expected"),
    ],
)
def test_a_wrong_table_is_one_line_and_writes_nothing(run, bundles, tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.csv").write_text("re\nfast\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "other.csv").write_text("rey\n42\n")
    status, _, error = run("predict", bundles / "kovasznay", *more)
    assert status == 2 and error.startswith("error: ") and error.count("\n") == 1 and words in error
    assert not list(tmp_path.glob("out*"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a graphics card is there")
@pytest.mark.parametrize("query", ["predict", "refine"])
def test_the_device_can_be_chosen(run, bundles, tmp_path, query):
    asked = (query, bundles / "kovasznay", "--set", "re=42", "-o", tmp_path / "out.nc", "--device")
    status, _, error = run(*asked, "cuda")
    assert (status, error) == (
        2,
        "error: device: cuda, but torch sees no GPU here; set device: auto or cpu\n",
    )
    assert run(*asked, "gpu")[0] == 2 and not (tmp_path / "out.nc").exists()
    assert run(*asked, "cpu")[0] == 0


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


@pytest.mark.parametrize(
    ("name", "assignment", "words"),
    [
        ("kovasznay", "rey=42", ["'rey'", "did you mean 're'"]),
        ("kovasznay", "re", ["--set re", "NAME=NUMBER"]),
        ("kovasznay", "re=fast", ["'fast'", "neither a number nor"]),
        ("kovasznay", "re=nan", ["re holds 1 NaN"]),
        ("burgers1d", "u0=3", ["u0 has shape ()", "(128,)"]),
        ("burgers1d", "u0=absent.npy", ["no file absent.npy"]),
        ("burgers1d", "u0=absent.nc", ["no file absent.nc"]),
        ("burgers1d", "u0=short.npy", ["u0 has shape (5,)", "(128,)"]),
        ("burgers1d", "u0=text.npy", ["text.npy"]),
        ("burgers1d", "u0=other.nc", ["no variable 'u0'", "it has: w"]),
        ("absent", "re=42", ["no bundle", "config.json"]),
    ],
)
def test_a_wrong_query_is_one_line_and_writes_nothing(
    run, bundles, tmp_path, monkeypatch, name, assignment, words
):
    monkeypatch.chdir(tmp_path)
    np.save("short.npy", np.zeros(5))
    (tmp_path / "text.npy").write_text("1 2 3")
    xr.Dataset({"w": ("x", np.zeros(128))}).to_netcdf("other.nc")
    status, said, error = run("predict", bundles / name, "--set", assignment, "-o", "out.nc")
    assert (status, said) == (2, "")
    assert error.startswith("error: ") and error.count("\n") == 1
    assert all(word in error for word in words), error
    assert not (tmp_path / "out.nc").exists()


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


def test_settings_of_a_job_that_are_not_json_are_one_line(run, tmp_path):
    status, _, error = run("job", "study.jobs.tasks", "--settings", "{tasks", "--output", tmp_path / "t.nc")
    assert status == 2 and error.startswith("error: --settings is not JSON") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("study.jobs.task", [], "no job 'study.jobs.task', did you mean 'study.jobs.tasks'?"),
        ("study.jobs.reference", [], "job study.jobs.reference: missing a required argument: 'tasks'"),
        ("study.jobs.tasks", ["--device", "cpu"], "job study.jobs.tasks: got an unexpected keyword argument"),
        ("study.jobs.tasks", ["--provenance", "0" * 16], "code or inputs of this job changed after it was"),
    ],
)
def test_a_job_that_cannot_be_run_is_one_line(run, tmp_path, name, more, words):
    settings = {"problem": "kovasznay", "seed": 1, "tasks": {"train": 1, "validation": 1, "test": 1}}
    told = ("--settings", json.dumps(settings), "--output", tmp_path / "a.nc")
    status, said, error = run("job", name, *told, *more)
    assert (status, said) == (2, "") and not (tmp_path / "a.nc").exists()
    assert error.startswith(f"error: {words}") and error.count("\n") == 1


CONFIG = """
tasks: {train: 2, validation: 2, test: 1}
network: {width: 8, hidden_layers: 3}
hypernetwork: {body: [8]}
training:
  base: {optimiser: levenberg_marquardt, steps: 5, points: 40, condition_points: 10}
  physics: {optimiser: gauss_newton, steps: 4, points: 20, condition_points: 8, tasks_per_step: 3}
"""


@pytest.mark.parametrize("rank", [2, "auto"])
def test_from_an_own_equation_to_a_bundle_in_one_command(run, tmp_path, rank):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    spec, out = own(tmp_path, RIGHT), tmp_path / "heat"
    more = ("--rank", rank, "--config", tmp_path / "tiny.yaml", "--device", "cpu")
    status, said, error = run("train", spec, "-o", out, *more)
    assert status == 0, error
    assert "the bundle is" in said and "device cpu" in said and ("ranks found: " in said) == (rank == "auto")
    assert all(recorded(out / name) for name in ("tasks.nc", "reference.nc", "base", "bundle"))
    assert run("predict", out / "bundle", "--set", "alpha=0.3", "-o", tmp_path / "out.nc")[0] == 0
    assert read_netcdf(tmp_path / "out.nc")["u"].shape == (11, 6)


def test_without_a_config_it_trains_by_the_clock_and_ends_with_a_verdict(run, tmp_path):
    spec, out = own(tmp_path, RIGHT), tmp_path / "heat"
    began = time.perf_counter()
    status, said, error = run("train", spec, "-o", out, "--minutes", 0.1, "--device", "cpu")
    assert status == 0 and time.perf_counter() - began < 60, error
    for words in (
        "optimiser levenberg_marquardt",
        "optimiser gauss_newton",
        "held exactly: start (u), ends (u)",
    ):
        assert words in said
    table = said[said.index("relative, on test tasks") :].splitlines()
    named = [line[:30].split("  ")[0] for line in table[1:7]]
    assert named[:2] == ["residual of heat", "largest residual of heat"] and named[4] == "estimated error"
    verdict = table[-1].partition("; ")[2]
    assert verdict == "converged" or verdict.startswith("not converged: ")
    config = json.loads((out / "bundle" / "config.json").read_text())
    assert config["verdict"] == verdict and config["stage"]["optimiser"] == "gauss_newton"
    card = run("info", out / "bundle")[1]
    assert f"Verdict after training: {verdict}" in card and "residual of heat" in card
    assert run("predict", out / "bundle", "--set", "alpha=0.3", "-o", tmp_path / "out.nc")[0] == 0


def test_a_task_that_holds_a_function_is_trained_by_soap(run, tmp_path):
    status, said, error = run("train", own(tmp_path, MIXED), "-o", tmp_path / "heat", "--minutes", 0.08)
    assert status == 0, error
    assert "optimiser soap" in said and "dtype float32" in said and "estimated error" in said
    assert "residual of heat" in run("info", tmp_path / "heat" / "bundle")[1]


def test_an_earlier_training_is_replaced_by_force_only(run, tmp_path):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    spec, out = own(tmp_path, RIGHT), tmp_path / "heat"
    arguments = ("train", spec, "-o", out, "--config", tmp_path / "tiny.yaml")
    assert run(*arguments)[0] == 0
    before = recorded(out / "bundle")
    status, said, error = run(*arguments, "--rank", 2)
    assert (status, said) == (2, "") and "--force" in error and error.count("\n") == 1
    assert recorded(out / "bundle") == before
    assert run(*arguments, "--rank", 2, "--force")[0] == 0 and recorded(out / "bundle") != before


def test_a_problem_without_conditions_is_not_trained(run, tmp_path):
    spec = own(tmp_path, OWN.replace("conditions = [", "unused = ["))
    status, said, error = run("train", spec, "-o", tmp_path / "heat", "--minutes", 0.1)
    assert status == 2 and not (tmp_path / "heat").exists()
    assert "u needs 1 condition in t but has 0" in said and "error: Heat.conditions" in error


@pytest.mark.parametrize("where", ["bundle/notes.txt", "base/notes.txt", "tasks.nc/notes.txt"])
def test_training_never_touches_what_is_not_ours(run, tmp_path, where):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    spec, notes = own(tmp_path, RIGHT), tmp_path / "out" / where
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    status, _, error = run("train", spec, "-o", tmp_path / "out", "--config", tmp_path / "tiny.yaml")
    assert (
        status == 2 and error.startswith("error: ") and error.count("\n") == 1 and notes.parent.name in error
    )
    assert notes.read_text() == "mine"
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [notes]


@pytest.mark.parametrize("command", ["predict", "refine"])
def test_an_existing_directory_is_no_place_for_a_file(run, bundles, tmp_path, command):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "thesis.tex").write_text("years")
    status, _, error = run(command, bundles / "kovasznay", "--set", "re=42", "-o", tmp_path / "results")
    assert status == 2 and "is a directory, expected the name of a file" in error
    assert (tmp_path / "results" / "thesis.tex").read_text() == "years"


MIXED = """
    import torch

    from pinnlora import Box, Condition, GaussianField, LogUniform, Problem, Uniform

    class Heat(Problem):
        coords = Box(xi=(-1, 1), t=(0, 1))
        fields = ("u",)
        task = Uniform(a=(1, 2)) * LogUniform(nu=(1e-3, 1e-1)) * GaussianField("f", points=16)
        grid = {"xi": 11, "t": 6}

        def residual(self, u_t, u_xi_xi, f, f_xi_xi, t, a, nu):
            return {"heat": u_t - nu * u_xi_xi - a * (f - nu * t * f_xi_xi)}

        def exact(self, t, f, a):
            return {"u": a * t * f}

        def start(self):
            return {"u": 0.0}

        def ends(self, t, f, a):
            return self.exact(t, f, a)

        conditions = [Condition(start, on="t=0"), Condition(ends, on=("xi=-1", "xi=1"))]
"""


def test_numbers_of_two_laws_and_a_function_are_one_task_from_check_to_prediction(run, tmp_path):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    spec, out = own(tmp_path, MIXED), tmp_path / "heat"
    status, said, error = run("train", spec, "-o", out, "--rank", 2, "--config", tmp_path / "tiny.yaml")
    assert status == 0, error
    assert "solves heat" in said and "warning  " not in said
    written = read_netcdf(out / "tasks.nc")
    assert written["f_xi"].values[[0, -1]].tolist() == [-1, 1]
    np.save(tmp_path / "f.npy", written["f"].values[0])
    numbers = ("--set", "a=1.5", "--set", "nu=0.01")
    result = tmp_path / "out.nc"
    for command in (("predict",), ("refine", "--steps", 2)):
        status, said, error = run(
            *command, out / "bundle", *numbers, "--set", f"f={tmp_path / 'f.npy'}", "-o", result
        )
        assert status == 0, error
        fields = read_netcdf(result)
        assert fields["u"].dims == ("xi", "t") and fields.nu == 0.01 and fields.in_range == 1
    assert "predict(a=..., nu=..., f=...)" in run("info", out / "bundle")[1]
    status, _, error = run("predict", out / "bundle", *numbers, "-o", result)
    assert status == 2 and "'f' is missing; expected a, nu, f" in error
