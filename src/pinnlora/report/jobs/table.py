"""The job `table`: evaluation files in, one of the paper's tables out, as CSV and Markdown."""

from pathlib import Path

from pinnlora.report.pages import write
from pinnlora.report.summaries import read_evaluation


def run(number: int, output: Path, markdown: Path, evaluations: list[Path]) -> None:
    """Write table `number` (1, 2 or 3) over all the problems evaluated."""
    write(number, [read_evaluation(path) for path in evaluations], output, markdown)
