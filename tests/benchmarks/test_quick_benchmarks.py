"""Benchmarks in their quick form, those that take seconds: they run, and report numbers in every row."""

import json
import runpy
import sys
from pathlib import Path

import common
import pytest
import torch

BENCHMARKS = Path(common.__file__).parent
QUICK = {
    "prediction_time": [],  # problems of one field and of several
    "shapes": [],
    "step_time": [],
    "balance": ["--seeds", "1"],
}


@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_runs_in_its_quick_form(name, tmp_path, monkeypatch, capsys):
    """It leaves the results that are kept alone."""
    given = ["--quick", "--threads", str(torch.get_num_threads()), *QUICK[name]]
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *given])
    runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
    (written,) = tmp_path.iterdir()
    rows = json.loads(written.read_text())["rows"]
    assert written.name == f"{name}-quick.json" and rows
    assert all(any(isinstance(value, float) for value in row.values()) for row in rows)
    assert f"| {next(iter(rows[0]))} |" in capsys.readouterr().out
