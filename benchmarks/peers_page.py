"""The page of the peers and its figure: every number on it comes from the cells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from tabulate import tabulate

from pinnlora.files import atomic

Cell = Mapping[str, Any]
TITLES = {"burgers1d": "1D Burgers", "kovasznay": "Kovasznay flow"}
NAMES = {
    "pinnlora": "pinnlora", "pi-deeponet": "PI-DeepONet (DeepXDE)", "deeponet": "DeepONet (DeepXDE)",
    "fno": "FNO (neuraloperator)", "hyperpinn": "HyperPINN, full rank", "deepxde": "one network (DeepXDE)",
}  # fmt: skip
CELLS = {  # what is run on each problem
    "burgers1d": ("pinnlora", "pi-deeponet", "deeponet", "fno"),
    "kovasznay": ("pinnlora", "hyperpinn", "deepxde"),
}
BY_DATA = ("deeponet", "fno")

HEAD = """# What you would pick instead

`python benchmarks/peers.py --minutes M` trains other methods on the same distribution of tasks for the same minutes,
each on one thread, and writes this page. All are measured on the same test tasks, which none has seen, those of the
[published study](results/table2.md): the mean squared error over the evaluation grid and all fields, and the relative
L2 error of the worst field; mean and worst over the tasks.

- **Minutes** are of the CPU: what else the machine does meanwhile does not count. pinnlora's hold all of its command,
  from `check` to the verdict; the others' hold steps of the optimiser alone, not their making.
- **Tried**: the others' settings are tried first, each for a tenth of the minutes that are not counted, and the one
  with the least error on validation tasks trains. pinnlora tries nothing; nor does DeepXDE's one network, which has
  the settings of [the examples](examples.md).
- **Learns from**: physics means the equation and its conditions; data means solutions of training tasks by the
  project's reference solver, whose seconds are not in the minutes and stand beside."""

GIVEN = {
    "burgers1d": """What each was given:

- **pinnlora**: `pinnlora train burgers1d`, without a config: low-rank adapters; the problem's class brings the
  unknown that is trained (a potential whose slope is u), its ansatz (the heat flow of the initial state, and what the
  network adds to it) and its symmetries.
- **PI-DeepONet**: DeepXDE's, its trunk exactly periodic as in its example of advection, derivatives by zero coordinate
  shift, functions and points drawn anew every few steps, Adam with a cosine rate; the initial state as a weighted term
  of the loss, or held exactly.
- **DeepONet**: the same network, from data by mean squares.
- **FNO**: neuraloperator's, from the initial state to the solution, by the relative L2 error, AdamW with a cosine
  rate; in x with a channel for each time, or in x and t.

Sizes and batches: benchmarks/peers_operators.py. None of the operator networks is told of the potential, the heat flow
or all symmetries, for their libraries know nothing of the kind; both kinds of FNO commute with translations in x.""",
    "kovasznay": """What each was given:

- **pinnlora**: `pinnlora train kovasznay`, without a config: low-rank adapters, Gauss-Newton.
- **HyperPINN**: a hypernetwork that predicts all weights, from random ones on, by Adam with a cosine rate; networks as
  large as pinnlora's, with the same conditions held exactly; fresh tasks and points at every step.
- **One network**: DeepXDE's with the Reynolds number as a further input, Adam, then L-BFGS.""",
}


def page(cells: list[Cell]) -> str:
    """The whole page in Markdown, from the cells that there are."""
    parts = [HEAD]
    times = sorted({cell["minutes"] for cell in cells}, reverse=True)
    if not cells:
        return "\n\n".join([*parts, "Nothing was run yet."]) + "\n"
    parts += ["![error against minutes of training](peers/errors.png)", CAPTION]
    for problem, title in TITLES.items():
        parts += [f"## {title}", GIVEN[problem]]
        for time in times:
            ran = [cell for cell in cells if cell["problem"] == problem and cell["minutes"] == time]
            if ran:
                parts += [f"After {time:g} minutes:", _errors(ran), _summary(ran)]
        missing = set(CELLS[problem]) - {cell["method"] for cell in cells if cell["problem"] == problem}
        if missing:
            parts.append(f"Not run yet: {', '.join(NAMES[name] for name in NAMES if name in missing)}.")
    parts += ["## Cells", _trials(cells), _facts(cells), _made(cells)]
    return "\n\n".join(part for part in parts if part) + "\n"


