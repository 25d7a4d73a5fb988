"""Temporary names beside an output, which is written there first, and what a kill leaves under them."""

import re
import shutil
from pathlib import Path
from uuid import uuid4

OLD = "-old"
"""Behind the temporary name: a directory that steps aside for a new one."""


def temporary_name(path: Path) -> Path:
    """A new hidden name beside `path`, with the same suffix, which writers go by."""
    return path.with_name(f".{path.stem}-{uuid4().hex[:8]}{path.suffix}")


def remove_leftovers(path: Path) -> None:
    """Remove all that stands under temporary names of `path`, which nobody else may be writing meanwhile."""
    name = re.compile(rf"\.{re.escape(path.stem)}-[0-9a-f]{{8}}{re.escape(path.suffix)}({OLD})?")
    for left in path.parent.glob(".*"):
        if not name.fullmatch(left.name):
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
