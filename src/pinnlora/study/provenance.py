"""What made a file: one hash over a job's code, its settings, and the hashes of the files that it read.

The workflow computes it when it plans, the job when it starts, and every output carries it. Nothing here
imports torch: planning is quick.
"""

import json
import re
import struct
from collections.abc import Iterable
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import ModuleType

from pinnlora.errors import UserError
from pinnlora.problem.code import MARKER, PACKAGE, closure, declared, fingerprint, module_name
from pinnlora.problem.load import problem_file

SEEN = re.compile(rb"provenance\W+([0-9a-f]{16})")


def provenance(code: str, settings: dict, inputs: Iterable[str | None]) -> str:
    """16 hexadecimal digits. `code` is a fingerprint, `inputs` are what the input files carry, in order."""
    return sha256(json.dumps([code, settings, list(inputs)], sort_keys=True).encode()).hexdigest()[:16]


def code_of(job: str, problem: Path | None) -> str:
    """The fingerprint of a job ("study.jobs.fit") on the problem of a file and the data that it declares; for tables
    and figures, of the paper's numbers too."""
    files = tuple((PACKAGE / "report" / "paper").glob("*.csv")) if job.startswith("report.") else ()
    if problem is not None and module_name(problem) is None:
        files += tuple(declared(problem))
    return fingerprint(*_roots(job, problem), files=files)


def _roots(job: str, problem: Path | None) -> list[str | Path]:
    return [f"pinnlora.{job}", *([problem] if problem else [])]


def begin(
    job: str, settings: dict, inputs: Iterable[Path], asked: str | None = None
) -> tuple[ModuleType, str]:
    """The job's module, imported with all that it imports later on, and the provenance of what it will write.

    As all of the package is loaded before the second look at the files, an edit after it changes nothing that runs; a
    problem's own file is what a job reads next.
    Raises UserError where code, settings or inputs are not those that `asked` was computed from.
    """
    spec, read = settings.get("problem"), [recorded(path) for path in inputs]
    problem = problem_file(spec) if spec else None
    found = provenance(code_of(job, problem), settings, read)
    for path in closure(*_roots(job, problem)):
        if (name := module_name(path)) is not None:
            import_module(name)
    if found != provenance(code_of(job, problem), settings, read) or found != (asked or found):
        raise UserError(
            f"code or inputs of this job changed after it was planned (asked for {asked}, found {found}); "
            "run snakemake again"
        )
    return import_module(f"pinnlora.{job}"), found


def recorded(path: Path) -> str | None:
    """The provenance that an output carries; None where it is missing, cut short, unreadable or carries none."""
    try:
        match path.suffix:
            case ".nc":
                return _of_netcdf(path)
            case ".md":
                return _last(path.read_bytes()[-64:])
            case ".png":
                content = path.read_bytes()
                return _last(content[:4096]) if content[-8:-4] == b"IEND" else None
            case _:
                return _of_directory(path)
    except (OSError, RuntimeError, AttributeError, LookupError, TypeError, ValueError, struct.error):
        return None


def _last(content: bytes) -> str | None:
    found = SEEN.findall(content)
    return found[-1].decode() if found else None


def _of_netcdf(path: Path) -> str:
    from netCDF4 import Dataset

    with Dataset(path) as dataset:
        return dataset.getncattr("provenance")


def _of_directory(path: Path) -> str | None:
    """From the header of its weights, if these have the length that the header says and nothing else is gone."""
    weights = path / "model.safetensors"
    length = weights.stat().st_size
    with weights.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(size, length)))
    about = json.loads(header.pop("__metadata__")["pinnlora"])
    end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    others = ("history.nc", "config.json") if "format" in about else ("history.nc",)
    whole = length == 8 + size + end and all(_readable(path / name) for name in others)
    marker = path / MARKER
    written = marker.read_text().splitlines() if marker.is_file() else []
    there = all((path / name).is_file() for name in written if not name.endswith(".md"))
    return about["provenance"] if whole and there else None


def _readable(path: Path) -> bool:
    """Whether a file is there, and what its ending says."""
    if path.suffix == ".json":
        return isinstance(json.loads(path.read_text()), dict)
    from netCDF4 import Dataset

    with Dataset(path):
        return True
