"""What the project says about itself in several places agrees."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "snakemake": "snakemake-minimal"}


def split(requirement: str) -> tuple[str, str]:
    name = re.match(r"[\w-]+", requirement).group()
    return name, requirement[len(name) :]


def test_environment_is_in_step():
    wanted = {CONDA_NAMES.get(name, name): bound for name, bound in map(split, PROJECT["dependencies"])}
    wanted["python"] = PROJECT["requires-python"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    found = dict(split(line) for line in environment["dependencies"])
    del found["pip"]  # installs the package itself
    assert found == wanted


def test_every_dependency_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("\ndependencies = [") : text.index("[project.optional-dependencies]")]
    lines = [line for line in block.splitlines() if line.strip().startswith('"')]
    assert len(lines) == len(PROJECT["dependencies"])
    assert all("  # " in line or " # " in line for line in lines)


def test_third_party_imports_are_declared():
    """Those of an extra are imported by the functions that need them."""
    known = (
        {name for name, _ in map(split, PROJECT["dependencies"])}
        | {"pinnlora"}
        | set(sys.stdlib_module_names)
    )
    known |= {"yaml", "netCDF4", "pydantic_core"}  # pyyaml, netcdf4, of pydantic
    inside = known | {name for name, _ in map(split, PROJECT["optional-dependencies"]["onnx"])}
    pattern = re.compile(r"^(\s*)(?:import|from)\s+([A-Za-z]\w*)", re.MULTILINE)
    for path in (ROOT / "src").rglob("*.py"):
        code = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        unknown = {
            name
            for space, name in pattern.findall(code)
            if name not in (inside if space.strip("\n") else known)
        }
        assert not unknown, f"{path}: {unknown}"


def test_version_and_licence_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert citation["title"] == PROJECT["name"] == "pinnlora"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text


def test_the_papers_numbers_are_part_of_the_package():
    for n in (1, 2, 3):
        assert (ROOT / "src/pinnlora/report/paper" / f"table{n}.csv").is_file()
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["src/pinnlora"]


def test_the_wheel_works_outside_a_checkout(tmp_path):
    """Built, installed beside what the package needs, and asked to train where there is no source tree."""
    interpreter, wheels, own = sys.executable, tmp_path / "wheels", tmp_path / "venv"
    build = [
        interpreter,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        wheels,
        ROOT,
    ]
    run(*build, cwd=tmp_path)
    venv.create(own, with_pip=False)
    (wheel,) = wheels.glob("pinnlora-*.whl")
    run(interpreter, "-m", "pip", "--python", own, "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    (packages,) = own.glob("lib/python*/site-packages")
    others = sysconfig.get_path(
        "purelib"
    )  # its .pth files, which would lead back to this source tree, are not read
    (packages / "others.pth").write_text(others + "\n")
    (tmp_path / "heat.py").write_text((ROOT / "examples/heat.py").read_text())
    (tmp_path / "tiny.yaml").write_text(TINY)
    program, data = own / "bin/pinnlora", str(packages / "pinnlora")
    where = "import pinnlora.report, sys; print(pinnlora.__file__, *pinnlora.report.__path__)"
    assert run(own / "bin/python", "-c", where, cwd=tmp_path).count(data) == 2
    assert {f"table{n}.csv" for n in (1, 2, 3)} <= {
        p.name for p in (packages / "pinnlora/report/paper").iterdir()
    }
    said = run(program, "train", "heat.py:Heat", "--config", "tiny.yaml", "-o", "results/heat", cwd=tmp_path)
    assert "the bundle is results/heat/bundle" in said
    run(program, "predict", "results/heat/bundle", "--set", "alpha=0.02", "-o", "heat.nc", cwd=tmp_path)
    assert (tmp_path / "heat.nc").is_file()


INTERPRETER = """#!/bin/sh
case "$1" in
    --version) echo Python 3.11.0;;
    -m) mkdir -p "$3/bin"; printf '#!/bin/sh\\necho installed\\n' > "$3/bin/pip"; chmod +x "$3/bin/pip";;
esac
"""
"""Makes environments that hold a pip which says that it has run."""


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
def test_make_repairs_an_environment_that_was_cut_short_and_takes_spaces_in_paths(tmp_path):
    project, programs = tmp_path / "a b", tmp_path / "programs"
    for folder in (project / ".venv/bin", programs):
        folder.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, project)
    for program in (programs / "python3", project / ".venv/bin/python"):  # no pip beside the second
        program.write_text(INTERPRETER)
        program.chmod(0o755)
    path = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    said = run("make", ".venv/.installed", cwd=project, **path)
    assert "making .venv with Python 3.11.0" in said and "installed" in said
    goals = ("run", "test", "lint", "docs", "schema", "publish")
    (project / ".venv/.installed").unlink()
    said = run("make", "-n", "--no-print-directory", *goals, cwd=project, **path)
    assert 'PATH="' in said and "a b" not in re.sub(r'"[^"]*"', "", said)


TINY = """
tasks: {train: 1, validation: 1, test: 1}
network: {width: 6, hidden_layers: 2}
hypernetwork: {body: [6]}
training:
  base: {optimiser: levenberg_marquardt, dtype: float64, steps: 2, points: 20, condition_points: 8}
  physics: {optimiser: gauss_newton, dtype: float64, steps: 2, points: 6, condition_points: 8, tasks_per_step: 3}
"""


def run(*command, cwd, **more) -> str:
    """What it says; nothing of this test's own paths is passed on."""
    there = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more
    done = subprocess.run([*map(str, command)], cwd=cwd, env=there, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
