"""Which conditions a trial function holds exactly, and which stay in the loss: found out by trying, before training.

Conditions are taken up one by one (the start in time first, values before derivatives); one that the trial function
then misses, because it contradicts what is held already where they meet, stays soft, and so does one whose function
is not smooth along its face: its kinks would be sources that no residual sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.nets.distance import Kept, curved, kept_of
from pinnlora.nets.transfinite import Given, Patch, patch_of
from pinnlora.nets.trial import face_points, few_tasks, rough
from pinnlora.problem.base import Problem
from pinnlora.problem.channels import Channels, product
from pinnlora.problem.domain.sides import Face, Side
from pinnlora.problem.mismatch import is_unknown, prescribed
from pinnlora.problem.signature import BoundCondition, Values, parse

MISSED = 1e-6
"""A condition counts as held when it is missed by less, relative to the sizes of target and network."""

Trial = Callable[[Tensor, Values, Channels], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class HardConditions:
    """What a trial function holds exactly.

    patches and kept: the automatic one, of faces and of sides of shapes, one an unknown (none where it is not used);
    held: (condition, target); soft: (condition, target, why it is in the loss); periodic: the axes that the input map
    must make periodic.
    """

    patches: tuple[Patch, ...] = ()
    kept: tuple[tuple[Kept, ...], ...] = ()
    held: tuple[tuple[str, str], ...] = ()
    soft: tuple[tuple[str, str, str], ...] = ()
    periodic: tuple[int, ...] = ()

    def left(self, problem: Problem) -> list[BoundCondition]:
        """The conditions of which something is in the loss; a cycle is in every network's input map."""
        names, cycles = problem.coords.names, problem.coords.cycles
        whole = {name for name, _ in self.held}
        whole |= {
            c.name for c in problem.bound_conditions if c.periodic is not None and names[c.periodic] in cycles
        }
        whole -= {name for name, *_ in self.soft}
        return [condition for condition in problem.bound_conditions if condition.name not in whole]

    def describe(self) -> list[str]:
        """Lines for the log."""
        exact = ", ".join(f"{name} ({target})" for name, target in self.held) or "none"
        return [
            f"conditions held exactly: {exact}",
            *(f"condition in the loss: {name} ({target}): {why}" for name, target, why in self.soft),
        ]


NONE = HardConditions()
"""All conditions are in the loss."""


@dataclass
class _Plan:
    """The trial function while it is being built; `own` is a problem's hand-written one, which is only judged;
    with `insist` random functions are held too."""

    problem: Problem
    own: Trial | None
    insist: bool
    given: list[tuple[Given, ...]]
    kept: list[tuple[Kept, ...]]
    held: list[tuple[int, str]]
    soft: list[tuple[str, str, str]]

    def trial(self) -> Trial:
        if self.own is not None:
            return self.own
        return partial(curved, self.problem, self.patches(), tuple(self.kept))

    def patches(self) -> tuple[Patch, ...]:
        return tuple(patch_of(given, self.problem.coords) for given in self.given)


def hard_conditions(problem: Problem, own: bool, insist: bool = False) -> HardConditions:
    """What can be held exactly: by the problem's `lift` (own), else by transfinite interpolation.

    Raises UserError with `insist` when something cannot.
    """
    values = few_tasks(problem)
    given: list[tuple[Given, ...]] = [() for _ in problem.unknowns]
    kept: list[tuple[Kept, ...]] = [() for _ in problem.unknowns]
    plan = _Plan(problem, problem.lift if own else None, insist, given, kept, [], [])
    for number, target in _candidates(problem, plan):
        why = _take(plan, number, target, values)
        if why:
            plan.soft.append((problem.bound_conditions[number].name, target, why))
    periodic = []
    for condition in problem.bound_conditions:
        if condition.periodic is not None and _is_periodic(plan, condition, values):
            periodic.append((condition.periodic, condition.name))
        elif condition.periodic is not None:
            plan.soft.append((condition.name, "all", "what is prescribed at the start is not periodic"))
    held = [(problem.bound_conditions[number].name, target) for number, target in plan.held]
    held += [(name, "all") for _, name in periodic]
    found = HardConditions(
        plan.patches() if any(plan.given) or any(plan.kept) else (),
        tuple(plan.kept) if any(plan.kept) else (),
        tuple(held),
        tuple(plan.soft),
        tuple(axis for axis, _ in periodic),
    )
    if insist and found.soft:
        name, target, why = found.soft[0]
        raise UserError(
            f"network.conditions: hard, but condition {name} ({target}) cannot be: {why}; use auto"
        )
    return found


def _candidates(problem: Problem, plan: _Plan) -> list[tuple[int, str]]:
    """(condition, target) in the order in which they are tried; what can never be held goes to `plan.soft`."""
    faces = {f for c in problem.bound_conditions for f in c.faces if isinstance(f, Face)}
    ends = {(f.axis, f.value == problem.coords.low[f.axis]) for f in faces}
    found = []
    for number, condition in enumerate(problem.bound_conditions):
        if condition.periodic is not None:
            continue
        if any(is_unknown(problem, name) for name in condition.signature.names):
            plan.soft.append((condition.name, "all", "its target holds the unknown itself"))
            continue
        plan.soft += [(condition.name, row, "a derivative along the normal") for row in condition.rows]
        for target in condition.targets:
            start = all((face.axis, False) not in ends for face in condition.faces)
            found.append((len(parse(problem, target)[1]), not start, number, target))
    return [(number, target) for *_, number, target in sorted(found)]


