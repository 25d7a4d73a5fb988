"""`predict` and `refine`: a bundle and tasks in, fields out as NetCDF, CSV or NPZ."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pinnlora.errors import UserError
from pinnlora.files import atomic, read_netcdf, refuse_foreign, write_netcdf
from pinnlora.query.load import load
from pinnlora.query.solved import Solved
from pinnlora.study.told import told

ENDINGS = (".nc", ".csv", ".npz")


def run(
    bundle: Path,
    output: Path,
    assignments: list[str],
    device: str,
    tasks: Path | None = None,
    at: Path | None = None,
    fields: str | None = None,
    refinement: dict[str, Any] | None = None,
    estimate: str = "auto",
    until: float | None = None,
    trust: bool = False,
) -> None:
    """Write the predicted fields of one or many tasks: refined with the arguments `refinement` of `refine`, or marched
    to a time `until`."""
    check_output(output, bundle, tasks, at, *(Path(text.partition("=")[2]) for text in assignments))
    _check_apart(output, (refinement or {}).get("save"))
    surrogate = load(bundle, device, trust)
    task, listed = assigned(assignments), read_columns(tasks) if tasks else {}
    for name in listed.keys() & task.keys():
        raise UserError(f"{name} is given twice, by --set and in {tasks}")
    task = listed | task
    asked: dict[str, Any] = {"at": read_points(at) if at else None, "fields": fields or None}
    if isinstance(surrogate, Solved):
        if task or refinement is not None or until is not None:
            raise UserError(
                f"{bundle} is refined networks of given tasks: predict, without --set, --tasks and --until"
            )
        dataset = surrogate.predict(**asked, estimate=estimate)
    elif until is not None:
        dataset = surrogate.march(until, **asked, estimate=estimate, **task)
    elif refinement is None:
        dataset = surrogate.predict(**asked, estimate=estimate, **task)
    else:
        dataset = surrogate.refine(**asked, **refinement, **task)
    kind = "predicted" if refinement is None else "refined"
    write_dataset(dataset, output, f"{dataset.attrs['problem']}, {kind} fields")
    for line in told(dataset, refined=refinement is not None):
        print(line)
    print(f"wrote {output}")


def check_output(output: Path, *inputs: Path | None) -> None:
    """UserError, before anything is computed, for a file that could not be written, or that is read."""
    if any(path is not None and path.resolve() == output.resolve() for path in inputs):
        raise UserError(f"{output}: is read too, and would be replaced; give another output")
    refuse_foreign(output, directory=False)
    if output.suffix not in ENDINGS:
        raise UserError(f"{output}: the ending says the format; expected one of {', '.join(ENDINGS)}")


def _check_apart(output: Path, save: Path | None) -> None:
    """UserError where fields and networks would be written to one place, or one into the other."""
    if save is None:
        return
    file, directory = output.resolve(), save.resolve()
    if file.is_relative_to(directory) or directory.is_relative_to(file):
        raise UserError(f"{output} and --save {save} are one place, or in each other; give them apart")


def write_dataset(dataset: xr.Dataset, output: Path, title: str) -> None:
    """Write a dataset as its ending says; CSV has a row a point and task, without functions among the parameters."""
    if output.suffix == ".nc":
        write_netcdf(dataset, output, title)
        return
    with atomic(output) as temporary:
        if output.suffix == ".csv":
            _frame(dataset, output).to_csv(temporary, index=False)
        else:
            arrays: dict[str, Any] = {
                str(name): variable.values for name, variable in dataset.variables.items()
            }
            np.savez_compressed(temporary, **arrays, attributes=json.dumps(dataset.attrs, default=str))


def _frame(dataset: xr.Dataset, output: Path) -> pd.DataFrame:
    """A row a point and task; says which variables have no place there."""
    for name in [name for name in dataset.coords if str(name) + "_component" in dataset[name].dims]:
        *_, components = dataset[name].dims  # places in many dimensions: a column a component
        parts = {
            f"{name}{k + 1}": dataset[name].isel({components: k}) for k in range(dataset.sizes[components])
        }
        dataset = dataset.drop_vars([name, components], errors="ignore").assign_coords(parts)
    longest = max((dataset[name].dims for name in dataset.data_vars), key=len)
    rest = [name for name in dataset.variables if not set(dataset[name].dims) <= set(longest)]
    lost = [str(name) for name in rest if name in dataset.data_vars]
    if lost:
        print(f"{output} has no place for {', '.join(lost)}: another ending, .nc or .npz, keeps all")
    table = dataset.drop_vars(rest)
    if longest:
        return table.to_dataframe(dim_order=longest).reset_index()
    return pd.DataFrame({str(name): [value.values.item()] for name, value in table.variables.items()})


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of a CSV file of numbers with a line of names, (row,) each; UserError for anything else."""
    if not path.is_file():
        raise UserError(f"there is no file {path}; expected a CSV file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of values that have no name
            table = pd.read_csv(path, index_col=False)
    except pd.errors.ParserWarning:
        raise UserError(
            f"{path}: its rows have more numbers than its first line has names; name every column"
        ) from None
    except Exception as error:  # pandas' own, and what each way to unpack a file has of its own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} is not a readable CSV file ({reason})") from None
    table.columns = table.columns.str.strip()
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise UserError(f"{path}: column {twice!r} is there twice; expected each name once")
    bad = [name for name in table if not _is_numeric(table[name])]
    if bad or table.empty:
        what = "no rows" if table.empty else f"column {bad[0]!r} holds no numbers"
        raise UserError(f"{path}: {what}; expected numbers")
    return {str(name): column.to_numpy(float) for name, column in table.items()}


def _is_numeric(column: pd.Series) -> bool:
    """Are these numbers, and not True and False?"""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def read_points(path: Path) -> dict[str, np.ndarray] | xr.Dataset:
    """Points and what is known there: the columns of a CSV file, or a NetCDF file, whose points may be a grid's."""
    return read_netcdf(path, ours=False) if path.suffix in (".nc", ".nc4") else read_columns(path)


def assigned(texts: Sequence[str]) -> dict[str, Any]:
    """The task that several `--set NAME=VALUE` give together."""
    task: dict[str, Any] = {}
    for text in texts:
        name, value = assignment(text)
        if name in task:
            raise UserError(f"--set {text}: {name} is given twice")
        task[name] = value
    return task


def assignment(text: str) -> tuple[str, Any]:
    """'re=42' or 'u0=FILE': the name and its value."""
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise UserError(f"--set {text}: expected NAME=NUMBER or NAME=FILE.npy|FILE.nc")
    path = Path(value)
    if path.suffix == ".npy":
        if not path.is_file():
            raise UserError(f"--set {text}: no file {path}")
        try:
            return name, np.load(path, allow_pickle=False)
        except (ValueError, EOFError):
            raise UserError(f"--set {text}: {path} holds no array of numpy.save") from None
    if path.suffix in (".nc", ".nc4"):
        return name, read_netcdf(path, required=(name,), ours=False)[name].squeeze()
    try:
        return name, float(value)
    except ValueError:
        raise UserError(f"--set {text}: {value!r} is neither a number nor a .npy or .nc file") from None
