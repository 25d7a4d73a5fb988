"""The house keeps its shape: which package may import which, one meaning a name, no room too large."""

import ast
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "pinnlora"
FILES = sorted(PACKAGE.rglob("*.py"))
SAME_MEANING = {"run"}  # what every job is called


def test_imports_go_one_way():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "1 kept, 0 broken" in done.stdout, done.stdout + done.stderr


def test_every_package_stands_in_the_order_of_imports():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = settings["contracts"][0]["layers"]
    inside = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py"} - {"__init__"}
    inside |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert {layer.removeprefix("pinnlora.") for layer in layers} == inside


def test_few_files_at_the_front_door():
    assert len(list(PACKAGE.glob("*.py"))) <= 7  # six, and __main__ that calls one of them


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_a_package_says_what_it_is_and_what_it_may_import(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert "May import: " in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_file_is_a_room(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    assert ast.get_docstring(ast.parse(text))
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert not [node.name for node in functions if node.end_lineno - node.lineno + 1 > 45]


def test_a_public_name_has_one_meaning():
    places = defaultdict(list)
    for path in (path for path in FILES if path.name != "cli.py"):  # whose functions are commands
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(PACKAGE).as_posix())
    twice = {name: where for name, where in places.items() if len(where) > 1 and name not in SAME_MEANING}
    assert not twice
