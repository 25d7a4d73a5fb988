"""One picture an example: a field of a task in the middle of the range, and its error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from examples_truth import Truth
from PIL import Image

from pinnlora.files import atomic
from pinnlora.problem.base import Problem

LARGEST, COLOURS = 60_000, 200
"""Bytes of a picture, and the colours that it makes do with."""
LONG = 2.5
"""How many times as wide as high a domain is shown below, not beside."""


def draw(problem: Problem, truth: Truth, found: np.ndarray, errors: np.ndarray, path: Path) -> dict[str, Any]:
    """Write the picture of found (task, point, field); what it shows: the task, its error, where it is cut."""
    k, shape, names = len(errors) // 2, tuple(map(len, truth.axes)), problem.coords.names
    known = truth.solved.fields[k, :, 0].reshape(shape)
    field = np.where(np.isnan(known), np.nan, found[k, :, 0].reshape(shape))
    axes, cut = list(zip(names, truth.axes, strict=True)), ""
    if len(shape) == 3:  # at the end of time, or in the middle
        name, axis = axes.pop()
        place = len(axis) - 1 if name == "t" else len(axis) // 2
        field, known, cut = field[..., place], known[..., place], f"{name} = {axis[place]:g}"
    size, titles = _size(axes), (f"{problem.fields[0]}", "its error")
    wide = size[0] > LONG * size[1]
    figure, panels = plt.subplots(*((2, 1) if wide else (1, 2)), figsize=(6.4, 3.2 if wide else 2.6), dpi=80)
    for panel, shown, title in zip(panels, (field, field - known), titles, strict=True):
        _panel(panel, axes, shown, title, colours="viridis" if title != titles[1] else "RdBu_r")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        figure.canvas.draw()
        image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
        image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(temporary, "png", optimize=True)
    plt.close(figure)
    task = {name: float(value[k]) for name, value in truth.values.items() if value.ndim == 1}
    return {
        "file": path.name,
        "task": task,
        "cut": cut,
        "error": float(errors[k]),
        "field": problem.fields[0],
    }


def _size(axes: list[tuple[str, np.ndarray]]) -> tuple[float, float]:
    """Width and height of the domain in space; of one unit each where time is an axis."""
    if len(axes) < 2 or "t" in dict(axes):
        return 1.0, 1.0
    return tuple(float(axis[-1] - axis[0]) for _, axis in axes)


def _panel(
    panel: Any, axes: list[tuple[str, np.ndarray]], shown: np.ndarray, title: str, colours: str
) -> None:
    panel.set_title(title, fontsize=9)
    panel.tick_params(labelsize=7)
    panel.set_xlabel(axes[0][0], fontsize=8)
    if len(axes) == 1:
        panel.plot(axes[0][1], shown, linewidth=1)
        return
    limit = np.nanmax(np.abs(shown)) or 1.0
    span = (-limit, limit) if colours == "RdBu_r" else (None, None)
    ends = [end for _, axis in axes for end in (axis[0], axis[-1])]
    aspect = "auto" if "t" in dict(axes) else "equal"
    image = panel.imshow(
        shown.T, colours, origin="lower", extent=ends, aspect=aspect, vmin=span[0], vmax=span[1]
    )
    panel.set_ylabel(axes[1][0], fontsize=8)
    bar = panel.figure.colorbar(image, ax=panel, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.formatter.set_powerlimits((-2, 2))
    bar.ax.yaxis.get_offset_text().set_fontsize(7)
