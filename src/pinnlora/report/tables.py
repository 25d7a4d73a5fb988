"""The paper's three tables with our numbers beside the printed ones, as data frames, CSV and Markdown.

Seconds of different machines are never divided; the only ratio of times is within our own column.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from pinnlora.errors import UserError
from pinnlora.files import atomic
from pinnlora.report import markdown as text
from pinnlora.report.summaries import (
    PER_TASK,
    batch_size,
    best_mode,
    combinations,
    errors,
    mean,
    number,
    paper,
    printed,
    problem,
    shown_rank,
)


def per_task(datasets: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Table 1: PINN, fine-tuned PINN and LoRA, a training for each test task."""
    pairs = [(d, *pair) for d in datasets for pair in combinations(d) if pair[0] in PER_TASK]
    print_ = paper(1)
    return pd.DataFrame([_per_task_row(print_, *pair) for pair in pairs], columns=list(PER_TASK_COLUMNS))


PER_TASK_COLUMNS = (
    "problem", "method", "rank", "parameters", "parameters_paper", "mse", "mse_paper", "ratio",
    "mse_median", "mse_worst", "relative_l2", "tasks", "seconds", "batch", "seconds_per_task",
    "iterations", "seconds_paper",
)  # fmt: skip


def _per_task_row(print_: pd.DataFrame, dataset: xr.Dataset, method: str, rank: str) -> dict:
    error = errors(dataset, method, rank, "test")
    row = printed(print_, problem=problem(dataset), method=method, rank=rank)
    seconds, batch = number(dataset, "seconds", method, rank), batch_size(dataset, method, rank)
    return {
        "problem": problem(dataset),
        "method": method,
        "rank": rank,
        "parameters": number(dataset, "parameters", method, rank),
        "parameters_paper": row.get("parameters", math.nan),
        "mse": mean(error),
        "mse_paper": row.get("mse_test", math.nan),
        "ratio": mean(error) / row.get("mse_test", math.nan),
        "mse_median": float(np.median(error)) if error.size else math.nan,
        "mse_worst": float(error.max()) if error.size else math.nan,
        "relative_l2": mean(errors(dataset, method, rank, "test", "relative_l2")),
        "tasks": error.size,
        "seconds": seconds,
        "batch": batch,
        "seconds_per_task": seconds / batch if batch else math.nan,
        "iterations": number(dataset, "iterations", method, rank),
        "seconds_paper": row.get("seconds_per_epoch", math.nan) * row.get("epochs", math.nan),
    }


HYPERNETWORK_COLUMNS = (
    "problem", "mode", "rank", "parameters", "parameters_paper", "mse_train", "mse_train_paper",
    "mse_validation", "mse_validation_paper", "mse_test", "mse_test_paper", "ratio_test",
    "mse_test_worst", "relative_l2_test", "mse_refined", "mse_front", "tasks", "seconds",
    "iterations", "seconds_per_epoch_paper", "print",
)  # fmt: skip


