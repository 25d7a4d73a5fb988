"""Error against rank and against training time, a panel a problem; the maps of Figures 2-4 are in maps.py."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pinnlora.report.maps import fields
from pinnlora.report.style import COLOURS, MARKERS, method_label, problem_label, rc, save
from pinnlora.report.summaries import combinations, errors, mean, paper, problem, rank_value, shown_rank

__all__ = ["error_against_rank", "error_against_time", "fields", "save"]

DODGE = 0.085  # in powers of two: bars of neighbouring methods at one rank stay apart
FULL_DODGE = 2.0  # times as much at full rank, where every method has a point


def error_against_rank(datasets: Sequence[xr.Dataset]) -> Figure:
    """Test MSE against rank for every method: ours filled, with the range over tasks, the paper's hollow."""
    with rc_context(rc()):
        figure, panels = _panels(len(datasets), sharey=True)
        for axes, dataset in zip(panels, datasets, strict=True):
            _rank_panel(axes, dataset)
        panels[0].set_ylabel("test MSE")
        shown = {method for dataset in datasets for method, _ in combinations(dataset)}
        handles = [_key(method) for method in COLOURS if method in shown]
        if any(not _printed(problem(dataset)).empty for dataset in datasets):
            plain = {"color": "0.35", "markerfacecolor": "white", "linestyle": "--", "linewidth": 0.9}
            handles.append(Line2D([], [], marker="o", label="paper", **plain))
            handles.append(
                Line2D([], [], marker="x", label="paper, damaged print", **plain | {"linestyle": ""})
            )
        bar = {"color": "0.35", "marker": "|", "linestyle": "", "markersize": 9}
        handles.append(Line2D([], [], label="range over the test tasks", **bar))
        figure.legend(handles=handles, loc="outside lower center", ncols=_columns(datasets), frameon=False)
    return figure


def _rank_panel(axes: Axes, dataset: xr.Dataset) -> None:
    pairs = combinations(dataset)
    methods = list(dict.fromkeys(method for method, _ in pairs))
    print_ = _printed(problem(dataset))
    print_ = print_[print_["method"].isin(methods)]
    ranks = sorted({rank for _, rank in pairs} | set(print_["rank"]), key=rank_value)
    places = _places(ranks)
    for order, method in enumerate(methods):
        shift = (order - (len(methods) - 1) / 2) * DODGE
        own = [rank for name, rank in pairs if name == method]
        _ours(axes, dataset, method, [r for r in own if r != "full"], places, shift)
        _ours(axes, dataset, method, [r for r in own if r == "full"], places, shift)
        _theirs(axes, print_[print_["method"] == method], method, places, shift)
    if "full" in places:
        axes.axvline(places["full"] - 0.85, color="0.6", linewidth=0.6, linestyle=":")
    axes.set_yscale("log")
    axes.set_xticks(list(places.values()), ranks)
    axes.set_xlabel("rank")
    axes.set_title(problem_label(problem(dataset)))
    axes.grid(axis="y", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)


def _places(ranks: Sequence[str]) -> dict[str, float]:
    """Rank to abscissa: log2 of the rank, and `full` apart, to the right of the largest."""
    places = {rank: float(np.log2(float(rank))) for rank in ranks if rank != "full"}
    if "full" in ranks:
        places["full"] = max(places.values(), default=-1.6) + 1.6
    return places


def _at(rank: str, places: dict[str, float], shift: float) -> float:
    return places[rank] + shift * (FULL_DODGE if rank == "full" else 1.0)


def _ours(axes: Axes, dataset: xr.Dataset, method: str, ranks: list[str], places: dict, shift: float) -> None:
    values = {rank: errors(dataset, method, rank, "test") for rank in ranks}
    values = {rank: value for rank, value in values.items() if np.isfinite(mean(value))}
    if not values:
        return
    centre = np.array([mean(value) for value in values.values()])
    low = np.array([value.min() for value in values.values()])
    high = np.array([value.max() for value in values.values()])
    x = np.array([_at(rank, places, shift) for rank in values])
    bars: ErrorbarContainer = axes.errorbar(
        x,
        centre,
        yerr=np.maximum([centre - low, high - centre], 0.0),  # rounding can leave the mean outside by an ulp
        color=_colour(method),
        marker=_marker(method),
        elinewidth=0.8,
        zorder=3,
    )
    bars.set_label(f"{problem(dataset)} {method}")


