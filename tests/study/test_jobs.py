"""The jobs of one tiny study, from tasks to evaluation.nc, and the errors in it against errors by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small import dense, plain
from torch.func import vmap

import pinnlora
from pinnlora.errors import UserError
from pinnlora.files import load_weights, read_netcdf, save_weights
from pinnlora.problem.load import load_problem
from pinnlora.study.evaluation import Truth, measure
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import evaluate, fit, hypernetwork, reference, tasks
from pinnlora.study.settings import load_settings
from pinnlora.study.stored import read_fits

MARQUARDT = {"optimiser": "levenberg_marquardt", "steps": 4, "points": 40, "condition_points": 12}
NEWTON = {"optimiser": "gauss_newton", "steps": 3, "points": 12, "condition_points": 6, "tasks_per_step": 3}
WALK = {"continuation": {"re": "base"}, "continuation_steps": 2}
STUDY = {
    "problems": ["kovasznay"],
    "device": "cpu",
    "lora_ranks": [1, 2],
    "hypernetwork_ranks": [2],
    "tasks": {"train": 4, "validation": 2, "test": 3},
    "network": {"width": 8, "hidden_layers": 3, "conditions": "soft"},
    "hypernetwork": {"body": [8, 8]},
    "evaluation": {"figure_rank": 2, "refine_steps": 2, "refine_points": 30},
    "training": {
        "base": MARQUARDT,
        "pinn": {
            "optimiser": "adam+lbfgs",
            "steps": 4,
            "lbfgs_steps": 2,
            "points": 40,
            "condition_points": 12,
        },
        "finetuned": MARQUARDT | {"dtype": "float64"},
        "lora": MARQUARDT | WALK | {"adaptive": True},
        "teachers": MARQUARDT | {"chain": True},
        "data": NEWTON,
        "weights": {"steps": 5},
        "distilled": {"steps": 5, "points": 20},
        "physics": NEWTON | WALK | {"dtype": "float64", "adaptive": True},
    },
}
FITS = [("pinn", "full"), ("finetuned", "full"), ("lora", 1), ("lora", 2)]
MODES = ("data", "weights", "distilled", "physics")


def at(found, method: str, rank: str):
    """Of the study's own seed; `method=` is an option of sel itself."""
    return found.isel(seed=0).sel({"method": method, "rank": rank})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The study's directory with everything in it."""
    home, settings = tmp_path_factory.mktemp("study"), load_settings(STUDY)

    def part(job: str, **which) -> dict:
        return job_settings(settings, "kovasznay", job, **which)

    files = {"tasks": home / "tasks.nc", "reference": home / "reference.nc"}
    tasks.run(part("tasks"), files["tasks"])
    reference.run(part("reference"), files["tasks"], files["reference"])
    fit.run(part("base"), files["tasks"], home / "base")
    files["base"] = home / "base"
    fits = [home / f"{method}-{rank}" for method, rank in FITS]
    for (method, rank), path in zip(FITS, fits, strict=True):
        fit.run(part("fit", mode=method, rank=rank), **files, output=path)
    fit.run(part("teachers", rank=2), **files, output=home / "teachers")
    bundles = [home / mode for mode in MODES]
    for mode, path in zip(MODES, bundles, strict=True):
        taught = home / "teachers" if mode in ("weights", "distilled") else None
        hypernetwork.run(part("hypernetwork", mode=mode, rank=2), **files, output=path, teachers=taught)
    again = part("hypernetwork", mode="physics", rank=2, seed=settings.seed + 1)
    hypernetwork.run(again, **files, output=home / "again")
    bundles = [home / "again", *bundles]  # in whatever order
    evaluate.run(part("evaluate"), **files, fit=fits, surrogate=bundles, output=home / "evaluation.nc")
    return home


def test_a_hypernetwork_with_another_seed_stands_beside_the_first(study):
    found, seed = read_netcdf(study / "evaluation.nc"), load_settings(STUDY).seed
    assert found["seed"].values.tolist() == [seed, seed + 1]
    both = found["mse"].sel({"method": "physics", "rank": "2"}).sel(split="test")
    assert not np.isclose(*both.mean(["task", "field"]).values)
    other = found.sel(seed=seed + 1).drop_sel({"method": ["physics"]})
    assert other["mse"].isnull().all() and other["seconds"].isnull().all()
    assert np.isfinite(found["history_mse"].sel({"method": "physics", "rank": "2"})).any("sample").all()


