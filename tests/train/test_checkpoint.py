"""Training that was interrupted ends with the same weights, to the last bit, as training that was not."""

import os
import signal
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small import CPU

from pinnlora.problem.load import load_problem
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import fit, hypernetwork, reference, tasks
from pinnlora.study.settings import load_settings
from pinnlora.train import budget, loop, progress
from pinnlora.train import checkpoint as checkpoints
from pinnlora.train.checkpoint import Checkpoint, checkpointed, numpy_from, numpy_state

MARQUARDT = {"optimiser": "levenberg_marquardt", "dtype": "float64"}
TASKS = {
    "adam": {"optimiser": "adam", "steps": 12},
    "adam+lbfgs": {"optimiser": "adam+lbfgs", "steps": 6, "lbfgs_steps": 6, "resample": 4},
    "marquardt": MARQUARDT | {"steps": 8, "adaptive": True},
    "one by one": MARQUARDT | {"steps": 24, "patience": 6, "resample": 3},
    "horizon": MARQUARDT | {"steps": 10, "balance": True, "horizon": "auto"},
    "chain": MARQUARDT | {"steps": 8, "chain": True},
}
LEARNERS = {
    "adam": {"optimiser": "adam", "steps": 12, "clip": 2.0, "normalise": 0.5},
    "averaged": {"optimiser": "adam", "steps": 12, "average": 0.9},
    "soap": {"optimiser": "soap", "steps": 25, "dtype": "float32"},
    "newton": {"optimiser": "gauss_newton", "steps": 8, "momentum": 0.75, "adaptive": True},
    "balanced": {"optimiser": "gauss_newton", "steps": 8, "balance": True, "fresh_tasks": False},
    "ranks found": {"optimiser": "gauss_newton", "steps": 20},
}
SMALL = {"points": 24, "condition_points": 8, "tasks_per_step": 3, "report_every": 2}


def study(problem: str = "burgers2d", **training) -> dict:
    return load_settings({
        "problems": [problem], "tasks": {"train": 4, "validation": 2, "test": 3}, "lora_ranks": [2],
        "network": {"width": 8, "hidden_layers": 3, "conditions": "soft"}, "hypernetwork": {"body": [8, 8]},
        "training": {name: SMALL | stage for name, stage in training.items()},
    })  # fmt: skip


class Killed(BaseException):
    """As SIGKILL: nothing is cleaned up."""


@pytest.fixture
def killed(monkeypatch):
    """Sets after which step's checkpoint, of how many, training is killed; every step writes one."""
    write, polls = Checkpoint.poll, []

    def at(step: int | None) -> None:
        polls.clear()

        def poll(self):
            write(self)
            polls.append(step)
            if len(polls) == step:
                raise Killed

        monkeypatch.setattr(Checkpoint, "poll", poll)

    return at


def weights(folder) -> dict:
    return checkpoints.load_weights(folder / "model.safetensors")[0]


