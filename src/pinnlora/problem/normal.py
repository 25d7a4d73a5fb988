"""What is asked for by the outward normal of a boundary: `u_n`, and the normal's components `n_x`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from torch import Tensor

from pinnlora.problem.domain.sides import Face, Side, outward_normal

Parts = Sequence[Face | Side]


def space(problem: Any) -> list[int]:
    """The axes that are not time."""
    return [axis for axis, name in enumerate(problem.coords.names) if name != "t"]


def derived(problem: Any, name: str) -> int | None:
    """The number of the unknown of which `name` is the normal derivative, u_n; None for other names."""
    stem, _, rest = name.partition("_")
    is_normal = rest == "n" and "n" not in problem.coords.names and stem in problem.unknowns
    return problem.unknowns.index(stem) if is_normal else None


def component(problem: Any, name: str) -> int | None:
    """The axis of which `name` is the normal's component, n_x; None for other names."""
    stem, _, rest = name.partition("_")
    taken = (*problem.coords.names, *problem.unknowns, *problem.task.names)
    if stem != "n" or stem in taken or rest not in problem.coords.names or rest == "t":
        return None
    return problem.coords.names.index(rest)


def along_normal(problem: Any, parts: Parts, coords: Tensor, values: Any, slopes: Sequence[Tensor]) -> Tensor:
    """The derivative along the normal of the nearest part, from those along the axes of `space`: (task, point)."""
    normal = outward_normal(problem.coords, parts, coords, values)
    return reduce(
        add, (normal[..., axis] * slope for axis, slope in zip(space(problem), slopes, strict=True))
    )
