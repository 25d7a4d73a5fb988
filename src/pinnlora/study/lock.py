"""One training at a time in one folder: who comes second is told who is there."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pinnlora.errors import InUse, UserError


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder, made if need be, until the end of the body, or of the process however it ends.

    Raises InUse while another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(
            f"{folder} is a file or lies in one, expected a directory; nothing was written"
        ) from None
    lock, note = FileLock(folder / ".lock"), folder / ".lock.json"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InUse(
            f"{folder} is in use by {_holder(note)}: wait until it is done, or write to another directory"
        ) from None
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    holder = {"process": os.getpid(), "host": socket.gethostname(), "since": now}
    try:
        note.write_text(json.dumps(holder), encoding="utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        return f"process {known['process']} on {known['host']} since {known['since']}"
    except (OSError, ValueError, KeyError):  # it has just begun
        return "another process"
