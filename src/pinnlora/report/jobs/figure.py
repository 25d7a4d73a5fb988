"""The job `figure`: evaluation files in, one figure out, as PNG and PDF."""

from pathlib import Path

from pinnlora.errors import UserError
from pinnlora.report.curves import error_against_rank, error_against_time
from pinnlora.report.fields import fields
from pinnlora.report.style import save
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
        figure = fields(datasets[0])
    else:
        figure = {"rank": error_against_rank, "time": error_against_time}[kind](datasets)
    save(figure, output, pdf, provenance=provenance)
