"""`pinnlora train`: from an equation of one's own to a bundle that can be asked, in one command."""

import json
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from test_cli import RIGHT, own
from test_surrogate import OWN

from pinnlora.files import read_netcdf
from pinnlora.study.jobs import fit, hypernetwork
from pinnlora.study.jobs import train as job
from pinnlora.study.provenance import recorded

CONFIG = """
tasks: {train: 2, validation: 2, test: 1}
network: {width: 8, hidden_layers: 3}
hypernetwork: {body: [8]}
training:
  base: {optimiser: levenberg_marquardt, steps: 5, points: 40, condition_points: 10}
  physics: {optimiser: gauss_newton, steps: 4, points: 20, condition_points: 8, tasks_per_step: 3}
"""


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


@pytest.mark.parametrize("rank", [2, "auto"])
def test_from_an_own_equation_to_a_bundle_in_one_command(run, tmp_path, rank):
    (tmp_path / "tiny.yaml").write_text(f"modes: [data]{CONFIG}  lora: {{steps: 3}}\n")
    spec, out = own(tmp_path, RIGHT), tmp_path / "heat"
    more = ("--rank", rank, "--config", tmp_path / "tiny.yaml", "--device", "cpu")
    status, said, error = run("train", spec, "-o", out, *more)
    assert status == 0, error
    assert said.count("config: modes, training.lora play no part here") == 1
    assert "the bundle is" in said and "device cpu" in said and ("ranks found: " in said) == (rank == "auto")
    assert all(recorded(out / name) for name in ("tasks.nc", "reference.nc", "base", "bundle"))
    assert run("predict", out / "bundle", "--set", "alpha=0.3", "-o", tmp_path / "out.nc")[0] == 0
    assert read_netcdf(tmp_path / "out.nc")["u"].shape == (11, 6)


def test_a_study_of_several_own_problems_is_a_config_for_each(run, tmp_path, monkeypatch):
    (tmp_path / "wave.py").write_text("class Wave: pass\n")
    spec, wave = own(tmp_path, RIGHT), f"{tmp_path / 'wave.py'}:Wave"
    study = f"problems: [{spec!r}, {wave!r}, kovasznay]\nevaluation: {{refine_steps: 3}}\noverrides:\n"
    own_part = "heat: {tasks: {test: 3}, modes: [], training: {lora: {steps: 3}, base: {steps: 4}}}"
    (tmp_path / "study.yaml").write_text(f"{study}  {own_part}\n  wave: {{tasks: {{test: 2}}}}\n")
    (tmp_path / "typo.yaml").write_text(f"{study}  {own_part}\n  wvae: {{tasks: {{test: 2}}}}\n")
    trained = []
    verdict = SimpleNamespace(text="converged", table=lambda: [])
    monkeypatch.setattr(job, "_train", lambda settings, *rest: trained.append(settings) or verdict)
    status, said, error = run("train", spec, "-o", tmp_path / "out", "--config", tmp_path / "study.yaml")
    assert status == 0, error
    problem = trained[0].problem(spec)
    assert problem.tasks.test == 3 and problem.stage("base").steps == 4
    unused = "problems, evaluation, overrides.heat.modes, overrides.heat.training.lora"
    assert f"config: {unused} play no part here" in said
    status, _, error = run("train", spec, "-o", tmp_path / "other", "--config", tmp_path / "typo.yaml")
    assert status == 2 and "overrides.wvae: not among problems" in error


def test_without_a_config_it_trains_by_the_clock_and_ends_with_a_verdict(run, tmp_path):
    spec, out = own(tmp_path, RIGHT), tmp_path / "heat"
    status, said, error = run("train", spec, "-o", out, "--minutes", 0.1, "--device", "cpu")
    assert status == 0, error
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
    assert 0 < config["taken"]["points"] <= config["stage"]["points"]
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
    config = out / "bundle" / "config.json"
    config.write_text(config.read_text()[:-40])  # damaged since
    status, said, error = run(*arguments)
    assert (status, said) == (2, "") and "--force" in error and error.count("\n") == 1
    assert run(*arguments, "--rank", 2, "--force")[0] == 0 and recorded(out / "bundle") != before


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """The problem's file is edited whenever a function of a module has run."""

    def after(module, name: str) -> None:
        real = getattr(module, name)

        def edit(*arguments, **more):
            made = real(*arguments, **more)
            with (tmp_path / "heat.py").open("a") as file:
                file.write("x = 1\n")
            return made

        monkeypatch.setattr(module, name, edit)

    return after


def test_a_problem_edited_between_two_trainings_is_not_trained_on(run, tmp_path, edited):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    edited(fit, "run")
    spec, out = own(tmp_path, RIGHT), tmp_path / "heat"
    status, _, error = run("train", spec, "-o", out, "--config", tmp_path / "tiny.yaml")
    assert status == 2
    assert f"the code of {spec} changed while it was being trained: train again with --force" in error
    assert error.count("\n") == 1 and (out / "base").exists() and not (out / "reference.nc").exists()


def test_an_edit_while_the_hypernetwork_is_trained_is_told_and_not_in_the_bundle(run, tmp_path, edited):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    edited(hypernetwork, "fit_hypernetwork")
    spec, out = own(tmp_path, RIGHT), tmp_path / "heat"
    before = (tmp_path / "heat.py").read_text()
    status, said, error = run("train", spec, "-o", out, "--config", tmp_path / "tiny.yaml")
    assert status == 0, error
    assert (
        f"the code of {spec} changed meanwhile: the bundle is of what it was before" in said
        and "converged" in said
    )
    assert (out / "bundle" / "problem.py").read_text() == before != (tmp_path / "heat.py").read_text()


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


def test_waiting_for_a_card_is_no_time_of_the_training(tmp_path, monkeypatch):
    """Two seconds of waiting, of six: the hypernetwork is told of the others only."""
    told = []

    @contextmanager
    def taken(device):
        time.sleep(2)
        yield

    def left(began, minutes):
        told.append(time.perf_counter() - began)
        return 1.0

    monkeypatch.setattr(job, "own_card", taken)
    monkeypatch.setattr(job, "_left", left)
    start = time.perf_counter()
    job.run(own(tmp_path, RIGHT), tmp_path / "heat", 1, None, minutes=0.05, device="cpu")
    assert 0 < told[0] < time.perf_counter() - start - 2


def test_a_verdict_is_in_the_card_before_a_training_counts_as_finished(tmp_path, monkeypatch):
    """A kill between the two writes leaves a training that is judged again."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("card\n")
    verdict = SimpleNamespace(text="converged", table=lambda: ["residual 1"])
    real, calls = job.write_text, []

    def killed(path, text):
        calls.append(path.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(path, text)

    monkeypatch.setattr(job, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        job._note(tmp_path, verdict)
    assert not job._finished(tmp_path)
    monkeypatch.setattr(job, "write_text", real)
    job._note(tmp_path, verdict)
    assert job._finished(tmp_path) and (tmp_path / "README.md").read_text().count("Verdict") == 1
