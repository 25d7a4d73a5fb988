"""The workflow with jobs that only make their outputs, to see in seconds what is run and run again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
REAL = [
    "errors",
    "problem/code",
    "problem/load",
    "study/interpreter",
    "study/job_settings",
    "study/settings",
    "study/settings_errors",
    "train/settings",
]
PROBLEMS = ("kovasznay", "burgers2d", "burgers1d")
JOBS = {
    "study/jobs/tasks": "study/sampling",
    "study/jobs/reference": "study/sampling",
    "study/jobs/fit": "nets/mlp",
    "study/jobs/hypernetwork": "nets/hypernetwork",
    "study/jobs/evaluate": "nets/mlp",
    "report/jobs/table": "report/tables",
    "report/jobs/figure": "report/curves",
}
SMALL = {
    "study": "small",
    "problems": ["kovasznay", "burgers2d"],
    "lora_ranks": [1, 2],
    "hypernetwork_ranks": [1],
    "modes": ["weights", "physics"],
}
MAIN = """
import sys
from pathlib import Path
_, job, stage, *rest = sys.argv
made = ("--tasks", "--reference", "--base", "--fit", "--surrogate", "--teachers")
inputs = [value for flag, value in zip(rest, rest[1:]) if flag in made]
assert all(Path(path).exists() for path in inputs), inputs
if Path("broken").exists() and Path("broken").read_text() in " ".join(rest):
    sys.exit("error: it broke")
for flag, value in zip(rest, rest[1:]):
    if flag in ("--output", "--markdown", "--pdf"):
        path = Path(value)
        if path.suffix in (".nc", ".csv", ".md", ".png", ".pdf"):
            path.write_text("a,b\\n1,2\\n")
        else:
            path.mkdir()
            (path / "model.safetensors").write_text(stage)
"""


def make(folder: Path) -> Path:
    """The project in `folder`, real but for what the jobs do."""
    for name in ("workflow", "profiles", "config"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, folder / name)
    package = folder / "src" / "pinnlora"
    for inside in ("problem/library", "nets", "train", "study/jobs", "report/jobs", "report/paper"):
        (package / inside).mkdir(parents=True)
        (package / inside / "__init__.py").touch()
    for inside in ("problem", "study", "report"):
        (package / inside / "__init__.py").touch()
    for name in REAL:
        shutil.copy(ROOT / "src" / "pinnlora" / f"{name}.py", package / f"{name}.py")
    for name in ("__init__", "problem/base", *JOBS.values()):
        (package / f"{name}.py").write_text(f'"""About {name}."""\nvalue = "{name}"\n')
    for name in PROBLEMS:
        (package / "problem/library" / f"{name}.py").write_text(
            f'from ..base import value\nname = "{name}"\n'
        )
    for job, module in JOBS.items():
        text = f"def run():\n    from pinnlora.{module.replace('/', '.')} import value\n    return value\n"
        (package / f"{job}.py").write_text(text)
    (package / "__main__.py").write_text(MAIN)
    write(folder, SMALL)
    return folder


def write(folder: Path, settings: dict) -> None:
    (folder / "small.yaml").write_text(yaml.safe_dump(settings))


def snakemake(folder: Path, *arguments: str, study: str | None = "small.yaml") -> subprocess.CompletedProcess:
    """Run it; stdout and stderr together are in `stdout`."""
    command = [sys.executable, "-m", "snakemake", "--cores", "4", *arguments]
    if study:
        command += ["--configfile", study]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def run(folder: Path, *arguments: str) -> str:
    done = snakemake(folder, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


def planned(folder: Path, *arguments: str) -> set[str]:
    """The outputs, below the study's directory, that a run would make."""
    pending = set()
    for line in run(folder, "--summary", *arguments).splitlines():
        columns = line.split("\t")
        if len(columns) > 4 and columns[-1] == "update pending":
            pending.add(columns[0].removeprefix("results/small/"))
    return pending
