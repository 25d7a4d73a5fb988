"""What made a file: one hash over a job's code, its settings, and the hashes of the files that it read.

The workflow computes it when it plans, the job when it starts, and every output carries it. A training on a graphics
card, or by the clock, gives other numbers each time from the same: behind a dot outputs carry a hash of what stood in
the files that they were made from, too. Nothing here imports torch: planning is quick.
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

SEEN = re.compile(rb"provenance\W+([0-9a-f]{16}(?:\.[0-9a-f]{8})?)")
UNREADABLE = (OSError, RuntimeError, AttributeError, LookupError, TypeError, ValueError, struct.error)


def provenance(code: str, settings: dict, inputs: Iterable[str | None]) -> str:
    """16 hexadecimal digits. `code` is a fingerprint, `inputs` are what the input files carry, in order."""
    return sha256(json.dumps([code, settings, list(inputs)], sort_keys=True).encode()).hexdigest()[:16]


def built(checksums: Iterable[str | None]) -> str:
    """8 hexadecimal digits for what stands in the input files, by their checksums in order."""
    return sha256(json.dumps(list(checksums)).encode()).hexdigest()[:8]


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
    """The job's module, imported with all that it imports later on, and what its outputs will carry.

    As all of the package is loaded before the second look at the files, an edit after it changes nothing that runs; a
    problem's own file is what a job reads next.
    Raises UserError where code, settings or inputs are not those that `asked` was computed from.
    """
    paths, spec = list(inputs), settings.get("problem")
    read = [found and found[:16] for found in map(recorded, paths)]
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
    return import_module(f"pinnlora.{job}"), f"{found}.{built(map(checksum_of, paths))}"


def recorded(path: Path) -> str | None:
    """What an output carries: its provenance, and behind a dot what it was built on. None where it is missing, cut
    short, unreadable or carries none."""
    try:
        match path.suffix:
            case ".nc":
                return _attribute(path, "provenance")
            case ".md":
                return _last(path.read_bytes()[-64:])
            case ".png":
                content = path.read_bytes()
                return _last(content[:4096]) if content[-8:-4] == b"IEND" else None
            case _:
                return _of_directory(path)
    except UNREADABLE:
        return None


def checksum_of(path: Path) -> str | None:
    """The checksum of the numbers in an output, from its header; None where there is none."""
    try:
        return _attribute(path, "checksum") if path.suffix == ".nc" else _header(path)[0]["checksum"]
    except UNREADABLE:
        return None


def _last(content: bytes) -> str | None:
    found = SEEN.findall(content)
    return found[-1].decode() if found else None


def _attribute(path: Path, name: str) -> str:
    from netCDF4 import Dataset

    with Dataset(path) as dataset:
        return str(dataset.getncattr(name))


def _header(path: Path) -> tuple[dict, int]:
    """What the weights of a directory say of themselves, and the length that they should have."""
    weights = path / "model.safetensors"
    with weights.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(size, weights.stat().st_size)))
    about = json.loads(header.pop("__metadata__")["pinnlora"])
    end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    return about, 8 + size + end


def _of_directory(path: Path) -> str | None:
    """From the header of its weights, if these have the length that it says and nothing else is gone."""
    about, length = _header(path)
    others = ("history.nc", "config.json") if "format" in about else ("history.nc",)
    whole = (path / "model.safetensors").stat().st_size == length
    whole = whole and all(_readable(path / name) for name in others)
    marker = path / MARKER
    written = marker.read_text(encoding="utf-8").splitlines() if marker.is_file() else []
    there = all((path / name).is_file() for name in written if not name.endswith(".md"))
    return str(about["provenance"]) if whole and there else None


def _readable(path: Path) -> bool:
    """Whether a file is there, and what its ending says."""
    if path.suffix == ".json":
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    from netCDF4 import Dataset

    with Dataset(path):
        return True
