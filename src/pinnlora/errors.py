"""The one exception users are meant to see: a single line that says what came, what was expected, what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """Bad input, described in one line; `status` is what the command line ends with."""

    status = 1


class InUse(UserError):
    """Another process is at work on the same files."""

    status = 2


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that was probably meant, None where nothing is near."""
    return next(iter(get_close_matches(str(name), list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(name: str, known: list[str]) -> str:
    """', did you mean ...?' or, where nothing is near, what there is."""
    near = nearest(name, known)
    return f", did you mean {near!r}?" if near else f"; there are {', '.join(known)}"
