"""Files that are damaged, cut short, or belong to something else: one clear line, and nothing is counted."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file, save_file
from test_surrogate import bundle

import pinnlora
from pinnlora.errors import UserError
from pinnlora.files import load_weights, read_netcdf, save_weights, write_netcdf
from pinnlora.problem.load import load_problem
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import fit, reference, tasks
from pinnlora.study.settings import load_settings
from pinnlora.study.stored import read_base, read_fits, save_fits
from pinnlora.train.data import read_reference, read_tasks
from pinnlora.train.progress import History

SETTINGS = load_settings({"problems": ["kovasznay"], "tasks": {"train": 2, "validation": 1, "test": 2}})


def wrong(read, *parts: str) -> None:
    """`read()` is one line of a UserError that names all `parts`."""
    with pytest.raises(UserError) as found:
        read()
    assert "\n" not in str(found.value) and all(part in str(found.value) for part in parts), found.value


def test_bits_that_flipped_in_weights_are_found(tmp_path):
    path, numbers = tmp_path / "model.safetensors", torch.linspace(0, 1, 7)
    save_weights(path, {"theta": numbers, "whole": torch.arange(3), "alone": torch.tensor(2.0)}, {"rank": 4})
    whole, found = path.read_bytes(), 0
    assert torch.equal(load_weights(path)[0]["theta"], numbers)
    for place in range(0, len(whole), 11):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        try:
            tensors, metadata = load_weights(path)
        except UserError as error:
            assert "\n" not in str(error)
            found += 1
        else:  # blanks in the header mean nothing
            assert torch.equal(tensors["theta"], numbers) and metadata == {"rank": 4}
    assert found > 0.9 * len(range(0, len(whole), 11))
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        wrong(lambda: load_weights(path), str(path))


def test_bits_that_flipped_in_netcdf_are_found(tmp_path):
    path = tmp_path / "a.nc"
    described = {"long_name": "something", "units": "1"}
    data = xr.Dataset({"u": (("task", "x"), np.random.default_rng(0).random((4, 5000)), described)})
    data = data.assign_coords(split=("task", ["train", "test", "test", "base"], {"long_name": "split"}))
    data.attrs.update(seconds=1.5, note="of a test", several=[1.0, 2.0], one=[3])
    write_netcdf(data, path, "a test")
    expected, whole = read_netcdf(path), path.read_bytes()
    found = 0
    for place in range(0, len(whole), len(whole) // 40):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        try:
            again = read_netcdf(path)
        except UserError as error:
            assert "\n" not in str(error)
            found += 1
        else:  # in space that nothing lies in, or in what HDF5 keeps for itself
            xr.testing.assert_equal(again, expected)
    assert found > 25
    for length in (0, 100, len(whole) // 2):
        path.write_bytes(whole[:length])
        wrong(lambda: read_netcdf(path), str(path))


def test_a_bundle_of_two_trainings_or_with_nan_is_refused(tmp_path):
    for name in ("one", "other"):
        bundle(tmp_path / name)
        path = tmp_path / name / "model.safetensors"
        tensors, metadata = load_weights(path)
        save_weights(path, tensors, metadata | {"provenance": name})
        config = json.loads((tmp_path / name / "config.json").read_text()) | {"provenance": name}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    pinnlora.load(tmp_path / "one")
    shutil.copy(tmp_path / "other" / "model.safetensors", tmp_path / "one")
    wrong(lambda: pinnlora.load(tmp_path / "one"), "different trainings")
    tensors["hypernetwork.head.weight"][0, 0] = torch.nan
    save_weights(path, tensors, metadata | {"provenance": "other"})
    wrong(lambda: pinnlora.load(tmp_path / "other"), "not finite")
    save_file(load_file(path), path)
    wrong(lambda: pinnlora.load(tmp_path / "other"), "was not written by pinnlora")


@pytest.fixture
def made(tmp_path):
    """A study's tasks and references."""
    files = tmp_path / "tasks.nc", tmp_path / "reference.nc"
    tasks.run(job_settings(SETTINGS, "kovasznay", "tasks"), files[0])
    reference.run(job_settings(SETTINGS, "kovasznay", "reference"), *files)
    return files


def test_a_reference_of_other_tasks_or_of_another_grid_is_refused(made):
    problem = load_problem("kovasznay")
    values, splits = read_tasks(made[0], problem)
    test = splits == "test"
    assert read_reference(made[1], problem, values, test).shape[0] == 2
    content = read_netcdf(made[1])
    backwards = content.isel(task=slice(None, None, -1))
    write_netcdf(backwards, made[1], "the tasks reversed")
    wrong(
        lambda: read_reference(made[1], problem, values, test), "in another order", "re is not as in tasks.nc"
    )
    write_netcdf(content.drop_vars("re"), made[1], "no parameters")
    wrong(lambda: read_reference(made[1], problem, values, test), "'re'")
    write_netcdf(content.isel(x=slice(None, -1)), made[1], "another grid")
    wrong(lambda: read_reference(made[1], problem, values, test), "no u on the evaluation grid")


def test_fits_of_another_network_or_with_nan_are_refused(tmp_path):
    network, history = {"width": 8, "hidden_layers": 3}, History(iterations=1)
    history.rows.append({"seconds": 1.0, "step": 1, "validation": 1.0, "mse": 1.0})
    metadata = {"method": "base", "rank": "full", "network": network | {"conditions": "soft"}}
    problem, path, device = load_problem("kovasznay"), tmp_path / "base", torch.device("cpu")

    def save(theta, **more):
        save_fits(path, theta, None, metadata | more, history)

    size = (2 * 8 + 8) + 2 * (8 * 8 + 8) + (8 * 3 + 3)
    save(torch.zeros(1, size))
    assert read_base(path).shape == read_fits(path, problem, device).theta.shape == (1, size)
    save(torch.zeros(1, size - 1))
    wrong(lambda: read_fits(path, problem, device), f"expected (task, {size})")
    save(torch.zeros(3, size), method="lora")
    wrong(lambda: read_base(path), "holds lora of 3 tasks, expected a base network")
    theta = torch.zeros(3, size)
    theta[1, 4] = torch.nan
    save(theta, method="pinn")
    assert read_fits(path, problem, device).metadata["failed"] == [1]  # told when it was trained
    tensors, about = load_weights(path / "model.safetensors")
    save_weights(path / "model.safetensors", tensors, about | {"failed": []})
    wrong(lambda: read_fits(path, problem, device), "not finite")
    save_weights(path / "model.safetensors", {"weights": theta}, {"a": 1})
    wrong(lambda: read_base(path), "no directory of fits")


def test_a_base_of_another_network_trains_nothing(made, tmp_path):
    stage = {"steps": 2, "points": 10, "condition_points": 4}
    training = {"training": {"base": stage, "lora": stage}}
    small, large = (
        load_settings({"problems": ["kovasznay"], "network": {"width": width, "hidden_layers": 2}} | training)
        for width in (6, 8)
    )
    fit.run(job_settings(small, "kovasznay", "base"), made[0], tmp_path / "base")
    own = job_settings(large, "kovasznay", "fit", 2, "lora")
    more = {"reference": made[1], "base": tmp_path / "base", "output": tmp_path / "fit"}
    wrong(lambda: fit.run(own, made[0], **more), "a base network of shape (1, ")
    assert not (tmp_path / "fit").exists()


def test_weights_can_be_read_by_whom_other_files_can(tmp_path):
    before = os.umask(0o022)
    try:
        save_weights(tmp_path / "model.safetensors", {"theta": torch.zeros(1)}, {})
        assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
