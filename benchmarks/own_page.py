"""The page of the own problems' benchmark: every number on it comes from the cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tabulate import tabulate

Cell = Mapping[str, Any]
MISSING = "not run"

HEAD = """# Own problems: errors after some minutes

`python benchmarks/own_problems.py` trains each file of `examples/` by `pinnlora train FILE --minutes M`,
without a config, has DeepXDE train on the same class for the same minutes with the same threads, and writes this page.

- **Error**: relative L2 over a grid, of the worst field; mean and worst over tasks that are evenly spread over the
  range, its ends among them. Training sees no solution. What it is compared with is exact, or solved by the method of
  lines.
- **Minutes**: pinnlora's hold everything from `check` to its verdict; DeepXDE's hold building the model and training.
  Imports count for neither.
- **DeepXDE** reads the parameters as further inputs, embedded as pinnlora embeds them, all inputs scaled to [-1, 1];
  soft conditions, a tanh network, float64, Adam with a cosine rate and fresh points, then L-BFGS until the time is
  over (sizes and weights: benchmarks/own_methods.py).
- **Target** after two minutes: a mean error of at most 1e-4 for linear equations, 1e-3 for others."""


def page(cells: list[Cell], targets: Mapping[str, float], minutes: list[float]) -> str:
    """The whole page in Markdown, for problems with their `targets`, after each of `minutes` and what else was run."""
    found = {(cell["problem"], cell["method"], cell["minutes"]): cell for cell in cells}
    times = sorted({*minutes, *(cell["minutes"] for cell in cells)})
    parts = [HEAD]
    for time in times:
        rows = [_row(name, target, found, time) for name, target in targets.items()]
        columns = ["problem", "target", "pinnlora, mean", "worst", "its verdict", "DeepXDE, mean", "worst"]
        parts += [f"## After {time:g} minutes", _table(columns, rows), _summary(targets, found, time)]
    ordered = sorted(cells, key=lambda cell: (cell["problem"], cell["minutes"], cell["method"]))
    columns = ["problem", "method", "minutes", "seconds", "training", "compared with", "commit"]
    parts += [
        "## Cells",
        _table(columns, [_facts(cell) for cell in ordered]),
        _verdicts(ordered),
        _made(cells),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(name: str, target: float, found: Mapping[tuple, Cell], time: float) -> list[str]:
    ours, theirs = (found.get((name, method, time)) for method in ("pinnlora", "deepxde"))

    def shown(cell: Cell | None, show: Callable[[Cell], str]) -> str:
        return MISSING if cell is None else show(cell)

    numbers = [
        shown(cell, lambda cell, key=key: f"{cell[key]:.1e}")
        for cell in (ours, theirs)
        for key in ("mean", "worst")
    ]
    said = shown(ours, lambda cell: cell["verdict"].partition(":")[0])
    return [name, f"{target:.0e}", *numbers[:2], said, *numbers[2:]]


def _summary(targets: Mapping[str, float], found: Mapping[tuple, Cell], time: float) -> str:
    """In plain sentences: who misses its target, and whether a verdict was wrong."""
    ran = {name: found[name, "pinnlora", time] for name in targets if (name, "pinnlora", time) in found}
    if not ran:
        return "No cell of pinnlora was run."
    mean = [name for name, cell in ran.items() if cell["mean"] > targets[name]]
    worst = [name for name, cell in ran.items() if cell["worst"] > targets[name] and name not in mean]
    text = f"pinnlora misses its target in {len(mean)} of {len(ran)} problems that were run"
    text += f": {', '.join(mean)}." if mean else "."
    if worst:
        text += f" Within it in the mean, but not in the worst task: {', '.join(worst)}."
    deceived = [n for n, cell in ran.items() if cell["verdict"] == "converged" and not cell["worst"] <= 1e-2]
    if deceived:
        text += f" The verdict is wrong, for the worst task's error is above 1e-2: {', '.join(deceived)}."
    late = [name for name, cell in ran.items() if cell["seconds"] > 66 * time]
    if late:
        text += f" It took more than a tenth longer than it was given: {', '.join(late)}."
    both = [
        (cell, found[name, "deepxde", time]) for name, cell in ran.items() if (name, "deepxde", time) in found
    ]
    if both:
        better = sum(ours["mean"] < theirs["mean"] for ours, theirs in both)
        text += f" Its mean error is below DeepXDE's on {better} of {len(both)}."
    return text


def _facts(cell: Cell) -> list[str]:
    against = cell["truth"] + (f", to {cell['truth_error']:.0e}" if cell["truth_error"] else "")
    age = "" if cell["current"] else " (other code than now)"
    commit = cell["where"]["commit"][:9] + ("-dirty" if cell["where"]["commit"].endswith("-dirty") else "")
    numbers = [f"{cell['minutes']:g}", f"{cell['seconds']:.0f}"]
    return [cell["problem"], cell["method"], *numbers, cell["setting"], against, commit + age]


def _verdicts(cells: list[Cell]) -> str:
    lines = [
        f"- {cell['problem']}, {cell['minutes']:g} min: {cell['verdict']}."
        for cell in cells
        if cell["verdict"] not in ("", "converged")
    ]
    return "\n".join(["What pinnlora said where it had not converged:", "", *lines]) if lines else ""


def _made(cells: list[Cell]) -> str:
    """On what machine, with what."""
    keys = ("machine", "threads", "python", "torch", "pinnlora", "deepxde")
    made = {key: sorted({str(cell["where"][key]) for cell in cells}) for key in keys}
    facts = "; ".join(f"{key} {', '.join(values)}" for key, values in made.items())
    return f"Made with: {facts}." if cells else ""


def _table(columns: list[str], rows: list[list[str]]) -> str:
    return tabulate(rows, columns, tablefmt="pipe", disable_numparse=True)
