"""`predict` and `refine`: a bundle and a task in, fields out as NetCDF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pinnlora.errors import UserError
from pinnlora.files import read_netcdf, write_netcdf
from pinnlora.surrogate import load


def run(bundle: Path, output: Path, assignments: list[str], steps: int, device: str) -> None:
    """Write the predicted (steps = 0) or refined fields of one task."""
    surrogate = load(bundle, device)
    task = dict(_assignment(text) for text in assignments)
    dataset = surrogate.refine(steps=steps, **task) if steps else surrogate.predict(**task)
    if not dataset.attrs["in_range"]:
        advice = "" if steps else "; try `pinnlora refine`"
        print(f"warning: the task lies outside the range the hypernetwork was trained on{advice}")
    write_netcdf(
        dataset, output, title=f"{surrogate.problem.name}, {'refined' if steps else 'predicted'} fields"
    )
    print(f"wrote {output}")


def _assignment(text: str) -> tuple[str, Any]:
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
        return name, np.squeeze(read_netcdf(path, required=(name,))[name].values)
    try:
        return name, float(value)
    except ValueError:
        raise UserError(f"--set {text}: {value!r} is neither a number nor a .npy or .nc file") from None
