"""One figure of many dimensions: error against time by each way to derivatives, a panel a problem."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from high_dimensions_races import RACES
from high_dimensions_training import NO_EQUATION
from high_dimensions_ways import EXACT, PLAIN, RANDOM, STEIN
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pinnlora.report.style import COLOURS, MARKERS, RC, save

LEAST = 100
"""Fewest dimensions of a panel."""
LIKE = {PLAIN: "pinn", EXACT: "lora", RANDOM: "physics", STEIN: "data", NO_EQUATION: "finetuned"}
"""Whose colour and marker in other figures a way takes."""
LABELS = {PLAIN: "double backward, plain torch", EXACT: "exact", RANDOM: "random", STEIN: "stein"}
LABELS |= {NO_EQUATION: "faces alone, no equation"}


def draw(cells: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the figure of the races in many dimensions; nothing where none has been run."""
    panels: dict[tuple[str, int], dict[str, Any]] = {}
    for cell in cells.values():
        if cell["kind"] == "errors" and cell["d"] >= LEAST:
            panels.setdefault((cell["problem"], cell["d"]), {})[cell["method"]] = cell
    if not panels:
        return
    with rc_context(RC):
        figure = Figure(figsize=(7.3 if len(panels) > 1 else 4.0, 2.9), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for panel, ((name, dimension), found) in zip(axes, panels.items(), strict=True):
            _panel(panel, found)
            panel.set_title(f"{RACES[name]}, d = {dimension}")
        axes[0].set_ylabel("relative L2 error")
        keys: dict[str, Any] = {}
        for panel in axes:
            lines, labels = panel.get_legend_handles_labels()
            keys |= dict(zip(labels, lines, strict=True))
        figure.legend(keys.values(), keys, loc="outside lower center", ncols=len(keys), frameon=False)
    save(figure, path)


def _panel(axes: Axes, found: Mapping[str, Mapping[str, Any]]) -> None:
    for method in (method for method in LABELS if method in found):
        seconds, errors = zip(*(row[:2] for row in found[method]["curve"] if row[0] > 0), strict=True)
        like = LIKE[method]
        style: dict[str, Any] = {"color": COLOURS[like], "marker": MARKERS[like], "markersize": 3.5}
        axes.plot(seconds, errors, label=LABELS[method], **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("CPU seconds of training")
    axes.grid(axis="both", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
