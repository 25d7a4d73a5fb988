"""The published tables say what the published errors are."""

from pathlib import Path

import pytest

from pinnlora.report.archive import ARCHIVE, read_archive
from pinnlora.report.findings import findings
from pinnlora.report.pages import page
from pinnlora.report.tables import TABLES

RESULTS = Path(__file__).parents[2] / "docs/results"


@pytest.fixture(scope="module", params=[RESULTS, RESULTS / "accurate"], ids=["study", "accurate"])
def published(request):
    return request.param, read_archive(request.param / ARCHIVE)


@pytest.mark.parametrize("name", [*(f"table{number}" for number in TABLES), "findings"])
def test_every_row_is_what_the_archive_holds(published, name):
    folder, datasets = published
    made = findings(datasets) if name == "findings" else page(int(name[-1]), datasets)
    kept = (folder / f"{name}.md").read_text()
    rows = [[line for line in text.splitlines() if line.startswith("|")] for text in (made, kept)]
    assert len(rows[0]) > 10 and rows[0] == rows[1], "pinnlora publish docs/results"