def hypernetworks(datasets: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Table 2: hypernetworks of every mode and rank on the training, validation and test tasks.

    `print` says how far the paper's row can serve as a bar: ok, damaged (a best reading of a damaged cell),
    unfinished (full rank: probably not trained to the end), empty (no such row). Only ok rows have a ratio.
    """
    pairs = [(d, *pair) for d in datasets for pair in combinations(d) if pair[0] not in PER_TASK]
    print_ = paper(2)
    rows = [_hypernetwork_row(print_, *pair) for pair in pairs]
    return pd.DataFrame(rows, columns=list(HYPERNETWORK_COLUMNS))


def _hypernetwork_row(print_: pd.DataFrame, dataset: xr.Dataset, mode: str, rank: str) -> dict:
    row = printed(print_, problem=problem(dataset), mode=mode, rank=rank)
    test = errors(dataset, mode, rank, "test")
    quality = _print_quality(row, rank)
    bar = row["mse_test"] if quality == "ok" else math.nan
    return {
        "problem": problem(dataset),
        "mode": mode,
        "rank": rank,
        "parameters": number(dataset, "parameters", mode, rank),
        "parameters_paper": row.get("parameters", math.nan),
        "mse_train": mean(errors(dataset, mode, rank, "train")),
        "mse_train_paper": row.get("mse_train", math.nan),
        "mse_validation": mean(errors(dataset, mode, rank, "validation")),
        "mse_validation_paper": row.get("mse_valid", math.nan),
        "mse_test": mean(test),
        "mse_test_paper": row.get("mse_test", math.nan),
        "ratio_test": mean(test) / bar,
        "mse_test_worst": float(test.max()) if test.size else math.nan,
        "relative_l2_test": mean(errors(dataset, mode, rank, "test", "relative_l2")),
        "mse_refined": mean(errors(dataset, mode, rank, "test", "mse_refined")),
        "mse_front": mean(errors(dataset, mode, rank, "test", "mse_front")),
        "tasks": test.size,
        "seconds": number(dataset, "seconds", mode, rank),
        "iterations": number(dataset, "iterations", mode, rank),
        "seconds_per_epoch_paper": row.get("seconds_per_epoch", math.nan),
        "print": quality,
    }


def _print_quality(row: dict, rank: str) -> str:
    if not row:
        return ""
    if row["legible"] == "no":
        return "damaged unfinished" if rank == "full" else "damaged"
    return "unfinished" if rank == "full" else "ok"


NEW_TASK_COLUMNS = (
    "problem", "solver", "method", "rank", "mse", "seconds", "machine", "pinn_over_this",
    "seconds_training", "seconds_paper", "machine_paper",
)  # fmt: skip


def new_task(datasets: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Table 3: seconds to a solution of a new task, ours and the paper's, each on its own machine.

    `pinn_over_this` divides our own seconds only. `seconds_training` is what a hypernetwork costs once.
    """
    rows = [row for dataset in datasets for row in _new_task_rows(dataset)]
    return pd.DataFrame(rows, columns=list(NEW_TASK_COLUMNS))


def _new_task_rows(dataset: xr.Dataset) -> list[dict]:
    rows, present = [], {method for method, _ in combinations(dataset)}
    for method in (m for m in PER_TASK if m in present):
        rank = shown_rank(dataset, method)
        rows.append(_new_task_row(dataset, method, method, rank, "mse", method))
    mode = best_mode(dataset)
    if mode:
        rank = shown_rank(dataset, mode)
        paper_name = "hyperpinn_lora" if mode == "physics" else ""
        rows.append(_new_task_row(dataset, "zero-shot", mode, rank, "mse", paper_name))
        if errors(dataset, mode, rank, "test", "mse_refined").size:
            rows.append(_new_task_row(dataset, "refined", mode, rank, "mse_refined", ""))
    return rows


def _new_task_row(dataset, solver: str, method: str, rank: str, variable: str, paper_name: str) -> dict:
    seconds = number(dataset, "seconds_new_task", method, rank)
    if solver == "refined":
        seconds += number(dataset, "seconds_refine", method, rank)
    row = printed(paper(3), problem=problem(dataset), architecture=paper_name)
    return {
        "problem": problem(dataset),
        "solver": solver,
        "method": method,
        "rank": rank,
        "mse": mean(errors(dataset, method, rank, "test", variable)),
        "seconds": seconds,
        "machine": str(dataset.attrs.get("machine", "unknown machine")),
        "pinn_over_this": number(dataset, "seconds_new_task", "pinn", "full") / seconds,
        "seconds_training": math.nan if method in PER_TASK else number(dataset, "seconds", method, rank),
        "seconds_paper": row.get("seconds", math.nan),
        "machine_paper": "P100" if row else "",
    }


def write(
    number_: int, datasets: Sequence[xr.Dataset], output: Path, markdown: Path, provenance: str = ""
) -> None:
    """Write table 1, 2 or 3 as CSV (full precision, empty where missing), then as Markdown with its provenance."""
    makers: dict[int, tuple[Callable, Callable]] = {
        1: (per_task, text.per_task),
        2: (hypernetworks, text.hypernetworks),
        3: (new_task, text.new_task),
    }
    if number_ not in makers:
        raise UserError(f"there is no table {number_}; expected 1, 2 or 3")
    frame_of, page_of = makers[number_]
    frame = frame_of(datasets)
    with atomic(output) as temporary:
        frame.to_csv(temporary, index=False)
    with atomic(markdown) as temporary:
        Path(temporary).write_text(f"{page_of(frame, datasets)}\n<!-- provenance {provenance} -->\n")
