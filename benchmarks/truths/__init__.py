"""Solutions of the examples that have no exact one, by other methods than this package's, each with its error.

Each module has `solve(problem, values, axes)`: tasks name -> (task,) or (task, points), and the axes of a grid, to a
`Solved`; one may have `quantities(surrogate)`, rows of a name, what the surrogate says and what the literature says.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Solved:
    """Solutions (task, point, field) on the grid, nan outside of the domain; their relative error; the method."""

    fields: np.ndarray
    error: float
    kind: str


def distance(found: np.ndarray, target: np.ndarray) -> float:
    """The largest relative L2 distance of a field of a task, (task, point, field) each, where they are not nan."""
    missed = np.sqrt(np.nanmean((found - target) ** 2, 1))
    return float((missed / np.sqrt(np.nanmean(target**2, 1))).max())


def one_by_one(values: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Each task alone, with an axis of length one."""
    count = len(next(iter(values.values())))
    return [{name: value[k : k + 1] for name, value in values.items()} for k in range(count)]
