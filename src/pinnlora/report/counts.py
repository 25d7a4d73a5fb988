"""Notes below a table: which errors cover fewer tasks than their neighbours', and which tasks failed."""

from collections.abc import Sequence

from pinnlora.report.style import row_label
from pinnlora.report.summaries import Row, problem


def _with_errors(row: Row) -> int:
    return max((errors.size for errors in row.errors_by_seed()), default=0)


def counts(rows_: Sequence[Row]) -> list[str]:
    """A note for every row whose error covers fewer test tasks than that of its neighbours, or of which some failed."""
    most, compared_ = (max(map(count, rows_), default=0) for count in (Row.tasks, _with_errors))
    notes = [
        f"{problem(row.dataset)}, {row_label(row.method, row.rank)}: the errors cover {row.tasks()} of "
        f"{most} test tasks."
        for row in rows_
        if row.tasks() < most
    ]
    notes += [
        f"{problem(row.dataset)}, {row_label(row.method, row.rank)}: {row.failed()} of {row.tasks()} test tasks "
        f"failed{' with one seed or more' * (row.seeds() > 1)}; their errors are infinite, and so are means."
        for row in rows_
        if row.failed()
    ]
    if 0 < compared_ < most:
        name = problem(rows_[0].dataset)
        notes.append(
            f"{name}: {compared_} of {most} test tasks have a reference; errors are means over those."
        )
    return notes
