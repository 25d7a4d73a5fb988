"""docs/ and the README's numbers made anew from a finished study, or refused where its code is not that of HEAD."""

import math
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from pinnlora.errors import UserError
from pinnlora.files import write_text
from pinnlora.report.archive import ARCHIVE, read_archive, stages, write_archive, write_manifest
from pinnlora.report.columns import ERROR, PRINTED_ERROR, Column, frame, markdown, plain
from pinnlora.report.curves import error_against_rank, error_against_time
from pinnlora.report.fields import fields
from pinnlora.report.findings import findings
from pinnlora.report.pages import DISTANCES, UNKNOWN, as_distance, page
from pinnlora.report.solutions import Solution, once, solutions
from pinnlora.report.style import problem_label, save
from pinnlora.report.summaries import (
    compared,
    measured_on,
    per_problem,
    problem,
    read_evaluation,
    reference,
    seeds,
)
from pinnlora.report.tables import PHYSICAL, TABLES, bar

START, END = "<!-- results:start -->", "<!-- results:end -->"
CODE = ("src", "config", "Snakefile", "workflow", ":(exclude)src/pinnlora/report")
"""What evaluations depend on, as git's path patterns; tables and figures are made here, by the code at hand."""
NAME = Column("name", Solution.label, "method")
ERRORS = (
    Column("mse", Solution.mse, "test MSE", ERROR),
    Column("paper", lambda row: math.nan if row.refined else bar(row), "paper", PRINTED_ERROR),
    Column("best_seed", lambda row: row.over_seeds(min), "best seed", ERROR),
    Column("worst_seed", lambda row: row.over_seeds(max), "worst seed", ERROR),
    Column("worst", Solution.worst, "worst task", ERROR),
)
TIMES = (
    Column("seconds", Solution.seconds, "one task alone, s", plain),
    Column("once", once, "trained once before, s", plain),
)
MEASURED = "the mean squared error over grid, fields and test tasks, beside the paper's where it is legible; "


def publish(study: Path, docs: Path, readme: Path) -> None:
    """Tables (.md, .csv), figures (.png), findings.md, study.nc (every task's error) and manifest.json of `study` into
    `docs`, its numbers between the markers of `readme`.

    Of a `study` that was published before only tables and findings are written anew, in its place. Raises UserError,
    and writes nothing, where results or markers are missing, or where the evaluations were not all made by the code
    of HEAD.
    """
    if (study / ARCHIVE).is_file():
        return write_pages(read_archive(study / ARCHIVE), study)
    datasets = finished(study)
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise UserError(f"{readme} has no {START} with {END} below it; put both where the results belong")
    commit = commit_of(datasets, readme.resolve().parent)
    took = stages(study, datasets)
    write_pages(datasets, docs)
    write_archive(datasets, docs / ARCHIVE)
    write_manifest(study, datasets, commit, took, docs / "manifest.json")
    save(error_against_rank(datasets), docs / "error_against_rank.png")
    save(error_against_time(datasets), docs / "error_against_time.png")
    for dataset in datasets:
        save(fields(dataset), docs / f"{problem(dataset)}.png")
    where = Path(os.path.relpath(docs, readme.parent)).as_posix()
    block = results(study.resolve().name, datasets, commit, took, where)
    write_text(readme, f"{before}{start}\n{block}{end}{after}")


def write_pages(datasets: Sequence[xr.Dataset], docs: Path) -> None:
    """What needs nothing but errors, counts and seconds: the tables, as Markdown and CSV, and the findings."""
    for number, table in TABLES.items():
        write_text(docs / f"table{number}.md", page(number, datasets))
        write_text(docs / f"table{number}.csv", table.frame(datasets).to_csv(index=False))
    write_text(docs / "findings.md", findings(datasets))


def finished(study: Path) -> list[xr.Dataset]:
    """The evaluations of a finished study, in the order of its tables."""
    last = study / "tables" / "table3.csv"
    if not last.is_file():
        raise UserError(
            f"{study} is no finished study: it has no {last.relative_to(study)}; run it to the end"
        )
    known = _known(last)
    found = [read_evaluation(study / name / "evaluation.nc") for name in known["problem"].unique()]
    made = TABLES[3].frame(found)
    same = len(made) == len(known) and np.allclose(
        made["mse"], known["mse"], rtol=1e-6, atol=0, equal_nan=True
    )
    if not same:
        raise UserError(f"{last} is not what the evaluations say: run the study to its end again")
    return found


