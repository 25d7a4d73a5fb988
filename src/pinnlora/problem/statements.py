"""What the conditions of a problem say, one by one: of which unknown, on which part of the boundary."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pinnlora.problem.channels import Index
from pinnlora.problem.domain.sides import Face, Side
from pinnlora.problem.normal import derived
from pinnlora.problem.operators import operator
from pinnlora.problem.probe import Probe
from pinnlora.problem.signature import BoundCondition, parse, split

NORMAL: Index = (-1,)
"""The order of a slope along the normal of a side."""


@dataclass(frozen=True)
class Statement:
    """What one condition says on one face about one unknown, by number, or a derivative `order` of it.

    `asked` are the unknowns that what is said depends on.
    """

    condition: BoundCondition
    face: Face | Side
    target: str
    number: int
    order: Index
    asked: frozenset[int]

    def at(self, probe: Probe, *faces: Face | Side) -> tuple[Tensor, Tensor]:
        """Points on its face (where it meets others) and the values there, if no unknown is asked for."""
        coords = probe.coords(self.face, *faces)
        return coords, probe.targets(self.condition, coords)[self.target]

    @property
    def function(self) -> str:
        return self.condition.signature.function.__name__


def statements(probe: Probe) -> list[Statement]:
    """What all conditions say but the periodic ones."""
    problem, given = probe.problem, []
    for condition in problem.bound_conditions:
        if condition.periodic is not None:
            continue
        names = condition.signature.names
        stems = [split(problem.coords.names, name)[0].removesuffix("_n") for name in names]
        asked = frozenset(problem.unknowns.index(stem) for stem in stems if stem in problem.unknowns)
        asked |= {found[1] for name in names if (found := operator(problem, name)) is not None}
        for target in condition.targets:
            number, order = parse(problem, target)
            given += [Statement(condition, face, target, number, order, asked) for face in condition.faces]
        for row in condition.rows:  # counts for one of the unknowns in it
            slope = derived(problem, row)
            free = sorted(asked) if slope is None else [slope]
            own = {g.number for g in given if g.condition is condition}
            number = next((k for k in free if k not in own), free[0])
            for face in condition.faces:
                order = NORMAL if face.axis is None else (face.axis,)
                own_value = slope is not None and face.axis is None  # on faces the sign is that of the end
                depends = asked if own_value else asked | {number}
                given.append(Statement(condition, face, row, number, order, depends))
    return given
