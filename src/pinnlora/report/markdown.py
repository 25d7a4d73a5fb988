"""The tables as Markdown: one paragraph that says what was run and what the columns mean, tables, notes."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from pinnlora.report.style import method_label, problem_label
from pinnlora.report.summaries import PER_TASK, combinations, errors, problem, study

EMPTY = "-"
UNFINISHED = (
    "(unfinished): at full rank an epoch takes up to 67.6 s in the paper, so these rows were probably not "
    "trained to the end there; being below them says little, and no ratio is given."
)
Column = tuple[str, Callable[[dict], str]]


def per_task(frame: pd.DataFrame, datasets: Sequence[xr.Dataset]) -> str:
    """Table 1 as Markdown."""
    columns = [
        ("method", _name),
        ("parameters", _parameters),
        ("MSE", _error("mse")),
        ("paper", _printed("mse_paper", "{:.2e}")),
        ("ours / paper", _number("ratio")),
        ("median", _error("mse_median")),
        ("worst", _error("mse_worst")),
        ("rel. L2", _error("relative_l2")),
        ("s / task", _number("seconds_per_task")),
        ("iterations", _count("iterations")),
        ("paper, s on P100", _printed("seconds_paper")),
    ]
    meaning = (
        "MSE is over the grid and the fields and averaged over the test tasks, median and worst are over "
        "those tasks, rel. L2 is the mean relative L2 error; parameters are ours, the paper's in brackets "
        "where it differs; s / task is the job's training time divided by the tasks it solved together, "
        "not the time that one task would take alone (Table 3); the paper's seconds are its epochs times "
        "its seconds per epoch."
    )
    notes = ["Our seconds and the paper's come from different machines; their ratio would mean nothing."]
    body = _sections(frame, lambda rows: _table(columns, rows))
    return _page(
        "Table 1. One training for each task", meaning, datasets, body, notes + _counts(datasets, True)
    )


def hypernetworks(frame: pd.DataFrame, datasets: Sequence[xr.Dataset]) -> str:
    """Table 2 as Markdown: for each problem the errors beside the paper's, then what only we report."""
    beside = [
        ("mode", _name),
        ("train", _error("mse_train")),
        ("paper", _printed("mse_train_paper", "{:.2e}")),
        ("validation", _error("mse_validation")),
        ("paper", _printed("mse_validation_paper", "{:.2e}")),
        ("test", _error("mse_test")),
        ("paper", _printed("mse_test_paper", "{:.2e}")),
        ("ours / paper", _number("ratio_test")),
        ("the paper's row", _print),
    ]
    ours = [
        ("mode", _name),
        ("parameters", _parameters),
        ("worst test task", _error("mse_test_worst")),
        ("rel. L2", _error("relative_l2_test")),
        ("refined", _error("mse_refined")),
        ("front", _error("mse_front")),
        ("training, s", _number("seconds")),
        ("iterations", _count("iterations")),
        ("paper, s an epoch on P100", _printed("seconds_per_epoch_paper")),
    ]
    meaning = (
        "One network for all tasks of a problem; train, validation and test are its MSE over the grid and "
        "the fields, averaged over the tasks of that split, each with the paper's number to its right; ours "
        "/ paper is for the test tasks. The second table of each problem has our worst test task, the mean "
        "relative L2 error, the test MSE after a few refining steps on each task, the test MSE in a band "
        "around the front, and what the training took; parameters are those predicted for one task, the "
        "paper's in brackets where it differs."
    )
    notes = [
        "(damaged print): a best reading of a damaged cell of the paper; shown, never used as a bar.",
        UNFINISHED,
    ]
    body = _sections(frame, lambda rows: _table(beside, rows) + "\n" + _table(ours, rows))
    title = "Table 2. Hypernetworks"
    return _page(title, meaning, datasets, body, notes + _counts(datasets, False))


def new_task(frame: pd.DataFrame, datasets: Sequence[xr.Dataset]) -> str:
    """Table 3 as Markdown."""

    def section(rows: list[dict]) -> str:
        columns = [
            ("solver", lambda row: SOLVERS.get(row["solver"], _name)(row)),
            ("test MSE", _error("mse")),
            (f"ours, s ({rows[0]['machine']})", _number("seconds")),
            ("our PINN / this", _number("pinn_over_this")),
            ("trained once, s", _number("seconds_training")),
            ("paper, s (P100)", _printed("seconds_paper")),
        ]
        return _table(columns, rows)

    meaning = (
        "Seconds to a solution of one new task: PINN from random weights, fine-tuned and LoRA from the base "
        "network, zero-shot the hypernetwork alone, refined with the refining steps added; LoRA and the "
        "hypernetwork at the rank of the figures, which is named. Our PINN / this divides our own seconds, "
        "both of one machine; trained once is the training of the hypernetwork, which later tasks share."
    )
    notes = [
        "Our seconds and the paper's come from different machines and are not divided by each other.",
        "The paper's number beside zero-shot is its physics-trained hypernetwork (HyperPINN with LoRA).",
    ]
    return _page(
        "Table 3. Time to a solution of a new task", meaning, datasets, _sections(frame, section), notes
    )


