"""The job `table`: evaluation files in, one of the paper's tables out, as CSV and Markdown."""

from pathlib import Path

from pinnlora import tables
from pinnlora.summaries import load


def run(number: int, output: Path, markdown: Path, evaluations: list[Path]) -> None:
    """Write table `number` (1, 2 or 3) over all the problems evaluated."""
    tables.write(number, [load(path) for path in evaluations], output, markdown)
