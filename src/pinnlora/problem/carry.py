"""Own problems that travel with what was trained for them: copied beside it, and sealed, because their code will run.

A seal is a keyed hash of the copied files. The key lies in the user's data directory and never travels: what was made
or changed elsewhere is told apart.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from pinnlora.problem.code import carried, declared
from pinnlora.problem.load import Spec

CARRIED = Path("problem.py")
"""An own problem's file in what was trained for it."""


def snapshot(text: str) -> dict[str, bytes]:
    """An own problem's file, its helpers and its data as they are now, by their places in a bundle."""
    file = Spec.of(text).file
    if file is None:
        return {}
    places = carried(file) | {file.resolve(): str(CARRIED)}
    return {place: path.read_bytes() for path, place in places.items()}


def copy_problem(text: str, directory: Path, code: Mapping[str, bytes] | None = None) -> dict[str, str]:
    """Write an own problem's file, its helpers and its data into a directory, as in a snapshot (`code`) or as they are
    now; its name from there, and a seal, for config.json."""
    spec = Spec.of(text)
    if spec.file is None:
        return {"problem": text}
    for place, content in (snapshot(text) if code is None else code).items():
        target = directory / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return {"problem": f"{CARRIED}:{spec.name}", "seal": _seal(directory)}


def made_here(directory: Path, seal: str | None) -> bool:
    """Whether this user's machine wrote the Python files of a directory, and the data that they declare, as they are
    now."""
    return bool(seal) and hmac.compare_digest(_seal(directory), str(seal))


def _seal(directory: Path) -> str:
    digest = hmac.new(_key(), digestmod=hashlib.sha256)
    problem = directory / CARRIED
    data = declared(problem) if problem.is_file() else {}
    for path in sorted({*directory.resolve().rglob("*.py"), *data}):
        content = path.read_bytes()
        digest.update(
            f"{path.relative_to(directory.resolve()).as_posix()} {len(content)}\n".encode() + content
        )
    return digest.hexdigest()


def _key() -> bytes:
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    path = home / "pinnlora" / "seal"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
    except FileExistsError:
        pass
    except OSError:
        return secrets.token_bytes(32)  # nowhere to keep one: nothing counts as made here
    return path.read_bytes()
