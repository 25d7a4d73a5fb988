"""Figures 2-4: reference, predictions and errors of every method on one test task, on one page.

The first column is the first field, the others are the absolute errors of the fields, or the residual where the task
has no reference. All field panels share one colour scale, fixed by the reference, if there is one; all error panels
share another, logarithmic one.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pinnlora.report.showcase import Slices, cut, title
from pinnlora.report.style import COLOURS, RC, row_label
from pinnlora.report.summaries import reference

DECADES = 8  # of error that one colour scale can still tell apart


def fields(dataset: xr.Dataset) -> Figure:
    """The figure of one problem: a row for the reference and for each method, on at most an A4 page."""
    slices = cut(dataset)
    rows, columns = _first(slices) + len(slices.methods), 1 + slices.errors.shape[1]
    with rc_context(RC):
        maps = len(slices.axes) == 2
        shape = _shape(slices)
        height = min(1.3 if shape is None else 0.25 + 6.3 / columns * shape, (10.0 - 1.2) / rows)
        size = (7.3, rows * height + 1.2)
        figure = Figure(figsize=size, layout="constrained" if shape is None else "compressed")
        grid = figure.subplots(rows, columns, sharex=True, sharey=maps, squeeze=False)
        below = "MSE: mean squared error of this task over the whole grid and all fields"
        if reference(dataset) == "refined":
            below = "MSE: mean squared distance to this task's own refined solution, over grid and fields"
        if slices.reference is None:
            below = "no reference solution, hence no errors; residual: root mean square over the whole grid"
        figure.suptitle(f"{title(dataset, slices)}\n{below}")
        (_draw_maps if maps else _draw_lines)(figure, grid, slices)
        _label(grid, slices, shape)
    return figure


def _first(slices: Slices) -> int:
    """Which row is that of the first method: 0 where no reference stands above it."""
    return int(slices.reference is not None)


def _fields(slices: Slices) -> list[np.ndarray]:
    """The first field of every row."""
    return [*([] if slices.reference is None else [slices.reference[0]]), *slices.predictions[:, 0]]


def _span(slices: Slices) -> tuple[float, float]:
    """From the lowest to the highest value of the first field: the reference's, else of all predictions."""
    shown = _fields(slices)[:1] if _first(slices) else slices.predictions[:, 0]
    finite = np.asarray(shown)[np.isfinite(shown)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def error_norm(errors: np.ndarray) -> LogNorm:
    """The logarithmic scale of all error panels: whole decades up to the largest error, at most DECADES."""
    positive = errors[np.isfinite(errors) & (errors > 0)]
    if positive.size == 0:
        return LogNorm(1e-16, 1e-15)
    top = np.ceil(np.log10(positive.max()))
    bottom = np.floor(np.log10(np.percentile(positive, 2)))
    return LogNorm(10.0 ** np.clip(bottom, top - DECADES, top - 1), 10.0**top)


def _shape(slices: Slices) -> float | None:
    """Height over width of a map of two space coordinates; None leaves the shape to the page."""
    if len(slices.axes) < 2 or "t" in slices.axes:
        return None
    across, up = (np.ptp(points) for points in slices.points)
    return up / across if across > 0 and 0.3 < up / across < 3 else None


def _draw_maps(figure: Figure, grid: np.ndarray, slices: Slices) -> None:
    low, high = _span(slices)
    field_norm, norm = Normalize(low, high if high > low else low + 1), error_norm(slices.errors)
    for axes, prediction in zip(grid[:, 0], _fields(slices), strict=True):
        _map(axes, slices, prediction, field_norm, "viridis")
    for (row, column), axes in np.ndenumerate(grid[_first(slices) :, 1:]):
        _map(axes, slices, np.clip(slices.errors[row, column], norm.vmin, None), norm, "magma")
    bar: dict[str, Any] = {"location": "bottom", "fraction": 0.02, "pad": 0.01}
    wide = 18 * (grid.shape[1] - 1)  # times as long as thick: both bars equally thick
    values, errors = ScalarMappable(field_norm, "viridis"), ScalarMappable(norm, "magma")
    first = figure.colorbar(values, ax=grid[:, 0], aspect=18, extend="both", **bar)
    rest = figure.colorbar(errors, ax=grid[:, 1:], aspect=wide, extend="min", **bar)
    first.set_label(slices.fields[0])
    rest.set_label("residual" if slices.reference is None else "absolute error")


def _map(axes: Axes, slices: Slices, values: np.ndarray, norm: Normalize, colours: str) -> None:
    colormap = colormaps[colours].with_extremes(bad="0.75")
    masked = np.ma.masked_invalid(values)
    axes.pcolormesh(*slices.points, masked, norm=norm, cmap=colormap, shading="nearest", rasterized=True)
    if slices.outside is not None:
        blank = np.ma.masked_where(~slices.outside, np.ones(slices.outside.shape))
        axes.pcolormesh(
            *slices.points, blank, cmap=ListedColormap(["white"]), shading="nearest", rasterized=True
        )


def _draw_lines(figure: Figure, grid: np.ndarray, slices: Slices) -> None:
    """One coordinate: curves instead of maps, with shared vertical axes in place of colour scales."""
    points, (low, high), norm = slices.points[0], _span(slices), error_norm(slices.errors)
    margin = 0.08 * (high - low) or 1.0
    for row, axes in enumerate(grid, start=-_first(slices)):
        if slices.reference is not None:
            axes[0].plot(points, slices.reference[0], color="0.85", linewidth=3)
        axes[0].set_ylim(low - margin, high + margin)
        if row >= 0:
            colour = COLOURS[slices.methods[row].split(" ")[0]]
            axes[0].plot(points, slices.predictions[row, 0], color=colour, linestyle="--")
            for panel, error in zip(axes[1:], slices.errors[row], strict=True):
                panel.semilogy(points, np.clip(error, norm.vmin, None), color=colour)
                panel.set_ylim(norm.vmin, norm.vmax)


def _label(grid: np.ndarray, slices: Slices, shape: float | None) -> None:
    """The name of a row above its first panel, those of columns where the reference has no error, else above them."""
    methods = zip(slices.methods, slices.scores, strict=True)
    names = [f"{_name(label)}, {slices.kind} {score:.1e}" for label, score in methods]
    for axes, name in zip(grid[:, 0], ["reference"][: _first(slices)] + names, strict=True):
        axes.set_title(name, loc="left", fontsize=8, pad=3)
        axes.set_ylabel(slices.axes[1] if len(slices.axes) == 2 else slices.fields[0])
    for axes, column in zip(grid[0, 1:], slices.columns, strict=True):
        if slices.reference is None:
            axes.set_title(column, fontsize=8, pad=3)
        else:
            axes.set_axis_off()
            axes.text(0.5, 0.05, column, transform=axes.transAxes, ha="center")
    for axes in grid[-1]:
        axes.set_xlabel(slices.axes[0])
    for axes in grid.flat:
        axes.set_box_aspect(shape)
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        if axes.get_yscale() == "linear":
            axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))


def _name(label: str) -> str:
    """`LoRA, rank 4` for `lora rank 4`, `fine-tuned PINN` for `finetuned`."""
    method, _, rank = label.partition(" rank ")
    return row_label(method, rank or "full")
