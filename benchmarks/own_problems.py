"""Any equation by budget: errors of the examples after some minutes without a config, beside DeepXDE's.

Every cell (problem, method, minutes) is a process of its own, and results/own_problems/ keeps what it found; a rerun
does what is missing or was made by other code, and writes docs/own_problems.md from all cells that there are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NamedTuple

from common import HERE, run, where

from pinnlora.errors import UserError
from pinnlora.files import atomic
from pinnlora.problem.code import fingerprint
from pinnlora.problem.load import load_problem

EXAMPLES = HERE.parent / "examples"
METHODS = ("pinnlora", "deepxde")
STAGES = ("train", "check", "tasks", "fit", "reference", "hypernetwork")
"""The jobs behind `pinnlora train`, all of whose code makes its cells."""
OWN = ("own_methods.py", "own_truth.py", "opponents.py")


class Entry(NamedTuple):
    """A problem of the benchmark: its file is examples/<name>.py."""

    cls: str
    target: float


LINEAR, OTHER = 1e-4, 1e-3
PROBLEMS = {
    "heat": Entry("Heat", LINEAR),
    "fisher_kpp": Entry("FisherKPP", OTHER),
    "allen_cahn": Entry("AllenCahn", OTHER),
    "poisson": Entry("Poisson", LINEAR),
    "convection_diffusion": Entry("ConvectionDiffusion", LINEAR),
    "wave": Entry("Wave", LINEAR),
    "schroedinger": Entry("Schroedinger", LINEAR),
    "heat2d": Entry("Heat2D", LINEAR),
}
"""Relative L2 errors to be reached: tighter where the equation is linear."""


def code_of(name: str, method: str) -> str:
    """A fingerprint of what makes a cell: DeepXDE's does not change with how pinnlora trains."""
    roots = [f"pinnlora.study.jobs.{job}" for job in STAGES]
    files = (EXAMPLES / f"{name}.py", *(HERE / own for own in OWN))
    return fingerprint(*(roots if method == "pinnlora" else ["pinnlora.problem.base"]), files=files)


def place_of(results: Path, name: str, method: str, minutes: float) -> Path:
    """Where a cell is kept."""
    return results / f"{name}-{method}-{minutes:g}.json"


def is_done(path: Path, code: str, threads: int) -> bool:
    """Whether a cell is there, made by this code with so many threads."""
    with suppress(OSError, ValueError, KeyError):
        cell = json.loads(path.read_text())
        return cell["code"] == code and cell["where"]["threads"] == threads
    return False


def run_cell(name: str, method: str, minutes: float, results: Path) -> None:
    """Train, measure and write one cell; the threads are those that torch was given."""
    from own_methods import METHODS as WAYS
    from own_truth import truth_of

    code, spec = code_of(name, method), f"{EXAMPLES / name}.py:{PROBLEMS[name].cls}"
    trained = WAYS[method](spec, minutes)
    truth = truth_of(load_problem(spec))
    errors = truth.errors(trained.predict(truth.values, truth.points))
    cell = {
        "problem": name, "method": method, "minutes": minutes, "code": code,
        "mean": float(errors.mean()), "worst": float(errors.max()),
        "seconds": trained.seconds, "verdict": trained.verdict, "setting": trained.setting,
        "truth": truth.kind, "truth_error": truth.error,
        "tasks": {key: value.tolist() for key, value in truth.values.items()}, "errors": errors.tolist(),
        "where": where() | {"deepxde": _installed("deepxde")},
    }  # fmt: skip
    with atomic(place_of(results, name, method, minutes)) as temporary:
        temporary.write_text(json.dumps(cell, indent=1) + "\n")


def _installed(package: str) -> str:
    try:
        return installed(package)
    except PackageNotFoundError:
        return "not installed"


def run_missing(options: argparse.Namespace) -> list[str]:
    """Each cell that is asked for and not there, one process after the other; what failed."""
    cells = [(n, m, t) for t in options.minutes for n in options.problems for m in options.methods]
    numbers = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = os.environ | dict.fromkeys(numbers, str(options.threads))
    failed = []
    for name, method, minutes in cells:
        title, path = f"{name}, {method}, {minutes:g} min", place_of(options.results, name, method, minutes)
        if is_done(path, code_of(name, method), options.threads):
            print(f"{title}: there already", flush=True)
            continue
        command = [
            sys.executable,
            __file__,
            "--threads",
            str(options.threads),
            "--results",
            str(options.results),
        ]
        command += ["--cell", name, method, str(minutes)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            failed.append(title)
            print(f"{title}: failed\n{done.stdout[-2000:]}{done.stderr[-2000:]}", flush=True)
        else:
            cell = json.loads(path.read_text())
            print(f"{title}: mean {cell['mean']:.1e}, worst {cell['worst']:.1e}", flush=True)
    return failed


def read_cells(results: Path) -> list[dict[str, Any]]:
    """All cells that there are, each with `current`: made by the code as it is now."""
    cells = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    return [cell | {"current": cell["code"] == code_of(cell["problem"], cell["method"])} for cell in cells]


def main(options: argparse.Namespace) -> None:
    """One cell where --cell names it; else all that are missing, and the page."""
    if options.cell:
        name, method, minutes = options.cell
        return run_cell(name, method, float(minutes), options.results)
    from own_page import page

    failed = [] if options.page_only else run_missing(options)
    targets = {name: entry.target for name, entry in PROBLEMS.items()}
    with atomic(options.page) as temporary:
        temporary.write_text(page(read_cells(options.results), targets, options.minutes))
    print(f"written: {options.page}")
    if failed:
        raise UserError(f"these cells failed, see above: {'; '.join(failed)}")


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), metavar="NAME")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--minutes", nargs="+", type=float, default=[2.0, 5.0])
    parser.add_argument("--threads", type=int, default=2, help="of each training (2)")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "own_problems", help="the cells")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "own_problems.md")
    parser.add_argument(
        "--page-only", action="store_true", help="run nothing, write the page from what is there"
    )
    parser.add_argument(
        "--cell", nargs=3, metavar=("PROBLEM", "METHOD", "MINUTES"), help="one cell, here and now"
    )
    return parser


if __name__ == "__main__":
    run(main, parser())
