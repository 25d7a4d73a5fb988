"""Numbers out of evaluation.nc and the paper's tables: what tables and figures share. Reads only.

The error of a (method, rank) on one task is the mean squared error over the evaluation grid and the fields; tasks
without a reference solution have none, only residuals.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from pinnlora.errors import UserError
from pinnlora.files import read_netcdf
from pinnlora.study.names import BASELINES, METHODS, rank_value
from pinnlora.train.settings import PER_TASK

PREREQUISITES = ("seconds_base", "seconds_reference", "seconds_teachers")


def read_evaluation(path: Path, group: str | None = None) -> xr.Dataset:
    """An evaluation file in memory, or a group of one; UserError where it lacks what every table and figure needs."""
    dataset = read_netcdf(path, required=("mse",), group=group)
    expected = {"method", "rank", "seed", "split", "task", "field"}
    if "problem" not in dataset.attrs or set(dataset["mse"].dims) != expected:
        raise UserError(
            f"{path} is not an evaluation file: expected mse(method, rank, seed, split, task, field) and "
            "the attribute `problem`; give the evaluation.nc of a problem, made by this version"
        )
    return dataset


def problem(dataset: xr.Dataset) -> str:
    """The problem's directory: its name, or the class of FILE.py:Class in lower case; `-variant` behind it."""
    return str(dataset.attrs["problem"]).rpartition(":")[2].lower().replace("@", "-")


def family(dataset: xr.Dataset) -> str:
    """The problem of the paper that this is, or is a variant of; "" for one's own, whatever it is called."""
    return "" if ":" in str(dataset.attrs["problem"]) else problem(dataset).partition("-")[0]


def settings(dataset: xr.Dataset) -> dict:
    """The settings that the study was evaluated with; `trained` holds those of each row."""
    return _parsed(dataset.attrs.get("settings") or "{}")


_parsed = cache(json.loads)


def reference(dataset: xr.Dataset) -> str:
    """What predictions were compared with: none, exact, solver, refined or file; "" where nobody said."""
    return str(dataset.attrs.get("reference", ""))


def compared(dataset: xr.Dataset) -> bool:
    """Whether predictions of test tasks were compared with a reference."""
    return bool(dataset["mse"].sel(split="test").notnull().any())


def mean(values: np.ndarray) -> float:
    """Mean, NaN where there is nothing to average."""
    return float(np.mean(values)) if np.size(values) else math.nan


@dataclass(frozen=True)
class Row:
    """One (method, rank) of one problem, with all seeds that it was trained with."""

    dataset: xr.Dataset
    method: str
    rank: str

    def errors(self, split: str = "test", variable: str = "mse") -> np.ndarray:
        """One error per task and seed, (n,), averaged over the fields; padding (NaN) is left out, infinities stay."""
        return np.concatenate(self.errors_by_seed(split, variable) or [np.empty(0)])

    def errors_by_seed(self, split: str = "test", variable: str = "mse") -> list[np.ndarray]:
        """The same of each seed alone, those left out that it was not trained with."""
        return [own[~np.isnan(own)] for own in self.padded(split, variable)]

    def padded(self, split: str = "test", variable: str = "mse") -> np.ndarray:
        """The same over (seed, task), NaN for tasks without an error, of the seeds that it was trained with."""
        if variable not in self.dataset or split not in self.dataset["split"].values:
            return np.empty((0, 0))
        here = self._here(variable).sel(split=split)
        here = (here.mean("field", skipna=True) if "field" in here.dims else here).transpose("seed", "task")
        return here.values[~np.isnan(here.values).all(1)]

    def seeds(self) -> int:
        """How many seeds it was trained with."""
        return max(len(self.errors_by_seed()), len(self.errors_by_seed(variable="residual")))

    def over_seeds(self, choose: Callable[[list[float]], float]) -> float:
        """`choose` of the seeds' mean test errors, min or max; NaN with one seed."""
        means = [mean(errors) for errors in self.errors_by_seed()]
        return choose(means) if len(means) > 1 else math.nan

    def tasks(self, split: str = "test") -> int:
        """How many tasks were measured, with a reference or without."""
        both = self.errors_by_seed(split) + self.errors_by_seed(split, "residual")
        return max((errors.size for errors in both), default=0)

    def failed(self, split: str = "test") -> int:
        """How many tasks could not be trained or measured, with one seed or more: their errors are infinite."""
        both = [self.padded(split, variable) for variable in ("mse", "residual")]
        infinite = [np.isinf(values).any(0) for values in both if values.size]
        return int(np.any(infinite, 0).sum()) if infinite else 0

    def scores_by_seed(self) -> list[np.ndarray]:
        """What stands for the accuracy of each test task: its error, the residual where no task has a reference."""
        return self.errors_by_seed(variable="mse" if compared(self.dataset) else "residual")

    def scores(self) -> np.ndarray:
        """The same of all seeds together."""
        return np.concatenate(self.scores_by_seed() or [np.empty(0)])

    def mse(self) -> float:
        """The mean error of the test tasks."""
        return mean(self.errors())

    def worst(self) -> float:
        """The largest error of a test task."""
        return max(self.errors(), default=math.nan)

    def number(self, variable: str) -> float:
        """A number over (method, rank), the mean over its seeds; NaN where there is none."""
        return float(self._here(variable).mean()) if variable in self.dataset else math.nan

    def _here(self, variable: str) -> xr.DataArray:
        return self.dataset[variable].sel({"method": self.method, "rank": self.rank})

    def trained(self, part: str) -> dict:
        """The settings of this row's `stage` or `network`, empty where they are not known."""
        return settings(self.dataset).get("trained", {}).get(f"{self.method} {self.rank}", {}).get(part) or {}

    def prerequisites(self) -> float:
        """Seconds of the base, references and teachers that this row uses, 0 for none; NaN where nobody counted."""
        if not set(PREREQUISITES) <= set(self.dataset):
            return math.nan
        return float(np.nansum([self.number(variable) for variable in PREREQUISITES]))

    def printed(self, table: int) -> dict:
        """The paper's row of table 1 or 2, empty where the paper has none; a variant has its problem's."""
        frame, wanted = paper(table), [family(self.dataset), self.method, self.rank]
        same = frame[(frame[["problem", "method", "rank"]] == wanted).all(axis=1)]
        return same.iloc[0].to_dict() if len(same) else {}

    def history(self) -> tuple[np.ndarray, np.ndarray]:
        """Seconds since the first prerequisite was begun, and the test error of the state with the best validation loss
        so far, which may rise, of the first seed; (samples,) each."""
        if "history_mse" not in self.dataset:
            return np.empty(0), np.empty(0)
        seconds = self._here("history_seconds").isel(seed=0).values + self.prerequisites()
        mse = self._here("history_mse").isel(seed=0).values
        keep = np.isfinite(seconds) & np.isfinite(mse)
        return seconds[keep], mse[keep]


