"""evaluation.nc: results of all methods and ranks side by side, with units, names and provenance."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pinnlora.study.evaluation import SPLITS, Result, Truth
from pinnlora.study.names import METHODS, rank_value
from pinnlora.train.data import known_and_there, of_split

ERRORS = {
    "mse": "mean squared error over the evaluation grid",
    "relative_l2": "relative L2 error over the evaluation grid",
    "relative_l1": "relative L1 error over the evaluation grid",
    "mse_refined": "mean squared error after refinement by Levenberg-Marquardt",
    "mse_front": "mean squared error over the grid points of the front",
}
PHYSICAL = {
    "residual": "root mean square of the equations' residuals at fresh points",
    "mismatch": "root mean square of the conditions' mismatches at fresh points",
    "residual_refined": "the same residual after refinement by Levenberg-Marquardt",
    "mismatch_refined": "the same mismatch after refinement by Levenberg-Marquardt",
}
TRAINED = ("method", "rank", "seed")
"""What tells one training from another. Only hypernetworks are trained with more than the study's own seed."""
NUMBERS = {
    "parameters": ("trained numbers per task", "1"),
    "seconds": ("training time of the whole job", "s"),
    "seconds_base": ("training time of the base network it starts from", "s"),
    "seconds_reference": ("time of the reference solutions it learns from", "s"),
    "seconds_teachers": ("training time of the networks it learns from", "s"),
    "iterations": ("optimiser steps", "1"),
    "seconds_new_task": ("time to the solution of one new task alone", "s"),
    "coverage": ("share of the test tasks whose error lies in its estimated interval", "1"),
    "seconds_refine": ("time to refine a new task's solution", "s"),
}


def gather(results: list[Result], truth: Truth) -> xr.Dataset:
    """All results as one dataset; a (method, rank, seed) that was not trained is nan."""
    methods = [method for method in METHODS if any(r.method == method for r in results)]
    ranks = sorted({r.rank for r in results}, key=rank_value)
    seeds = sorted({r.seed for r in results})
    place = [(methods.index(r.method), ranks.index(r.rank), seeds.index(r.seed)) for r in results]
    size = len(methods), len(ranks), len(seeds)
    dataset = xr.Dataset(
        coords={
            "method": ("method", methods, {"long_name": "method"}),
            "rank": ("rank", ranks, {"long_name": "rank of the adapters, auto where it was found, or full"}),
            "seed": ("seed", seeds, {"long_name": "seed that it was trained with", "units": "1"}),
            "split": ("split", list(SPLITS), {"long_name": "split of the tasks"}),
            "field": ("field", list(truth.problem.fields), {"long_name": "field"}),
        }
    )
    _add_errors(dataset, results, place, truth)
    for name, (long_name, units) in NUMBERS.items():
        values = np.full(size, np.nan)
        for at, r in zip(place, results, strict=True):
            values[at] = r.numbers.get(name, np.nan)
        _put(dataset, name, TRAINED, values, long_name, units)
    _add_failures(dataset, results, place)
    _add_histories(dataset, results, place)
    _add_tasks(dataset, truth)
    _add_showcase(dataset, results, truth)
    return dataset


def _sizes(dataset: xr.Dataset) -> tuple[int, ...]:
    return tuple(dataset.sizes[name] for name in TRAINED)


def _put(
    dataset: xr.Dataset,
    name: str,
    dims: tuple[str, ...],
    values: np.ndarray,
    long_name: str,
    units: str = "1",
) -> None:
    dataset[name] = (dims, values, {"long_name": long_name, "units": units})


