"""A job that is terminated under Snakemake: its checkpoint stays, and the next run goes on from it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def snakemake(study: Path, target: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "snakemake", target, "--cores", "1", "--nolock", "--configfile", study]
    with study.with_suffix(".log").open("w") as said:
        return subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)


def job_of(output: Path) -> int:
    """The process that trains `output`."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"study.jobs.fit" in words and str(output).encode() in words:
            return int(path.parent.name)
    raise AssertionError(f"no process trains {output}")


def test_a_terminated_job_goes_on_in_the_next_run(tmp_path):
    stage = {"optimiser": "adam", "steps": 1500, "points": 60, "condition_points": 10, "report_every": 10}
    content = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    content |= {"problems": ["kovasznay"], "overrides": {}, "results": str(tmp_path)}
    content["training"]["base"] = stage
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(content))
    base = tmp_path / "smoke" / "kovasznay" / "base"
    log = tmp_path / "smoke" / "logs" / "kovasznay" / "base.log"

    first = snakemake(study, base)
    while not log.is_file() or "step" not in log.read_text():
        assert first.poll() is None, study.with_suffix(".log").read_text()
        time.sleep(0.02)
    os.kill(job_of(base), signal.SIGTERM)
    assert first.wait(300) != 0 and not base.exists()
    assert base.with_name("base.checkpoint.safetensors").is_file()
    assert "is where training will go on" in log.read_text()

    assert snakemake(study, base).wait(300) == 0
    assert "training goes on from" in log.read_text() and base.is_dir()
    assert not base.with_name("base.checkpoint.safetensors").exists()
