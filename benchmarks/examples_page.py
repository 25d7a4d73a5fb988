"""The page of the examples: every number on it comes from the cells, every equation from its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tabulate import tabulate

Cell = Mapping[str, Any]
MISSING = "not run"


class Example(NamedTuple):
    """A problem: its target, what its file and its class say of themselves, its parameters, and whether DeepXDE is
    asked as well."""

    target: float
    about: str
    equation: str
    parameters: str
    beside: bool = False


HEAD = """# Examples: errors after some minutes

`python benchmarks/examples.py` trains these problems of `examples/` by `pinnlora train FILE.py:Class --minutes M`,
without a config, and writes this page; `--methods pinnlora deepxde --minutes 2 5` has DeepXDE train on the same class
for the same minutes with the same threads.

- **Error**: relative L2 over a grid, of the worst field; mean and worst over tasks that are evenly spread over the
  range, its ends among them, or drawn where a task is a function. Training sees no solution. What it is compared with
  is exact, or solved by another method, whose own error stands below.
- **Minutes**: pinnlora's hold everything from `check` to its verdict; DeepXDE's hold building the model and training.
  Imports count for neither. Threads and load of the machine stand with the cells: minutes on a machine that is busy
  with other things are short ones.
- **DeepXDE** reads the parameters as further inputs, embedded as pinnlora embeds them, all inputs scaled to [-1, 1];
  soft conditions, a tanh network, float64, Adam with a cosine rate and fresh points, then L-BFGS until the time is
  over (sizes and weights: benchmarks/examples_methods.py).
- **Target**: a mean error of at most 1e-4 for linear equations with an exact solution, of 1e-3 for others."""


def page(cells: list[Cell], examples: Mapping[str, Example], minutes: list[float]) -> str:
    """The whole page in Markdown, for `examples` by name, after each of `minutes` and what else was run."""
    found = {(cell["problem"], cell["method"], cell["minutes"]): cell for cell in cells}
    times = sorted({*minutes, *(cell["minutes"] for cell in cells)}, reverse=True)
    parts = [HEAD]
    for time in times:
        rows = [_row(name, examples[name], found, time) for name in examples]
        columns = ["problem", "target", "mean error", "worst", "its verdict"]
        parts += [f"## After {time:g} minutes", _table(columns, rows), _summary(examples, found, time)]
        parts += [_beside(examples, found, time)]
    parts += [_shown(name, example, found, times) for name, example in examples.items()]
    ordered = sorted(cells, key=lambda cell: (cell["problem"], cell["minutes"], cell["method"]))
    columns = ["problem", "method", "minutes", "seconds", "training", "compared with", "load", "commit"]
    parts += ["## Cells", _table(columns, [_facts(cell) for cell in ordered]), _made(cells)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _of(cell: Cell | None, show: Callable[[Cell], str]) -> str:
    return MISSING if cell is None else show(cell)


def _number(cell: Cell | None, key: str) -> str:
    return _of(cell, lambda cell: f"{cell[key]:.1e}")


def _row(name: str, example: Example, found: Mapping[tuple, Cell], time: float) -> list[str]:
    cell = found.get((name, "pinnlora", time))
    said = _of(cell, lambda cell: cell["verdict"].partition(":")[0])
    return [name, f"{example.target:.0e}", _number(cell, "mean"), _number(cell, "worst"), said]


def _beside(examples: Mapping[str, Example], found: Mapping[tuple, Cell], time: float) -> str:
    """DeepXDE's errors beside ours, where any were measured."""
    names = [name for name, example in examples.items() if example.beside]
    if not any((name, "deepxde", time) in found for name in names):
        return ""
    rows, better, both = [], 0, 0
    for name in names:
        ours, theirs = (found.get((name, method, time)) for method in ("pinnlora", "deepxde"))
        rows.append([name, *(_number(cell, key) for cell in (ours, theirs) for key in ("mean", "worst"))])
        if ours and theirs:
            better, both = better + (ours["mean"] < theirs["mean"]), both + 1
    columns = ["problem", "pinnlora, mean", "worst", "DeepXDE, mean", "worst"]
    text = f"Beside DeepXDE: the mean error is below its on {better} of {both}."
    return "\n\n".join((text, _table(columns, rows)))


def _summary(examples: Mapping[str, Example], found: Mapping[tuple, Cell], time: float) -> str:
    """In plain sentences: who misses its target, and whether a verdict was wrong."""
    ran = {name: found[name, "pinnlora", time] for name in examples if (name, "pinnlora", time) in found}
    if not ran:
        return "No cell of pinnlora was run."
    mean = [name for name, cell in ran.items() if not cell["mean"] <= examples[name].target]
    worst = [n for n, cell in ran.items() if not cell["worst"] <= examples[n].target and n not in mean]
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
    return text


def _shown(name: str, example: Example, found: Mapping[tuple, Cell], times: list[float]) -> str:
    """A problem's section: what it is, its errors by minutes, its picture."""
    lines = [f"## {name}", example.about, f"`{example.equation}`", f"Parameters: {example.parameters}."]
    ran = [found[name, "pinnlora", time] for time in times if (name, "pinnlora", time) in found]
    for cell in ran:
        text = (
            f"After {cell['minutes']:g} minutes: mean error {cell['mean']:.1e}, worst {cell['worst']:.1e}; "
        )
        text += f"target {example.target:.0e}, {'met' if cell['mean'] <= example.target else 'missed'}. "
        text += f"Its verdict: {cell['verdict']}."
        for what, here, known in cell.get("quantities", []):
            text += (
                f" The {what}: {here:.4f}, in the literature {known:.4f}, off by {abs(here / known - 1):.1e}."
            )
        lines.append(text)
    pictures = [cell["picture"] for cell in ran if cell.get("picture")]
    if pictures:
        lines.append(_picture(pictures[0]))
    return "\n\n".join(lines if ran else [*lines, f"After any minutes: {MISSING}."])


def _picture(picture: Mapping[str, Any]) -> str:
    task = ", ".join(f"{key} = {value:.3g}" for key, value in picture["task"].items()) or "one task"
    text = ", ".join(part for part in (f"{picture['field']} at {task}", picture["cut"]) if part)
    return f"![{text}](examples/{picture['file']})\n\n{text}; relative L2 error {picture['error']:.1e}."


def _facts(cell: Cell) -> list[str]:
    against = cell["truth"] + (f", to {cell['truth_error']:.0e}" if cell["truth_error"] else "")
    commit = cell["where"]["commit"][:9] + ("-dirty" if cell["where"]["commit"].endswith("-dirty") else "")
    numbers = [f"{cell['minutes']:g}", f"{cell['seconds']:.0f}"]
    load = f"{cell['where']['load']:g}"
    return [cell["problem"], cell["method"], *numbers, cell["setting"], against, load, commit]


def _made(cells: list[Cell]) -> str:
    """On what machine, with what."""
    keys = ("machine", "threads", "python", "torch", "pinnlora", "deepxde")
    made = {key: sorted({str(cell["where"][key]) for cell in cells}) for key in keys}
    facts = "; ".join(f"{key} {', '.join(values)}" for key, values in made.items())
    return f"Made with: {facts}." if cells else ""


def _table(columns: list[str], rows: list[list[str]]) -> str:
    return tabulate(rows, columns, tablefmt="pipe", disable_numparse=True)
