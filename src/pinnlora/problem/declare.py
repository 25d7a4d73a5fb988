"""What is checked and resolved when a problem's class is made: its parts, their names, what its functions ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinnlora.errors import UserError, did_you_mean
from pinnlora.problem.binding import bind, extreme_tasks_of
from pinnlora.problem.distributions import Distribution
from pinnlora.problem.domain.base import RESERVED, Domain
from pinnlora.problem.signature import Condition, Periodic, resolve, split

if TYPE_CHECKING:
    from pinnlora.problem.base import Problem

ARGUMENTS = ("at", "fields", "estimate", "save", "tolerance")
"""Names that task parameters cannot have: `predict`, `refine` and `march` are given these beside the task."""
TAKEN = (
    *(*RESERVED, "steps", "points", "seed", "until", "times", "point", "window", "parameter", "other"),
    *("residual", "mismatch", "in_range", "estimated_error", "refinement", "covariance", "misfit", "warning"),
)
"""Names of results that fields and task parameters cannot have."""


def declare(cls: type[Problem]) -> None:
    """Resolve a problem's class; TypeError says what is wrong with it."""
    missing = [name for name in ("coords", "fields", "task", "residual") if not hasattr(cls, name)]
    if missing:
        raise TypeError(f"problem {cls.__name__} lacks {', '.join(missing)}: every problem defines them")
    _parts(cls)
    cls.unknowns = cls.potentials or cls.fields
    _names(cls)
    cls.coords = box = _settled(cls)
    intervals = dict(zip(box.names, zip(box.low, box.high, strict=True), strict=True))
    cycles = [Periodic(name, f"cycle_{name}") for name in box.cycles]
    conditions = [*cls.conditions, *cycles]
    periodic = [c.coordinate for c in conditions if isinstance(c, Periodic)]
    for name in box.cycles:
        if periodic.count(name) > 1:
            raise TypeError(f"{cls.__name__}.conditions: {name} is a Cycle, leave Periodic({name!r}) out")
    try:
        cls.task = cls.task.within(intervals, periodic)
    except UserError as error:
        raise TypeError(f"{cls.__name__}: {error}") from None
    for part in ("observe", "residual", "exact", "weight"):
        setattr(cls, f"{part}_signature", resolve(cls, getattr(cls, part)) if hasattr(cls, part) else None)
    cls.bound_conditions = tuple(bind(cls, condition) for condition in conditions)
    names = ["interior", *(condition.name for condition in cls.bound_conditions)]
    for name in names:
        if names.count(name) > 1:
            raise TypeError(
                f"{cls.__name__}: condition {name!r}: the name is taken, give this one another with name=..."
            )


def _settled(cls: type[Problem]) -> Domain:
    """The domain as it is for the problem's tasks."""
    for name in sorted(cls.coords.asked()):
        if name not in cls.task.names or name in cls.task.functions:
            numbers = [known for known in cls.task.names if known not in cls.task.functions]
            raise TypeError(
                f"{cls.__name__}.coords: {name!r} is no number among the task parameters"
                f"{did_you_mean(name, numbers)}"
            )
    try:
        return cls.coords.over(extreme_tasks_of(cls)) if cls.coords.asked() else cls.coords.over({})
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.coords: {error}") from None


def _parts(cls: type[Problem]) -> None:
    """Is every part of the kind that it should be?"""
    expected = {
        "coords": (Domain, "a Box, for example Box(x=(0, 1), t=(0, 1)), or shapes made of Disk, Ball, Polygon"),
        "fields": (tuple | list, "a tuple of names, for example (\"u\",) with its comma"),
        "potentials": (tuple | list, "a tuple of names, for example (\"s\",) with its comma"),
        "task": (Distribution, "Uniform(...), LogUniform(...), GaussianField(...) or a product of them"),
        "conditions": (tuple | list, "a list of Condition(...) and Periodic(...)"),
        "grid": (dict, "numbers of points by coordinate, for example {\"x\": 51}"),
    }  # fmt: skip
    for part, (kind, words) in expected.items():
        if not isinstance(getattr(cls, part), kind):
            raise TypeError(f"{cls.__name__}.{part} = {getattr(cls, part)!r}: expected {words}")
    if not cls.fields:
        raise TypeError(f'{cls.__name__}.fields = (): expected one name or more, for example ("u",)')
    for part in ("residual", "exact", "weight", "observe", "reference"):
        if not callable(getattr(cls, part, _parts)):
            raise TypeError(f"{cls.__name__}.{part} = {getattr(cls, part)!r}: expected a method")
    for condition in cls.conditions:
        if not isinstance(condition, Condition | Periodic):
            raise TypeError(
                f"{cls.__name__}.conditions holds {condition!r}: expected {expected['conditions'][1]}"
            )
    axes = ["point"] if cls.coords.vectors else list(cls.coords.names)
    for name, count in cls.grid.items():
        if name not in axes:
            raise TypeError(f"{cls.__name__}.grid: no coordinate {name!r}{did_you_mean(name, axes)}")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise TypeError(f"{cls.__name__}.grid: {count!r} in {name}; expected a number of points")
    if bool(cls.potentials) != hasattr(cls, "observe"):
        raise TypeError(
            f"problem {cls.__name__}: potentials and observe() go together: networks give the potentials, "
            "observe() the fields made of their derivatives"
        )


def _names(cls: type[Problem]) -> None:
    """Is every argument name one thing only?"""
    for name in (*cls.fields, *cls.potentials):
        if not str(name).isidentifier() or "_" in name:
            raise TypeError(
                f"{cls.__name__}: field {name!r}: a field's name is letters and digits, without underscores, because "
                f"what follows an underscore names derivatives, as in u_x; write for example u1 or uleft"
            )
    used = {"field": (cls.fields, TAKEN), "task parameter": (cls.task.names, TAKEN + ARGUMENTS)}
    for kind, (names, others) in used.items():
        if taken := next((name for name in names if name in others), None):
            raise TypeError(f"{cls.__name__}: {kind} {taken!r}: the name is used by results; rename it")
    for name in cls.task.names:
        stem, _, end = name.rpartition("_")
        if end in ("low", "high") and stem in cls.task.names:
            raise TypeError(
                f"{cls.__name__}: task parameter {name!r} reads as the {end} end of an interval of {stem}; rename it"
            )
        stem, _, rest = name.partition("_")
        if rest and ((stem == "n" and rest in cls.coords.names) or (rest == "n" and stem in cls.unknowns)):
            raise TypeError(
                f"{cls.__name__}: task parameter {name!r} reads as the normal or a slope along it; rename it"
            )
    coordinates = (*cls.coords.names, *(name for name, _, _ in cls.coords.vectors))
    kinds = {"coordinate": coordinates, "field": cls.fields, "potential": cls.potentials}
    owners: dict[str, str] = {}
    for kind, names in {**kinds, "task parameter": cls.task.names}.items():
        for name in names:
            stem, order = split(cls.coords.names, name)
            if order and (stem in cls.unknowns or stem in cls.task.functions):
                raise TypeError(f"{cls.__name__}: {kind} {name!r} reads as a derivative of {stem}; rename it")
            if name in owners:
                raise TypeError(
                    f"{cls.__name__}: {kind} {name!r} is also the name of a {owners[name]}; rename one of them"
                )
            owners[name] = kind
