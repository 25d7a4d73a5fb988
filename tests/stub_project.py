"""The workflow with jobs that only make their outputs, to see in seconds what is run and run again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
REAL = [
    "__main__",
    "cli",
    "errors",
    "problem/canonical",
    "problem/code",
    "problem/load",
    "study/cards",
    "study/graph",
    "study/interpreter",
    "study/job_settings",
    "study/memory",
    "study/provenance",
    "study/settings",
    "study/settings_errors",
    "study/settings_files",
    "temporary",
    "train/kinds",
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
    "device": "cpu",
    "problems": ["kovasznay", "burgers2d"],
    "lora_ranks": [1, 2],
    "hypernetwork_ranks": [1],
    "modes": ["weights", "physics"],
}
OUTPUTS = """
import json, os, signal, struct
from pathlib import Path
from uuid import uuid4


def write(inputs, outputs, provenance):
    assert all(path.exists() for path in inputs), inputs
    for path in outputs:
        if Path("broken").exists() and Path("broken").read_text() in str(path):
            raise SystemExit("error: it broke")
        path.parent.mkdir(parents=True, exist_ok=True)
        match path.suffix:
            case ".nc":
                from netCDF4 import Dataset
                with Dataset(path, "w") as dataset:
                    dataset.provenance, dataset.checksum = provenance, uuid4().hex  # as trained by the clock
            case ".md":
                path.write_text(f"# Table\\n<!-- provenance {provenance} -->\\n")
            case ".png":
                path.write_bytes(b"tEXtprovenance\\0" + provenance.encode() + b"1234IEND5678")
            case ".csv" | ".pdf":
                path.write_text("a,b\\n1,2\\n")
            case _:
                path.mkdir()
                about = {"provenance": provenance, "checksum": uuid4().hex}
                header = json.dumps({"__metadata__": {"pinnlora": json.dumps(about)}})
                text = struct.pack("<Q", len(header)) + header.encode()
                (path / "history.nc").write_bytes(b"CDF\\x01" + bytes(28))  # NetCDF without anything
                (path / "model.safetensors").write_bytes(text)
    if Path("meddle").exists() and str(outputs[-1]).endswith("kovasznay/base"):
        with open(Path("meddle").read_text(), "a") as code:
            code.write("other = 1\\n")
    if Path("kill").exists() and Path("kill").read_text() in str(outputs[-1]):
        Path("kill").unlink()
        kill_snakemake()


def kill_snakemake():
    pid, found = os.getpid(), []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if b"snakemake" in Path(f"/proc/{pid}/cmdline").read_bytes():
            found.append(pid)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
"""
RUN = """
from pathlib import Path
from pinnlora.{module} import value
from pinnlora.stub import write


def run(provenance, **arguments):
    outputs = [arguments.pop(name) for name in ("pdf", "output", "markdown") if name in arguments]
    inputs = [path for given in arguments.values() for path in (given if isinstance(given, list) else [given])]
    write([path for path in inputs if isinstance(path, Path)], outputs, provenance)
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
        (package / f"{job}.py").write_text(RUN.format(module=module.replace("/", ".")))
    (package / "stub.py").write_text(OUTPUTS)
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


def run(folder: Path, *arguments: str, study: str | None = "small.yaml") -> str:
    done = snakemake(folder, *arguments, study=study)
    assert done.returncode == 0, done.stdout
    return done.stdout


def planned(folder: Path, *arguments: str, study: str | None = "small.yaml") -> set[str]:
    """The outputs, below the study's directory, that a run would make."""
    pending = set()
    for line in run(folder, "--summary", *arguments, study=study).splitlines():
        columns = line.split("\t")
        if len(columns) > 4 and columns[-1] == "update pending":
            pending.add(columns[0].removeprefix("results/small/"))
    return pending


def edit(project: Path, name: str, old: str, new: str) -> None:
    path = project / "src" / "pinnlora" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


TABLES = {f"tables/table{n}.{kind}" for n in (1, 2, 3) for kind in ("csv", "md")}
CURVES = {f"figures/error_against_{q}.{kind}" for q in ("rank", "time") for kind in ("png", "pdf")}


def fields(problem: str) -> set[str]:
    return {f"figures/{problem}.{kind}" for kind in ("png", "pdf")}


FIGURES = CURVES | fields("kovasznay") | fields("burgers2d")


def report(problem: str) -> set[str]:
    """What follows from a problem's evaluation."""
    return {f"{problem}/evaluation.nc"} | fields(problem) | CURVES | TABLES


def fits(problem: str) -> set[str]:
    names = ("pinn/rankfull", "finetuned/rankfull", "lora/rank1", "lora/rank2")
    return {f"{problem}/fits/{name}" for name in names}


def trained(problem: str) -> set[str]:
    """What follows from a problem's base network."""
    modes = {f"{problem}/surrogate/{mode}/rank1" for mode in ("weights", "physics")}
    return fits(problem) | {f"{problem}/teachers/rank1"} | modes | report(problem)
