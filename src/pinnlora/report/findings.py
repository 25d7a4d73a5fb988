"""What a study says to the paper's claims, read off its evaluations: ranks, modes, weight regression, worst tasks,
floors, and what is still above the paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pinnlora.report.columns import ERROR, PRINTED_ERROR, Column, frame, markdown, plain
from pinnlora.report.pages import DISTANCES, floor
from pinnlora.report.solutions import Solution, solutions
from pinnlora.report.style import method_label, problem_label, row_label
from pinnlora.report.summaries import (
    Row,
    family,
    is_hypernetwork,
    mean,
    paper,
    per_problem,
    problem,
    reference,
    rows,
    seeds,
    shown,
)
from pinnlora.report.tables import bar
from pinnlora.train.settings import MODES

RANKED = ("lora", *MODES)
"""Methods that are trained at several ranks."""


@dataclass(frozen=True)
class Ranked:
    """One method of one problem at its ranks: `best` has the least mean test error among the numbered ones."""

    dataset: xr.Dataset
    method: str
    at: dict[str, Row]

    @property
    def best(self) -> Row:
        """The rank with the least error."""
        return min(self.at.values(), key=Row.mse)

    def told(self, key: str) -> Any:
        """The paper's best rank, or its error; NaN where it has none, or the print of one is damaged."""
        table = paper(1) if self.method == "lora" else paper(2)
        own = (table["problem"] == family(self.dataset)) & (table["method"] == self.method)
        printed = table[own & (table["rank"] != "full")]
        if printed.empty or ("legible" in printed and (printed["legible"] != "yes").any()):
            return math.nan
        return printed.sort_values("mse_test").iloc[0][key]

    def below(self) -> str:
        """With how many seeds the best rank is below rank 4, so far as that is known."""
        if "4" not in self.at or self.best.rank == "4":
            return ""
        four, best = ([mean(own) for own in row.errors_by_seed()] for row in (self.at["4"], self.best))
        if len(four) < 2 or len(four) != len(best):
            return ""
        return f"{sum(b < a for a, b in zip(four, best, strict=True))} of {len(four)}"


