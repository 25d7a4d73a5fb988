"""The paper's three tables with our numbers beside the printed ones: what stands in each column.

Seconds of different machines are never divided, nor seconds that lead to different errors.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from pinnlora.report.budgets import budget, exceptions, trial_function
from pinnlora.report.columns import ERROR, PRINTED, PRINTED_ERROR, WHOLE, Column, frame, plain
from pinnlora.report.counts import counts
from pinnlora.report.solutions import Solution, once, solutions
from pinnlora.report.style import row_label
from pinnlora.report.summaries import Row, is_hypernetwork, mean, problem, reference, rows
from pinnlora.study.names import BASELINES


@dataclass(frozen=True)
class Table:
    """A table: the rows that a dataset has in it, its columns, those that only the CSV has (`keys`) first, then
    those of each of its `parts` in Markdown, which all begin with `name`; notes at the end."""

    rows: Callable[[xr.Dataset], list]
    keys: tuple[Column, ...]
    name: Column
    parts: tuple[tuple[Column, ...], ...]
    notes: Callable[[Sequence[xr.Dataset]], list[str]]

    def frame(self, datasets: Sequence[xr.Dataset]) -> pd.DataFrame:
        """All problems below each other, a column a key; NaN where there is no number."""
        columns = [*self.keys, self.name, *(column for part in self.parts for column in part)]
        return frame(columns, [row for dataset in datasets for row in self.rows(dataset)])


def _number(key: str, header: str = "", show=plain) -> Column:
    return Column(key, lambda row: row.number(key), header, show)


def _printed(table: int, key: str, name: str, header: str = "paper", show=PRINTED_ERROR) -> Column:
    return Column(key, lambda row: row.printed(table).get(name, math.nan), header, show)


def print_quality(row: Row) -> str:
    """How far the paper's row of Table 2 can serve as a bar: ok, damaged and/or unfinished, "" without one."""
    printed_row = row.printed(2)
    words = ["damaged"] if printed_row.get("legible") == "no" else []
    words += ["unfinished"] if row.rank == "full" else []
    return (" ".join(words) or "ok") if printed_row else ""


def bar(row: Row) -> float:
    """The paper's test error where it can be compared with: a legible cell, and not of an unfinished row."""
    if not is_hypernetwork(row):
        return row.printed(1).get("mse_test", math.nan)
    return row.printed(2)["mse_test"] if print_quality(row) == "ok" else math.nan


def _ratio(row: Row) -> float:
    return row.mse() / bar(row)


def _seconds_printed(row: Row) -> float:
    own = row.printed(1)
    return own.get("seconds_per_epoch", math.nan) * own.get("epochs", math.nan)


def _row_notes(chosen: Callable, *first: str) -> Callable[[Sequence[xr.Dataset]], list[str]]:
    def notes(datasets: Sequence[xr.Dataset]) -> list[str]:
        groups = [chosen(dataset) for dataset in datasets]
        return [*first, *(note for group in groups for note in [*exceptions(group), *counts(group)])]

    return notes


PROBLEM = Column("problem", lambda row: problem(row.dataset))
RANK = Column("rank", lambda row: row.rank)
TASKS = Column("tasks", lambda row: row.tasks())
FAILED = Column("failed", lambda row: row.failed())
REFERENCE = Column("reference", lambda row: reference(row.dataset))
PHYSICAL = (
    Column("residual", lambda row: mean(row.errors(variable="residual")), "residual", ERROR),
    Column("mismatch", lambda row: mean(row.errors(variable="mismatch")), "mismatch", ERROR),
)
PARAMETERS = _number("parameters", "parameters", WHOLE)
BUDGET = Column("budget", budget, "budget")
TRIAL = Column("trial_function", trial_function, "trial function")
ITERATIONS = _number("iterations", "iterations", WHOLE)
SECONDS = _number("seconds", "training, s")
BASE = _number("seconds_base", "base, s")
OTHERS = "Our seconds and the paper's come from different machines; their ratio would mean nothing."


def _single(dataset: xr.Dataset) -> list[Row]:
    return [row for row in rows(dataset) if not is_hypernetwork(row)]


def _hypernetworks(dataset: xr.Dataset) -> list[Row]:
    own = [row for row in rows(dataset) if is_hypernetwork(row)]
    return [row for row in rows(dataset) if row.method in BASELINES] + own if own else []


