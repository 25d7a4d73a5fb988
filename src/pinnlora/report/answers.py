"""One predicted task on a page: each field, the residual, and the estimated error beside the true one where known."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from pinnlora.errors import UserError
from pinnlora.loss.measure import residual_map
from pinnlora.query.networks import Networks
from pinnlora.query.places import in_domain, places_of
from pinnlora.query.predict import predicted
from pinnlora.query.trust import error_map
from pinnlora.report.style import RC

SIDE = 101
"""Points along each of the two coordinates shown; the others are held at the middle."""
DEEP = 4
"""Decades that one colour scale tells apart."""


def answer_of(networks: Networks) -> xr.Dataset:
    """Fields, residual, estimated_error_u and true_error_u of one task over the first coordinate and the last; nan
    outside of the domain."""
    problem = networks.problem
    box = problem.coords
    if box.vectors:
        raise UserError("a figure shows two coordinates, which say little in many dimensions: use predict")
    middle = {n: (a + b) / 2 for n, a, b in zip(box.names, box.low, box.high, strict=True)}
    along = dict.fromkeys(
        (box.names[0], box.names[-1] if box.time is not None or len(box.names) < 3 else box.names[1])
    )
    axes = {
        n: np.linspace(a, b, SIDE) for n, a, b in zip(box.names, box.low, box.high, strict=True) if n in along
    }
    at = xr.Dataset(middle | {n: (n, axis) for n, axis in axes.items()})
    out, places = predicted(networks, at), places_of(problem, at, 1)
    points = torch.as_tensor(places.points).to(networks.theta)
    tasks = networks.tasks
    inner = tasks.to_network(points)
    residual = residual_map(problem, networks.parametrisation, networks.theta, tasks.values, inner)
    maps = {"residual_at": residual[0].double().cpu().numpy()}
    estimated, true = error_map(networks, places.points)[0], _true(networks, places.points)
    fields = networks.fields(places.points)[0].double().cpu().numpy()
    for k, name in enumerate(problem.fields):
        maps[f"estimated_error_{name}"] = estimated[:, k]
        if true is not None:
            maps[f"true_error_{name}"] = np.abs(fields[:, k] - true[:, k])
    inside = in_domain(problem, places.points, networks.given)
    for name, values in maps.items():
        there = values if inside is True else np.where(inside[0], values, np.nan)
        out[name] = (places.dims, there.reshape(places.shape))
    out.attrs |= {"fields": list(problem.fields), "title": problem.title}
    return out.squeeze()


def _true(networks: Networks, points: np.ndarray) -> np.ndarray | None:
    """The exact solution (point, field), None where there is none."""
    problem = networks.problem
    if problem.exact_signature is None:
        return None
    values = {name: torch.from_numpy(value) for name, value in networks.given.items()}
    return torch.stack(list(problem.exact_at(torch.from_numpy(points), values).values()), -1)[0].numpy()


def figure_of(dataset: xr.Dataset) -> Figure:
    """A row a field: its prediction, then errors; the residual, of all equations, stands in the first row."""
    names = dataset.attrs["fields"]
    kinds = [kind for kind in ("estimated_error", "true_error") if f"{kind}_{names[0]}" in dataset]
    with rc_context(RC):
        figure = Figure(figsize=(2.4 * (2 + len(kinds)), 2.2 * len(names) + 0.6), layout="constrained")
        grid = figure.subplots(len(names), 2 + len(kinds), squeeze=False)
        for axes in grid[1:, -1]:
            axes.set_visible(False)
        for row, name in zip(grid, names, strict=True):
            _panel(figure, row[0], dataset[name], name, False)
            for axes, kind in zip(row[1:], kinds, strict=False):
                _panel(figure, axes, dataset[f"{kind}_{name}"], f"{kind.replace('_', ' ')} of {name}", True)
        _panel(figure, grid[0, -1], dataset["residual_at"], "residual", True)
        figure.suptitle(f"{dataset.attrs['title']}\n{_told(dataset)}")
    return figure


def _told(dataset: xr.Dataset) -> str:
    """The task, and how well it is known."""
    task = [
        f"{name} = {float(value):g}" for name, value in dataset.coords.items() if _is_task(str(name), value)
    ]
    low, error, high = (float(dataset[f"estimated_error{end}"]) for end in ("_low", "", "_high"))
    if not dataset["in_range"]:
        known = "outside the range that was trained: the error is not known"
    elif np.isnan(error):
        known = "the error is not known"
    else:
        known = f"estimated error {error:.1e}, 90 % interval {low:.1e} to {high:.1e}"
    return "; ".join([*task, known])


def _is_task(name: str, value: xr.DataArray) -> bool:
    return value.ndim == 0 and value.attrs.get("long_name") == f"task parameter {name}"


def _panel(figure: Figure, axes: Axes, values: xr.DataArray, title: str, logarithmic: bool) -> None:
    axes.set_title(title)
    if values.ndim == 1:
        axes.plot(values[values.dims[0]], values)
        axes.set_xlabel(str(values.dims[0]))
        axes.set_yscale("log" if logarithmic else "linear")
        return
    norm, (across, up) = None, values.dims
    top = float(values.where(np.isfinite(values)).max())  # an exact solution may be infinite on the boundary
    if logarithmic and top > 0:
        norm, values = LogNorm(top / 10**DEEP, top), values.clip(min=top / 10**DEEP)
    image = axes.pcolormesh(values[across], values[up], values.T, norm=norm, rasterized=True)
    figure.colorbar(image, ax=axes)
    axes.set_xlabel(str(across))
    axes.set_ylabel(str(up))