CAPTION = """Errors on the test tasks while each trained with its schedule for the whole time, measured with the clock
stopped. pinnlora's on the way are those that its training keeps for the record, at some points of the grid, its seconds
before the first step included."""


def _ordered(cells: list[Cell]) -> list[Cell]:
    return sorted(
        cells, key=lambda cell: (list(TITLES).index(cell["problem"]), list(NAMES).index(cell["method"]))
    )


def _errors(cells: list[Cell]) -> str:
    rows = []
    for cell in _ordered(cells):
        numbers = [f"{cell[key]:.1e}" for key in ("mse", "worst_mse", "relative", "worst_relative")]
        data = cell["method"] in BY_DATA
        source = f"data ({cell['data_seconds']:.1f} s)" if data else "physics"
        rows.append([NAMES[cell["method"]], source, *numbers, f"{1e3 * cell['one_task']:.1f}"])
    columns = ["method", "learns from", "MSE", "worst", "relative L2", "worst", "one new task, ms"]
    return _table(columns, rows)


def _summary(cells: list[Cell]) -> str:
    """Who is ahead by how much, in a plain sentence."""
    first, *others = sorted(cells, key=lambda cell: cell["mse"])
    if not others:
        return ""
    second = others[0]
    times = second["mse"] / first["mse"]
    text = f"The least mean squared error is that of {NAMES[first['method']]}"
    return f"{text}, {times:{',.0f' if times > 10 else '.2g'}} times below that of {NAMES[second['method']]}."


def _trials(cells: list[Cell]) -> str:
    """Mean squared errors on validation tasks of all settings that were tried."""
    rows = [
        [cell["problem"], NAMES[cell["method"]], f"{cell['minutes']:g}", setting, f"{error:.1e}"]
        for cell in _ordered(cells)
        for setting, error in cell["tried"]
    ]
    if not rows:
        return ""
    table = _table(["problem", "method", "minutes", "setting", "MSE"], rows)
    return f"Tried for a tenth of the minutes, mean squared error on validation tasks:\n\n{table}"


def _facts(cells: list[Cell]) -> str:
    rows = [
        [cell["problem"], NAMES[cell["method"]], f"{cell['minutes']:g}", f"{cell['seconds']:.0f}", cell["setting"],
         f"{cell['where']['load']:g}", cell["where"]["commit"][:9] + _dirty(cell)]
        for cell in _ordered(cells)
    ]  # fmt: skip
    return _table(["problem", "method", "minutes", "seconds", "training", "load", "commit"], rows)


def _dirty(cell: Cell) -> str:
    return "-dirty" if cell["where"]["commit"].endswith("-dirty") else ""


def _made(cells: list[Cell]) -> str:
    keys = ("machine", "threads", "python", "torch", "pinnlora", "deepxde", "neuraloperator")
    made = {key: ", ".join(sorted({str(cell["where"][key]) for cell in cells})) for key in keys}
    return f"Made with: {'; '.join(f'{key} {value}' for key, value in made.items())}."


def _table(columns: list[str], rows: list[list[str]]) -> str:
    return tabulate(rows, columns, tablefmt="pipe", disable_numparse=True)


def draw(cells: list[Cell], path: Path) -> None:
    """Mean squared error against minutes, a panel a problem that was run, of the longest training of each method."""
    shown = [problem for problem in TITLES if any(cell["problem"] == problem for cell in cells)]
    figure, panels = plt.subplots(1, len(shown), figsize=(4.8 * len(shown), 3.6), dpi=100, squeeze=False)
    for panel, problem in zip(panels[0], shown, strict=True):
        ran = [cell for cell in cells if cell["problem"] == problem]
        longest = max(cell["minutes"] for cell in ran)
        for cell in _ordered([cell for cell in ran if cell["minutes"] == longest]):
            colour, data = f"C{list(NAMES).index(cell['method'])}", cell["method"] in BY_DATA
            minutes, errors = zip(*((at / 60, error) for at, error in cell["curve"]), strict=True)
            style = {"color": colour, "linestyle": "--" if data else "-", "markersize": 4}
            label = NAMES[cell["method"]] + (", data" if data else "")
            panel.plot(minutes, errors, marker="o" if len(errors) < 20 else "", label=label, **style)
            panel.plot(minutes[-1:], errors[-1:], "o", color=colour, markersize=6)
        panel.set(title=TITLES[problem], xlabel="minutes of training", yscale="log")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    panels[0, 0].set_ylabel("mean squared error, test tasks")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png")
    plt.close(figure)