def test_an_evaluation_names_all_machines_that_trained(study, tmp_path, monkeypatch):
    files = {"tasks": study / "tasks.nc", "reference": study / "reference.nc", "base": study / "base"}
    own, here = load_settings(STUDY), read_netcdf(study / "evaluation.nc").attrs["machine"]
    monkeypatch.setattr(fit, "machine", lambda device: "Other GPU")
    settings = job_settings(own, "kovasznay", "fit", mode="lora", rank=1)
    fit.run(settings, **files, output=tmp_path / "lora")
    settings = job_settings(own, "kovasznay", "evaluate")
    settings["evaluation"]["lora_rank"] = 1  # beside hypernetworks of another
    evaluate.run(settings, **files, fit=[tmp_path / "lora"], output=tmp_path / "evaluation.nc")
    assert at(read_netcdf(tmp_path / "evaluation.nc")["seconds_new_task"], "lora", "1").item() > 0
    assert read_netcdf(tmp_path / "evaluation.nc").attrs["machine"] == f"{here}; Other GPU"


def test_the_evaluation_has_every_method_and_what_was_not_made_is_nan(study):
    found = read_netcdf(study / "evaluation.nc")
    assert found["method"].values.tolist() == ["base", "pinn", "finetuned", "lora", *MODES]
    assert found["rank"].values.tolist() == ["1", "2", "full"]
    made = (
        {(method, str(rank)) for method, rank in FITS} | {(mode, "2") for mode in MODES} | {("base", "full")}
    )
    for method in found["method"].values:
        for rank in found["rank"].values:
            one = at(found, method, rank)
            assert bool(np.isfinite(one["parameters"])) == ((method, rank) in made)
            counts = {"test": 3, "train": 4, "validation": 2} if method in (*MODES, "base") else {"test": 3}
            for split in ("train", "validation", "test"):
                tasks_made = counts.get(split, 0) if (method, rank) in made else 0
                assert int(np.isfinite(one["mse"].sel(split=split)).sum()) == 3 * tasks_made
    assert at(found["parameters"], "lora", "2").item() == 2 * (10 + 16 + 11)
    assert at(found["iterations"], "pinn", "full").item() == 6
    for method, rank in made - {
        ("lora", "1"),
        ("base", "full"),
    }:  # timed at the figures' rank
        assert at(found["seconds_new_task"], method, rank).item() > 0
    refined = found["mse_refined"].sel(split="test")
    assert int(np.isfinite(at(refined, "physics", "2")).sum()) == 9
    assert int(np.isfinite(refined).sum()) == 2 * 9  # of both seeds
    assert found["showcase_method"].values.tolist() == [
        "finetuned",
        "lora rank 2",
        *(f"{m} rank 2" for m in MODES),
    ]
    assert found.attrs["problem"] == "kovasznay" and found.attrs["Conventions"].startswith("CF-")


@pytest.mark.parametrize(("method", "rank"), [("pinn", "full"), ("finetuned", "full"), ("lora", "2")])
def test_errors_of_fits_are_those_of_their_networks(study, method, rank):
    found, truth = read_netcdf(study / "evaluation.nc"), read_netcdf(study / "reference.nc")
    problem = load_problem("kovasznay")
    stored = read_fits(study / f"{method}-{rank}", problem, torch.device("cpu"), torch.float64)
    x, y = torch.meshgrid(*(torch.from_numpy(axis) for axis in problem.axes().values()), indexing="ij")
    points = torch.stack((x.flatten(), y.flatten()), 1)
    of_test = truth.isel(task=truth["split"].values == "test")
    for task in range(3):
        matrices, biases = dense(stored.parametrisation, stored.theta[task])
        network = stored.parametrisation.network
        fields = vmap(lambda point: plain(network, matrices, biases, point))(points)  # noqa: B023
        for k, name in enumerate(problem.fields):
            expected = ((fields[:, k].numpy() - of_test[name][task].values.ravel()) ** 2).mean()
            one = at(found["mse"], method, rank).sel(split="test", field=name)[task].item()
            assert one == pytest.approx(expected, rel=2e-3)  # pinn and lora are evaluated in single precision


@pytest.mark.parametrize("mode", MODES)
def test_errors_of_bundles_are_those_of_their_predictions(study, mode):
    found, truth = read_netcdf(study / "evaluation.nc"), read_netcdf(study / "reference.nc")
    given = read_netcdf(study / "tasks.nc")
    surrogate, test = pinnlora.load(study / mode), given["split"].values == "test"
    for task, re in enumerate(given["re"].values[test]):
        fields = surrogate.predict(re=re)
        for name in ("u", "v", "p"):
            reference = truth[name].values[test][task]
            errors = at(found, mode, "2").sel(split="test", field=name).isel(task=task)
            mse = ((fields[name].values - reference) ** 2).mean()
            assert errors["mse"].item() == pytest.approx(mse, rel=1e-4)
            norm = np.sqrt(mse / (reference**2).mean())
            assert errors["relative_l2"].item() == pytest.approx(norm, rel=1e-4)