PER_TASK = Table(
    rows=_single,
    keys=(PROBLEM, Column("method", lambda row: row.method), RANK, TASKS, FAILED, REFERENCE),
    name=Column("name", lambda row: row_label(row.method, row.rank), "method"),
    parts=(
        (
            PARAMETERS,
            _printed(1, "parameters_paper", "parameters", show=PRINTED),
            Column("mse", Row.mse, "MSE", ERROR),
            _printed(1, "mse_paper", "mse_test"),
            Column("ratio", _ratio, "ours / paper", plain),
            Column("mse_median", lambda r: np.median(r.errors()) if r.errors().size else math.nan, "median", ERROR),
            Column("mse_worst", Row.worst, "worst", ERROR),
            Column("relative_l2", lambda row: mean(row.errors(variable="relative_l2")), "rel. L2", ERROR),
            *PHYSICAL,
        ),
        (
            BUDGET,
            ITERATIONS,
            SECONDS,
            BASE,
            Column("seconds_paper", _seconds_printed, "paper, s a task on P100", PRINTED),
            TRIAL,
        ),
    ),
    notes=_row_notes(_single, OTHERS),
)  # fmt: skip

UNFINISHED = (
    "(unfinished): at full rank an epoch takes up to 67.6 s in the paper, so these rows were probably not "
    "trained to the end there; being below them says little, and no ratio is given."
)
WORDS = {"damaged": "damaged print", "unfinished": "unfinished"}


def _quality(value: str) -> str:
    return ", ".join(f"({WORDS[word]})" for word in value.split() if word in WORDS)


def _beside(split: str, key: str, printed_key: str) -> tuple[Column, Column]:
    return (
        Column(f"mse_{key}", lambda row: mean(row.errors(split)), split, ERROR),
        _printed(2, f"mse_{key}_paper", printed_key),
    )


HYPERNETWORKS = Table(
    rows=_hypernetworks,
    keys=(PROBLEM, Column("mode", lambda row: row.method), RANK, TASKS, FAILED, REFERENCE),
    name=Column("name", lambda row: row_label(row.method, row.rank), "mode"),
    parts=(
        (
            *_beside("train", "train", "mse_train"),
            *_beside("validation", "validation", "mse_valid"),
            *_beside("test", "test", "mse_test"),
            Column("ratio_test", _ratio, "ours / paper", plain),
            Column("mse_test_best_seed", lambda row: row.over_seeds(min), "best seed", ERROR),
            Column("mse_test_worst_seed", lambda row: row.over_seeds(max), "worst seed", ERROR),
            Column("print", print_quality, "the paper's row", _quality),
        ),
        (
            PARAMETERS,
            _printed(2, "parameters_paper", "parameters", show=PRINTED),
            Column("mse_test_worst", Row.worst, "worst test task", ERROR),
            Column("relative_l2_test", lambda row: mean(row.errors(variable="relative_l2")), "rel. L2", ERROR),
            Column("mse_refined", lambda row: mean(row.errors(variable="mse_refined")), "refined", ERROR),
            Column("mse_front", lambda row: mean(row.errors(variable="mse_front")), "front", ERROR),
            _number("coverage", "90 % interval holds", "{:.0%}".format),
            *PHYSICAL,
        ),
        (
            BUDGET,
            ITERATIONS,
            SECONDS,
            BASE,
            _number("seconds_reference", "references, s"),
            _number("seconds_teachers", "teachers, s"),
            Column("seconds_once", once, "trained once, s", plain),
            _printed(2, "seconds_per_epoch_paper", "seconds_per_epoch", "paper, s an epoch on P100", PRINTED),
            TRIAL,
        ),
    ),
    notes=_row_notes(
        _hypernetworks,
        OTHERS,
        "(damaged print): a best reading of a damaged cell of the paper; shown, never used as a bar.",
        UNFINISHED,
    ),
)  # fmt: skip

NEW_TASK = Table(
    rows=solutions,
    keys=(
        PROBLEM,
        Column("solver", lambda row: row.solver),
        Column("method", lambda row: row.method),
        RANK,
        Column("machine", lambda row: str(row.dataset.attrs.get("machine", "unknown machine"))),
        Column("threads", lambda row: row.dataset.attrs.get("threads", math.nan)),
        Column("same_error", lambda row: row.same_error),
    ),
    name=Column("name", Solution.label, "solver"),
    parts=(
        (
            Column("mse", Row.mse, "test MSE", ERROR),
            *PHYSICAL,
            Column("seconds", Solution.seconds, "one task alone, s", plain),
            Column("seconds_once", once, "trained once before, s", plain),
            Column("seconds_paper", Solution.seconds_printed, "paper, s a task on P100", PRINTED),
        ),
        (
            Column("seconds_to_same_error", Solution.seconds_to_same_error, "s to the same error", plain),
            Column("final_error", Solution.final, "error at the end of training", ERROR),
        ),
    ),
    notes=lambda datasets: [
        "Our seconds and the paper's come from different machines and are not divided by each other.",
        "The paper's number beside physics is its physics-trained hypernetwork (HyperPINN with LoRA).",
    ],
)  # fmt: skip
TABLES = {1: PER_TASK, 2: HYPERNETWORKS, 3: NEW_TASK}