def rows(dataset: xr.Dataset) -> list[Row]:
    """All that was trained, in the order of the paper: methods, then ranks, `full` last."""
    there = dataset["mse"].notnull().any(["seed", "split", "task", "field"])
    if "residual" in dataset:
        there = there | dataset["residual"].notnull().any(["seed", "split", "task"])
    there = there.stack(pair=("method", "rank"))
    pairs = [(str(method), str(rank)) for method, rank in there["pair"].values[there.values]]
    pairs.sort(key=lambda pair: (METHODS.index(pair[0]), rank_value(pair[1])))
    return [Row(dataset, *pair) for pair in pairs]


def shown(dataset: xr.Dataset) -> list[Row]:
    """A row a method: at the rank of the figures where it has that, else at its lowest."""
    wanted, chosen = str(settings(dataset).get("evaluation", {}).get("figure_rank", "")), {}
    for row in rows(dataset):
        if row.method not in BASELINES and (row.method not in chosen or row.rank == wanted):
            chosen[row.method] = row
    return list(chosen.values())


def is_hypernetwork(row: Row) -> bool:
    """Whether one network serves all tasks."""
    return row.method not in BASELINES + PER_TASK


@cache
def paper(table: int) -> pd.DataFrame:
    """The paper's printed Table 1, 2 or 3 (arXiv 2308.09290).

    Modes are called methods here as in Table 1, ranks are strings, `full` if none is printed.
    """
    with (files("pinnlora") / "report" / "paper" / f"table{table}.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file, dtype={"rank": str})
    frame = frame.rename(columns={"mode": "method", "architecture": "method"})
    if "rank" in frame:
        frame["rank"] = frame["rank"].fillna("full")
    return frame


def seeds(dataset: xr.Dataset) -> str:
    """`one seed, 2023`, or which ones hypernetworks were trained with."""
    own = [int(seed) for seed in dataset["seed"].values]
    if len(own) == 1:
        return f"one seed, {own[0]}"
    return f"hypernetworks with {len(own)} seeds, {own[0]} to {own[-1]}, all else with {own[0]}"


def measured_on(dataset: xr.Dataset) -> str:
    """Machine and threads behind the seconds."""
    threads = dataset.attrs.get("threads")
    counted = "unknown threads" if threads is None else f"{threads} thread{'s' if threads != 1 else ''} a job"
    return f"{dataset.attrs.get('machine', 'unknown machine')}, {counted}"


def per_problem(datasets: Sequence[xr.Dataset], read: Callable[[xr.Dataset], str]) -> str:
    """One word where all problems agree, else `problem: word; ...`."""
    words = {problem(dataset): read(dataset) for dataset in datasets}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{name}: {word}" for name, word in words.items())