def test_the_base_has_a_budget_like_every_training(study):
    found = read_netcdf(study / "evaluation.nc")
    known = load_weights(study / "base" / "model.safetensors")[1]
    assert json.loads(found.attrs["settings"])["trained"]["base full"]["stage"] == known["stage"]
    assert at(found["iterations"], "base", "full").item() == known["iterations"] > 0


def test_the_base_network_alone_is_measured_on_every_task(study):
    found, truth = read_netcdf(study / "evaluation.nc"), read_netcdf(study / "reference.nc")
    problem = load_problem("kovasznay")
    base = read_fits(study / "base", problem, torch.device("cpu"), torch.float64)
    x, y = torch.meshgrid(*(torch.from_numpy(axis) for axis in problem.axes().values()), indexing="ij")
    matrices, biases = dense(base.parametrisation, base.theta[0])
    points = torch.stack((x.flatten(), y.flatten()), 1)
    fields = vmap(lambda point: plain(base.parametrisation.network, matrices, biases, point))(points)
    for split, count in {"train": 4, "validation": 2, "test": 3}.items():
        u = truth["u"].values[truth["split"].values == split].reshape(count, -1)
        errors = at(found["mse"], "base", "full").sel(split=split, field="u").values[:count]
        np.testing.assert_allclose(errors, ((u - fields[:, 0].numpy()) ** 2).mean(1), rtol=1e-3)


def test_costs_are_complete(study):
    found = read_netcdf(study / "evaluation.nc")
    base = load_weights(study / "base" / "model.safetensors")[1]["seconds"]
    teachers = load_weights(study / "teachers" / "model.safetensors")[1]["seconds"]
    for method, rank in [("lora", "2"), ("finetuned", "full"), *((mode, "2") for mode in MODES)]:
        assert at(found["seconds_base"], method, rank).item() == base
    assert np.isnan(at(found["seconds_base"], "pinn", "full").item())
    for mode in MODES:
        taught, given = (at(found[f"seconds_{name}"], mode, "2").item() for name in ("teachers", "reference"))
        assert taught == teachers if mode in ("weights", "distilled") else np.isnan(taught)
        assert (given > 0) == (mode == "data")


def test_histories_are_of_one_quantity_on_the_same_tasks(study):
    """The last entry, on 500 grid points of the test tasks, is near the error of the saved state on the whole grid."""
    found = read_netcdf(study / "evaluation.nc")
    for method, rank in [("finetuned", "full"), ("lora", "2"), *((mode, "2") for mode in MODES)]:
        history = at(found["history_mse"], method, rank).values
        last = history[np.isfinite(history)][-1]
        assert last == pytest.approx(float(at(found["mse"], method, rank).sel(split="test").mean()), rel=0.1)


def test_the_card_has_the_error_of_the_saved_weights_on_the_test_tasks(study):
    found = read_netcdf(study / "evaluation.nc")
    for mode in MODES:
        error = float(at(found["mse"], mode, "2").sel(split="test").mean())
        assert f"over the whole grid: {error:.1e}"[:-5] in (study / mode / "README.md").read_text()


def test_floors_are_numbers(study):
    found = read_netcdf(study / "evaluation.nc").attrs
    assert 0 < found["floor_reference"] < 1e-28
    assert found["floor_precision_dtype"] == "float32"
    assert 1e-17 < found["floor_precision"] < 1e-14 and 0 < found["floor_grid"] < 1e-13


def test_every_directory_holds_weights_and_a_history_and_nothing_pickled(study):
    for path in [study / "base", study / "teachers", *(study / f"{m}-{r}" for m, r in FITS)]:
        assert {file.name for file in path.iterdir()} == {".pinnlora", "model.safetensors", "history.nc"}
        tensors, metadata = load_weights(path / "model.safetensors")
        history = read_netcdf(path / "history.nc")
        assert tensors["theta"].ndim == 2 and metadata["iterations"] > 0
        assert {"seconds", "step", "validation", "mse"} <= set(history)
    assert tensors["theta"].dtype == torch.float32
    assert load_weights(study / "finetuned-full" / "model.safetensors")[0]["theta"].dtype == torch.float64


