"""The whole study in small, through Snakemake, from tasks to tables: every rule, every method, every problem."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

ROOT = Path(__file__).parents[2]
PROBLEMS = {"kovasznay", "burgers2d", "burgers1d"}


def snakemake(results: Path, *more: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--resources", "gpu=1", "--nolock"]
    command += ["--configfile", "config/smoke.yaml", "--config", f"results={results}", *more]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=1500)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("results")
    done = snakemake(results)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return results / "smoke"


def test_tables_hold_every_method_with_finite_errors(study):
    first, second, third = (pd.read_csv(study / f"tables/table{n}.csv") for n in (1, 2, 3))
    assert set(first.problem) == set(second.problem) == set(third.problem) == PROBLEMS
    baselines = {"base", "ansatz"}  # the base network of each problem, and 1D Burgers' ansatz
    assert set(first.method) == {"pinn", "finetuned", "lora"} | baselines
    assert set(second["mode"]) == {"data", "weights", "distilled", "physics"} | baselines
    ours = first[first["mse"].notna()]
    assert len(ours) == 9 + 4 and np.isfinite(ours["mse"]).all() and (ours["mse"] > 0).all()
    ours = second[second["mse_test"].notna()]
    assert len(ours) == 24 + 4 and np.isfinite(ours["mse_test"]).all()


def test_errors_in_tables_are_those_of_the_bundles(study):
    """One cell recomputed from the bundle and the reference, apart from the evaluation."""
    import pinnlora

    surrogate = pinnlora.load(study / "kovasznay/surrogate/physics/rank1")
    tasks = xr.load_dataset(study / "kovasznay/tasks.nc")
    reference = xr.load_dataset(study / "kovasznay/reference.nc")
    errors = []
    for k in np.flatnonzero(tasks.split.values == "test"):
        fields = surrogate.predict(re=float(tasks.re[k]))
        errors.append(np.mean([((fields[f] - reference[f][k]) ** 2).mean() for f in "uvp"]))
    table = pd.read_csv(study / "tables/table2.csv")
    row = table[
        (table.problem == "kovasznay") & (table["mode"] == "physics") & (table["rank"].astype(str) == "1")
    ]
    assert np.isclose(float(row["mse_test"].iloc[0]), np.mean(errors), rtol=1e-4)


def test_everything_that_should_be_there_is_and_no_pickle(study):
    for name in [*PROBLEMS, "error_against_rank", "error_against_time"]:
        for kind in ("png", "pdf"):
            assert (study / f"figures/{name}.{kind}").stat().st_size > 5000
    files = [path for path in study.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pt", ".pth", ".pkl", ".npy", ".ckpt")]
    evaluation = xr.open_dataset(study / "burgers1d/evaluation.nc")
    assert evaluation.attrs["Conventions"].startswith("CF")
    assert all("long_name" in variable.attrs for variable in evaluation.variables.values())
    assert "commit" in evaluation.attrs["source"]


def test_a_finished_study_has_nothing_left_to_do(study):
    done = snakemake(study.parent, "-n")
    assert "Nothing to be done" in done.stdout + done.stderr
