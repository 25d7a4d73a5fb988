"""What is kept of a published study beside its pages: study.nc with every task's error, and manifest.json."""

import json
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import netCDF4
import pandas as pd
import xarray as xr

from pinnlora.checksums import sum_of_dataset
from pinnlora.errors import UserError
from pinnlora.files import atomic, read_netcdf, write_text
from pinnlora.report.summaries import measured_on, per_problem, problem, read_evaluation

ARCHIVE = "study.nc"
PACKAGES = ("pinnlora", "torch", "numpy", "scipy", "xarray", "netcdf4", "snakemake")


def write_archive(datasets: Sequence[xr.Dataset], path: Path) -> None:
    """The evaluations, a group a problem, in the order of the tables; without the fields that figures show."""
    with atomic(path) as temporary:
        for place, dataset in enumerate(datasets):
            shown = [name for name in dataset.variables if str(name).startswith("showcase_")]
            own = dataset.drop_vars(shown)
            own = own.drop_vars([name for name in own.coords if name not in _dimensions(own)])
            packed = {name: {"zlib": True, "complevel": 9} for name in own.data_vars if own[name].ndim}
            own = own.assign_attrs(checksum=sum_of_dataset(own))  # what stood there was that of the whole
            own.to_netcdf(temporary, mode="a" if place else "w", group=problem(dataset), encoding=packed)


def read_archive(path: Path) -> list[xr.Dataset]:
    """The evaluations of `write_archive`, in their order; UserError where there are none."""
    read_netcdf(path)  # in words where there is none, or a damaged one
    with netCDF4.Dataset(path) as file:
        groups = list(file.groups)
    if not groups:
        raise UserError(
            f"{path} holds no evaluations, a group each: publish the study again, or restore the file"
        )
    return [read_evaluation(path, group) for group in groups]


def _dimensions(dataset: xr.Dataset) -> set:
    return {name for variable in dataset.data_vars.values() for name in variable.dims}


def write_manifest(study: Path, datasets: Sequence[xr.Dataset], commit: str, path: Path) -> None:
    """Commit, hashes of code and settings, machine, versions of this environment, and what each stage took."""
    told = {
        "study": study.resolve().name,
        "commit": commit,
        "provenance of evaluations": {problem(each): each.attrs.get("provenance") for each in datasets},
        "machine": per_problem(datasets, measured_on),
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in PACKAGES},
        "stages": stages(study),
    }
    write_text(path, json.dumps(told, indent=1) + "\n")


def stages(study: Path) -> dict[str, dict[str, float]]:
    """Jobs, their seconds one after another and of CPU, by `problem/stage`; of those whose benchmark is kept."""
    found: dict[str, dict[str, float]] = {}
    for path in sorted((study / "benchmarks").rglob("*.tsv")):
        parts = path.relative_to(study / "benchmarks").with_suffix("").parts
        stage = "/".join(parts[:3] if len(parts) == 4 else parts[:2])
        took = pd.read_csv(path, sep="\t")[["s", "cpu_time"]].apply(pd.to_numeric, errors="coerce").sum()
        known = found.setdefault(stage, {"jobs": 0, "seconds": 0.0, "CPU seconds": 0.0})
        known["jobs"] += 1
        known["seconds"] = round(known["seconds"] + float(took["s"]), 1)
        known["CPU seconds"] = round(known["CPU seconds"] + float(took["cpu_time"]), 1)
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
