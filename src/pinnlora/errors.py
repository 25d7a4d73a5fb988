"""The one exception users are meant to see: a single line that says what came, what was expected, what to do."""


class UserError(ValueError):
    """Bad input, described in one line."""
