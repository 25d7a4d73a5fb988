"""Error against rank and against training time, a panel a problem."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from pinnlora.report.style import COLOURS, MARKERS, RC, method_label, problem_label, row_label
from pinnlora.report.summaries import (
    Row,
    compared,
    family,
    mean,
    measured_on,
    paper,
    per_problem,
    problem,
    reference,
    rows,
    shown,
)
from pinnlora.study.names import BASELINES, rank_value
from pinnlora.train.kinds import NAMED_RANKS

DODGE = 0.085  # in powers of two: bars of neighbouring methods at one rank stay apart
NAMED_DODGE = 2.0  # times as much at ranks that are no number, where every method has a point
BASELINE: dict[str, Any] = {"color": "0.45", "linewidth": 0.7}
SEED: dict[str, Any] = {"color": "black", "marker": ".", "markersize": 3, "markeredgewidth": 0}
LINES = dict(zip(BASELINES, (":", "-."), strict=True))


def error_against_rank(datasets: Sequence[xr.Dataset]) -> Figure:
    """Test MSE against rank: ours filled, with the range over tasks, the paper's hollow, damaged cells apart. Of a
    problem without reference solutions it is the residual, and its title says so.

    The baselines, what training starts from, are thin horizontal lines.
    """
    with rc_context(RC):
        figure, panels = _panels(len(datasets))
        for axes, dataset in zip(panels, datasets, strict=True):
            _rank_panel(axes, dataset)
            score = "test MSE" if any(map(compared, datasets)) else "residual of the test tasks"
            _finish(axes, dataset, "rank", score, "y")
        present = {row.method for dataset in datasets for row in rows(dataset)}
        order = [*COLOURS, *BASELINES]
        handles = [_key(method, method_label(method)) for method in order if method in present]
        if any(not _printed(dataset).empty for dataset in datasets):
            hollow: dict[str, Any] = {"color": "0.35", "markerfacecolor": "white", "linewidth": 0.8}
            handles.append(Line2D([], [], marker="o", linestyle="--", label="paper", **hollow))
            handles.append(Line2D([], [], marker="x", linestyle="", label="paper, damaged print", **hollow))
        bar: dict[str, Any] = {"color": "0.35", "marker": "|", "linestyle": "", "markersize": 9}
        several = any(dataset.sizes["seed"] > 1 for dataset in datasets)
        over = "range, tasks and seeds" if several else "range over the test tasks"
        handles.append(Line2D([], [], label=over, **bar))
        if several:
            handles.append(Line2D([], [], label="one seed", **SEED | {"linestyle": ""}))
        _legend(figure, handles, columns=5)
    return figure


def _rank_panel(axes: Axes, dataset: xr.Dataset) -> None:
    trained = [row for row in rows(dataset) if row.method not in BASELINES]
    methods = list(dict.fromkeys(row.method for row in trained))
    printed = _printed(dataset)
    printed = printed[printed["method"].isin(methods)]
    ranks = sorted({row.rank for row in trained} | set(printed["rank"]), key=rank_value)
    places = {rank: float(np.log2(float(rank))) for rank in ranks if rank not in NAMED_RANKS}
    for rank in ranks[len(places) :]:  # apart, to the right of the largest
        places[rank] = max(places.values(), default=-1.6) + 1.6
        axes.axvline(places[rank] - 0.85, color="0.6", linewidth=0.6, linestyle=":")
    for order, method in enumerate(methods):
        shift = (order - (len(methods) - 1) / 2) * DODGE
        at = {rank: x + shift * (NAMED_DODGE if rank in NAMED_RANKS else 1.0) for rank, x in places.items()}
        own = [row for row in trained if row.method == method]
        for kind in ("", *NAMED_RANKS):
            _ours(axes, [row for row in own if _kind(row.rank) == kind], at)
            theirs = printed[(printed["method"] == method) & (printed["rank"].map(_kind) == kind)]
            _theirs(axes, theirs.sort_values("rank", key=lambda r: r.map(rank_value)), method, at)
    for row in rows(dataset):
        if row.method in BASELINES:
            style = BASELINE | {"linestyle": LINES[row.method], "zorder": 1}
            axes.axhline(mean(row.scores()), label=row.method, **style)
    axes.set_xticks(list(places.values()), ranks)


def _kind(rank: str) -> str:
    """A rank's own name; those that are numbers, which a line joins, have none."""
    return rank if rank in NAMED_RANKS else ""