def _known(path: Path) -> pd.DataFrame:
    """Problem and mse of each row of a table; UserError where it is none of a study."""
    try:
        known = pd.read_csv(path, usecols=["problem", "mse"], dtype={"problem": str, "mse": float})
        if known.empty or known["problem"].isna().any():
            raise ValueError("no rows, or one without a problem")
    except (OSError, ValueError) as error:  # what pandas raises is a ValueError
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is no table of a study ({reason}): run the study to its end again") from None
    return known


def commit_of(datasets: Sequence[xr.Dataset], repository: Path) -> str:
    """The commit that made all evaluations; UserError unless it is one, clean, and its code still that of HEAD."""
    again = "run the study again, from a clean checkout"
    commits = {}
    for dataset in datasets:
        source = str(dataset.attrs.get("source", "nothing known"))
        found = re.search(r"\(commit ([0-9a-f]+)\)", source)
        if not found:
            raise UserError(f"{problem(dataset)} was made by {source}: no commit holds that code; {again}")
        commits[problem(dataset)] = found[1]
    if len(set(commits.values())) > 1:
        listed = ", ".join(f"{name} {commit[:9]}" for name, commit in commits.items())
        raise UserError(f"the evaluations were made at several commits: {listed}; {again}")
    commit = next(iter(commits.values()))
    folders = (repository, *repository.parents)  # paths below are from where the code is
    repository = next((path for path in folders if (path / "src" / "pinnlora").is_dir()), repository)
    changed = _git(repository, "status", "--porcelain", "--", "src", *CODE[1:4])
    if changed.stdout:
        raise UserError(f"changed and not committed: {changed.stdout.split()[1]}; commit it, then {again}")
    differing = _git(repository, "diff", "--name-only", commit, "HEAD", "--", *CODE)
    if differing.returncode:
        raise UserError(f"the study was made at commit {commit}, which {repository} does not have; {again}")
    if differing.stdout:
        first = differing.stdout.splitlines()[0]
        raise UserError(f"the study was made at commit {commit[:9]}, but {first} has changed since; {again}")
    return commit


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True)


def results(
    study: str, datasets: Sequence[xr.Dataset], commit: str, took: dict[str, dict[str, float]], docs: str
) -> str:
    """The README's block: a figure, where the numbers come from, a small table a problem. `took` is of `stages`."""
    parts = [
        f"![test error against rank, ours filled, the paper's hollow]({docs}/error_against_rank.png)",
        f"Study `{study}` at commit {commit[:9]}, {per_problem(datasets, seeds)}, on "
        f"{per_problem(datasets, measured_on)}{_duration(took)}. At the rank of the figures: "
        f"{MEASURED if any(map(compared, datasets)) else ''}wall seconds of one new task alone, and of what was "
        f"trained before it. All tables and figures, every task's error and what each stage took: [{docs}]({docs}).",
    ]
    for dataset in datasets:
        about, errors = _accuracy(dataset)
        table = markdown(columns := [NAME, *errors, *TIMES], frame(columns, solutions(dataset))).rstrip()
        parts += filter(None, [f"**{problem_label(problem(dataset))}**", about, table])
    return "\n\n".join(parts) + "\n"


def _accuracy(dataset: xr.Dataset) -> tuple[str, Sequence[Column]]:
    """How a problem's solutions are judged: what is to be said of that, and the columns."""
    if not compared(dataset):
        return UNKNOWN, PHYSICAL
    if reference(dataset) == "refined":
        return DISTANCES, [as_distance(column) for column in ERRORS]
    return "", ERRORS


def _duration(took: dict[str, dict[str, float]]) -> str:
    """`; the wall times of its jobs add up to 41 minutes`, empty where no record of them is kept; `at least` where what
    jobs had used before they were killed is not known."""
    if not took:
        return ""
    wall, processor = (
        sum(stage[kind] for stage in took.values()) / 60 for kind in ("seconds", "CPU seconds")
    )
    least = "at least " if any(stage["resumed"] for stage in took.values()) else ""
    return (
        f"; the wall times of its jobs, several of which may have run side by side, add up to {wall:.0f} minutes, "
        f"their CPU times to {least}{processor:.0f}"
    )
