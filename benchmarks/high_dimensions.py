"""Many dimensions: a step's time and memory, errors after equal times, problems and a family after some minutes.

Every cell is a process of its own with one thread, and results/high_dimensions/ keeps what it found; a rerun does what
is missing, was made by other code or in other time, and writes the tables of docs/high-dimensions.md from all cells
that there are. Seconds are of the CPU: what else the machine does meanwhile does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from common import HERE, run, where
from high_dimensions_figure import draw
from high_dimensions_page import publish, table
from high_dimensions_problems import CASES, MUS, of_family, of_problem
from high_dimensions_races import BELLMAN, SINE
from high_dimensions_training import NO_EQUATION, trained
from high_dimensions_ways import DIMENSIONS, METHODS, measured

from pinnlora.errors import UserError
from pinnlora.files import atomic
from pinnlora.problem.code import fingerprint

EXAMPLES = HERE.parent / "examples"
ROOTS = {"steps": "ways", "errors": "training", "problems": "problems", "family": "problems"}
RACED = ((BELLMAN, 250), (BELLMAN, 100), (SINE, 100), (BELLMAN, 10), (BELLMAN, 2))
"""Problems and dimensions of the errors after equal times, the most telling first."""
SHORT, SHARE = 10, 1 / 6
"""Up to so many dimensions a race has that share of the time: errors are small long before."""
CELLS = (
    *(f"steps-{dimension}" for dimension in DIMENSIONS),
    *(f"errors-{name}-{dimension}-{method}" for name, dimension in RACED for method in METHODS),
    *(f"errors-{name}-{dimension}-{NO_EQUATION}" for name, dimension in RACED if name == BELLMAN),
    *(f"problems-{name}" for name in CASES),
    *(f"family-{which}" for which in ("all", *(f"{mu:g}" for mu in MUS))),
)


@cache
def code_of(kind: str) -> str:
    """A fingerprint of what makes the cells of a kind."""
    files = [EXAMPLES / f"{case.file}.py" for case in CASES.values()] if kind == "problems" else []
    files += [EXAMPLES / "hamilton_jacobi_bellman.py"]
    files += [EXAMPLES / "sine_gordon.py"] if kind == "errors" else []
    files += sorted({case.config for case in CASES.values()}) if kind in ("problems", "family") else []
    return fingerprint(HERE / f"high_dimensions_{ROOTS[kind]}.py", files=tuple(dict.fromkeys(files)))


def is_done(path: Path, kind: str, seconds: float) -> bool:
    """Whether a cell is there, made by this code in so many seconds."""
    with suppress(OSError, ValueError, KeyError):
        cell = json.loads(path.read_text())
        return cell["code"] == code_of(kind) and (kind == "steps" or cell["seconds"] == seconds)
    return False


def run_cell(name: str, options: argparse.Namespace) -> None:
    """Measure and write one cell."""
    kind, *what = name.split("-")
    if kind == "steps":
        found = measured(int(what[0]), options.rounds)
    elif kind == "errors":
        problem, dimension, method = what[0], int(what[1]), what[2]
        share = SHARE if dimension <= SHORT else 1.0
        found = trained(method, problem, dimension, share * options.seconds)
    else:
        found = (of_problem if kind == "problems" else of_family)(what[0], options.seconds)
    cell = {"cell": name, "kind": kind, "seconds": options.seconds, "code": code_of(kind), **found}
    with atomic(options.results / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(cell | {"where": where()}, indent=1) + "\n")


def run_missing(options: argparse.Namespace) -> list[str]:
    """Each cell that is asked for and not there, one process after the other; what failed."""
    numbers = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment, failed = os.environ | dict.fromkeys(numbers, "1"), []
    for name in options.cells:
        if is_done(options.results / f"{name}.json", name.split("-")[0], options.seconds):
            continue
        command = [sys.executable, __file__, "--cell", name, "--results", str(options.results)]
        command += ["--seconds", str(options.seconds), "--rounds", str(options.rounds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            failed.append(name)
        print(f"{time.strftime('%H:%M:%S')} {name}{': failed' if done.returncode else ''}", flush=True)
        print(done.stderr[-2000:] if done.returncode else "", end="", flush=True)
    return failed


def read_cells(results: Path) -> dict[str, dict[str, Any]]:
    """All cells that there are, by name."""
    found = {name: results / f"{name}.json" for name in CELLS}
    return {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}


def main(options: argparse.Namespace) -> None:
    """One cell where --cell names it; else all that are missing, their table, and the page."""
    if options.cell:
        return run_cell(options.cell, options)
    failed = [] if options.page_only else run_missing(options)
    cells = read_cells(options.results)
    publish(options.page, cells)
    draw(cells, options.page.with_suffix(".png"))
    with atomic(options.table) as temporary:
        table(cells).to_csv(temporary, index=False)
    print(f"written: {options.page}, {options.table}")
    if failed:
        raise UserError(f"these cells failed, see above: {'; '.join(failed)}")


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS, metavar="NAME", help="not all")
    parser.add_argument("--seconds", type=float, default=120.0, help="of the CPU, each training (120)")
    parser.add_argument("--rounds", type=int, default=15, help="timed steps, fewer in many dimensions (15)")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "high_dimensions")
    parser.add_argument("--table", type=Path, default=HERE / "results" / "high_dimensions.csv")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "high-dimensions.md")
    parser.add_argument("--page-only", action="store_true", help="run nothing, write from what is there")
    parser.add_argument("--cell", choices=CELLS, metavar="NAME", help="one cell, here and now")
    parser.set_defaults(threads=1)
    return parser


if __name__ == "__main__":
    run(main, parser())