def _ours(axes: Axes, own: Sequence[Row], at: dict[str, float]) -> None:
    if not any(np.isfinite(mean(row.scores())) for row in own):
        return
    # the line is broken at a row that diverged
    every = [np.where(np.isfinite(scores).all(), scores, np.nan) for scores in (row.scores() for row in own)]
    centre = np.array([mean(scores) for scores in every])
    low, high = np.array([[scores.min(initial=np.inf), scores.max(initial=-np.inf)] for scores in every]).T
    method = own[0].method
    style: dict[str, Any] = {
        "color": COLOURS[method],
        "marker": MARKERS[method],
        "elinewidth": 0.8,
        "zorder": 3,
    }
    reach = np.maximum([centre - low, high - centre], 0.0)  # rounding can leave the mean outside by an ulp
    bars = axes.errorbar([at[row.rank] for row in own], centre, yerr=reach, **style)
    bars.set_label(f"{problem(own[0].dataset)} {method}")
    for row in own:  # of each seed alone, where there are several
        means = [mean(errors) for errors in row.scores_by_seed()]
        if len(means) > 1:
            axes.plot([at[row.rank]] * len(means), means, linestyle="", zorder=4, **SEED)


def _theirs(axes: Axes, printed: pd.DataFrame, method: str, at: dict[str, float]) -> None:
    """The paper's legible cells, joined where they are neighbours; damaged ones as crosses that nothing joins."""
    x, mse = printed["rank"].map(at), printed["mse_test"]
    legible = printed["legible"] == "yes"
    style: dict[str, Any] = {"color": COLOURS[method], "linewidth": 0.8, "markersize": 4, "zorder": 2}
    hollow = {"marker": MARKERS[method], "markerfacecolor": "white", "markeredgewidth": 0.8}
    axes.plot(x, mse.where(legible), linestyle="--", **style | hollow)
    axes.plot(x[~legible], mse[~legible], linestyle="", marker="x", **style)


def _printed(dataset: xr.Dataset) -> pd.DataFrame:
    """The paper's Tables 1 and 2 of the problem, or of that it is a variant of: method, rank, mse_test, legible."""
    both = pd.concat([paper(1).assign(legible="yes"), paper(2)])
    return both.loc[both["problem"] == family(dataset), ["method", "rank", "mse_test", "legible"]]


def error_against_time(datasets: Sequence[xr.Dataset]) -> Figure:
    """Error on the test tasks, at the best validation loss so far, against seconds, a line a method at the rank that
    figures show.

    A line begins when what the method builds on is made: base, references and teachers are counted in.
    """
    with rc_context(RC):
        figure, panels = _panels(len(datasets))
        labels: dict[str, dict[str, None]] = {}
        for axes, dataset in zip(panels, datasets, strict=True):
            for row in shown(dataset):
                if _history(axes, row):
                    labels.setdefault(row.method, {})[row_label(row.method, row.rank)] = None
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
            below = "seconds, with base,\nreferences and teachers"
            _finish(
                axes, dataset, below, "MSE of the test tasks, at the\nbest validation loss so far", "both"
            )
            if not compared(dataset):
                why = "no reference solution,\nhence no history of errors"
                axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center")
        handles = [_key(method, " / ".join(labels[method])) for method in COLOURS if method in labels]
        note = (
            "per-task methods fit all test tasks side by side; the large marker is the end of training\n"
            f"on {per_problem(datasets, measured_on)}"
        )
        _legend(figure, handles, columns=4, title=note, title_fontsize=8)
    return figure


def _history(axes: Axes, row: Row) -> bool:
    """Draw one method's history; False where it left none."""
    seconds, mse = row.history()
    keep = (seconds > 0) & (mse > 0)
    if not keep.any():
        return False
    seconds, mse, colour = seconds[keep], mse[keep], COLOURS[row.method]
    axes.plot(seconds, mse, color=colour, linewidth=1.1, drawstyle="steps-post")
    end: dict[str, Any] = {"markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.6, "zorder": 4}
    axes.plot(seconds[-1:], mse[-1:], linestyle="", marker=MARKERS[row.method], color=colour, **end)
    return True


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Up to three panels in a row (four in two rows), 7.3 inches wide, one alone narrower."""
    columns = 2 if count == 4 else min(count, 3)
    lines = -(-count // columns)
    size = (7.3 if columns > 1 else 5.4, 2.7 * lines + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for spare in panels[count:]:
        spare.remove()
    return figure, panels[:count]


def _finish(axes: Axes, dataset: xr.Dataset, xlabel: str, ylabel: str, grid: Literal["both", "y"]) -> None:
    axes.set_yscale("log")
    axes.set_xlabel(xlabel)
    place = axes.get_subplotspec()
    if place is not None and place.is_first_col():
        axes.set_ylabel(ylabel)
    refined = ", to refined solutions" if reference(dataset) == "refined" else ""
    axes.set_title(problem_label(problem(dataset)) + (refined if compared(dataset) else ", residuals only"))
    axes.grid(axis=grid, color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)


def _legend(figure: Figure, handles: list[Line2D], columns: int, **title) -> None:
    """Below the panels, in as many columns as there is room for."""
    for count in range(columns, 0, -1):
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=count, frameon=False, **title
        )
        if count == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def _key(method: str, label: str) -> Line2D:
    """A method as legends show it."""
    if method in BASELINES:
        return Line2D([], [], label=label, **BASELINE | {"linestyle": LINES[method]})
    return Line2D([], [], color=COLOURS[method], marker=MARKERS[method], label=label)
