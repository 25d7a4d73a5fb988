"""Every command and every block of the documentation is run, page by page; trainings at tiny sizes."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from documentation import ROOT, Block, blocks, pages
from test_surrogate import bundle

import pinnlora
from pinnlora.cli import main
from pinnlora.problem.verify import verify_problem
from pinnlora.query.calibration import Calibration
from pinnlora.study.settings import _merge

TINY = {
    "tasks": {"train": 1, "validation": 1, "test": 1},
    "network": {"width": 8, "hidden_layers": 2},
    "hypernetwork": {"body": [6]},
    "training": {
        "base": {"seconds": 0, "steps": 2, "points": 20, "condition_points": 8},
        "physics": {"seconds": 0, "steps": 2, "points": 6, "condition_points": 8, "tasks_per_step": 3},
    },
}
TRAINED = "results/default/kovasznay/surrogate/physics/rank4"
TABLES = {
    "tasks.csv": "re\n30\n42\n",
    "points.csv": "x,y\n0.1,0.5\n0.9,0.5\n",
    "data.csv": "x,y,u,v\n0.1,0.5,1.2,0.1\n0.5,0.1,1.1,0.2\n0.9,0.2,0.9,0.1\n",
}
"""What a page's commands read."""
FROM_ELSEWHERE = {"snakemake-executor-plugin-slurm"}
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
IMPORTS = blocks("docs/own-problem.md")[0].text.partition("class ")[0]


@pytest.fixture(scope="module")
def seen() -> set:
    """Plans of studies that were made for an earlier page."""
    return set()