def test_modes_that_learn_from_teachers_ask_for_them(study, tmp_path):
    settings = job_settings(load_settings(STUDY), "kovasznay", "hypernetwork", mode="weights", rank=2)
    files = {name: study / f"{name}.nc" for name in ("tasks", "reference")}
    with pytest.raises(UserError, match="mode weights learns from per-task PINNs: give --teachers"):
        hypernetwork.run(settings, **files, base=study / "base", output=tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_a_bundle_carries_the_code_that_it_was_trained_with(heat, tmp_path, monkeypatch):
    """Not that of an edit during its training."""
    text, file, real = (
        Path(heat.removesuffix(":Heat")).read_text(),
        tmp_path / "heat.py",
        hypernetwork.fit_hypernetwork,
    )
    file.write_text(text)
    training = {"base": MARQUARDT, "physics": NEWTON}
    settings = load_settings(STUDY | {"problems": [f"{file}:Heat"], "training": training})
    made = {"tasks": tmp_path / "tasks.nc"}
    tasks.run(job_settings(settings, "heat", "tasks"), made["tasks"])
    fit.run(job_settings(settings, "heat", "base"), **made, output=tmp_path / "base")
    made |= {"reference": tmp_path / "reference.nc"}
    reference.run(job_settings(settings, "heat", "reference"), made["tasks"], made["reference"])

    def edited(*arguments):
        file.write_text(text.replace("u_t - alpha", "u_t + alpha"))
        return real(*arguments)

    monkeypatch.setattr(hypernetwork, "fit_hypernetwork", edited)
    own = job_settings(settings, "heat", "hypernetwork", mode="physics", rank=2)
    hypernetwork.run(own, **made, base=tmp_path / "base", output=tmp_path / "bundle")
    assert (tmp_path / "bundle" / "problem.py").read_text() == text != file.read_text()
    assert pinnlora.load(tmp_path / "bundle").problem.name == "heat"


@pytest.mark.parametrize("mode", ["weights", "distilled"])
def test_teachers_on_another_base_network_are_refused(study, tmp_path, mode):
    shutil.copytree(study / "base", tmp_path / "base")
    tensors, metadata = load_weights(study / "base" / "model.safetensors")
    save_weights(tmp_path / "base" / "model.safetensors", {"theta": 1.01 * tensors["theta"]}, metadata)
    settings = job_settings(load_settings(STUDY), "kovasznay", "hypernetwork", mode=mode, rank=2)
    files = {name: study / f"{name}.nc" for name in ("tasks", "reference")}
    files |= {"base": tmp_path / "base", "teachers": study / "teachers"}
    with pytest.raises(UserError, match="teachers holds adapters on another base network"):
        hypernetwork.run(settings, **files, output=tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_field_that_vanishes_has_a_finite_relative_error():
    """The size of all fields of the task stands in for its own."""
    problem = load_problem("kovasznay")
    fields = np.stack([np.array([[3.0, 1.0]]), np.zeros((1, 2)), np.array([[1.0, 1.0]])], -1)
    truth = Truth(problem, {"re": np.array([30.0])}, np.array(["test"]), fields)
    errors = measure(truth, fields + 0.5, "test")
    np.testing.assert_allclose(errors["relative_l2"], [[0.5 / 5**0.5, 0.5 / 2**0.5, 0.5]])
    np.testing.assert_allclose(errors["relative_l1"], [[0.25, 0.5 / 2**0.5, 0.5]])


def test_errors_in_the_band_of_a_front_are_taken_there_only():
    """Two tasks, three points: the front (v between 3/4 and 1) is at the first point, and nowhere."""
    problem = load_problem("burgers2d")
    u = np.array([[0.6, 0.75, 0.5], [0.75, 0.75, 0.5]])
    truth = Truth(
        problem, {"nu": np.array([1e-4, 1e-3])}, np.array(["test", "test"]), np.stack([u, 1.5 - u], -1)
    )
    errors = measure(truth, truth.fields + np.array([0.3, 0.1, 0.2])[:, None], "test")
    np.testing.assert_allclose(errors["mse"], np.full((2, 2), (0.09 + 0.01 + 0.04) / 3))
    np.testing.assert_allclose(errors["mse_front"], [[0.09, 0.09], [np.nan, np.nan]])
    np.testing.assert_allclose(
        errors["relative_l2"][0, 0], np.sqrt(0.14 / (0.6**2 + 0.75**2 + 0.5**2)), rtol=1e-12
    )
