"""Another workflow imports this one and runs one problem of it, for real."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

ROOT = Path(__file__).parents[2]
STAGE = {
    "optimiser": "levenberg_marquardt",
    "steps": 3,
    "points": 20,
    "condition_points": 8,
    "report_every": 2,
}
TINY = {
    "study": "tiny",
    "device": "cpu",
    "problems": ["kovasznay", "burgers2d"],
    "lora_ranks": [],
    "hypernetwork_ranks": [1],
    "modes": ["physics"],
    "tasks": {"train": 2, "validation": 1, "test": 1},
    "network": {"width": 8, "hidden_layers": 3},
    "hypernetwork": {"body": [8]},
    "evaluation": {"refine_steps": 0},
    "training": {
        **{name: STAGE for name in ("base", "pinn", "finetuned")},
        "physics": {"steps": 3, "points": 20, "tasks_per_step": 2, "report_every": 2},
    },
}


@pytest.mark.slow
def test_one_problem_of_it_is_run_from_another_workflow(tmp_path):
    (tmp_path / "Snakefile").write_text(
        f'module inner:\n    snakefile: "{ROOT}/Snakefile"\n    config: {TINY!r}\n    prefix: "inside"\n\n'
        "use rule * from inner as inner_*\n\n"
        "rule ours:\n    default_target: True\n"
        '    input: "inside/results/tiny/kovasznay/evaluation.nc"\n    output: "size.txt"\n'
        '    shell: "wc -c < {input} > {output}"\n'
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    for said in ("(100%) done", "Nothing to be done"):
        done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)
        assert done.returncode == 0 and said in done.stdout + done.stderr, done.stdout + done.stderr
    study = tmp_path / "inside/results/tiny"
    errors = xr.load_dataset(study / "kovasznay/evaluation.nc")["mse"].sel(split="test")
    assert np.isfinite(errors.sel({"method": "physics", "rank": "1"}).isel(task=0)).all()
    assert not (study / "burgers2d").exists() and int((tmp_path / "size.txt").read_text()) > 0
