"""Kills at random moments of a study, each followed by a rerun: the same tables in the end.

The long form, twenty kills of the smoke study, is run by `make test-faults`.
"""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SMOKE = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
TINY = SMOKE | {
    "problems": ["kovasznay"], "overrides": {}, "modes": ["physics"], "hypernetwork_ranks": [1],
    "tasks": {"train": 1, "validation": 1, "test": 1},
}  # fmt: skip


TABLES = [f"results/smoke/tables/table{n}.csv" for n in (1, 2, 3)]


def start(study: Path, *arguments: str) -> subprocess.Popen:
    """Snakemake in the folder of a study's config, in a session of its own; what it says is kept."""
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", *arguments]
    command += ["--configfile", study.name, "--cores", "1", "--resources", "gpu=1"]
    with (study.parent / "said.txt").open("a") as said:
        return subprocess.Popen(
            command, cwd=study.parent, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )


def finish(study: Path, *targets: str) -> None:
    """Run to the end, and see that nothing is left to do and nothing half made lies about."""
    assert start(study, "--unlock").wait() == 0
    assert start(study, *targets).wait() == 0, (study.parent / "said.txt").read_text()[-5000:]
    assert start(study, "-n", *targets).wait() == 0
    assert "Nothing to be done" in (study.parent / "said.txt").read_text()[-500:]
    results = study.parent / "results"
    left = [*results.rglob("*checkpoint*"), *results.rglob(".*-????????*")]
    assert not left


def session(leader: int) -> list[int]:
    """The processes that descend from a leader of a session: it, Snakemake's, shells and jobs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.parent.name))
    return sorted(found)


def kill(run: subprocess.Popen, whole: bool) -> None:
    """SIGKILL to all of a run, or to its youngest process alone, which is a job's; then wait until all is quiet."""
    processes = session(run.pid)
    for process in processes if whole else processes[-1:]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    run.wait()
    while session(run.pid):
        time.sleep(0.02)


def tables(study: Path) -> dict[str, pd.DataFrame]:
    """All that a study says, but for its seconds."""
    found = {}
    for path in sorted((study.parent / "results").rglob("tables/*.csv")):
        table = pd.read_csv(path)
        found[path.name] = table[[name for name in table if "second" not in name]]
    assert len(found) == 3
    return found


def killed(folder: Path, content: dict, kills: int, seed: int, *targets: str) -> None:
    """A study undisturbed, and once more with kills, whose moments the seed decides: its tables are the same."""
    studies = [folder / name / "study.yaml" for name in ("calm", "rough")]
    for study in studies:
        study.parent.mkdir()
        study.write_text(yaml.safe_dump(content))
    calm, rough = studies
    began = time.monotonic()
    assert start(calm, *targets).wait() == 0, (calm.parent / "said.txt").read_text()[-5000:]
    duration, moments = time.monotonic() - began, random.Random(seed)
    done = 0
    while done < kills:
        start(rough, "--unlock").wait()
        run = start(rough, *targets)
        try:
            run.wait(moments.uniform(0, 2 * duration / kills))
        except subprocess.TimeoutExpired:
            kill(run, whole=moments.random() < 0.7)
            done += 1
            print(f"kill {done} after {time.monotonic() - began - duration:.0f} s", flush=True)
        else:
            (rough.parent / "results" / content["study"] / "kovasznay" / "tasks.nc").unlink()  # once more
    finish(rough, *targets)
    for name, table in tables(calm).items():
        pd.testing.assert_frame_equal(tables(rough)[name], table, check_exact=True)


def test_two_kills_of_a_tiny_study_change_nothing(tmp_path):
    killed(tmp_path, TINY, 2, 3, *TABLES)


@pytest.mark.faults
@pytest.mark.slow
def test_twenty_kills_of_the_smoke_study_change_nothing(tmp_path):
    killed(tmp_path, SMOKE | {"checkpoint_minutes": 0.02}, 20, 2023)
