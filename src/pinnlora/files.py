"""Results in and out: NetCDF for arrays, safetensors for weights, and where they came from. Never pickle."""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import xarray as xr

from pinnlora.checksums import sum_of_dataset, sum_of_weights
from pinnlora.errors import UserError, disk_full
from pinnlora.temporary import OLD, temporary_name

CONVENTIONS = "CF-1.11"
REFERENCES = "Majumdar et al., HyperLoRA for PDEs, arXiv:2308.09290, 2023"
MARKER = ".pinnlora"  # in a directory that we wrote: the names of its files, one a line


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, to be made a file by the caller; put in the place of `path` at the end.

    If the body fails, what it wrote is removed and whatever stood at `path` stays as it was. UserError where
    `path` is a directory.
    """
    path = Path(path)
    refuse_foreign(path, directory=False)
    with _beside(path) as temporary:
        yield temporary
        if not temporary.is_file():
            raise UserError(f"nothing was written for {path}")
        os.umask(mask := os.umask(0o077))
        temporary.chmod(0o666 & ~mask)  # as any new file: safetensors makes them for their owner alone
        os.replace(temporary, path)


def write_text(path: str | Path, text: str) -> None:
    """A text file in UTF-8; all or nothing."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """An empty directory beside `path`, to be filled by the caller; it takes the place of `path` at the end.

    As `atomic`, and through a link; UserError where something stands at `path` that this function did not write.
    """
    path = Path(os.path.realpath(path) if os.path.islink(path) else path)
    refuse_foreign(path, directory=True)
    with _beside(path) as temporary:
        temporary.mkdir()
        yield temporary
        names = [file.relative_to(temporary).as_posix() for file in temporary.rglob("*") if file.is_file()]
        (temporary / MARKER).write_text("\n".join(sorted(names)) + "\n", encoding="utf-8")
        aside = temporary.with_name(f"{temporary.name}{OLD}")
        if path.exists():  # a directory cannot be renamed over, so what stood there steps aside first
            os.replace(path, aside)
        try:
            os.replace(temporary, path)
        except BaseException:
            if aside.exists():
                os.replace(aside, path)
            raise
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    if path.name in ("", ".."):
        raise UserError(f"{path} is a directory that is in use, expected a new name")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
    except BaseException as error:
        full = disk_full(error, path)  # looked at before what was written goes away
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
        if full:
            raise full from None
        raise


def refuse_foreign(path: str | Path, directory: bool) -> None:
    """UserError if writing a file, or a directory, at `path` would destroy what is not an output of this kind."""
    path = Path(path)
    if not directory:
        if path.is_dir():
            raise UserError(f"{path} is a directory, expected the name of a file; nothing was written")
        return
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file, expected the name of a directory; nothing was written")
    marker = path / MARKER
    written = marker.read_text(encoding="utf-8").splitlines() if marker.is_file() else ()
    ours = {MARKER, ".snakemake_timestamp", *written}
    foreign = sorted(str(file.relative_to(path)) for file in path.rglob("*") if not file.is_dir())
    foreign = [name for name in foreign if name not in ours and "__pycache__" not in name]
    if foreign:
        raise UserError(
            f"{path} holds {foreign[0]}, which is no output of ours: move it away, or write to another directory"
        )


def write_netcdf(dataset: xr.Dataset, path: str | Path, title: str) -> None:
    """Write NetCDF-4, compressed, with CF attributes; all or nothing.

    Every variable and coordinate needs the attribute `long_name` and, unless it holds strings, `units` ("1"
    without dimension); otherwise UserError, and nothing is written.
    """
    encoding: dict[Any, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        text = variable.dtype.kind in "OUST"
        for attribute in ("long_name",) if text else ("long_name", "units"):
            if not variable.attrs.get(attribute):
                raise UserError(f"variable {name!r} for {Path(path).name} has no attribute {attribute!r}")
        encoding[name] = {} if text or not variable.ndim else {"zlib": True, "complevel": 4}
        if name in dataset.coords:
            encoding[name]["_FillValue"] = None  # CF: a coordinate has no missing values
    with atomic(path) as temporary:
        described = dataset.assign_attrs(origin(dataset.attrs, title))
        described.attrs["checksum"] = sum_of_dataset(described)
        described.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)


def origin(attributes: dict, title: str) -> dict[str, str]:
    """The CF attributes of a file written now; `history` goes before what history there was."""
    script = Path(sys.argv[0])
    command = shlex.join([script.parent.name if script.name == "__main__.py" else script.name, *sys.argv[1:]])
    history = f"{datetime.now(UTC).isoformat(timespec='seconds')} {command}"
    return {
        "Conventions": CONVENTIONS,
        "title": title,
        "source": f"pinnlora {version()} (commit {commit()})",
        "history": "\n".join(filter(None, [history, attributes.get("history")])),
        "references": REFERENCES,
    }


def read_netcdf(
    path: str | Path, required: Iterable[str] = (), group: str | None = None, ours: bool = True
) -> xr.Dataset:
    """The whole dataset in memory, its file closed; UserError for a missing or damaged file or missing `required`.

    A file of `write_netcdf` carries a checksum, which is compared, unless it is not `ours`: a part of one keeps it too.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}; expected a NetCDF file")
    try:
        dataset = xr.load_dataset(  # units of seconds are plain numbers here, not times
            path, engine="netcdf4", group=group, decode_times=False, decode_timedelta=False
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} is not a readable NetCDF file ({reason})") from None
    if ours and dataset.attrs.get("checksum", known := sum_of_dataset(dataset)) != known:
        raise UserError(f"{path} is damaged: its content is not what was written; make or copy it anew")
    if missing := [name for name in required if name not in dataset.variables]:
        has = ", ".join(map(str, dataset.variables)) or "none"
        raise UserError(f"{path} has no variable {missing[0]!r}; it has: {has}")
    return dataset


