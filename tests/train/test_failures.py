"""A task that cannot be trained is told of and marked, and the others are trained as if it were not there."""

import numpy as np
import pytest
import torch

from pinnlora.errors import UserError
from pinnlora.files import load_weights, read_netcdf
from pinnlora.loss.residuals import Regression
from pinnlora.optimise.first_order import FirstOrder, Schedule
from pinnlora.report.tables import PER_TASK
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import evaluate, fit, hypernetwork, reference, tasks
from pinnlora.study.settings import load_settings

# Of alpha below 0.25 the loss is not a number (log), or its gradient is not (the root of zero).
HEAT = """
import torch
from pinnlora import Box, Condition, Problem, Uniform


class Heat(Problem):
    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u",)
    task = Uniform(alpha=(0.2, 0.4))
    grid = {"x": 6, "t": 6}

    def residual(self, u, u_t, u_xx, alpha):
        return {"heat": u_t - alpha * u_xx + BROKEN}

    def start(self, x):
        return {"u": torch.sin(torch.pi * x)}

    def ends(self):
        return {"u": 0.0}

    def exact(self, x, t, alpha):
        return {"u": torch.sin(torch.pi * x) * torch.exp(-torch.pi**2 * alpha * t)}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1"))]
"""
LOSS = "0 * torch.log(alpha - 0.25)"
GRADIENT = "0 * torch.sqrt(0 * u + (alpha >= 0.25))"
SMALL = {"points": 20, "condition_points": 8, "report_every": 2}
MARQUARDT = SMALL | {"optimiser": "levenberg_marquardt", "dtype": "float64", "steps": 4}
ADAM = SMALL | {"steps": 6}
NEWTON = SMALL | {"optimiser": "gauss_newton", "dtype": "float64", "steps": 6}


@pytest.fixture(params=[LOSS, GRADIENT], ids=["loss", "gradient"])
def broken(request, tmp_path):
    """The problem's file, and what it says is broken."""
    (tmp_path / "heat.py").write_text(HEAT.replace("BROKEN", request.param))
    return f"{tmp_path / 'heat.py'}:Heat", "the gradient" if request.param == GRADIENT else "the loss of heat"


class Study:
    """Jobs of a small study whose training and test tasks hold some that are broken."""

    def __init__(self, spec: str, home, **training):
        own = {
            "problems": [spec],
            "seed": 4,
            "tasks": {"train": 6, "validation": 4, "test": 6},
            "lora_ranks": [1],
        }
        own |= {
            "network": {"width": 8, "hidden_layers": 2, "conditions": "soft"},
            "hypernetwork": {"body": [8]},
        }
        self.settings, self.home = load_settings(own | {"training": training}), home
        self.files = {name: home / f"{name}.nc" for name in ("tasks", "reference")}
        tasks.run(self.part("tasks"), self.files["tasks"])
        reference.run(self.part("reference"), self.files["tasks"], self.files["reference"])
        made = read_netcdf(self.files["tasks"])
        self.alpha, self.split = made["alpha"].values, made["split"].values

    def part(self, *names, **more) -> dict:
        return job_settings(self.settings, "heat", *names, **more)

    def broken(self, split: str) -> list[int]:
        found = np.flatnonzero(self.alpha[self.split == split] < 0.25).tolist()
        assert 0 < len(found) < (self.split == split).sum()
        return found

    def base(self):
        fit.run(self.part("base"), self.files["tasks"], self.home / "base", device="cpu")
        self.files["base"] = self.home / "base"