def _theirs(axes: Axes, rows: pd.DataFrame, method: str, places: dict, shift: float) -> None:
    style = {"color": _colour(method), "linewidth": 0.8, "markersize": 4, "zorder": 2}
    hollow = {"marker": _marker(method), "markerfacecolor": "white", "markeredgewidth": 0.8}
    rows = rows.assign(x=[_at(rank, places, shift) for rank in rows["rank"]]).sort_values("x")
    line, full = rows[rows["rank"] != "full"], rows[rows["rank"] == "full"]
    axes.plot(line["x"], line["mse_test"], linestyle="--", **style)
    for part in (line, full):
        good, damaged = part[part["legible"] == "yes"], part[part["legible"] == "no"]
        axes.plot(good["x"], good["mse_test"], linestyle="", **style | hollow)
        axes.plot(damaged["x"], damaged["mse_test"], linestyle="", marker="x", **style)


def _printed(name: str) -> pd.DataFrame:
    """The paper's Tables 1 and 2 of one problem as method, rank, mse_test, legible."""
    frame = pd.concat([paper(1).assign(legible="yes"), paper(2).rename(columns={"mode": "method"})])
    return frame.loc[frame["problem"] == name, ["method", "rank", "mse_test", "legible"]]


def error_against_time(datasets: Sequence[xr.Dataset]) -> Figure:
    """MSE during training against seconds of the whole job, a line a method at the rank that figures show."""
    with rc_context(rc()):
        figure, panels = _panels(len(datasets), sharey=True)
        handles: dict[str, Line2D] = {}
        for axes, dataset in zip(panels, datasets, strict=True):
            for method in dict.fromkeys(name for name, _ in combinations(dataset)):
                if _history(axes, dataset, method):
                    handles[method] = _key(method)
            axes.set_title(problem_label(problem(dataset)))
            axes.set_xlabel("training time of the job (s)")
            axes.set(xscale="log", yscale="log")
            axes.grid(color="0.9", linewidth=0.5)
            axes.set_axisbelow(True)
        panels[0].set_ylabel("MSE while training")
        for method, handle in handles.items():
            ranks = dict.fromkeys(str(shown_rank(d, method)) for d in datasets if shown_rank(d, method))
            if ranks and method not in ("pinn", "finetuned"):
                handle.set_label(f"{method_label(method)}, rank {' / '.join(ranks)}")
        machines = dict.fromkeys(str(d.attrs.get("machine", "unknown machine")) for d in datasets)
        handles_ = [handles[method] for method in sorted(handles, key=[*COLOURS, *handles].index)]
        figure.legend(
            handles=handles_,
            loc="outside lower center",
            ncols=_columns(datasets) - 1,
            frameon=False,
            title=f"on {', '.join(machines)}; the large marker is the end of training",
            title_fontsize=8,
        )
    return figure


def _history(axes: Axes, dataset: xr.Dataset, method: str) -> bool:
    """Draw one method's history; False where it left none."""
    rank = shown_rank(dataset, method)
    if "history_mse" not in dataset or rank is None:
        return False
    history = dataset[["history_seconds", "history_mse"]].sel({"method": method, "rank": rank})
    seconds, mse = history["history_seconds"].values, history["history_mse"].values
    keep = np.isfinite(seconds) & np.isfinite(mse) & (seconds > 0) & (mse > 0)
    if not keep.any():
        return False
    seconds, mse = seconds[keep], mse[keep]
    axes.plot(seconds, mse, color=_colour(method), linewidth=1.1)
    end = {"markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.6, "zorder": 4}
    axes.plot(seconds[-1:], mse[-1:], linestyle="", marker=_marker(method), color=_colour(method), **end)
    return True


def _panels(count: int, sharey: bool) -> tuple[Figure, list[Axes]]:
    """Up to three panels in a row, 7.3 inches wide for three."""
    columns, rows = min(count, 3), -(-count // 3)
    figure = Figure(
        figsize=(max(2.5 * columns, 4.6) if columns < 3 else 7.3, 2.7 * rows + 0.9), layout="constrained"
    )
    panels = list(figure.subplots(rows, columns, sharey=sharey, squeeze=False).flat)
    for spare in panels[count:]:
        spare.remove()
    return figure, panels[:count]


def _columns(datasets: Sequence[xr.Dataset]) -> int:
    """Columns of the legend that fit under the panels."""
    return 5 if len(datasets) > 2 else 3


def _key(method: str) -> Line2D:
    return Line2D([], [], color=_colour(method), marker=_marker(method), label=method_label(method))


def _colour(method: str) -> str:
    return COLOURS.get(method, "#56B4E9")


def _marker(method: str) -> str:
    return MARKERS.get(method, "o")
