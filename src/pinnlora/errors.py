"""The one exception users are meant to see: a single line that says what came, what was expected, what to do."""

from difflib import get_close_matches


class UserError(ValueError):
    """Bad input, described in one line."""


def did_you_mean(name: str, known: list[str]) -> str:
    """', did you mean ...?' or, where nothing is near, what there is."""
    near = get_close_matches(str(name), known, n=1)
    return f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
