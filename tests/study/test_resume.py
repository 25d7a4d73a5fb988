"""Jobs that are really killed, and `pinnlora train` killed again and again: what they made is not made again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from pinnlora.errors import UserError
from pinnlora.files import load_weights, read_netcdf, write_netcdf
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import tasks, train
from pinnlora.study.settings import load_settings
from pinnlora.train.checkpoint import Checkpoint

STUDY = {
    "problems": ["kovasznay"],
    "tasks": {"train": 2, "validation": 2, "test": 1},
    "network": {"width": 8, "hidden_layers": 3},
    "hypernetwork": {"body": [8]},
    "training": {
        "base": {"steps": 400, "points": 20, "condition_points": 8, "report_every": 10},
        "physics": {"steps": 12, "points": 20, "condition_points": 8, "tasks_per_step": 3, "report_every": 5},
    },
}


def job(tmp_path: Path, minutes: float) -> subprocess.Popen:
    """The training of the base network as the workflow starts it."""
    own = job_settings(load_settings(STUDY), "kovasznay", "base")
    command = [sys.executable, "-m", "pinnlora", "job", "study.jobs.fit", "--settings", json.dumps(own)]
    command += ["--tasks", tmp_path / "tasks.nc", "--output", tmp_path / "base", "--device", "cpu"]
    command += ["--checkpoint-minutes", str(minutes)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def weights(folder: Path) -> torch.Tensor:
    return load_weights(folder / "model.safetensors")[0]["theta"]


def test_a_job_that_is_terminated_or_killed_goes_on_to_the_same_weights(tmp_path):
    own = job_settings(load_settings(STUDY), "kovasznay", "tasks")
    tasks.run(own, tmp_path / "tasks.nc")
    path = tmp_path / "base.checkpoint.safetensors"
    straight = job(tmp_path, 1000)
    assert straight.wait(300) == 0 and not path.exists()
    expected = weights(tmp_path / "base")

    terminated = job(tmp_path, 1000)
    next(line for line in terminated.stdout if line.startswith("step"))
    terminated.send_signal(signal.SIGTERM)
    assert terminated.wait(300) == 143 and path.exists()

    killed = job(tmp_path, 0)
    next(line for line in killed.stdout if line.startswith("step"))
    killed.kill()
    assert killed.wait(300) == -signal.SIGKILL and path.exists()

    (tmp_path / ".base-0123abcd").mkdir()  # as a kill while these were written leaves them
    (tmp_path / ".base.checkpoint-0123abcd.safetensors").touch()
    done = job(tmp_path, 1000)
    said = done.communicate(timeout=300)[0]
    assert done.returncode == 0 and "training goes on from" in said and not path.exists()
    assert torch.equal(weights(tmp_path / "base"), expected)
    assert {path.name for path in tmp_path.iterdir()} == {"base", "tasks.nc"}


def test_a_checkpoint_is_of_what_stood_in_the_inputs(tmp_path):
    """Inputs that were made again, by the same code and settings, are other inputs."""
    own = job_settings(load_settings(STUDY), "kovasznay", "tasks")
    tasks.run(own, tmp_path / "tasks.nc", provenance="0" * 16)
    killed = job(tmp_path, 1e-9)
    next(line for line in killed.stdout if (tmp_path / "base.checkpoint.safetensors").exists())
    killed.kill()
    assert killed.wait(300) == -signal.SIGKILL
    again = read_netcdf(tmp_path / "tasks.nc").assign_attrs(seed=1)
    write_netcdf(again, tmp_path / "tasks.nc", "tasks made again")
    said = job(tmp_path, 1000).communicate(timeout=300)[0]
    assert "is of other settings, code or inputs: it is ignored" in said


class Killed(BaseException):
    """As SIGKILL: nothing is cleaned up."""


def test_train_goes_on_where_it_was_killed(tmp_path, monkeypatch, capsys):
    config = tmp_path / "small.yaml"
    steps = {"base": {"steps": 12}}
    content = {key: value for key, value in STUDY.items() if key != "problems"} | {"checkpoint_minutes": 1e-9}
    content["training"] = {name: stage | steps.get(name, {}) for name, stage in content["training"].items()}
    config.write_text(yaml.safe_dump(content))

    def run(output, **more):
        train.run("kovasznay", tmp_path / output, 2, config, device="cpu", **more)

    run("straight")
    write, polls, fatal = (
        Checkpoint.poll,
        [],
        {5, 5 + 1 + 9 + 4},
    )  # in the base's training, then in the bundle's

    def poll(self):
        write(self)
        if self.path is None:  # the refinement of the calibration
            return
        polls.append(self.path.name)
        if len(polls) in fatal:
            raise Killed

    monkeypatch.setattr(Checkpoint, "poll", poll)
    for _ in fatal:
        with pytest.raises(Killed):
            run("broken")
    assert polls[4].startswith("base") and polls[-1].startswith("bundle")
    assert [path.name for path in (tmp_path / "broken").glob("*.checkpoint.*")] == [polls[-1]]
    capsys.readouterr()
    (tmp_path / "broken" / ".bundle-0123abcd").mkdir()
    run("broken")
    assert not (tmp_path / "broken" / ".bundle-0123abcd").exists()
    said = capsys.readouterr().out
    assert "base is there already" in said and "training goes on from" in said
    straight, broken = tmp_path / "straight" / "bundle", tmp_path / "broken" / "bundle"

    def same() -> bool:
        one, other = (load_weights(bundle / "model.safetensors")[0] for bundle in (straight, broken))
        return all(torch.equal(one[name], other[name]) for name in one)

    assert same() and not list(tmp_path.rglob("*.checkpoint*"))
    with pytest.raises(UserError, match="earlier training"):
        run("broken")

    polls.clear()
    for more in ({"force": True}, {}):  # --force begins anew, each time that it is said
        with pytest.raises(Killed):
            run("broken", **more)
        assert not broken.exists()
    run("broken")
    assert "training goes on from" in capsys.readouterr().out and same()
