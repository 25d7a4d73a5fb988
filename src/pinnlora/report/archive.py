"""What is kept of a published study beside its pages: study.nc with every task's error, and manifest.json."""

import json
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import netCDF4
import pandas as pd
import xarray as xr

from pinnlora.checksums import sum_of_dataset
from pinnlora.errors import UserError
from pinnlora.files import atomic, read_netcdf, write_text
from pinnlora.report.summaries import (
    is_hypernetwork,
    measured_on,
    per_problem,
    problem,
    read_evaluation,
    rows,
)
from pinnlora.study.graph import RESUMED, Job
from pinnlora.train.settings import FROM_TEACHERS, PER_TASK

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


def write_manifest(
    study: Path, datasets: Sequence[xr.Dataset], commit: str, took: dict[str, dict[str, float]], path: Path
) -> None:
    """Commit, hashes of code and settings, machine, versions of this environment, and what each of `stages` took."""
    told = {
        "study": study.resolve().name,
        "commit": commit,
        "provenance of evaluations": {problem(each): each.attrs.get("provenance") for each in datasets},
        "machine": per_problem(datasets, measured_on),
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in PACKAGES},
        "stages": took,
    }
    write_text(path, json.dumps(told, indent=1) + "\n")


def stages(study: Path, datasets: Sequence[xr.Dataset]) -> dict[str, dict[str, float]]:
    """Jobs, the sums of their wall and CPU seconds, by `problem/stage`; of those behind the evaluations, where
    Snakemake's record of them is kept.

    That record is of a job's last process. Where more was trained, before a kill, the job counts as one that was
    `resumed`, by the seconds of its training; what CPU it had before is not known.
    """
    found: dict[str, dict[str, float]] = {}
    behind = {job: dataset for dataset in datasets for job in _jobs(dataset)}
    for job in sorted(behind, key=Job.outputs):
        name = Path(job.outputs()[-1]).with_suffix("")
        path = study / "benchmarks" / f"{name}.tsv"
        if not path.is_file():
            continue
        stage = "/".join(name.parts[:3] if len(name.parts) == 4 else name.parts[:2])
        (wall, processor), trained = _seconds(path), _trained(job, behind[job])
        known = found.setdefault(stage, {"jobs": 0, "resumed": 0, "seconds": 0.0, "CPU seconds": 0.0})
        known["jobs"] += 1
        known["resumed"] += int(trained > wall)
        known["seconds"] = round(known["seconds"] + max(wall, trained), 1)
        known["CPU seconds"] = round(known["CPU seconds"] + processor, 1)
    return found


def _jobs(dataset: xr.Dataset) -> Iterator[Job]:
    """The jobs behind a problem's evaluation, and those of the tables and figures."""
    name = problem(dataset)
    yield from (Job(stage, name) for stage in ("tasks", "reference", "base", "evaluate"))
    yield from (Job("table", which=str(number)) for number in (1, 2, 3))
    yield from (Job("figure", which=kind) for kind in ("rank", "time"))
    yield Job("figure", name, which="fields")
    for row in rows(dataset):
        if row.method in PER_TASK:
            yield Job("fit", name, row.rank, row.method)
        elif is_hypernetwork(row):
            others = (int(seed) for seed in dataset["seed"].values[1:])  # the study's own comes first
            yield from (Job("hypernetwork", name, row.rank, row.method, again) for again in (None, *others))
        if row.method in FROM_TEACHERS:
            yield Job("teachers", name, row.rank)


def _trained(job: Job, dataset: xr.Dataset) -> float:
    """Seconds of a job's training, those before a kill among them; 0 for what is no training."""
    if job.stage not in RESUMED:
        return 0.0
    own: dict[str, Any] = {} if job.stage == "base" else {"rank": job.rank}
    if job.stage in ("fit", "hypernetwork"):
        own |= {"method": job.which, "seed": job.again or dataset["seed"].values[0]}
    name = f"seconds_{job.stage}" if job.stage in ("base", "teachers") else "seconds"
    return float(dataset[name].sel(own).fillna(0.0).max()) if name in dataset else 0.0


def _seconds(path: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a job, 0 where Snakemake could not measure; UserError where it is no record."""
    try:
        took = pd.read_csv(path, sep="\t", usecols=["s", "cpu_time"])
    except (OSError, ValueError) as error:  # what pandas raises is a ValueError
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is no record of a job's seconds ({reason}): delete it") from None
    wall, processor = (pd.to_numeric(took[name], errors="coerce").sum() for name in ("s", "cpu_time"))
    return float(wall), float(processor)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