def save_weights(path: str | Path, tensors: dict, metadata: dict) -> None:
    """Tensors by name into a safetensors file, with `metadata` as JSON in its header; all or nothing."""
    from safetensors.torch import save_file

    # copies, for safetensors refuses tensors that share memory or have gaps
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    checksum = sum_of_weights(copies, json.dumps(metadata, sort_keys=True))
    header = {"pinnlora": json.dumps({**metadata, "checksum": checksum}, sort_keys=True)}
    with atomic(path) as temporary:
        save_file(copies, temporary, metadata=header)


def load_weights(path: str | Path, device: str = "cpu") -> tuple[dict, dict]:
    """(tensors by name, metadata) of a file of `save_weights`, on `device`; UserError if damaged or not ours."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise UserError(f"there is no file {path}; expected weights in a .safetensors file")
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        metadata = json.loads(header.get("pinnlora", "{}"))
    except (SafetensorError, OSError, UnicodeError, ValueError) as error:
        raise UserError(f"{path} is not a readable safetensors file ({error})") from None
    if not isinstance(metadata, dict) or "checksum" not in metadata:
        raise UserError(
            f"{path} was not written by pinnlora, or by a version without checksums: make it anew"
        )
    if metadata.pop("checksum") != sum_of_weights(tensors, json.dumps(metadata, sort_keys=True)):
        raise UserError(f"{path} is damaged: its content is not what was written; make or copy it anew")
    return tensors, metadata


def version() -> str:
    """The installed version, "unknown" if the package runs without being installed."""
    try:
        return packages.version("pinnlora")
    except packages.PackageNotFoundError:
        return "unknown"


def commit() -> str:
    """Commit of the source checkout, "-dirty" behind it if the package is changed; "unknown" without one."""
    here = Path(__file__).resolve()
    # a package installed below a checkout of something else is not part of it: this very file must be tracked
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return "unknown"
    head = _git(here.parent, "rev-parse", "HEAD")
    dirty = "-dirty" if _git(here.parent, "status", "--porcelain", "--", ".") else ""
    return head + dirty if head else "unknown"


def _git(directory: Path, *arguments: str) -> str | None:
    """What git prints, None if it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def machine(device: Any = "cpu") -> str:
    """Name of the processor or graphics card that `device` (a string or torch.device) stands for."""
    if str(device).startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    text = info.read_text(encoding="utf-8") if (info := Path("/proc/cpuinfo")).exists() else ""
    models = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    # the cores this process may use, not those of the whole machine
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{models[0] if models else platform.processor() or platform.machine()}, {cores} cores"
