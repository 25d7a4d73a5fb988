"""What outputs carry, when it is not there, and what a job does whose code is not what was planned."""

import shutil
import struct
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from synthetic import evaluation

from pinnlora import files
from pinnlora.errors import UserError
from pinnlora.files import read_netcdf, save_weights, write_netcdf
from pinnlora.problem.code import MARKER, PACKAGE, closure
from pinnlora.problem.load import problem_file
from pinnlora.report.jobs import figure, table
from pinnlora.study import provenance as module
from pinnlora.study.graph import MODULES
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import tasks
from pinnlora.study.provenance import begin, built, checksum_of, code_of, provenance, recorded
from pinnlora.study.settings import load_settings

RECIPE = "0123456789abcdef"
MADE = f"{RECIPE}.01234567"
TASKS = job_settings(load_settings({"problems": ["kovasznay"]}), "kovasznay", "tasks")


def test_code_settings_and_every_input_in_its_place_count():
    kinds = [("a", {"x": 1}, "bc"), ("b", {"x": 1}, "bc"), ("a", {"x": 2}, "bc"), ("a", {"x": 1}, "cb")]
    kinds += [("a", {"x": 1}, ["b", None]), ("a", {"x": 1}, "b"), ("a", {"x": 1}, ["bc"])]
    assert len({provenance(*kind) for kind in kinds}) == len(kinds)
    assert provenance("a", {"x": 1, "y": 2}, "b") == provenance("a", {"y": 2, "x": 1}, "b")


