"""Numbers out of evaluation.nc and the paper's tables: what tables.py and figures.py share. Reads only.

The error of a (method, rank) on one task is the mean squared error over the evaluation grid and the fields.
"""

import io
import json
import math
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from pinnlora.errors import UserError

PER_TASK = ("pinn", "finetuned", "lora")
MODES = ("data", "weights", "distilled", "physics")


def read_evaluation(path: Path) -> xr.Dataset:
    """An evaluation file in memory, checked for what every table and figure needs."""
    try:
        dataset = xr.load_dataset(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; make it with `pinnlora job evaluate`") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable NetCDF file ({error}); evaluate again") from None
    expected = {"method", "rank", "split", "task", "field"}
    if "problem" not in dataset.attrs or "mse" not in dataset or set(dataset["mse"].dims) != expected:
        raise UserError(
            f"{path} is not an evaluation file: expected mse(method, rank, split, task, field) and the "
            "attribute `problem`; give the evaluation.nc of a problem"
        )
    return dataset


def problem(dataset: xr.Dataset) -> str:
    """The name of the problem; for `FILE.py:Class` the class in lower case, as in the results' folders."""
    return str(dataset.attrs["problem"]).rpartition(":")[2].lower()


def study(dataset: xr.Dataset) -> str:
    """The study's name: an attribute, a setting, or the folder two levels above evaluation.nc."""
    settings = json.loads(dataset.attrs.get("settings") or "{}")
    path = dataset.encoding.get("source", "")
    folder = Path(path).absolute().parent.parent.name if path else "unknown"
    return dataset.attrs.get("study") or settings.get("study") or folder


def combinations(dataset: xr.Dataset) -> list[tuple[str, str]]:
    """The (method, rank) pairs present, in the order of the paper: methods, then ranks, `full` last."""
    order = {method: place for place, method in enumerate(PER_TASK + MODES)}
    trained = dataset["mse"].notnull().any(["split", "task", "field"])
    if "parameters" in dataset:
        trained = trained | dataset["parameters"].notnull()
    trained = trained.transpose("method", "rank")
    names, ranks = map(str, dataset["method"].values), [str(rank) for rank in dataset["rank"].values]
    present = [
        (method, rank)
        for method, row in zip(names, trained.values, strict=True)
        for rank, there in zip(ranks, row, strict=True)
        if there
    ]
    return sorted(present, key=lambda pair: (order.get(pair[0], len(order)), pair[0], rank_value(pair[1])))


def rank_value(rank: str) -> float:
    """A rank as a number to sort by; `full` is infinite."""
    return math.inf if rank == "full" else float(rank)


def errors(dataset: xr.Dataset, method: str, rank: str, split: str, variable: str = "mse") -> np.ndarray:
    """One error per task, (tasks,), averaged over the fields; padding (NaN) is left out, infinities stay."""
    if variable not in dataset or split not in dataset["split"].values:
        return np.empty(0)
    if method not in dataset["method"].values or rank not in dataset["rank"].values:
        return np.empty(0)
    values = (
        dataset[variable].sel({"method": method, "rank": rank, "split": split}).mean("field", skipna=True)
    )
    return values.values[~np.isnan(values.values)]


def mean(values: np.ndarray) -> float:
    """Mean, NaN where there is nothing to average."""
    return float(np.mean(values)) if np.size(values) else math.nan


def number(dataset: xr.Dataset, variable: str, method: str, rank: str) -> float:
    """A number over (method, rank), NaN where the variable or the pair is missing."""
    if variable not in dataset or method not in dataset["method"].values:
        return math.nan
    if rank not in dataset["rank"].values:
        return math.nan
    return float(dataset[variable].sel({"method": method, "rank": rank}))


def batch_size(dataset: xr.Dataset, method: str, rank: str) -> int:
    """How many tasks the job solved: those with an error, in every split."""
    return sum(errors(dataset, method, rank, split).size for split in map(str, dataset["split"].values))


def shown_rank(dataset: xr.Dataset, method: str) -> str | None:
    """The rank that figures and Table 3 show: that of the showcase, else of the settings, else the lowest."""
    ranks = [rank for name, rank in combinations(dataset) if name == method]
    labels = dataset["showcase_method"].values if "showcase_method" in dataset.coords else ()
    wanted = [label[len(method) :].strip().removeprefix("rank ") for label in labels if _is(label, method)]
    settings = json.loads(dataset.attrs.get("settings") or "{}")
    wanted.append(str(settings.get("evaluation", {}).get("figure_rank", "")))
    return next((rank for rank in wanted if rank in ranks), ranks[0] if ranks else None)


def _is(label: str, method: str) -> bool:
    return str(label).split(" ")[0] == method


def best_mode(dataset: xr.Dataset) -> str | None:
    """The hypernetwork to compare with: physics, as in the paper, else the lowest validation error."""
    modes = [m for m in dict.fromkeys(name for name, _ in combinations(dataset)) if m not in PER_TASK]
    if "physics" in modes:
        return "physics"
    validation = {m: mean(errors(dataset, m, shown_rank(dataset, m), "validation")) for m in modes}
    return min(modes, key=lambda m: (math.isnan(validation[m]), validation[m]), default=None)


def paper(table: int) -> pd.DataFrame:
    """The paper's printed Table 1, 2 or 3 (arXiv 2308.09290), ranks as strings, `full` if none is printed."""
    text = (files("pinnlora") / "report" / "paper" / f"table{table}.csv").read_text()
    frame = pd.read_csv(io.StringIO(text), dtype={"rank": str})
    if "rank" in frame:
        frame["rank"] = frame["rank"].fillna("full")
    return frame


def printed(frame: pd.DataFrame, **keys: str) -> dict:
    """The paper's row with these keys, empty where the paper has none."""
    chosen = frame
    for key, value in keys.items():
        chosen = chosen[chosen[key] == value]
    return chosen.iloc[0].to_dict() if len(chosen) else {}
