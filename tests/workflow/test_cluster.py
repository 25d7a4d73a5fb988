"""The smoke study through profiles/slurm, on a real Slurm of one node: make test-cluster."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from one_node import jobs, missing, one_node

ROOT = Path(__file__).parents[2]
TRAINING = {"base", "fit", "hypernetwork", "evaluate"}
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(missing()), reason=missing())]


def settings(folder: Path, results: str) -> Path:
    """The smoke study of one problem, its base network trained long enough to be killed meanwhile."""
    smoke = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    smoke |= {"results": str(folder / results), "device": "auto", "checkpoint_minutes": 0.005}
    smoke |= {"problems": ["kovasznay"], "modes": ["physics"], "hypernetwork_ranks": [1]}
    smoke["training"]["base"] |= {"steps": 300, "report_every": 100}
    path = folder / f"{results}.yaml"
    path.write_text(yaml.safe_dump(smoke))
    return path


def snakemake(config: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "snakemake", "--configfile", str(config), "--nolock", *more]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    with config.with_suffix(".log").open("w") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def profile(folder: Path) -> str:
    """profiles/slurm as its README.md says it should be for a cluster without accounting and accounts."""
    own = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    own |= {"slurm-no-account": True, "slurm-status-command": "squeue", "latency-wait": 5}
    own |= {"slurm-init-seconds-before-status-checks": 5, "seconds-between-status-checks": 5}
    (folder / "profile").mkdir()
    (folder / "profile/config.yaml").write_text(yaml.safe_dump(own))
    return str(folder / "profile")


def stage(job: dict[str, str]) -> str:
    """The rule of a job, from the comment that it was submitted with."""
    return job.get("Comment", "").removeprefix("rule_").partition("_")[0]


def cancelled_in_training(run: subprocess.Popen, checkpoint: Path) -> str:
    """Cancel the base network's job once it has written a checkpoint; its number."""
    for _ in range(3000):
        if run.poll() is not None:
            break
        if checkpoint.is_file():
            (number,) = {j["JobId"] for j in jobs() if stage(j) == "base" and j["JobState"] == "RUNNING"}
            subprocess.run(["scancel", number], check=True)
            return number
        time.sleep(0.2)
    raise AssertionError("the base network was not caught in its training")


def test_the_smoke_study_on_a_cluster_with_a_job_cancelled_on_the_way(tmp_path):
    config = settings(tmp_path, "cluster")
    with one_node(tmp_path / "slurm"):
        run = snakemake(config, "--workflow-profile", profile(tmp_path), "--jobs", "4")
        try:
            number = cancelled_in_training(
                run, tmp_path / "cluster/smoke/kovasznay/base.checkpoint.safetensors"
            )
            assert run.wait(timeout=1500) == 0, config.with_suffix(".log").read_text()[-5000:]
        finally:
            run.kill()
        seen = jobs()
    states = {job["JobId"]: job["JobState"] for job in seen}
    assert states.pop(number) == "CANCELLED" and set(states.values()) == {"COMPLETED"}
    asked = {stage(job) for job in seen if job.get("TresPerJob") == "gres:gpu:1"}
    assert asked == TRAINING and {stage(job) for job in seen} == TRAINING | {"tasks", "reference"}
    assert "training goes on from" in (tmp_path / "cluster/smoke/logs/kovasznay/base.log").read_text()
    local = settings(tmp_path, "local")
    assert snakemake(local, "--cores", "2").wait(timeout=1500) == 0, local.with_suffix(".log").read_text()[
        -5000:
    ]
    for number in (1, 2):
        ours, theirs = (
            pd.read_csv(tmp_path / each / f"smoke/tables/table{number}.csv") for each in ("cluster", "local")
        )
        errors = [name for name in ours if name.startswith(("mse", "residual", "failed", "relative"))]
        assert errors
        pd.testing.assert_frame_equal(ours[errors], theirs[errors], rtol=1e-6)
