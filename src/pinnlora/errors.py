"""The one exception users are meant to see: a single line that says what came, what was expected, what to do."""

import errno
import shutil
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class UserError(ValueError):
    """Bad input, described in one line; `status` is what the command line ends with."""

    status = 2


class InUse(UserError):
    """Another process is at work on the same files."""

    status = 3


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that was probably meant, None where nothing is near."""
    return next(iter(get_close_matches(str(name), list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(name: str, known: list[str]) -> str:
    """', did you mean ...?' or, where nothing is near, what there is."""
    near = nearest(name, known)
    return f", did you mean {near!r}?" if near else f"; there are {', '.join(known)}"


def disk_full(error: BaseException, path: Path) -> UserError | None:
    """What to raise where a write at `path` failed because its disk is full, which NetCDF's own errors do not say;
    None for another reason."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
    if not full and isinstance(error, OSError | RuntimeError):
        full = shutil.disk_usage(path.parent).free < 2**16
    text = f"no space left on the disk of {path}, of which nothing was written: free some, or write elsewhere"
    return UserError(text) if full else None


def spoken(error: Exception) -> tuple[str, int] | None:
    """What the command line says of an exception, and its exit status; None for what is a defect of this package."""
    if isinstance(error, UserError):
        return str(error), error.status
    if isinstance(error, OSError):
        return (
            f"cannot read or write {error.filename or 'a file'}: {error.strerror or error}",
            UserError.status,
        )
    if not hasattr(error, "format_message"):  # what typer finds wrong in a command line
        return None
    context, text = getattr(error, "ctx", None), error.format_message()
    if "\n\n" in text.strip():  # it was asked nothing, and shows its help
        return text, UserError.status
    command = context.command_path if context else "pinnlora"
    return f"{' '.join(text.split()).rstrip('.')}; see {command} --help", UserError.status