def same(one, other) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def resumed(run, folder, killed, after: list[int], said) -> None:
    """`run(output)` uninterrupted, and killed after so many steps each time: the same weights."""
    killed(None)
    run(folder / "straight")
    for step in after:
        killed(step)
        with pytest.raises(Killed):
            run(folder / "broken")
        assert not (folder / "broken").exists()
    killed(None)
    said.readouterr()
    run(folder / "broken")
    assert "training goes on from" in said.readouterr().out
    same(weights(folder / "straight"), weights(folder / "broken"))
    assert not list(folder.glob("*.checkpoint*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tasks, references and the base network of a study."""
    home, settings = tmp_path_factory.mktemp("study"), study(base=MARQUARDT | {"steps": 5})
    files = {name: home / f"{name}.nc" for name in ("tasks", "reference")}
    tasks.run(job_settings(settings, "burgers2d", "tasks"), files["tasks"])
    reference.run(job_settings(settings, "burgers2d", "reference"), files["tasks"], files["reference"])
    fit.run(job_settings(settings, "burgers2d", "base"), files["tasks"], home / "base", device="cpu")
    return files | {"base": home / "base"}


@pytest.mark.parametrize("stage", TASKS)
def test_fits_of_tasks_go_on_to_the_same_bits(stage, made, tmp_path, killed, capsys):
    name = "teachers" if stage == "chain" else "lora"
    own = job_settings(study(**{name: TASKS[stage]}), "burgers2d", name.replace("lora", "fit"), 2, "lora")

    def run(output):
        fit.run(own, **made, output=output, device="cpu", provenance="some", checkpoint_minutes=0)

    resumed(run, tmp_path, killed, [4, 5] if stage != "chain" else [20, 37], capsys)


@pytest.mark.parametrize("stage", LEARNERS)
def test_hypernetworks_go_on_to_the_same_bits(stage, made, tmp_path, killed, capsys):
    settings = study(physics={"dtype": "float64", "rows": 10**4} | LEARNERS[stage])
    rank = "auto" if stage == "ranks found" else 2
    own = job_settings(settings, "burgers2d", "hypernetwork", rank, "physics")

    def run(output):
        hypernetwork.run(own, **made, output=output, device="cpu", provenance="some", checkpoint_minutes=0)

    resumed(run, tmp_path, killed, {"soap": [14, 5], "ranks found": [2, 4, 3]}.get(stage, [4, 3]), capsys)


def test_what_belongs_to_something_else_or_is_damaged_is_left_aside(made, tmp_path, killed, capsys):
    settings = study(lora=TASKS["adam"])
    own = job_settings(settings, "burgers2d", "fit", 2, "lora")

    def run(provenance):
        fit.run(
            own, **made, output=tmp_path / "fit", device="cpu", provenance=provenance, checkpoint_minutes=0
        )

    killed(5)
    with pytest.raises(Killed):
        run("this")
    capsys.readouterr()
    killed(1)
    with pytest.raises(Killed):
        run("that")
    assert "is of other settings, code or inputs: it is ignored" in capsys.readouterr().out
    path = tmp_path / "fit.checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    killed(None)
    run("that")
    said = capsys.readouterr().out
    assert "it is ignored" in said and "goes on" not in said and not path.exists()


def test_nothing_is_written_before_its_time_or_without_provenance(made, tmp_path, killed):
    own = job_settings(study(lora=TASKS["adam"]), "burgers2d", "fit", 2, "lora")
    for told in ({"provenance": "some"}, {"checkpoint_minutes": 0}):
        killed(8)
        with pytest.raises(Killed):
            fit.run(own, **made, output=tmp_path / "fit", device="cpu", **told)
    assert not list(tmp_path.iterdir())


def test_a_budget_goes_on_from_the_seconds_used(made, tmp_path, killed, capsys, monkeypatch):
    """By a clock that goes on by a tenth of a second each time it is looked at."""
    ticks = count()
    clock = SimpleNamespace(perf_counter=lambda: 0.1 * next(ticks))
    for module in (loop, progress):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(budget, "paced", lambda stage, learner_of: stage)
    stage = {"optimiser": "adam", "steps": 1000, "seconds": 6.0, "report_every": 1000}
    own = job_settings(study(lora=stage), "burgers2d", "fit", 2, "lora")
    run = {"output": tmp_path / "fit", "device": "cpu", "provenance": "some", "checkpoint_minutes": 0}
    killed(12)
    with pytest.raises(Killed):
        fit.run(own, **made, **run)
    _, header = checkpoints.load_weights(tmp_path / "fit.checkpoint.safetensors")
    used = header["state"]["loop"]["phase_began"]
    assert 2 < used < 5
    killed(None)
    fit.run(own, **made, **run)
    _, metadata = checkpoints.load_weights(tmp_path / "fit" / "model.safetensors")
    assert metadata["seconds"] == pytest.approx(6.0, abs=0.6) and metadata["iterations"] > 12


def test_generators_go_on_with_their_children():
    """scipy's samplers spawn from the seed, not from the stream."""
    problem, random = load_problem("kovasznay"), np.random.default_rng((7, 8))
    problem.task.spread(3, random, 0.1)
    random.random(2)
    again = numpy_from(numpy_state(random))
    for _ in range(2):
        expected = problem.task.spread(3, random, 0.1)["re"]
        np.testing.assert_array_equal(problem.task.spread(3, again, 0.1)["re"], expected)
    assert again.random() == random.random()


def test_sigterm_waits_for_a_step_writes_and_ends_the_process(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with checkpointed(tmp_path / "fit", "some", CPU, 1000) as checkpoint:
        checkpoint.part("loop", lambda: {"number": torch.tensor([1.5]), "nan": [float("nan"), None, "text"]})
        with pytest.raises(SystemExit) as ended, checkpoint.watching():
            checkpoint.poll()
            os.kill(os.getpid(), signal.SIGTERM)
            assert not list(tmp_path.iterdir())
            checkpoint.poll()
        assert ended.value.code == 143 and signal.getsignal(signal.SIGTERM) is before
        found = Checkpoint(tmp_path / "fit.checkpoint.safetensors", "some on cpu").found("loop")
        assert torch.equal(found["number"], torch.tensor([1.5])) and np.isnan(found["nan"][0])
        assert found["nan"][1:] == [None, "text"]
    assert not list(tmp_path.iterdir())