def _take(plan: _Plan, number: int, target: str, values: Values) -> str:
    """Add one target to the trial function if it then holds; else say why not."""
    condition = plan.problem.bound_conditions[number]
    if plan.own is None:
        given, why = _given(plan, number, target)
        if not why and not plan.insist:
            why = _random(plan.problem, condition)
        why = why or rough(plan.problem, condition, target, values)
        field, _ = parse(plan.problem, target)
        before = plan.given[field], plan.kept[field]
        kept = None
        if not why and any(isinstance(part, Side) for part in condition.faces):
            kept, why = kept_of(plan.problem, number, target, plan.kept[field], plan.insist)
        if why:
            return why
        plan.given[field], plan.kept[field] = given, (*plan.kept[field], *([kept] if kept else []))
    plan.held.append((number, target))
    for held in plan.held:
        missed = _missed(plan, *held, values)
        if not missed < MISSED:
            plan.held.pop()
            if plan.own is not None:
                return "the problem's own ansatz does not hold it"
            plan.given[field], plan.kept[field] = before
            return f"it contradicts what is held already where they meet, by {missed:.1e} of their size"
    return ""


def _given(plan: _Plan, number: int, target: str) -> tuple[tuple[Given, ...], str]:
    """What is prescribed of the field with this target too, and why it cannot be (or nothing)."""
    condition, box = plan.problem.bound_conditions[number], plan.problem.coords
    field, order = parse(plan.problem, target)
    before = plan.given[field]
    for face in condition.faces:
        if isinstance(face, Side):
            if order:
                return before, "only values are held on the sides of a shape"
            continue
        if set(order) - {face.axis}:
            return before, "a derivative along its face"
        new = Given(face.axis, face.value == box.high[face.axis], len(order), number, target)
        same = [g for g in before if (g.axis, g.high) == (new.axis, new.high)]
        if any(g.order == new.order for g in same):
            return before, "the same is prescribed there by another condition"
        if len(same) < new.order:
            lacking = "value" if not same else "derivative of next lower order"
            return before, f"a derivative where the {lacking} is not prescribed"
        before = (*before, new)
    return tuple(sorted(before, key=lambda g: not any(o.order and o.axis == g.axis for o in before))), ""


def _missed(plan: _Plan, number: int, target: str, values: Values) -> float:
    """How far a network with random values and slopes misses a target: what is added to it, relative to the largest
    target of the field, and what it is multiplied with, in the network's own units; nan if not finite."""
    problem, condition = plan.problem, plan.problem.bound_conditions[number]
    field, order = parse(problem, target)
    generator, channels = torch.Generator().manual_seed(1), condition.channels
    worst, size = 0.0, _size(plan, field, values)
    for face in condition.faces:
        coords = face_points(problem, face, generator)
        offset, factor = plan.trial()(coords, values, channels)
        network = torch.randn(offset.shape, generator=generator, dtype=torch.float64)
        added, free = (
            jet[:, channels.position(order), :, field] for jet in (offset, product(factor, network, channels))
        )
        wanted = torch.as_tensor(prescribed(problem, condition, coords, values)[target], dtype=torch.float64)
        missed = float(((added - wanted).abs() / size + free.abs() / (1 + free.abs())).max())
        worst = missed if not missed <= worst else worst
    return worst


def _size(plan: _Plan, field: int, values: Values) -> float:
    """The largest of what is held of a field, 1 where all is 0."""
    problem, generator, sizes = plan.problem, torch.Generator().manual_seed(1), [0.0]
    for number, target in plan.held:
        condition = problem.bound_conditions[number]
        for face in condition.faces if parse(problem, target)[0] == field else ():
            found = prescribed(problem, condition, face_points(problem, face, generator), values)
            sizes.append(float(torch.as_tensor(found[target]).abs().max()))
    return max(sizes) or 1.0


def _is_periodic(plan: _Plan, condition: BoundCondition, values: Values) -> bool:
    """Whether offset and factor agree at both ends, in value and normal slope: the network does by its input map."""
    generator = torch.Generator().manual_seed(2)
    base = face_points(plan.problem, condition.ends[0], generator)
    ends = [
        torch.stack(torch.broadcast_tensors(*plan.trial()(face.project(base), values, condition.channels)))
        for face in condition.ends
    ]
    gap = (ends[0] - ends[1]).abs().amax((1, 2, 3))  # (offset or factor, unknown)
    sizes = torch.tensor([_size(plan, field, values) for field in range(gap.shape[1])])
    return bool((gap < MISSED * torch.stack((sizes, 1 + ends[0][1].abs().amax((0, 1, 2))))).all())


def _random(problem: Problem, condition: BoundCondition) -> str:
    """Says so when a target holds a random function: its second derivatives are noise, and would be a source."""
    found = sorted(set(condition.signature.names) & set(problem.task.functions))
    return f"it prescribes {found[0]}, a random function, whose derivatives are noise" if found else ""
