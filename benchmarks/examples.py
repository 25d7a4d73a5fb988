"""Every example by budget: trained for some minutes without a config, measured, drawn, written to docs/examples.md.

Every cell (problem, method, minutes) is a process of its own, and results/examples/ keeps what it found; a rerun
does what is missing or was made by other code, and writes the page from all cells that there are.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cells import is_done, read_cells, run_apart, write_cell
from common import HERE, run, where

from pinnlora.errors import UserError
from pinnlora.files import atomic
from pinnlora.problem.code import fingerprint
from pinnlora.problem.load import load_problem

if TYPE_CHECKING:
    from examples_page import Example

EXAMPLES = HERE.parent / "examples"
METHODS = ("pinnlora", "deepxde")
STAGES = ("train", "check", "tasks", "fit", "reference", "hypernetwork")
"""The jobs behind `pinnlora train`, all of whose code makes its cells."""
OWN = ("examples_methods.py", "examples_truth.py", "opponents.py", "truths/__init__.py")


class Entry(NamedTuple):
    """A problem of the benchmark: its file is examples/<name>.py; its truth exact, or a module of truths/; whether
    DeepXDE is asked as well."""

    cls: str
    target: float
    truth: str = "exact"
    beside: bool = False


LINEAR, OTHER = 1e-4, 1e-3
PROBLEMS = {
    "heat": Entry("Heat", LINEAR, beside=True),
    "fisher_kpp": Entry("FisherKPP", OTHER, "lines", beside=True),
    "allen_cahn": Entry("AllenCahn", OTHER, "lines", beside=True),
    "poisson": Entry("Poisson", LINEAR, beside=True),
    "l_shape": Entry("LShape", LINEAR),
    "annulus": Entry("Annulus", LINEAR),
    "convection_diffusion": Entry("ConvectionDiffusion", LINEAR, beside=True),
    "helmholtz": Entry("Helmholtz", LINEAR),
    "wave": Entry("Wave", LINEAR, beside=True),
    "schroedinger": Entry("Schroedinger", LINEAR, beside=True),
    "korteweg_de_vries": Entry("KortewegDeVries", OTHER),
    "clamped_plate": Entry("ClampedPlate", LINEAR),
    "kuramoto_sivashinsky": Entry("KuramotoSivashinsky", OTHER, "film"),
    "heat2d": Entry("Heat2D", LINEAR, beside=True),
    "heat_disk": Entry("HeatDisk", LINEAR),
    "poisson_ball": Entry("PoissonBall", LINEAR),
    "plate_with_hole": Entry("PlateWithHole", LINEAR),
    "cylinder": Entry("Cylinder", OTHER, "flow"),
    "darcy": Entry("Darcy", OTHER, "seepage"),
}
"""Relative L2 errors to be reached: tighter where the equation is linear and has an exact solution."""


def code_of(name: str, method: str) -> str:
    """A fingerprint of what makes a cell: DeepXDE's does not change with how pinnlora trains."""
    roots = [f"pinnlora.study.jobs.{job}" for job in STAGES]
    truth = [f"truths/{PROBLEMS[name].truth}.py"] if PROBLEMS[name].truth != "exact" else []
    files = (EXAMPLES / f"{name}.py", *(HERE / own for own in (*OWN, *truth)))
    return fingerprint(*(roots if method == "pinnlora" else ["pinnlora.problem.base"]), files=files)


def place_of(results: Path, name: str, method: str, minutes: float) -> Path:
    """Where a cell is kept."""
    return results / f"{name}-{method}-{minutes:g}.json"


