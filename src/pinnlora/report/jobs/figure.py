"""The job `figure`: evaluation files in, one figure out, as PNG and PDF."""

from pathlib import Path

from pinnlora.errors import UserError
from pinnlora.report import figures
from pinnlora.report.summaries import read_evaluation


def run(
    settings: dict[str, str], evaluation: list[Path], output: Path, pdf: Path, provenance: str = ""
) -> None:
    """Draw a `kind` of figure: `fields` (of one problem), or `rank` or `time` (a panel for each problem)."""
    kind = settings["kind"]
    if kind not in ("fields", "rank", "time"):
        raise UserError(f"there is no figure `{kind}`; expected fields, rank or time")
    if not evaluation or (kind == "fields" and len(evaluation) > 1):
        wanted = "one evaluation file" if kind == "fields" else "at least one evaluation file"
        raise UserError(f"figure `{kind}` got {len(evaluation)} evaluation files; give {wanted}")
    datasets = [read_evaluation(path) for path in evaluation]
    if kind == "fields":
        figure = figures.fields(datasets[0])
    elif kind == "rank":
        figure = figures.error_against_rank(datasets)
    else:
        figure = figures.error_against_time(datasets)
    figures.save(figure, output, pdf, provenance)