def findings(datasets: Sequence[xr.Dataset]) -> str:
    """The page: a table to each question."""
    ranked = [found for dataset in datasets for found in ranked_of(dataset)]
    every = [row for dataset in datasets for row in rows(dataset) if row.errors().size]
    distances = [problem_label(problem(each)) for each in datasets if reference(each) == "refined"]
    about = f" {', '.join(distances)}: {DISTANCES}" if distances else ""
    parts = [
        "# What the study says",
        f"Read off its evaluations by the code, {per_problem(datasets, seeds)}. Errors are mean squared errors over "
        f"grid, fields, test tasks and seeds.{about}",
        "## Is rank 4 the best?",
        "The rank with the least error among the numbered ones, and with how many seeds it is below rank 4. A dash "
        "stands for the paper's where a cell of the method is damaged in print.",
        table(RANKS, [found for found in ranked if len(found.at) > 1]),
        "## How do the modes compare, each at its best rank?",
        table(COMPARED, [found for found in ranked if found.method in MODES]),
        "## Does weight regression fail?",
        "It learns the same teachers' weights whose solutions `distilled` learns, at the same rank.",
        table(REGRESSION, [row for row in every if row.method == "weights"]),
        "## Which task is worst?",
        "At the rank of the figures: the worst task of the first seed, with how many seeds it is the worst, and the "
        "largest error of any task and seed.",
        table(WORST, [row for dataset in datasets for row in shown(dataset) if row.errors().size]),
        "## Where are the floors?",
        "No error can be told from these. Beside them the least error of all, refined solutions included.",
        table(
            FLOORS,
            [_least(dataset) for dataset in datasets if any(row.errors().size for row in rows(dataset))],
        ),
        "## What is above the paper?",
        "Rows of tables 1 and 2 whose cell is legible in the paper and lower than ours.",
        table(ABOVE, [row for row in every if row.mse() > bar(row)]),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def table(columns: Sequence[Column], of: Sequence) -> str:
    """A table in Markdown, a sentence where there is no row."""
    return markdown(columns, frame(columns, of)) if of else "None."


def ranked_of(dataset: xr.Dataset) -> list[Ranked]:
    """The methods of a problem that have a rank, with those of their rows whose rank is a number."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows(dataset):
        if row.method in RANKED and row.rank.isdigit() and row.errors().size:
            found.setdefault(row.method, {})[row.rank] = row
    return [Ranked(dataset, method, at) for method, at in found.items()]


def _least(dataset: xr.Dataset) -> Row:
    return min((row for row in (*rows(dataset), *solutions(dataset)) if row.errors().size), key=Row.mse)


def _label(row: Row) -> str:
    return row.label() if isinstance(row, Solution) and row.refined else row_label(row.method, row.rank)


def _name(of: Row | Ranked) -> str:
    return problem_label(problem(of.dataset))


def _taught(row: Row) -> float:
    """The error of `distilled` at the same rank."""
    same = Row(row.dataset, "distilled", row.rank)
    return mean(same.errors()) if "distilled" in row.dataset["method"] else math.nan


def worst_task(row: Row) -> tuple[int, int, int]:
    """The number of the worst task of the first seed, with how many seeds it is the worst one, and of how many."""
    places = [int(np.nanargmax(errors)) for errors in row.padded()]
    return places[0], places.count(places[0]), len(places)


def _task(row: Row) -> str:
    """`re = 20.4`, or the number of a task that is a function."""
    number = worst_task(row)[0]
    names = [str(name) for name in row.dataset.data_vars if str(name).startswith("task_")]
    values = [
        f"{name.removeprefix('task_')} = {float(row.dataset[name].sel(split='test')[number]):.3g}"
        for name in names
    ]
    return ", ".join(values) or f"task {number}"


NAME = Column("problem", _name, "problem")
METHOD = Column("method", lambda of: method_label(of.method), "method")
ROW = Column("row", lambda row: row_label(row.method, row.rank), "row")
RANKS = (
    NAME,
    METHOD,
    Column("best_rank", lambda of: of.best.rank, "best rank"),
    Column("mse", lambda of: of.best.mse(), "its MSE", ERROR),
    Column("mse_4", lambda of: of.at["4"].mse() if "4" in of.at else math.nan, "rank 4", ERROR),
    Column("seeds", Ranked.below, "below rank 4 with"),
    Column("paper_rank", lambda of: of.told("rank"), "paper's best rank"),
    Column("paper", lambda of: of.told("mse_test"), "its MSE there", PRINTED_ERROR),
)
COMPARED = (
    NAME,
    Column("mode", lambda of: of.method, "mode"),
    Column("rank", lambda of: of.best.rank, "rank"),
    Column("mse", lambda of: of.best.mse(), "MSE", ERROR),
    Column("best_seed", lambda of: of.best.over_seeds(min), "best seed", ERROR),
    Column("worst_seed", lambda of: of.best.over_seeds(max), "worst seed", ERROR),
    Column("worst", lambda of: of.best.worst(), "worst task", ERROR),
    Column("paper", lambda of: of.told("mse_test"), "paper's best", PRINTED_ERROR),
)
REGRESSION = (
    NAME,
    Column("rank", lambda row: row.rank, "rank"),
    Column("weights", Row.mse, "weights", ERROR),
    Column("distilled", _taught, "distilled", ERROR),
    Column("ratio", lambda row: row.mse() / _taught(row), "weights / distilled", plain),
    Column("paper", bar, "paper, weights", PRINTED_ERROR),
)
WORST = (
    NAME,
    ROW,
    Column("task", _task, "worst task"),
    Column("seeds", lambda row: "{1} of {2}".format(*worst_task(row)) if is_hypernetwork(row) else "", "seeds"),
    Column("mse", Row.worst, "largest MSE", ERROR),
    Column("ratio", lambda row: row.worst() / float(np.median(row.errors())), "times the median", plain),
)  # fmt: skip
FLOORS = (
    NAME,
    Column("reference", lambda row: floor(row.dataset, "reference"), "of the reference"),
    Column("grid", lambda row: floor(row.dataset, "grid"), "of the grid"),
    Column("precision", lambda row: floor(row.dataset, "precision"), "of the precision"),
    Column("mse", Row.mse, "least error", ERROR),
    Column("row", _label, "of"),
)
ABOVE = (
    NAME,
    ROW,
    Column("mse", Row.mse, "MSE", ERROR),
    Column("paper", bar, "paper", PRINTED_ERROR),
    Column("ratio", lambda row: row.mse() / bar(row), "ours / paper", plain),
)