def fits(path, **header):
    path.mkdir()
    save_weights(path / "model.safetensors", {"theta": torch.zeros(2, 3)}, {"provenance": MADE} | header)
    write_netcdf(xr.Dataset(), path / "history.nc", "history")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One output of each kind, made by what the jobs use."""
    tmp_path = tmp_path_factory.mktemp("made")
    tasks.run(TASKS, tmp_path / "tasks.nc", provenance=MADE)
    fits(tmp_path / "base")
    fits(tmp_path / "bundle", format="pinnlora bundle")
    for name, text in (("config.json", "{}"), ("problem.py", ""), (MARKER, "config.json\nproblem.py\n")):
        (tmp_path / "bundle" / name).write_text(text)
    evaluation().assign_attrs(provenance="f" * 16).to_netcdf(tmp_path / "evaluation.nc")
    evaluations = [tmp_path / "evaluation.nc"]
    table.run({"number": 1}, evaluations, tmp_path / "table1.csv", tmp_path / "table1.md", MADE)
    figure.run({"kind": "rank"}, evaluations, tmp_path / "rank.png", tmp_path / "rank.pdf", MADE)
    return tmp_path


@pytest.fixture
def outputs(made, tmp_path):
    """Copies to be spoilt."""
    return shutil.copytree(made, tmp_path / "outputs")


KINDS = ["tasks.nc", "base", "bundle", "table1.md", "rank.png"]


@pytest.mark.parametrize("name", KINDS)
def test_what_an_output_carries_is_read_back(outputs, name):
    assert recorded(outputs / name) == MADE
    assert recorded(outputs / "elsewhere" / name) is None


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.98])
def test_an_output_cut_short_carries_nothing(outputs, name, share):
    path = outputs / name
    path = path / "model.safetensors" if path.is_dir() else path
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert recorded(outputs / name) is None


GONE = ["base/model.safetensors", "base/history.nc", "bundle/config.json", "bundle/problem.py"]


@pytest.mark.parametrize("name", GONE)
def test_a_directory_with_a_file_gone_carries_nothing(outputs, name):
    (outputs / name).unlink()
    assert recorded(outputs / name.partition("/")[0]) is None


@pytest.mark.parametrize("name", ["base/history.nc", "bundle/config.json", "bundle/history.nc"])
@pytest.mark.parametrize("content", [b"", b"{"])
def test_a_directory_with_a_file_that_cannot_be_read_carries_nothing(outputs, name, content):
    (outputs / name).write_bytes(content)
    assert recorded(outputs / name.partition("/")[0]) is None


def test_planning_knows_the_marker_of_directories():
    assert files.MARKER == MARKER


def test_files_of_other_makers_carry_nothing(tmp_path):
    np.save(tmp_path / "base.npy", np.zeros(3))
    for name in ("a.nc", "a.md", "a.png"):
        shutil.copy(tmp_path / "base.npy", tmp_path / name)
        assert recorded(tmp_path / name) is None
    xr.Dataset({"x": ("i", [1.0])}).to_netcdf(tmp_path / "b.nc")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/model.safetensors").write_bytes(b"\xff" * 64)
    (tmp_path / "c/history.nc").touch()
    assert recorded(tmp_path / "b.nc") is recorded(tmp_path / "c") is None


HEADERS = [
    "[]",
    "1",
    '{"__metadata__": null}',
    '{"__metadata__": {"pinnlora": "[]"}}',
    '{"__metadata__": {"pinnlora": "{}"}, "theta": {"data_offsets": []}}',
    '{"__metadata__": {"pinnlora": "{}"}, "theta": null}',
]


@pytest.mark.parametrize("header", HEADERS)
def test_weights_whose_header_has_another_shape_carry_nothing(outputs, header):
    path = outputs / "base"
    (path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header.encode())
    assert recorded(path) is checksum_of(path) is None


def test_a_job_says_what_it_is_made_from(outputs):
    settings = {"problem": "kovasznay"}
    job, found = begin("study.jobs.reference", settings, [outputs / "tasks.nc"])
    code = code_of("study.jobs.reference", problem_file("kovasznay"))
    recipe, _, content = found.partition(".")
    assert job.__name__ == "pinnlora.study.jobs.reference" and recipe == provenance(code, settings, [RECIPE])
    assert content == built([read_netcdf(outputs / "tasks.nc").checksum])
    assert begin("study.jobs.reference", settings, [outputs / "tasks.nc"], recipe) == (job, found)
    assert found != begin("study.jobs.reference", settings, [outputs / "evaluation.nc"])[1]


def test_inputs_made_by_one_recipe_are_told_apart_by_what_stands_in_them(tmp_path):
    found = []
    for name, seconds in (("one", 1.0), ("other", 2.0)):
        fits(tmp_path / name, seconds=seconds, provenance=f"{RECIPE}.{name}")
        found.append(begin("study.jobs.fit", TASKS, [tmp_path / name])[1].split("."))
    assert found[0][0] == found[1][0] and found[0][1] != found[1][1]


def test_what_a_surrogate_can_be_asked_and_settings_as_a_whole_are_no_code_of_a_training():
    asked = {"surrogate", "predict", "march", "invert", "posterior", "export", "explore", "observations"}
    never = {f"query/{name}.py" for name in asked} | {"study/settings.py", "study/job_settings.py"}
    for stage in ("tasks", "reference", "base", "fit", "teachers", "hypernetwork"):
        files = closure(f"pinnlora.{MODULES[stage]}")
        assert not never & {file.relative_to(PACKAGE).as_posix() for file in files}, stage


def test_a_job_that_is_not_the_planned_one_does_not_start(outputs):
    with pytest.raises(UserError, match=f"asked for {MADE}, found .*run snakemake again"):
        begin("study.jobs.reference", {"problem": "kovasznay"}, [outputs / "tasks.nc"], MADE)


def test_code_edited_while_it_is_imported_is_refused(monkeypatch, tmp_path):
    heat = tmp_path / "heat.py"
    heat.write_text("alpha = 1")
    monkeypatch.setattr(module, "import_module", lambda name: heat.write_text("alpha = 2"))
    with pytest.raises(UserError, match="changed after it was planned"):
        begin("study.jobs.tasks", {"problem": f"{heat}:Heat"}, [])


def test_all_that_a_job_may_import_later_is_imported_at_its_start(monkeypatch):
    monkeypatch.delitem(sys.modules, "pinnlora.problem.library.burgers1d", raising=False)
    begin("study.jobs.tasks", TASKS | {"problem": "burgers1d"}, [])
    assert "pinnlora.problem.library.burgers1d" in sys.modules


def test_planning_and_writing_mean_the_same_marker():
    from pinnlora import files
    from pinnlora.problem import code

    assert code.MARKER == files.MARKER
