"""The one test task that Figures 2-4 show, cut to what paper can show."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pinnlora.errors import UserError
from pinnlora.report.style import SYMBOLS, problem_label
from pinnlora.report.summaries import problem

MOST_ERROR_COLUMNS = 3  # what fits on a page beside the prediction


@dataclass(frozen=True)
class Slices:
    """Two-dimensional (or one-dimensional) cuts of the showcase.

    axes: names of the horizontal and, for maps, the vertical coordinate; points: their values; reference (field, ...),
    None where there is none, predictions (method, field, ...) and errors (method, column, ...) have axes (vertical,
    horizontal). Errors are absolute errors of the fields, or without a reference the residual; kind says which,
    columns what each is of, scores (method,) how large they are over the whole grid. outside: which points are not in
    the domain, None for a box.
    """

    axes: tuple[str, ...]
    points: tuple[np.ndarray, ...]
    fields: tuple[str, ...]
    methods: tuple[str, ...]
    reference: np.ndarray | None
    predictions: np.ndarray
    errors: np.ndarray
    kind: str
    columns: tuple[str, ...]
    scores: np.ndarray
    where: str
    outside: np.ndarray | None = None


def cut(dataset: xr.Dataset) -> Slices:
    """Cut the showcase to what paper can show: t at its end, a third space coordinate at its middle."""
    if not {"showcase_reference", "showcase_residual"} & set(dataset) or "showcase_prediction" not in dataset:
        raise UserError(
            f"{problem(dataset)}: no showcase in this evaluation; evaluate again with a fit or a bundle"
        )
    reference, prediction = dataset.get("showcase_reference"), dataset["showcase_prediction"]
    inside = dataset.get("showcase_inside")
    if reference is None:
        kind, error = "residual", dataset["showcase_residual"]
        error = error.expand_dims(column=["residual of the equations"])
        dims = [str(d) for d in error.dims if d != "showcase_method"]
        scores = _mean(error**2, dims, inside) ** 0.5
    else:
        kind, error = "MSE", abs(prediction - reference).isel(field=slice(MOST_ERROR_COLUMNS))
        error = error.rename(field="column").assign_coords(
            column=[f"absolute error of {name}" for name in error["field"].values]
        )
        scores = _mean((prediction - reference) ** 2, [str(d) for d in reference.dims], inside)
    space = [str(d) for d in prediction.dims if d not in ("showcase_method", "field", "t")]
    time = ["t"] if "t" in prediction.dims else []
    axes = tuple(space[:2]) if len(space) > 1 else tuple(time + space)
    chosen = {d: dataset.sizes[d] // 2 for d in space[2:]} | {d: -1 for d in time if d not in axes}
    where = ", ".join(f"{d} = {float(dataset[d][i]):.3g}" for d, i in chosen.items())
    order = ("field", *reversed(axes))
    return Slices(
        axes=axes,
        points=tuple(dataset[d].values for d in axes),
        fields=tuple(map(str, dataset["field"].values)),
        methods=tuple(map(str, dataset["showcase_method"].values)),
        reference=None if reference is None else reference.isel(chosen).transpose(*order).values,
        predictions=prediction.isel(chosen).transpose("showcase_method", *order).values,
        errors=error.isel(chosen).transpose("showcase_method", "column", *order[1:]).values,
        kind=kind,
        columns=tuple(map(str, error["column"].values)),
        scores=scores.values,
        where=where,
        outside=None if inside is None else inside.isel(chosen).transpose(*order[1:]).values == 0,
    )


def _mean(values: xr.DataArray, dims: list[str], inside: xr.DataArray | None) -> xr.DataArray:
    """The mean over the domain; nan where a value in it is."""
    if inside is None:
        return values.mean(dims, skipna=False)
    share = float((inside != 0).mean())
    return values.where(inside != 0, 0.0).mean(dims, skipna=False) / share


def title(dataset: xr.Dataset, slices: Slices) -> str:
    """The figure's first line: problem, task and where it was cut."""
    task = _task(dataset)
    parts = [f"{problem_label(problem(dataset))}, one test task" + (f": {task}" if task else "")]
    return "; ".join(parts + ([f"shown at {slices.where}"] if slices.where else []))


def _task(dataset: xr.Dataset) -> str:
    """The showcase's scalar task parameters, `Re = 42.3`; empty if they are functions or not known."""
    if "showcase_task" not in dataset.attrs:
        return ""
    index = int(dataset.attrs["showcase_task"])
    words = []
    for name, values in dataset.data_vars.items():
        if str(name).startswith("task_") and set(values.dims) <= {"split", "task"}:
            parameter = str(name).removeprefix("task_")
            value = values.sel(split="test") if "split" in values.dims else values
            words.append(f"{SYMBOLS.get(parameter, parameter)} = {float(value.isel(task=index)):.3g}")
    return ", ".join(words)
