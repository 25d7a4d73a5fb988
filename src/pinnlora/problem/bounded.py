"""Are there enough conditions on the sides of a domain that is no box?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pinnlora.problem.domain.base import Shape
from pinnlora.problem.domain.sides import Side
from pinnlora.problem.domain.surface import Surface
from pinnlora.problem.probe import Probe


def bare_sides(probe: Probe, given: Sequence[Any], orders: Sequence[int]) -> list[str]:
    """What is missing: half as many conditions as the highest derivative in space has orders, of every unknown, on
    all of the boundary.

    given: what conditions say, each of one part of the boundary (`face`) and one unknown (`number`); orders: the
    highest derivative of each unknown. What there is to spare of one unknown makes up for another's lack.
    """
    problem, lacking, missing, spare = probe.problem, [], 0, 0
    for surface in _sides(probe) if isinstance(problem.coords, Shape) else ():
        here = [g.number for g in given if isinstance(g.face, Side) and surface in g.face.surfaces]
        for number, name in enumerate(problem.unknowns):
            wanted, have, side = orders[number] // 2, here.count(number), surface.aliases[0]
            missing, spare = missing + max(0, wanted - have), spare + max(0, have - wanted)
            if have < wanted:
                lacking.append(
                    f"the equations hold derivatives of order {orders[number]} of {name}, which needs "
                    f"{'a condition' if wanted == 1 else f'{wanted} conditions'} on all of the boundary but has "
                    f"{have or 'none'} on {side!r}; add Condition(..., on={side!r})"
                )
    return list(dict.fromkeys(lacking)) if missing > spare else []


def _sides(probe: Probe) -> list[Surface]:
    """The surfaces of which something is left on the boundary, but for the flat ends of a cylinder."""
    domain = probe.problem.coords
    ends = {f"{name}={end:g}" for name, pair in domain.boxes().items() for end in pair}
    return [s for s in domain.surfaces() if not ends & set(s.aliases) and _is_left(probe, s)]


def _is_left(probe: Probe, surface: Surface) -> bool:
    values = {name: value.detach() for name, value in probe.values.items()}
    try:
        Side(surface.aliases[0], (surface,)).over(probe.problem.coords, values)
    except TypeError:
        return False
    return True
