"""Cells of a benchmark: each is measured by a process of its own and kept as JSON; a rerun does what is missing."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from pinnlora.files import atomic


def is_done(path: Path, code: str, threads: int) -> bool:
    """Whether a cell is there, made by this code with so many threads."""
    with suppress(OSError, ValueError, KeyError):
        cell = json.loads(path.read_text())
        return cell["code"] == code and cell["where"]["threads"] == threads
    return False


def run_apart(command: list[str], threads: int) -> str:
    """Run a program with so many threads; '' where it succeeds, else the last that it said."""
    numbers = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = os.environ | dict.fromkeys(numbers, str(threads))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return f"{done.stdout[-2000:]}{done.stderr[-2000:]}" if done.returncode else ""


def write_cell(path: Path, cell: dict[str, Any]) -> None:
    """All or nothing."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(cell, indent=1) + "\n")


def read_cells(results: Path) -> list[dict[str, Any]]:
    """All cells that there are."""
    return [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
