"""What a user would pick instead: other methods on the same tasks for the same minutes, written to docs/peers.md.

Every cell (problem, method, minutes) is a process of its own with one thread, and results/peers/ keeps what it found;
a rerun does what is missing or was made by other code, and writes the page and its figure from all cells that there
are. Minutes are of the CPU: what else the machine does meanwhile does not count, and on one with nothing else to do
they are those of the clock on the wall.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cells import is_done, read_cells, run_apart, write_cell
from common import HERE, run, where
from peers_page import CELLS, draw, page

from examples import STAGES
from pinnlora.errors import UserError
from pinnlora.files import atomic
from pinnlora.problem.code import fingerprint

TESTED = 20
"""Test tasks, the same as those of the studies."""
OPERATORS = ("pi-deeponet", "deeponet", "fno")


def code_of(method: str) -> str:
    """A fingerprint of what makes a method's cells."""
    if method in OPERATORS:
        return fingerprint(HERE / "peers_operators.py")
    return fingerprint(HERE / "peers_physics.py", *(f"pinnlora.study.jobs.{job}" for job in STAGES))


def place_of(results: Path, problem: str, method: str, minutes: float) -> Path:
    """Where a cell is kept."""
    return results / f"{problem}-{method}-{minutes:g}.json"


def run_cell(name: str, method: str, minutes: float, results: Path) -> None:
    """Train, measure and write one cell."""
    time.perf_counter = time.process_time  # of every clock in this process, the package's own as well
    from peers_methods import METHODS
    from peers_training import seconds_of_one, solved, squared

    from pinnlora.problem.load import load_problem

    code, test = code_of(method), solved(load_problem(name), "test", TESTED)
    peer = METHODS[method](name, minutes, test)
    found = peer.predict(test.values)
    errors, relative = squared(test, found), test.errors(found)
    cell = {
        "problem": name, "method": method, "minutes": minutes, "code": code, "seconds": peer.seconds,
        "mse": float(errors.mean()), "worst_mse": float(errors.max()),
        "relative": float(relative.mean()), "worst_relative": float(relative.max()),
        "one_task": seconds_of_one(peer, test.values), "data_seconds": peer.data_seconds,
        "setting": peer.setting, "tried": peer.tried, "curve": [*peer.curve, (peer.seconds, float(errors.mean()))],
        "where": where() | {package: _installed(package) for package in ("deepxde", "neuraloperator")},
    }  # fmt: skip
    write_cell(place_of(results, name, method, minutes), cell)


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def run_missing(options: argparse.Namespace) -> list[str]:
    """Each cell that is asked for and not there, one process after the other; what failed."""
    failed = []
    for name, method in [(problem, method) for problem in options.problems for method in CELLS[problem]]:
        if options.methods and method not in options.methods:
            continue
        path = place_of(options.results, name, method, options.minutes)
        title = f"{time.strftime('%H:%M:%S')} {name}, {method}, {options.minutes:g} min"
        if is_done(path, code_of(method), 1):
            print(f"{title}: there already", flush=True)
            continue
        command = [sys.executable, __file__, "--results", str(options.results)]
        command += ["--cell", name, method, str(options.minutes)]
        if wrong := run_apart(command, 1):
            failed.append(f"{name} by {method}")
            print(f"{title}: failed\n{wrong}", flush=True)
        else:
            print(f"{title}: done", flush=True)
    return failed


def publish(cells: list[dict[str, Any]], place: Path) -> None:
    """The page, and where there are cells its figure, in the folder of its name beside it."""
    if cells:
        draw(cells, place.with_suffix("") / "errors.png")
    with atomic(place) as temporary:
        temporary.write_text(page(cells))
    print(f"written: {place}")


def main(options: argparse.Namespace) -> None:
    """One cell where --cell names it; else all that are missing, and the page."""
    if options.cell:
        name, method, minutes = options.cell
        return run_cell(name, method, float(minutes), options.results)
    if options.minutes <= 0:
        raise UserError(f"--minutes {options.minutes:g}: expected a number above 0")
    failed = [] if options.page_only else run_missing(options)
    publish(read_cells(options.results), options.page)
    if failed:
        raise UserError(f"these cells failed, see above: {'; '.join(failed)}")


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", choices=CELLS, default=list(CELLS), metavar="NAME")
    methods = sorted({method for each in CELLS.values() for method in each})
    parser.add_argument("--methods", nargs="+", choices=methods, metavar="NAME", help="not all of a problem")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the CPU, each training (5)")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "peers", help="the cells")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "peers.md")
    parser.add_argument("--page-only", action="store_true", help="run nothing, write from what is there")
    parser.add_argument("--cell", nargs=3, metavar=("PROBLEM", "METHOD", "MINUTES"), help="one, here and now")
    parser.set_defaults(threads=1)
    return parser


if __name__ == "__main__":
    run(main, parser())
