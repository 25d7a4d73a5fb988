"""What a command says of a prediction: warnings first, then the estimated error."""

from __future__ import annotations

import numpy as np
import xarray as xr


def told(dataset: xr.Dataset, refined: bool) -> list[str]:
    """What a user should know of the tasks."""
    if "in_range" not in dataset:
        return []
    if "window" in dataset.dims:
        return _told_of_windows(dataset)
    inside = np.atleast_1d(dataset["in_range"].values).astype(bool)
    lines = told_of_range(inside, "" if refined else "; try `pinnlora refine`")
    low, error, high = (
        np.atleast_1d(dataset[f"estimated_error{end}"].values)[inside] for end in ("_low", "", "_high")
    )
    known = np.isfinite(error)
    lines += _told_of_unknown(dataset, known, len(inside))
    if known.any():
        k = int(np.where(known, error, -np.inf).argmax())
        bounds = "" if np.isinf(high[k]) else f" (90 %: {low[k]:.1e} to {high[k]:.1e})"
        lines.append(f"estimated error{_of_worst(len(inside))}: {error[k]:.1e}{bounds}")
    if "refinement" in dataset:
        ends = np.atleast_1d(dataset["refinement"].values).astype(str)
        lines += [f"{(ends == end).sum()} of {len(ends)}: {end}" for end in dict.fromkeys(ends)]
    return lines


def told_of_range(inside: np.ndarray, advice: str = "") -> list[str]:
    """A warning where not all tasks (task,) lie `inside` the trained range."""
    if inside.all():
        return []
    which = "the task lies" if len(inside) == 1 else f"{(~inside).sum()} of {len(inside)} tasks lie"
    return [
        f"warning: {which} outside the range the hypernetwork was trained on: the error is not known{advice}"
    ]


def _told_of_unknown(dataset: xr.Dataset, known: np.ndarray, tasks: int) -> list[str]:
    """A warning where not all errors are `known`, of the tasks in range, (task,), among all `tasks`."""
    if known.all():
        return []
    if (calibration := dataset.attrs["calibration"]).startswith("none: "):
        return [f"warning: {calibration.removeprefix('none: ')}"]
    which = "" if tasks == 1 else f" of {(~known).sum()} of {len(known)} tasks in range"
    return [f"warning: the error{which} is not known"]


def _of_worst(tasks: int) -> str:
    return "" if tasks == 1 else " of the worst task in range"


def _told_of_windows(dataset: xr.Dataset) -> list[str]:
    """From when on states are none that training drew from, and the accumulated error at the end."""
    inside = np.atleast_2d(dataset["in_range"].values).astype(bool)
    begins, left = dataset["window"].values, ~inside.all(0)
    lines = []
    if left.any():
        which = f"the state at t = {begins[left.argmax()]:g} lies" if len(inside) == 1 else (
            f"states of {(~inside.all(1)).sum()} of {len(inside)} tasks lie, from t = {begins[left.argmax()]:g} on,"
        )  # fmt: skip
        lines.append(
            f"warning: {which} outside the range the hypernetwork was trained on: from there on the error is not known"
        )
    each = np.atleast_2d(dataset["estimated_error"].values)[inside.all(1)]
    known = np.isfinite(each).all(1)
    lines += _told_of_unknown(dataset, known, len(inside))
    if known.any():
        worst = each[known][each[known].sum(1).argmax()]
        lines.append(
            f"estimated error{_of_worst(len(inside))}: {worst.max():.1e} in a window, {worst.sum():.1e} in all "
            f"{len(worst)}"
        )
    return lines
