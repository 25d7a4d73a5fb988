"""Helpers and data that a problem declares are part of its fingerprint, and of its bundles."""

import shutil
import textwrap

import pytest
from refused import refuses
from test_surrogate import OWN, bundle

import pinnlora
from pinnlora.problem.code import declared
from pinnlora.problem.load import known_problem, load_problem, problem_file, problem_name
from pinnlora.study.provenance import code_of
from pinnlora.study.settings import load_settings

SOIL = (
    textwrap.dedent(OWN)
    .replace(
        "import torch",
        "from pathlib import Path\n\nimport numpy as np\nimport torch\nfrom rocks.hard import factor",
    )
    .replace('fields = ("u",)', 'fields = ("u",)\n    files = ("soil.csv", "wells")')
)
SOIL += """
    def soil(self):
        return float(np.loadtxt(Path(__file__).parent / "soil.csv")) * factor()
"""


@pytest.fixture
def spec(tmp_path):
    folder = tmp_path / "mine"
    (folder / "wells" / "deep").mkdir(parents=True)
    (folder / "rocks").mkdir()
    (folder / "rocks" / "__init__.py").write_text("")
    (folder / "rocks" / "hard.py").write_text("def factor():\n    return 2.0\n")
    (folder / "soil.csv").write_text("21\n")
    (folder / "wells" / "first.txt").write_text("1\n")
    (folder / "wells" / "deep" / "second.txt").write_text("2\n")
    (folder / "notes.txt").write_text("not declared\n")
    (folder / "heat.py").write_text(SOIL)
    return f"{folder / 'heat.py'}:Heat"


def test_files_and_folders_are_found_beside_the_problem(spec, tmp_path):
    assert sorted(declared(tmp_path / "mine" / "heat.py").values()) == [
        "soil.csv", "wells/deep/second.txt", "wells/first.txt",
    ]  # fmt: skip
    assert load_problem(spec).soil() == 42


@pytest.mark.parametrize("name", ["soil.csv", "wells/first.txt", "wells/deep/second.txt", "rocks/hard.py"])
def test_they_are_part_of_the_fingerprint(spec, tmp_path, name):
    problem = tmp_path / "mine" / "heat.py"
    before = code_of("study.jobs.tasks", problem)
    (tmp_path / "mine" / "notes.txt").write_text("other notes\n")
    assert code_of("study.jobs.tasks", problem) == before
    with (tmp_path / "mine" / name).open("a") as file:
        file.write("x = 1\n")
    assert code_of("study.jobs.tasks", problem) != before


def test_they_travel_with_the_bundle(spec, tmp_path):
    expected = bundle(tmp_path / "bundle", spec).predict(alpha=0.5)
    shutil.rmtree(tmp_path / "mine")
    moved = shutil.move(tmp_path / "bundle", tmp_path / "elsewhere")
    loaded = pinnlora.load(moved)
    assert loaded.problem.soil() == 42 and loaded.predict(alpha=0.5).identical(expected)
    assert not (tmp_path / "elsewhere" / "notes.txt").exists()
    (tmp_path / "elsewhere" / "soil.csv").write_text("22\n")
    refuses(lambda: pinnlora.load(moved), "made or changed elsewhere")
    assert pinnlora.load(moved, trust=True).problem.soil() == 44
    (tmp_path / "elsewhere" / "soil.csv").unlink()
    refuses(lambda: pinnlora.load(moved), "there is no 'soil.csv' beside it")


@pytest.fixture
def inherited(spec, tmp_path):
    """The same, but a base class in a helper declares data, which lies beside the helper."""
    (tmp_path / "mine" / "rocks" / "grain.csv").write_text("3\n")
    (tmp_path / "mine" / "rocks" / "soil.py").write_text("class Soil:\n    files = ('grain.csv',)\n")
    text = SOIL.replace('    files = ("soil.csv", "wells")\n', "").replace(
        "Heat(Problem)", "Heat(Soil, Problem)"
    )
    (tmp_path / "mine" / "heat.py").write_text(f"from rocks.soil import Soil\n{text}")
    return spec


def test_what_a_class_in_a_helper_declares_counts_and_travels(inherited, tmp_path):
    problem, data = tmp_path / "mine" / "heat.py", tmp_path / "mine" / "rocks" / "grain.csv"
    assert declared(problem) == {data: "rocks/grain.csv"}
    before = code_of("study.jobs.tasks", problem)
    bundle(tmp_path / "bundle", inherited)
    assert (tmp_path / "bundle" / "rocks" / "grain.csv").read_text() == "3\n"
    data.write_text("4\n")
    assert code_of("study.jobs.tasks", problem) != before
    (tmp_path / "bundle" / "rocks" / "grain.csv").write_text("4\n")
    refuses(lambda: pinnlora.load(tmp_path / "bundle"), "made or changed elsewhere")
    data.unlink()
    refuses(lambda: declared(problem), "there is no 'grain.csv' beside soil.py")
    (tmp_path / "mine" / "rocks" / "soil.py").write_text("class Soil(")
    refuses(lambda: load_settings({"problems": [inherited]}), "problems[0]...not Python...soil.py")


def test_an_absent_file_stops_a_study_when_its_config_is_read(spec, tmp_path):
    (tmp_path / "mine" / "soil.csv").unlink()
    refuses(lambda: load_settings({"problems": [spec]}), "problems[0]...there is no 'soil.csv' beside it")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "README.md", "history.nc"])
def test_a_name_that_a_bundle_needs_is_refused_before_training(spec, tmp_path, name):
    path = tmp_path / "mine" / "heat.py"
    path.write_text(path.read_text().replace('"soil.csv"', f'"soil.csv", "{name}"'))
    (tmp_path / "mine" / name).write_text("mine")
    refuses(lambda: load_problem(spec), f"bundles have a {name} of their own")


def test_a_helper_called_as_the_bundles_own_problem_is_refused(spec, tmp_path):
    path = tmp_path / "mine" / "heat.py"
    path.write_text(f"import problem\n{path.read_text()}")
    (tmp_path / "mine" / "problem.py").write_text("x = 1\n")
    refuses(lambda: load_problem(spec), "bundles have a problem.py of their own")


def test_two_folders_have_helper_packages_of_one_name(spec, tmp_path):
    shutil.copytree(tmp_path / "mine", tmp_path / "other")
    (tmp_path / "other" / "rocks" / "hard.py").write_text("def factor():\n    return 3.0\n")
    specs = [spec, spec.replace("mine", "other")]
    assert [load_problem(each).soil() for each in (*specs, *specs)] == [42, 63, 42, 63]


def test_a_folder_may_have_an_at_sign(spec, tmp_path):
    folder = (tmp_path / "mine").rename(tmp_path / "me@host")
    spec = f"{folder / 'heat.py'}:Heat"
    assert known_problem(f"{spec}@fine") and problem_file(f"{spec}@fine") == folder / "heat.py"
    assert [problem_name(text) for text in (spec, f"{spec}@fine", "kovasznay@fine")] == [
        "heat", "heat-fine", "kovasznay-fine",
    ]  # fmt: skip
    assert load_problem(f"{spec}@fine").soil() == 42
    refuses(lambda: load_problem(f"{spec}@not fine"), "'not fine' is no name of a variant")
    expected = bundle(tmp_path / "a@b", f"{spec}@fine").predict(alpha=0.5)
    assert pinnlora.load(tmp_path / "a@b").predict(alpha=0.5).identical(expected)
