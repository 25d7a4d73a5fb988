"""A column of a table is defined once: its key in the CSV, its value, its header and format in Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

EMPTY = "-"
TEXT = "{}".format
ERROR = "{:.1e}".format
PRINTED_ERROR = "{:.2e}".format  # the paper prints three digits
PRINTED = "{:,.6g}".format  # other numbers of the paper's, with all the digits they were printed with
WHOLE = "{:,.0f}".format


def plain(value: float) -> str:
    """Two significant digits: 0.0044, 1.2, 7,200; powers of ten only where zeros would have to be counted."""
    if value == 0 or 1e-3 <= abs(value) < 10:
        return f"{value:.2g}"
    return f"{value:,.0f}" if 10 <= abs(value) < 1e7 else f"{value:.1e}"


@dataclass(frozen=True)
class Column:
    """`value` of a row under `key` in the CSV; in Markdown under `header`, or not at all where that is empty."""

    key: str
    value: Callable[[Any], Any]
    header: str = ""
    show: Callable[[Any], str] = TEXT

    def cell(self, value: Any) -> str:
        """The value in Markdown, a dash where there is none."""
        return EMPTY if pd.isna(value) or value == "" else self.show(value)


def frame(columns: Sequence[Column], rows: Sequence) -> pd.DataFrame:
    """The rows in full precision, a column a key."""
    values = [{column.key: column.value(row) for column in columns} for row in rows]
    return pd.DataFrame(values, columns=[column.key for column in columns])


def markdown(columns: Sequence[Column], frame: pd.DataFrame) -> str:
    """An aligned Markdown table; columns without any value are left out, the first is aligned to the left."""
    cells = {c: [c.cell(value) for value in frame[c.key]] for c in columns if c.header}
    cells = {c: values for c, values in cells.items() if set(values) != {EMPTY}}
    table = pd.DataFrame({c.key: values for c, values in cells.items()})
    sides = ["left" if c.show is TEXT else "right" for c in cells]
    headers = [c.header for c in cells]
    return table.to_markdown(index=False, headers=headers, colalign=sides, disable_numparse=True) + "\n"