def _page(title: str, meaning: str, datasets: Sequence[xr.Dataset], body: str, notes: list[str]) -> str:
    floors = _per_problem(datasets, lambda d: _floor(d.attrs.get("floor_reference")))
    paragraph = (
        f"Study `{_per_problem(datasets, study)}`, made by {_attribute(datasets, 'source')} on "
        f"{_attribute(datasets, 'machine')} (precision: {_attribute(datasets, 'dtype')}). {meaning} Floor, the MSE of "
        f"the reference solution itself: {floors}. A dash stands where there is no number."
    )
    listed = "\n".join(f"- {note}" for note in notes)
    return f"# {title}\n\n{paragraph}\n\n{body}\n## Notes\n\n{listed}\n"


def _sections(frame: pd.DataFrame, section: Callable[[list[dict]], str]) -> str:
    if frame.empty:
        return "This study has no such method.\n"
    groups = frame.groupby("problem", sort=False)
    return "\n".join(
        f"## {problem_label(name)}\n\n{section(rows.to_dict('records'))}" for name, rows in groups
    )


def _table(columns: list[Column], rows: list[dict]) -> str:
    """An aligned Markdown table, (rows, columns) of strings; columns without any number are left out."""
    cells = [[header, *(show(row) for row in rows)] for header, show in columns]
    cells = [column for column in cells if any(value not in (EMPTY, "") for value in column[1:])]
    widths = [max(map(len, column)) for column in cells]
    first, rest = widths[0], widths[1:]
    rule = "|".join(["-" * (first + 2), *("-" * (width + 1) + ":" for width in rest)])
    lines = []
    for line in zip(*cells, strict=True):
        padded = [line[0].ljust(first), *(v.rjust(w) for v, w in zip(line[1:], rest, strict=True))]
        lines.append("| " + " | ".join(padded) + " |")
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]]) + "\n"


def _counts(datasets: Sequence[xr.Dataset], single: bool) -> list[str]:
    """A note for every (method, rank) whose error covers fewer test tasks than that of its neighbours."""
    notes = []
    for dataset in datasets:
        sizes = {pair: errors(dataset, *pair, "test").size for pair in combinations(dataset)}
        most = max(sizes.values(), default=0)
        for (method, rank), size in sizes.items():
            if size < most and (method in PER_TASK) == single:
                name = _name({"method": method, "rank": rank})
                notes.append(f"{problem(dataset)}, {name}: the errors cover {size} of {most} test tasks.")
    return notes


def _name(row: dict) -> str:
    method = row.get("method", row.get("mode"))
    label = method_label(method)
    return label if method in ("pinn", "finetuned") else f"{label}, {_rank(row)}"


def _rank(row: dict) -> str:
    return "full rank" if row["rank"] == "full" else f"rank {row['rank']}"


SOLVERS = {
    "zero-shot": lambda row: f"hypernetwork ({row['method']}, {_rank(row)}), zero-shot",
    "refined": lambda row: f"hypernetwork ({row['method']}, {_rank(row)}), refined",
}


def _parameters(row: dict) -> str:
    ours, theirs = _whole(row["parameters"]), _whole(row["parameters_paper"])
    return ours if theirs in (ours, EMPTY) else f"{ours} ({theirs})"


def _print(row: dict) -> str:
    return ", ".join(f"({WORDS[word]})" for word in row["print"].split() if word in WORDS)


WORDS = {"damaged": "damaged print", "unfinished": "unfinished"}


def _error(key: str) -> Callable[[dict], str]:
    return lambda row: _show(row[key], "{:.1e}".format)


def _number(key: str) -> Callable[[dict], str]:
    return lambda row: _show(row[key], _plain)


def _printed(key: str, style: str = "{:,.6g}") -> Callable[[dict], str]:
    """A number of the paper's, with all the digits it was printed with."""
    return lambda row: _show(row[key], style.format)


def _count(key: str) -> Callable[[dict], str]:
    return lambda row: _whole(row[key])


def _whole(value: float) -> str:
    return _show(value, lambda v: f"{round(v):,}")


def _plain(value: float) -> str:
    """Two significant digits: 0.0044, 1.2, 7,200; powers of ten only where zeros would have to be counted."""
    if value == 0 or 1e-3 <= abs(value) < 10:
        return f"{value:.2g}"
    return f"{value:,.0f}" if 10 <= abs(value) < 1e7 else f"{value:.1e}"


def _show(value: float, write: Callable[[float], str]) -> str:
    if math.isnan(value):
        return EMPTY
    return write(value) if math.isfinite(value) else "inf"


def _attribute(datasets: Sequence[xr.Dataset], key: str) -> str:
    return _per_problem(datasets, lambda dataset: str(dataset.attrs.get(key, f"unknown {key}")))


def _per_problem(datasets: Sequence[xr.Dataset], read: Callable[[xr.Dataset], str]) -> str:
    """One word where all problems agree, else `problem: word; ...`."""
    words = {problem(dataset): read(dataset) for dataset in datasets}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{name}: {word}" for name, word in words.items())


def _floor(value: object) -> str:
    return f"{value:.1e}" if isinstance(value, float | int | np.number) else str(value or "unknown")
