"""How long a solution takes: alone, with what was trained before, and until an error that methods have in common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from pinnlora.report.style import row_label
from pinnlora.report.summaries import Row, family, is_hypernetwork, paper, shown

PRINTED_RANK = {"lora": "4", "physics": "4"}
"""Of the methods with adapters whose seconds the paper prints; the others' networks are whole."""


def once(row: Row) -> float:
    """Seconds spent once for all later tasks: what a row builds on, and a hypernetwork's own training; NaN for none."""
    total = row.prerequisites() + (row.number("seconds") if is_hypernetwork(row) else 0.0)
    return total or math.nan


@dataclass(frozen=True)
class Solution(Row):
    """A row of Table 3; `refined` for the hypernetwork's prediction and the refining steps after it.

    `same_error` is the level to which the histories of all methods are compared.
    """

    refined: bool = False
    same_error: float = math.nan

    @property
    def solver(self) -> str:
        """pinn, finetuned, lora, zero-shot or refined."""
        return ("refined" if self.refined else "zero-shot") if is_hypernetwork(self) else self.method

    def seconds(self) -> float:
        """Seconds of one new task alone."""
        return self.number("seconds_new_task") + (self.number("seconds_refine") if self.refined else 0.0)

    def label(self) -> str:
        """The solver in print."""
        label = row_label(self.method, self.rank)
        return f"hypernetwork ({label}), {self.solver}" if is_hypernetwork(self) else label

    def padded(self, split: str = "test", variable: str = "mse") -> np.ndarray:
        """As of any row; those of a refined one are after refining."""
        after = self.refined and variable in ("mse", "residual", "mismatch")
        return super().padded(split, f"{variable}_refined" if after else variable)

    def seconds_printed(self) -> float:
        """The paper's, whose hypernetwork there is the physics one, and whose adapters are of rank 4."""
        printed = paper(3)
        if self.rank != PRINTED_RANK.get(self.method, "full"):
            return math.nan
        name = "hyperpinn_lora" if self.method == "physics" and not self.refined else self.method
        found = printed.loc[
            (printed["problem"] == family(self.dataset)) & (printed["method"] == name), "seconds"
        ]
        return math.nan if self.refined or found.empty else float(found.iloc[0])

    def final(self) -> float:
        """The test error of the weights that training kept, on a sample of the grid."""
        mse = self.history()[1]
        return math.nan if self.refined or not len(mse) else float(mse[-1])

    def seconds_to_same_error(self) -> float:
        """Seconds, prerequisites included, until training's test error is that low and stays so; NaN if it never is."""
        seconds, mse = self.history()
        above = np.flatnonzero(~(mse <= self.same_error))
        left = seconds[above[-1] + 1 if above.size else 0 :]
        return math.nan if self.refined else float(min(left, default=math.nan))


def solutions(dataset: xr.Dataset) -> list[Solution]:
    """A row a method at the rank of the figures, and one more where predictions were refined."""
    found = [Solution(row.dataset, row.method, row.rank) for row in shown(dataset)]
    level = common_error(found)
    found = [replace(row, same_error=level) for row in found]
    after = ("mse_refined", "residual_refined")
    return found + [
        replace(r, refined=True) for r in found if any(r.errors(variable=name).size for name in after)
    ]


def common_error(found: Sequence[Solution]) -> float:
    """The error that LoRA and the physics hypernetwork both end with or below; without them, that all do."""
    final = {row.method: row.final() for row in found if np.isfinite(row.final())}
    both = [final[method] for method in ("lora", "physics") if method in final]
    return max(both if len(both) == 2 else final.values(), default=math.nan)