def run_cell(name: str, method: str, minutes: float, results: Path, pictures: Path) -> None:
    """Train, measure, draw and write one cell; the threads are those that torch was given."""
    from examples_methods import METHODS as WAYS
    from examples_pictures import draw
    from examples_truth import truth_of

    entry, code = PROBLEMS[name], code_of(name, method)
    spec = f"{EXAMPLES / name}.py:{entry.cls}"
    trained, problem = WAYS[method](spec, minutes), load_problem(spec)
    truth = truth_of(problem, entry.truth)
    found = trained.predict(truth.values, truth.points)
    errors = truth.errors(found)
    asked = (
        getattr(import_module(f"truths.{entry.truth}"), "quantities", None)
        if entry.truth != "exact"
        else None
    )
    cell = {
        "problem": name, "method": method, "minutes": minutes, "code": code,
        "mean": float(errors.mean()), "worst": float(errors.max()),
        "seconds": trained.seconds, "verdict": trained.verdict, "setting": trained.setting,
        "truth": truth.solved.kind, "truth_error": truth.solved.error,
        "tasks": {key: value.tolist() for key, value in truth.values.items()}, "errors": errors.tolist(),
        "quantities": asked(trained.surrogate) if asked and trained.surrogate else [],
        "where": where() | {"deepxde": _installed("deepxde")},
    }  # fmt: skip
    if method == "pinnlora":
        cell["picture"] = draw(problem, truth, found, errors, pictures / f"{name}-{minutes:g}.png")
    write_cell(place_of(results, name, method, minutes), cell)


def _installed(package: str) -> str:
    try:
        return installed(package)
    except PackageNotFoundError:
        return "not installed"


def run_missing(options: argparse.Namespace) -> list[str]:
    """Each cell that is asked for and not there, one process after the other; what failed."""
    cells = [
        (name, method, minutes)
        for minutes in options.minutes
        for name in options.problems
        for method in options.methods
        if method == "pinnlora" or PROBLEMS[name].beside
    ]
    failed = []
    for name, method, minutes in cells:
        title, path = f"{name}, {method}, {minutes:g} min", place_of(options.results, name, method, minutes)
        if is_done(path, code_of(name, method), options.threads):
            print(f"{title}: there already", flush=True)
            continue
        command = [sys.executable, __file__, "--threads", str(options.threads)]
        command += ["--results", str(options.results), "--pictures", str(options.pictures)]
        command += ["--cell", name, method, str(minutes)]
        if wrong := run_apart(command, options.threads):
            failed.append(title)
            print(f"{title}: failed\n{wrong}", flush=True)
        else:
            cell = json.loads(path.read_text())
            print(f"{title}: mean {cell['mean']:.1e}, worst {cell['worst']:.1e}", flush=True)
    return failed


def described() -> dict[str, Example]:
    """What the page says of each problem, from its class."""
    from examples_page import Example

    found = {}
    for name, entry in PROBLEMS.items():
        problem = load_problem(f"{EXAMPLES / name}.py:{entry.cls}")
        about = sys.modules[type(problem).__module__].__doc__ or ""
        found[name] = Example(
            entry.target, about.partition("\n")[0], problem.title, problem.task.description, entry.beside
        )
    return found


def main(options: argparse.Namespace) -> None:
    """One cell where --cell names it; else all that are missing, and the page."""
    if options.cell:
        name, method, minutes = options.cell
        return run_cell(name, method, float(minutes), options.results, options.pictures)
    from examples_page import page

    failed = [] if options.page_only else run_missing(options)
    with atomic(options.page) as temporary:
        temporary.write_text(page(read_cells(options.results), described(), options.minutes))
    print(f"written: {options.page}")
    if failed:
        raise UserError(f"these cells failed, see above: {'; '.join(failed)}")


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), metavar="NAME")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["pinnlora"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[5.0])
    parser.add_argument("--threads", type=int, default=2, help="of each training (2)")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "examples", help="the cells")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "examples.md")
    parser.add_argument("--pictures", type=Path, default=HERE.parent / "docs" / "examples", help="one a cell")
    parser.add_argument(
        "--page-only", action="store_true", help="run nothing, write the page from what is there"
    )
    parser.add_argument(
        "--cell", nargs=3, metavar=("PROBLEM", "METHOD", "MINUTES"), help="one cell, here and now"
    )
    return parser


if __name__ == "__main__":
    run(main, parser())
