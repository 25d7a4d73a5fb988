"""Figures 2-4: reference, predictions and errors of every method on one test task, on one page.

The first column is the first field, the others are the absolute errors of the fields. All field panels share
one colour scale, fixed by the reference; all error panels share another, logarithmic one.
"""

import numpy as np
import xarray as xr
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from pinnlora.report.showcase import Slices, cut, title
from pinnlora.report.style import COLOURS, RC, row_label

LABELS = 1.0  # inches left of the panels for the names of the methods
DECADES = 8  # of error that one colour scale can still tell apart


def fields(dataset: xr.Dataset) -> Figure:
    """The figure of one problem: a row for the reference and for each method, on at most an A4 page."""
    slices = cut(dataset)
    rows, columns = 1 + len(slices.methods), 1 + slices.errors.shape[1]
    with rc_context(RC):
        maps = len(slices.axes) == 2
        figure, grid = _grid(rows, columns, _shape(slices), gap_x=0.14 if maps else 0.45)
        left, inch = 0.1 / figure.get_figwidth(), 1 / figure.get_figheight()
        figure.text(left, 1 - 0.16 * inch, title(dataset, slices), va="center", fontsize=9)
        below = "MSE: mean squared error of this task over the whole grid and all fields"
        figure.text(left, 1 - 0.34 * inch, below, va="center", fontsize=7, color="0.3")
        draw = _draw_maps if maps else _draw_lines
        draw(figure, grid, slices)
        _label(figure, grid, slices)
    return figure


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


def _grid(rows: int, columns: int, shape: float | None, gap_x: float) -> tuple[Figure, np.ndarray]:
    """Axes (rows, columns) placed in inches on a page 7.3 wide and at most 10 high: A4 with its caption."""
    left, right, top, bottom, gap_y = LABELS + 0.5, 0.2, 0.6, 0.4, 0.1
    width = (7.3 - left - right) / columns - gap_x
    height = min(2.2, (10.0 - top - bottom) / rows - gap_y)
    if shape is None:
        height = min(height, 1.5)
    else:
        width = min(width, height / shape)
        height = width * shape
    size = (left + columns * (width + gap_x) + right, top + rows * (height + gap_y) + bottom)
    figure = Figure(figsize=size)
    grid = np.empty((rows, columns), dtype=object)
    for row, column in np.ndindex(rows, columns):
        corner = (left + column * (width + gap_x), bottom + (rows - 1 - row) * (height + gap_y))
        box = (corner[0] / size[0], corner[1] / size[1], width / size[0], height / size[1])
        grid[row, column] = figure.add_axes(box)
    return figure, grid


def _draw_maps(figure: Figure, grid: np.ndarray, slices: Slices) -> None:
    reference = slices.reference[0]
    low, high = np.nanmin(reference), np.nanmax(reference)
    field_norm, norm = Normalize(low, high if high > low else low + 1), error_norm(slices.errors)
    _map(grid[0, 0], slices, reference, field_norm, "viridis")
    for row, (prediction, errors) in enumerate(zip(slices.predictions, slices.errors, strict=True), start=1):
        _map(grid[row, 0], slices, prediction[0], field_norm, "viridis")
        for column, error in enumerate(errors, start=1):
            _map(grid[row, column], slices, np.maximum(error, norm.vmin), norm, "magma")
    shown = slices.predictions[:, 0]
    _colour_bar(figure, grid, 0.74, ScalarMappable(field_norm, "viridis"), slices.fields[0], shown)
    _colour_bar(figure, grid, 0.33, ScalarMappable(norm, "magma"), "absolute error", slices.errors)


def _map(axes: Axes, slices: Slices, values: np.ndarray, norm: Normalize, colours: str) -> None:
    colormap = colormaps[colours].with_extremes(bad="0.75")
    across, up = slices.points
    masked = np.ma.masked_invalid(values)
    axes.pcolormesh(across, up, masked, norm=norm, cmap=colormap, shading="nearest", rasterized=True)


