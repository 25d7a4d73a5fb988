"""The tables of many dimensions: every number on the page comes from the cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from high_dimensions_figure import LABELS
from high_dimensions_races import RACES
from high_dimensions_ways import METHODS, SETTING
from tabulate import tabulate

from pinnlora.files import atomic

Cells = Mapping[str, Mapping[str, Any]]
MISSING = "Not measured yet."


def publish(page: Path, cells: Cells) -> None:
    """Put what the cells say between the marks of the page."""
    text = page.read_text()
    parts = {"steps": _steps(cells), "errors": _errors(cells), "problems": _problems(cells)}
    for name, part in (parts | {"family": _family(cells), "made": _made(cells)}).items():
        start, end = f"<!-- {name}:start -->\n", f"<!-- {name}:end -->"
        head, rest = text.split(start)
        text = f"{head}{start}{part or MISSING}\n{end}{rest.split(end)[1]}"
    with atomic(page) as temporary:
        temporary.write_text(text)


def table(cells: Cells) -> pd.DataFrame:
    """The same numbers, one a row: cell, quantity, value."""
    rows = [(name, *each) for name, cell in cells.items() for each in _numbers(cell)]
    return pd.DataFrame(rows, columns=["cell", "quantity", "value"])


def _numbers(cell: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    for key, value in cell.items():
        if isinstance(value, Mapping) and key not in ("where", "times"):
            yield from _numbers(value, f"{before}{key}.")
        elif isinstance(value, int | float):
            yield before + key, value


def _of(cells: Cells, kind: str) -> list[Mapping[str, Any]]:
    return [cell for cell in cells.values() if cell["kind"] == kind]


def _steps(cells: Cells) -> str:
    rows = [
        [
            str(cell["d"]),
            *(f"{cell['milliseconds'][name]:.3g}" for name in METHODS),
            *(f"{cell['times_faster'][name]:.3g}" for name in METHODS[1:]),
            *(f"{cell['mebibytes'][name]:.0f}" for name in METHODS),
        ]
        for cell in _of(cells, "steps")
    ]
    columns = ["d", *(f"{LABELS[name]}, ms" for name in METHODS)]
    columns += [*(f"{name}: times faster" for name in METHODS[1:]), *(f"{name}, MiB" for name in METHODS)]
    return _table(columns, rows, f"{SETTING}; `plain` is double backward in plain torch.")


def _errors(cells: Cells) -> str:
    rows = []
    for cell in sorted(_of(cells, "errors"), key=lambda cell: (cell["problem"], cell["d"])):
        numbers = [f"{cell['used']:.0f}", str(cell["steps"]), f"{cell['l2']:.1e}", f"{cell['l1']:.1e}"]
        names = [RACES[cell["problem"]], str(cell["d"]), LABELS[cell["method"]]]
        rows.append([*names, *numbers, f"{cell['start']:.1e}"])
    columns = [
        "problem",
        "d",
        "derivatives",
        "seconds",
        "steps",
        "relative L2",
        "relative L1",
        "at the start",
    ]
    return _table(columns, rows, f"{SETTING}.")


def _problems(cells: Cells) -> str:
    rows, notes = [], []
    for cell in _of(cells, "problems"):
        task = ", ".join(f"{key} = {value:g}" for key, value in cell["task"].items())
        names = [f"`examples/{cell['file']}.py`", str(cell["d"]), task, cell["setting"]]
        on_the_way = [_after(cell, share) for share in (0.25, 0.5)]
        numbers = [f"{cell['used']:.0f}", str(cell["steps"]), *on_the_way]
        rows.append([*names, *numbers, f"{cell['l2']:.1e}", f"{cell['l1']:.1e}", str(cell["points"])])
        if "standard_error" in cell:
            notes.append(
                f"Hamilton-Jacobi-Bellman by Monte Carlo over the Cole-Hopf formula has a standard error of at most "
                f"{cell['standard_error']:.1e} and lies at most {cell['off']:.1f} of its standard errors from the "
                f"closed form; against it the relative L2 error is {cell['l2_monte_carlo']:.1e}."
            )
    columns = ["problem", "d", "task", "hidden layers, derivatives, directions or pairs", "seconds", "steps"]
    columns += ["relative L2 after a quarter", "after half", "at the end", "relative L1", "points"]
    return _table(columns, rows, " ".join(notes))


def _after(cell: Mapping[str, Any], share: float) -> str:
    """The error on the way, next to that share of the steps; a dash where older code kept none."""
    if "curve" not in cell:
        return "-"
    return f"{min(cell['curve'], key=lambda row: abs(row[0] - share * cell['steps']))[2]:.1e}"


def _family(cells: Cells) -> str:
    found = {cell["which"]: cell for cell in _of(cells, "family")}
    if "all" not in found:
        return ""
    whole = found["all"]
    rows = []
    for mu, error in whole["errors"].items():
        own = f"{found[mu]['errors'][mu]:.1e}" if mu in found else "not run"
        rows.append([mu, f"{error:.1e}", own])
    note = (
        f"The family: {whole['used']:.0f} seconds, {whole['base_steps']} steps of the base network and "
        f"{whole['steps']} of the hypernetwork, adapters of rank {whole['rank']}"
    )
    others = [cell for which, cell in found.items() if which != "all"]
    alone = ", ".join(f"{cell['steps']}" for cell in others)
    together = sum(cell["used"] for cell in others)
    note += f"; alone: {together:.0f} seconds together, {alone} steps." if alone else "."
    return _table(["mu", "one hypernetwork, relative L2", "one network alone, relative L2"], rows, note)


def _made(cells: Cells) -> str:
    """On what machine, with what."""
    made = []
    for key in ("machine", "python", "torch", "commit"):
        values = sorted(
            {str(cell["where"][key])[: 9 if key == "commit" else None] for cell in cells.values()}
        )
        made.append(f"{key} {', '.join(values)}")
    loads = [cell["where"]["load"] for cell in cells.values()]
    return f"Made with: {'; '.join(made)}; load {min(loads):g} to {max(loads):g}." if cells else ""


def _table(columns: list[str], rows: list[list[str]], note: str) -> str:
    if not rows:
        return ""
    return tabulate(rows, columns, tablefmt="pipe", disable_numparse=True) + (f"\n\n{note}" if note else "")