@pytest.fixture
def page(tmp_path, monkeypatch, capsys, seen):
    """What runs the blocks of one page in a directory of its own."""
    for name in ("config", "examples", "profiles", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    profile = tmp_path / "profiles/slurm/config.yaml"  # its plugin is installed on clusters only
    profile.write_text(profile.read_text().replace("executor: slurm", "cores: 1"))
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    return Page(tmp_path, monkeypatch, capsys, seen)


class Page:
    """The state from block to block."""

    def __init__(self, where, monkeypatch, capsys, seen):
        self.where, self.monkeypatch, self.capsys, self.seen = where, monkeypatch, capsys, seen
        self.names: dict = {}
        self.said, self.status = "", 0

    def run(self, block: Block, fails: bool) -> None:
        """One block; with `fails` its last command has to."""
        changed = self.change(block)
        match block.kind:
            case "python" | "yaml" if block.title:
                (self.where / block.title).write_text(block.text)
            case "python":
                self.python(block.text)
            case "yaml":
                assert isinstance(yaml.safe_load(block.text), dict)
            case "bash":
                self.commands([line for line in block.text.splitlines() if line.strip()], fails)
            case "text":
                self.compare(block.text)
            case kind:
                assert kind == "math", f"a block of kind {kind!r}"
        if changed:
            (self.where / block.change[0]).write_text(changed)

    def change(self, block: Block) -> str:
        """Change a file for this block; what it held."""
        if block.change is None:
            return ""
        name, old, new = block.change
        before = (self.where / name).read_text()
        assert old in before, f"{old!r} is not in {name}"
        (self.where / name).write_text(before.replace(old, new))
        return before

    def python(self, text: str) -> None:
        """Run it; problems that it declares are without fault."""
        self.provide(text)
        before = set(self.names)
        exec(text, self.names)
        plt.close("all")
        with (self.where / "page.py").open("a") as together:
            together.write(text if "class " in text else "")
        for name in set(self.names) - before - {"Problem"}:
            made = self.names[name]
            if isinstance(made, type) and issubclass(made, pinnlora.Problem):
                found = verify_problem(made())
                assert {finding.severity for finding in found} == {"note"}, found

    def compare(self, text: str) -> None:
        """Each line, up to its first number or to three dots, stands in what was said last."""
        said = " ".join(self.said.split())
        for line in text.splitlines():
            known = " ".join(re.split(r"-?\d|\.\.\.", line)[0].split())
            assert known in said, f"{known!r} is not in:\n{self.said}"

    def commands(self, lines: list[str], fails: bool) -> None:
        """Run them; all but a last one that has to fail end well."""
        self.said = ""
        for line in lines:
            said = self.command(line)
            assert bool(self.status) == (fails and line == lines[-1]), said
            self.said += said

    def command(self, line: str) -> str:
        """Run one command; what it says."""
        words = shlex.split(line.replace("BUNDLE", TRAINED), comments=True)
        while "=" in words[0]:
            del words[0]
        run = {"pinnlora": self.pinnlora, "snakemake": self.snakemake, "make": self.make, "pip": self.pip}
        return (run | {"python": self.script})[words[0]](words)

    def pinnlora(self, words: list[str]) -> str:
        if words[1] == "train" and "--help" not in words:
            words = self.tiny(words)
        else:
            self.provide(" ".join(words))
        self.monkeypatch.setattr("sys.argv", words)
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main()
        self.status = done.value.code
        return "".join(self.capsys.readouterr())

    def tiny(self, words: list[str]) -> list[str]:
        """The same training in seconds; what the page's own config says stays, as far as it is no size."""
        if "--config" not in words:
            words = [*words, "--config", "tiny.yaml"]
        file = self.where / words[words.index("--config") + 1]
        own = yaml.safe_load(file.read_text()) if file.is_file() else {}
        file.write_text(yaml.safe_dump(_merge(own, TINY)))
        if "--force" in words:
            self.provide("results/heat/bundle")
        return words

    def provide(self, text: str) -> None:
        """Bundles that the page speaks of as if they had been trained, and files of functions to ask them with."""
        for path in re.findall(r"results/[\w/]+", text):
            at, (_, name, *_) = self.where / path, path.split("/")
            if name == "heat" and not (self.where / "results/heat").exists():
                self.pinnlora(["pinnlora", "train", "examples/heat.py:Heat", "-o", "results/heat"])
                assert self.status == 0
            elif path.endswith(("bundle", "rank4")) and not at.exists():
                spec = path.split("/")[2] if name == "default" else f"page.py:{name.capitalize()}"
                bundle(at, spec, calibration=Calibration({"residual": [1.0] * 21}))
            for name in set(TABLES) & set(text.split()):
                (self.where / name).write_text(TABLES[name])
            for parameter, file in re.findall(r"(\w+)=(\w+\.npy)", text):
                drawn = pinnlora.load(at).problem.task.sample(1, np.random.default_rng(0))
                np.save(self.where / file, drawn[parameter][0])

    def snakemake(self, words: list[str]) -> str:
        """Its plan, made once: how many jobs run side by side does not change it."""
        key, self.status = re.sub(r" -n| --(?:cores|resources) \S+", "", " ".join(words)), 0
        if key in self.seen:
            return ""
        self.seen.add(key)
        words = [sys.executable, "-m", *words, "-n", "--quiet", "all"]
        there = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(words, cwd=self.where, env=there, capture_output=True, text=True)
        self.status = done.returncode
        return done.stdout + done.stderr

    def make(self, words: list[str]) -> str:
        """What it would do."""
        done = subprocess.run([*words, "-n"], cwd=ROOT, capture_output=True, text=True)
        self.status = done.returncode
        return done.stdout + done.stderr

    def pip(self, words: list[str]) -> str:
        """Nothing is installed: what is asked for is there, or a package by another's name that we know."""
        assert words[1] == "install"
        for word in words[2:]:
            path, _, group = word.rstrip("]").partition("[")
            assert word in ("-e", *FROM_ELSEWHERE) or (path == "." and group in ("", *GROUPS)), word
        self.status = 0
        return ""

    def script(self, words: list[str]) -> str:
        """`python FILE ...`; of `python -m pytest`, that what it names is there."""
        self.status = 0
        if words[1] == "-m":
            assert all((ROOT / word).exists() for word in words[3:] if not word.startswith("-"))
            return ""
        self.provide(" ".join(words))
        self.monkeypatch.setattr("sys.argv", words[1:])
        runpy.run_path(words[1], run_name="__main__")
        return ""


def _blocks(name: str) -> list[tuple[Block, bool]]:
    """With each block, whether what follows it is an error message."""
    found = blocks(name)
    after = [*(block.kind == "text" and block.text.startswith("error:") for block in found[1:]), False]
    return list(zip(found, after, strict=True))


@pytest.mark.parametrize("name", [name for name in pages() if blocks(name)])
def test_every_block_of_a_page_runs(page, name):
    if name == "README.md":  # it shows a class without its imports
        exec(IMPORTS, page.names)
    for block, fails in _blocks(name):
        page.run(block, fails)
