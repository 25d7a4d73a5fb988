"""The job `table`: evaluation files in, one of the paper's tables out, as CSV and Markdown."""

from pathlib import Path

from pinnlora.report.pages import write
from pinnlora.report.summaries import read_evaluation


def run(
    settings: dict[str, int], evaluation: list[Path], output: Path, markdown: Path, provenance: str = ""
) -> None:
    """Write table `number` (1, 2 or 3) over all the problems evaluated."""
    datasets = [read_evaluation(path) for path in evaluation]
    write(settings["number"], datasets, output, markdown, provenance)
