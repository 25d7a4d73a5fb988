"""`explore`: a bundle as one page to look at."""

from __future__ import annotations

from pathlib import Path

from pinnlora.errors import UserError
from pinnlora.files import refuse_foreign
from pinnlora.query.load import load
from pinnlora.query.solved import Solved


def run(bundle: Path, output: Path, trust: bool = False) -> None:
    """Write the page of a hypernetwork."""
    refuse_foreign(output, directory=False)
    if output.suffix != ".html":
        raise UserError(f"{output}: the ending says the format; expected .html")
    surrogate = load(bundle, "cpu", trust)
    if isinstance(surrogate, Solved):
        raise UserError(f"{bundle} is refined networks of given tasks: explore a hypernetwork's bundle")
    surrogate.explore(output)
    print(f"wrote {output}: {output.stat().st_size / 1e6:.1f} MB, open it in a browser")