@pytest.mark.parametrize("stage", [MARQUARDT, ADAM], ids=["marquardt", "adam"])
def test_failed_tasks_are_named_and_infinite_in_evaluation_and_tables(stage, broken, tmp_path, capsys):
    spec, what = broken
    study = Study(spec, tmp_path, base=MARQUARDT, lora=stage)
    study.base()
    capsys.readouterr()
    fit.run(study.part("fit", 1, "lora"), **study.files, output=tmp_path / "lora", device="cpu")
    said, failed = capsys.readouterr().out, study.broken("test")
    for task in failed:
        alpha = study.alpha[study.split == "test"][task]
        assert f"task {task} (alpha = {alpha:.6g}): {what} is not finite at step 1\n" in said
    assert said.count("is not finite") == len(failed)
    assert f"{len(failed)} of 6 tasks failed: {', '.join(map(str, failed))}" in said
    tensors, metadata = load_weights(tmp_path / "lora" / "model.safetensors")
    assert metadata["failed"] == failed
    assert (~tensors["theta"].isfinite()).any(1).nonzero()[:, 0].tolist() == failed

    done = tmp_path / "evaluation.nc"
    evaluate.run(study.part("evaluate"), **study.files, output=done, fit=[tmp_path / "lora"], device="cpu")
    found = read_netcdf(done)
    mse = found["mse"].isel(seed=0).sel({"method": "lora", "rank": "1", "split": "test"}).values[:, 0]
    assert np.flatnonzero(np.isinf(mse)).tolist() == failed and not np.isnan(mse).any()
    assert int(found["failed"].sel({"method": "lora", "rank": "1", "split": "test"}).sum()) == len(failed)
    frame = PER_TASK.frame([found]).set_index("method")
    assert np.isinf(frame.loc["lora", "mse"]) and frame.loc["lora", "failed"] == len(failed)
    assert [note for note in PER_TASK.notes([found]) if f"{len(failed)} of 6 test tasks failed" in note]


@pytest.mark.parametrize("fresh", [False, True], ids=["training tasks", "fresh tasks"])
@pytest.mark.parametrize("stage", [NEWTON, ADAM], ids=["newton", "adam"])
def test_a_hypernetwork_is_trained_on_the_others(stage, fresh, broken, tmp_path, capsys):
    spec, what = broken
    study = Study(spec, tmp_path, base=MARQUARDT, physics=stage | {"fresh_tasks": fresh, "tasks_per_step": 6})
    study.base()
    capsys.readouterr()
    own = study.part("hypernetwork", 1, "physics")
    hypernetwork.run(own, **study.files, output=tmp_path / "bundle", device="cpu")
    said = capsys.readouterr().out
    assert f"{what} is not finite at step 1" in said
    if not fresh:
        for task in study.broken("train"):
            assert (
                f"training task {task} (alpha = {study.alpha[study.split == 'train'][task]:.6g}): {what}"
                in said
            )
    history = read_netcdf(tmp_path / "bundle" / "history.nc")["validation"].values
    assert np.isfinite(history).all() and history[-1] < 0.999 * history[0]


def test_hypernetworks_learn_from_the_teachers_that_there_are(broken, tmp_path, capsys):
    study = Study(
        broken[0], tmp_path, base=MARQUARDT, teachers=MARQUARDT | {"chain": True}, weights={"steps": 4}
    )
    study.base()
    fit.run(study.part("teachers", 1), **study.files, output=tmp_path / "teachers", device="cpu")
    failed = study.broken("train")
    assert load_weights(tmp_path / "teachers" / "model.safetensors")[1]["failed"] == failed
    own = study.part("hypernetwork", 1, "weights")
    more = {"output": tmp_path / "bundle", "teachers": tmp_path / "teachers", "device": "cpu"}
    hypernetwork.run(own, **study.files, **more)
    assert f"{len(failed)} training tasks have no teacher" in capsys.readouterr().out
    weights = load_weights(tmp_path / "bundle" / "model.safetensors")[0]
    assert all(bool(part.isfinite().all()) for part in weights.values())


def test_a_base_network_that_cannot_be_trained_stops_everything(tmp_path):
    (tmp_path / "heat.py").write_text(HEAT.replace("BROKEN", "0 * torch.log(alpha - 9)"))
    study = Study(f"{tmp_path / 'heat.py'}:Heat", tmp_path, base=MARQUARDT)
    with pytest.raises(
        UserError, match=r"cannot be trained: task 0 \(alpha = .*\): the loss of heat is not finite"
    ):
        study.base()
    assert not (tmp_path / "base").exists()


def test_a_step_is_that_of_the_sound_tasks_alone():
    """Adam's step on three tasks, one of which has no number, is its step on the two others."""
    target = torch.tensor([[1.0, 2.0], [torch.nan, 1.0], [0.5, -1.0]])

    def step(keep):
        weights = torch.ones(2, requires_grad=True)
        optimiser = FirstOrder([weights], Schedule("constant", 0.1, 10), clip=2.0, normalise=0.5)
        for _ in range(3):
            optimiser.step(weights * torch.tensor([[1.0], [2.0], [3.0]])[keep], Regression(target[keep]))
        return weights.detach(), optimiser.sound

    found, sound = step([0, 1, 2])
    torch.testing.assert_close(found, step([0, 2])[0])
    assert sound.tolist() == [True, False, True]
