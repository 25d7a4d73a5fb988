"""Ranks found by training: where directions are not needed they are cut, and a new one has the others."""

import json

import pytest
import torch
from small import relative

import pinnlora
from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.nets.adapters import LowRank
from pinnlora.query.refine import improved
from pinnlora.report.summaries import rows
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import evaluate, fit, hypernetwork, reference, tasks
from pinnlora.study.settings import load_settings
from pinnlora.train import ranks
from pinnlora.train.budget import train_within
from pinnlora.train.ranks import LEAST, SHARE, _part
from pinnlora.train.settings import HypernetworkStage

NEWTON = {"optimiser": "gauss_newton", "dtype": "float64", "steps": 40, "points": 24, "tasks_per_step": 4}


def study(tolerance: float = 0.01, **physics) -> dict:
    return load_settings({
        "problems": ["kovasznay"], "tasks": {"train": 4, "validation": 3, "test": 3}, "device": "cpu",
        "network": {"width": 10, "hidden_layers": 3},
        "hypernetwork": {"body": [12], "activation": "tanh", "largest_rank": 4, "tolerance": tolerance},
        "training": {
            "base": {"optimiser": "levenberg_marquardt", "dtype": "float64", "steps": 30, "points": 120},
            "physics": NEWTON | {"report_every": 5} | physics,
            "data": NEWTON,
        },
    })  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tasks, references and the base network."""
    home, settings = tmp_path_factory.mktemp("ranks"), study()
    files = {name: home / f"{name}.nc" for name in ("tasks", "reference")}
    tasks.run(job_settings(settings, "kovasznay", "tasks"), files["tasks"])
    reference.run(job_settings(settings, "kovasznay", "reference"), files["tasks"], files["reference"])
    fit.run(job_settings(settings, "kovasznay", "base"), files["tasks"], home / "base", device="cpu")
    return files | {"base": home / "base"}


def trained(made, output, mode: str = "physics", rank: int | str = "auto", **more):
    own = job_settings(study(**more), "kovasznay", "hypernetwork", rank, mode)
    hypernetwork.run(own, **made, output=output, device="cpu")
    return pinnlora.load(output), json.loads((output / "config.json").read_text())


@pytest.mark.parametrize("mode", ["physics", "data"])
def test_half_the_numbers_of_the_largest_rank_do_nearly_as_well(made, tmp_path, mode):
    surrogate, config = trained(made, tmp_path / "auto", mode)
    _, whole = trained(made, tmp_path / "four", mode, rank=4)
    own = surrogate.parametrisation.ranks
    assert config["rank"] == "auto" and tuple(config["ranks"]) == own and max(own) <= 4
    assert config["outputs"] == surrogate.parametrisation.size < 0.6 * whole["outputs"]
    assert config["test_mse"] < 10 * whole["test_mse"] < 1e-3
    assert f"rank auto ({', '.join(map(str, own))})" in (tmp_path / "auto" / "README.md").read_text()


def test_the_history_is_of_both_parts(made, tmp_path):
    _, config = trained(made, tmp_path / "auto")
    history = read_netcdf(tmp_path / "auto" / "history.nc")
    assert config["iterations"] == history["step"].values[-1] == LEAST + 40
    assert LEAST in history["step"].values  # more than the share of so few steps
    assert (history["step"].diff("sample") > 0).all() and (history["seconds"].diff("sample") > 0).all()
    assert history.attrs["seconds"] == config["seconds"] >= history["seconds"].values[-1]


def test_what_is_left_begins_at_the_mean_of_what_was_found(made, tmp_path, monkeypatch):
    begun, found = [], []

    def within(stage, learner_of, *others):
        parametrisation, start = learner_of.args
        learner, history = train_within(stage, learner_of, *others)
        theta = learner.hypernetwork(learner.embed(learner.validation.tasks.values)).detach()
        begun.append(parametrisation.weights(start[None].double()).flat())
        found.append(parametrisation.weights(theta.mean(0, keepdim=True)).flat())
        return learner, history

    monkeypatch.setattr(ranks, "train_within", within)
    trained(made, tmp_path / "auto", tolerance=1e-9)
    first, second = begun
    moved = float((found[0] - first).norm())
    assert float((second - found[0]).norm()) < 1e-2 * moved


def test_more_tolerance_leaves_fewer_numbers(made, tmp_path):
    sizes = [
        trained(made, tmp_path / str(tolerance), steps=20, tolerance=tolerance)[1]["outputs"]
        for tolerance in (1e-9, 0.02, 0.5)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_a_budget_of_seconds_serves_both_parts(made, tmp_path, monkeypatch):
    asked = []

    def within(stage, *others):
        asked.append((stage.steps, stage.seconds))
        return train_within(stage.model_copy(update={"steps": 3, "seconds": 0.0}), *others)

    monkeypatch.setattr(ranks, "train_within", within)
    trained(made, tmp_path / "auto", seconds=2.0, steps=10**5)
    assert asked == [(10**4, pytest.approx(0.2)), (10**5, pytest.approx(1.8))]


def test_tasks_come_their_way_in_both_parts(made, tmp_path, capsys):
    more = {"continuation": {"re": "base"}, "continuation_steps": 8, "horizon": "none"}
    _, config = trained(made, tmp_path / "auto", **more)
    assert config["iterations"] == LEAST + 40 and "ranks found: " in capsys.readouterr().out


def test_refined_networks_and_other_precisions_keep_the_ranks(made, tmp_path):
    surrogate, _ = trained(made, tmp_path / "auto", steps=8)
    single = surrogate.to(torch.float32)
    assert isinstance(single.parametrisation, LowRank)
    assert single.parametrisation.ranks == surrogate.parametrisation.ranks
    before, after = (one.networks(re=40.0) for one in (surrogate, single))
    assert improved(before, 2, 40).parametrisation.ranks == surrogate.parametrisation.ranks
    assert relative(after.full().theta.double(), before.full().theta) < 1e-4


@pytest.mark.parametrize("mode", ["weights", "distilled"])
def test_modes_with_teachers_ask_for_a_number(made, tmp_path, mode):
    with pytest.raises(UserError, match="rank auto is for modes data and physics"):
        trained(made, tmp_path / "auto", mode)
    assert not (tmp_path / "auto").exists()


def test_an_evaluation_has_a_row_for_ranks_that_were_found(made, tmp_path):
    _, found = trained(made, tmp_path / "auto", steps=20)
    trained(made, tmp_path / "two", rank=2, steps=20)
    own = job_settings(study(), "kovasznay", "evaluate")
    paths = [tmp_path / "auto", tmp_path / "two"]
    evaluate.run(own, **made, surrogate=paths, output=tmp_path / "evaluation.nc", device="cpu")
    dataset = read_netcdf(tmp_path / "evaluation.nc")
    assert dataset["rank"].values.tolist() == ["2", "auto", "full"]
    row = next(row for row in rows(dataset) if row.rank == "auto")
    assert row.number("parameters") == found["outputs"] and row.trained("ranks") == found["ranks"]
    assert row.mse() == pytest.approx(found["test_mse"], rel=1e-6)


@pytest.mark.parametrize(("steps", "way"), [(101, 100), (120, 115), (1000, 996), (40, 16)])
def test_the_first_part_of_a_training_ends_with_the_tasks_themselves(steps, way):
    stage = HypernetworkStage(steps=steps, continuation={"re": 1.0}, continuation_steps=way)
    part = _part(stage, SHARE)
    assert 0 < part.continuation_steps < part.steps
