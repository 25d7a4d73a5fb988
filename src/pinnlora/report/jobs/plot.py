"""`plot`: one task of a bundle on a page."""

from __future__ import annotations

from pathlib import Path

from pinnlora.errors import UserError
from pinnlora.files import refuse_foreign
from pinnlora.query.load import load
from pinnlora.query.solved import Solved
from pinnlora.report.answers import answer_of, figure_of
from pinnlora.report.style import save
from pinnlora.study.jobs.query import assigned


def draw(bundle: Path, output: Path, assignments: list[str], trust: bool) -> None:
    """Write the figure."""
    refuse_foreign(output, directory=False)
    if output.suffix not in (".png", ".pdf"):
        raise UserError(f"{output}: the ending says the format; expected .png or .pdf")
    surrogate, task = load(bundle, "cpu", trust), assigned(assignments)
    if isinstance(surrogate, Solved) and task:
        raise UserError(f"{bundle} is refined networks of given tasks: plot, without --set")
    networks = surrogate.networks if isinstance(surrogate, Solved) else surrogate.networks(**task)
    if len(networks) != 1:
        raise UserError(f"a figure shows one task, got {len(networks)}: ask for one")
    save(figure_of(answer_of(networks)), output)
    print(f"wrote {output}")
