"""A table as a page of Markdown: what was run, what the columns mean, a section a problem, notes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from pinnlora.errors import UserError
from pinnlora.files import atomic, write_text
from pinnlora.report.columns import ERROR, Column, markdown
from pinnlora.report.style import problem_label
from pinnlora.report.summaries import compared, measured_on, per_problem, problem, reference, seeds
from pinnlora.report.tables import TABLES

TITLES = {
    1: "Table 1. One training for each task",
    2: "Table 2. Hypernetworks",
    3: "Table 3. Time to a solution of a new task",
}
BUDGET = (
    "The budget is optimiser (LM Levenberg-Marquardt, GN Gauss-Newton) and precision: steps x tasks a step x points "
    "(+ points of each condition) a task and step; a row that differs from the other ranks of its method has a note."
)
PHYSICAL = (
    "Residual and mismatch are the root mean squares of the equations and of the conditions at fresh points, averaged "
    "over the test tasks."
)
DISTANCES = "Errors are distances to the task's own refined solution."
UNKNOWN = (
    "No test task has a reference solution: instead of errors there are the residuals of the equations and the "
    "mismatches of the conditions, which say how well a prediction solves its problem, not how far it is from the "
    "solution."
)
SECONDS = (
    "Our seconds are wall times of jobs that may have run side by side, on cores that may have been busy."
)
MEANINGS = {
    1: (
        "MSE is over the grid and the fields and averaged over the test tasks, median and worst are over those tasks, "
        "rel. L2 is the mean relative L2 error, each with the paper's number to its right. The first rows are what "
        "training starts from: the trial function without its network, and the base network, of a task T0, for all. "
        f"{PHYSICAL} "
        f"{BUDGET} All test tasks are fitted side by side: training is their time together (Table 3 has one alone), "
        "base the time of the network they start from; the paper's seconds are its epochs times its seconds an epoch."
    ),
    2: (
        "One network for all tasks of a problem; train, validation and test are its MSE over the grid and the fields, "
        "averaged over the tasks of that split, each with the paper's number to its right; ours / paper is for the "
        "test tasks. Refined is the test MSE after a few refining steps on each task, front that in a band around the "
        f"front; parameters are those predicted for one task. {PHYSICAL} {BUDGET} Training is the time of the row "
        "alone; base, references and teachers are what it is built on, and trained once is the sum of all four. With "
        "several seeds every number is the mean over them, worst the largest; best and worst seed are the test errors "
        "of single ones. What training builds on is the same for all seeds."
    ),
    3: (
        "Rows are at the rank of the figures. One task alone: PINN from random weights, fine-tuned and LoRA from the "
        "base network, trained from start to end, validation included; zero-shot is a prediction on the grid, refined "
        f"adds the refining steps. {PHYSICAL} Trained once before is what later tasks share: the base "
        "network, and for a hypernetwork also references, teachers and its training. The second table of each problem "
        "is read off the histories of training, whose error is that of the state with the best validation loss so far, "
        "on a sample of the grid, averaged over the test tasks: the seconds until it is as low as LoRA and the physics "
        "hypernetwork both end with (without one of them, as all methods end with), and stays so; per-task methods "
        "train all test tasks side by side, and base, references and teachers are counted in. A dash there: it "
        "never is. Beside it stands the error that training ends with. Histories are those of the first seed."
    ),
}


def page(number: int, datasets: Sequence[xr.Dataset]) -> str:
    """Table 1, 2 or 3 as Markdown."""
    table = TABLES[number]
    paragraph = (
        f"Study `{_attribute(datasets, 'study')}`, made by {_attribute(datasets, 'source')}; "
        f"{per_problem(datasets, seeds)}. {MEANINGS[number]} {SECONDS} A dash stands where there is no number."
    )
    parts = [f"# {TITLES[number]}", paragraph]
    for dataset in datasets:
        frame, distance = table.frame([dataset]), reference(dataset) == "refined"
        parts += [f"## {problem_label(problem(dataset))}", _circumstances(dataset)]
        if frame.empty:
            parts.append("This study has no such method.")
            continue
        for place, columns in enumerate(table.parts):
            if number == 3 and place == 1:
                frame = frame[frame["solver"] != "refined"]  # refining is not training: it has no history
                if frame["same_error"].isna().all():
                    continue  # nor is there one of errors without a reference
                parts.append(f"The same error of all is {ERROR(frame['same_error'].iloc[0])}.")
            named = [as_distance(column) if distance else column for column in columns]
            parts.append(markdown([table.name, *named], frame).rstrip())
    notes = "\n".join(f"- {note}" for note in table.notes(datasets))
    return "\n\n".join([*parts, "## Notes", notes]) + "\n"


def write(
    number: int, datasets: Sequence[xr.Dataset], output: Path, markdown: Path, provenance: str = ""
) -> None:
    """Write table 1, 2 or 3 as CSV (full precision, empty where missing), then as Markdown with its provenance."""
    if number not in TABLES:
        raise UserError(f"there is no table {number}; expected 1, 2 or 3")
    with atomic(output) as temporary:
        TABLES[number].frame(datasets).to_csv(temporary, index=False)
    write_text(markdown, f"{page(number, datasets)}\n<!-- provenance {provenance} -->\n")


def as_distance(column: Column) -> Column:
    """The same with another header where it holds errors, which are distances to refined solutions."""
    physical = column.key.startswith(("residual", "mismatch"))
    renamed = column.show is ERROR and not physical
    return replace(column, header=f"{column.header}, distance") if renamed else column


def _circumstances(dataset: xr.Dataset) -> str:
    """Machine, what was compared with, and floors: errors below these are not the method's."""
    attrs, kind = dataset.attrs, reference(dataset)
    if not compared(dataset):
        return f"Seconds: {measured_on(dataset)}. {UNKNOWN}"
    note = f" ({attrs['floor_reference_note']})" if attrs.get("floor_reference_note") else ""
    dtype = f" ({attrs['floor_precision_dtype']})" if attrs.get("floor_precision_dtype") else ""
    about = {
        "refined": f"{DISTANCES} ",
        "file": f"References are from {attrs.get('reference_note')}. ",
    }.get(kind, "")
    return (
        f"Seconds: {measured_on(dataset)}. {about}Floors, as MSE: of the reference "
        f"{floor(dataset, 'reference')}{note}, of the evaluation grid {floor(dataset, 'grid')}, "
        f"of the precision{dtype} {floor(dataset, 'precision')}."
    )


def floor(dataset: xr.Dataset, name: str) -> str:
    """A floor of errors in print: of the reference, the grid or the precision."""
    value = dataset.attrs.get(f"floor_{name}")
    known = isinstance(value, float | int | np.number) and np.isfinite(value)
    return ERROR(value) if known else "unknown"


def _attribute(datasets: Sequence[xr.Dataset], key: str) -> str:
    return per_problem(datasets, lambda dataset: str(dataset.attrs.get(key, f"unknown {key}")))