def _colour_bar(figure, grid: np.ndarray, height: float, mappable, label: str, values: np.ndarray) -> None:
    """A horizontal bar right of the reference, at a fraction of its height; arrows for values outside."""
    first, last = grid[0, 1].get_position(), grid[0, -1].get_position()
    width = min(last.x1 - first.x0, 3.4 / figure.get_figwidth())
    box = (
        (first.x0 + last.x1 - 0.8 * width) / 2,
        first.y0 + height * first.height,
        0.8 * width,
        0.1 / figure.get_figheight(),
    )
    slack = 1e-3 * np.ptp([mappable.norm.vmin, mappable.norm.vmax]) if label != "absolute error" else 0.0
    below = np.nanmin(values) < mappable.norm.vmin - slack
    above = np.nanmax(values) > mappable.norm.vmax + slack
    extend = {(1, 1): "both", (1, 0): "min", (0, 1): "max", (0, 0): "neither"}[int(below), int(above)]
    bar = figure.colorbar(
        mappable, cax=figure.add_axes(box, label="<colorbar>"), orientation="horizontal", extend=extend
    )
    bar.ax.set_title(label, fontsize=8, pad=3)
    bar.ax.tick_params(labelsize=7, pad=1)
    bar.ax.minorticks_off()


def _draw_lines(figure: Figure, grid: np.ndarray, slices: Slices) -> None:
    """One coordinate: curves instead of maps, with shared vertical axes in place of colour scales."""
    points, reference = slices.points[0], slices.reference[0]
    norm = error_norm(slices.errors)
    margin = 0.08 * np.ptp(reference) or 1.0
    grid[0, 0].plot(points, reference, color="0.4")
    for row, (prediction, errors) in enumerate(zip(slices.predictions, slices.errors, strict=True), start=1):
        colour = COLOURS.get(slices.methods[row - 1].split(" ")[0], "#0072B2")
        grid[row, 0].plot(points, reference, color="0.85", linewidth=3)
        grid[row, 0].plot(points, prediction[0], color=colour, linestyle="--")
        for column, error in enumerate(errors, start=1):
            grid[row, column].semilogy(points, np.maximum(error, norm.vmin), color=colour)
            grid[row, column].set_ylim(norm.vmin, norm.vmax)
    for axes in grid[:, 0]:
        axes.set_ylim(np.nanmin(reference) - margin, np.nanmax(reference) + margin)


def _label(figure: Figure, grid: np.ndarray, slices: Slices) -> None:
    """Names of rows and columns; ticks only where the page's outer edges are."""
    lines = len(slices.axes) == 1
    for row, name in enumerate(_row_names(slices)):
        middle = grid[row, 0].get_position()
        figure.text(
            0.1 / figure.get_figwidth(), (middle.y0 + middle.y1) / 2, name, va="center", linespacing=1.4
        )
    for column in range(1, grid.shape[1]):
        grid[0, column].set_axis_off()
        centre = grid[0, column].get_position()
        height = centre.y0 - 0.02 / figure.get_figheight()
        name = (
            f"absolute error of {slices.fields[column - 1]}"
            if lines
            else f"error of {slices.fields[column - 1]}"
        )
        figure.text((centre.x0 + centre.x1) / 2, height, name, ha="center", va="bottom")
    grid[0, 0].set_title(slices.fields[0], fontsize=8, pad=3)
    for (row, column), axes in np.ndenumerate(grid):
        last = row == grid.shape[0] - 1
        axes.tick_params(labelsize=7, labelbottom=last, pad=2, length=2.5)
        axes.tick_params(labelleft=column == 0 or (lines and column == 1))
        axes.set_xticks(_ticks(axes.get_xlim(), whole=lines or column == grid.shape[1] - 1))
        axes.yaxis.set_major_locator(
            LogLocator(numticks=4) if lines and column > 0 else MaxNLocator(3, steps=[1, 2, 5, 10])
        )
        axes.set_xlabel(slices.axes[0] if last else "", labelpad=2)
        axes.set_ylabel("" if column or lines else slices.axes[1], labelpad=2)


def _ticks(limits: tuple[float, float], whole: bool) -> np.ndarray:
    """Three or so round ticks; unless `whole`, none whose label would run into that of the next panel."""
    low, high = limits
    ticks = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(low, high)
    return ticks[(ticks >= low) & (ticks <= (high if whole else high - 0.06 * (high - low)))]


def _row_names(slices: Slices) -> list[str]:
    labels = [
        row_label(*label.split(" rank ")) if " rank " in label else row_label(label, "full")
        for label in slices.methods
    ]
    return ["reference", *(f"{label}\nMSE {mse:.1e}" for label, mse in zip(labels, slices.mse, strict=True))]
