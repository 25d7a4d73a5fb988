"""What the project says about itself in several places agrees."""

import re
import tomllib
from pathlib import Path

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
    known = {name for name, _ in map(split, PROJECT["dependencies"])} | {"pinnlora"}
    known |= {"yaml", "netCDF4"}  # pyyaml, netcdf4
    pattern = re.compile(r"^\s*(?:import|from)\s+([A-Za-z]\w*)", re.MULTILINE)
    import sys

    for path in (ROOT / "src").rglob("*.py"):
        code = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        unknown = {name for name in pattern.findall(code) if name not in sys.stdlib_module_names} - known
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