def _add_errors(dataset: xr.Dataset, results: list[Result], place, truth: Truth) -> None:
    most = max(int((truth.splits == split).sum()) for split in SPLITS)
    shape = (*_sizes(dataset), len(SPLITS), most, len(truth.problem.fields))
    dims = (*TRAINED, "split", "task", "field")
    for name, long_name in (ERRORS | PHYSICAL).items():
        depth = 5 if name in PHYSICAL else 6
        values = np.full(shape[:depth], np.nan)
        for at, r in zip(place, results, strict=True):
            for split, errors in r.errors.items():
                if name in errors:
                    there = values[at][SPLITS.index(split)]
                    there[: len(errors[name])] = errors[name]
        _put(dataset, name, dims[:depth], values, long_name)


def _add_failures(dataset: xr.Dataset, results: list[Result], place) -> None:
    """How many tasks have no finite error, or no finite residual."""
    counts = np.full((*_sizes(dataset), len(SPLITS)), np.nan)
    for at, r in zip(place, results, strict=True):
        for split, errors in r.errors.items():
            infinite = np.isinf(errors["mse"]).any(1) | np.isinf(errors["residual"])
            counts[at][SPLITS.index(split)] = infinite.sum()
    why = "tasks that failed: their error or residual is infinite"
    _put(dataset, "failed", (*TRAINED, "split"), counts, why)


def _add_histories(dataset: xr.Dataset, results: list[Result], place) -> None:
    histories = {at: r.history for at, r in zip(place, results, strict=True) if r.history is not None}
    longest = max((history.sizes.get("sample", 0) for history in histories.values()), default=0)
    best = "mean squared error of the best state so far on the test tasks, on a sample of grid points"
    for name, *about in (("seconds", "wall time since the start of training", "s"), ("mse", best)):
        values = np.full((*_sizes(dataset), longest), np.nan)
        for at, history in histories.items():
            values[at][: history.sizes["sample"]] = history[name].values
        _put(dataset, f"history_{name}", (*TRAINED, "sample"), values, *about)


def _add_tasks(dataset: xr.Dataset, truth: Truth) -> None:
    for name, value in truth.values.items():
        if value.ndim > 1:
            continue
        padded = np.full((len(SPLITS), dataset.sizes["task"]), np.nan)
        for k, split in enumerate(SPLITS):
            own = value[truth.splits == split]
            padded[k, : len(own)] = own
        _put(dataset, f"task_{name}", ("split", "task"), padded, f"task parameter {name}")


def _add_showcase(dataset: xr.Dataset, results: list[Result], truth: Truth) -> None:
    axes = truth.problem.axes()
    shape = tuple(len(axis) for axis in axes.values())
    shown = sorted((r for r in results if r.showcase is not None), key=lambda r: METHODS.index(r.method))
    labels = ["finetuned" if r.method == "finetuned" else f"{r.method} rank {r.rank}" for r in shown]
    for name, axis in axes.items():
        dataset.coords[name] = (name, axis, {"long_name": f"coordinate {name}", "units": "1"})
    reference = truth.chosen("test")[0]
    fields = len(truth.problem.fields)
    inside = truth.inside("test")
    if inside is not None:
        there = inside[0].reshape(shape).astype("int8")
        _put(dataset, "showcase_inside", tuple(axes), there, "which points are in the domain of that task")
    one = of_split(truth.values, truth.splits, "test")
    if known_and_there(truth.problem, one, truth.chosen("test"))[0][0]:
        solution = reference.T.reshape(fields, *shape)
        _put(dataset, "showcase_reference", ("field", *axes), solution, "reference of one test task")
    if shown:
        stacked = np.stack([r.showcase.T.reshape(fields, *shape) for r in shown if r.showcase is not None])
        residuals = [r.showcase_residual.reshape(shape) for r in shown if r.showcase_residual is not None]
        own = "showcase_method"
        dataset.coords[own] = (own, labels, {"long_name": "method and rank shown"})
        _put(dataset, "showcase_prediction", (own, "field", *axes), stacked, "predictions for that task")
        what = "root mean square over the equations of the residuals of those"
        _put(dataset, "showcase_residual", (own, *axes), np.stack(residuals), what)
    dataset.attrs["showcase_task"] = 0
