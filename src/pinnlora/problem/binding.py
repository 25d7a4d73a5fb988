"""A problem's conditions made ready: their parts of the boundary found, what they return found out by a call."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError, nearest
from pinnlora.problem.calls import rows_of
from pinnlora.problem.channels import Channels
from pinnlora.problem.domain.base import Shape, seeded
from pinnlora.problem.domain.sides import Face, Side
from pinnlora.problem.normal import component, derived, space
from pinnlora.problem.signature import (
    BoundCondition,
    Condition,
    Periodic,
    Signature,
    lookup,
    needed,
    parse,
    resolve,
    spelled,
    unknown,
)

if TYPE_CHECKING:
    from pinnlora.problem.base import Problem

CORNERS = 6
"""The most numbers of a task whose ranges' corners are all looked at."""


def bind(cls: type[Problem], condition: Condition | Periodic) -> BoundCondition:
    """Find a condition's faces, arguments and targets; TypeError says what is wrong with it."""
    if isinstance(condition, Periodic):
        if condition.coordinate not in cls.coords.names:
            raise TypeError(
                f"{cls.__name__}: Periodic({condition.coordinate!r}): coordinates are {cls.coords.names}"
            )
        own = (*cls.coords.boxes(), *cls.coords.cycles)
        if isinstance(cls.coords, Shape) and condition.coordinate not in own:
            name = condition.coordinate
            raise TypeError(
                f"{cls.__name__}: Periodic({name!r}): {name} is no interval of its own in this shape: give it a Box "
                f"with {name}=Cycle(low, high)"
            )
        axis = cls.coords.names.index(condition.coordinate)
        ends = (Face(axis, cls.coords.low[axis]), Face(axis, cls.coords.high[axis]))
        order = max(order.count(axis) for order in cls.residual_signature.channels.orders)
        channels = Channels.of([(axis,) * max(1, order - 1)])
        return BoundCondition(
            condition.name, ends, Signature(lambda problem: {}, (), channels), channels, axis
        )
    signature = resolve(cls, _own(cls, condition.function), boundary=True)
    faces = tuple(dict.fromkeys(part for text in condition.faces for part in _found(cls, text)))
    targets, rows = _returned(cls, signature, faces)
    orders = [*signature.channels.orders, *(parse(cls, name)[1] for name in targets)]
    orders += [order for name in rows for order in needed(cls, name)]
    name = condition.name or condition.function.__name__
    names = [
        n for n in (*signature.names, *rows) if component(cls, n) is not None or derived(cls, n) is not None
    ]
    if names and any(part.axis is not None and part.axis == cls.coords.time for part in faces):
        raise TypeError(f"{cls.__name__}.{name}: {names[0]} is along the normal in space; time has none")
    channels = Channels.of(orders, signature.channels.space)
    return BoundCondition(name, faces, signature, channels, targets=targets, rows=rows)


def _own(cls: type[Problem], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a condition, or what the class has put in its place; TypeError where it takes the place of
    something that every problem needs."""
    from pinnlora.problem.base import Problem

    name = getattr(function, "__name__", "")
    if name in dir(Problem):
        raise TypeError(
            f"{cls.__name__}.{name}: every problem has one of its own, which is no condition; call this one otherwise"
        )
    inherited = any(vars(base).get(name) is function for base in cls.__mro__)
    return getattr(cls, name) if inherited else function


def _found(cls: type[Problem], text: str) -> list[Face | Side]:
    """The parts of the boundary with this name, as they are for the problem's tasks."""
    found: list[Face | Side] = []
    for part in cls.coords.faces(text):
        if isinstance(part, Side) and not cls.coords.vectors:  # else one surface, which is all there
            part = part.over(cls.coords, extreme_tasks_of(cls))
        found.append(part)
    return found


def tasks_of(cls: type[Problem], count: int = 256) -> dict[str, Tensor]:
    """Tasks spread over the whole family, float64."""
    sample = cls.task.spread(count, np.random.default_rng(0))
    return {name: torch.as_tensor(value, dtype=torch.float64) for name, value in sample.items()}


def extreme_tasks_of(cls: type[Problem]) -> dict[str, Tensor]:
    """Those, and the corners of their ranges where these are few: domains of tasks are looked at on them."""
    spread, bounded = tasks_of(cls), torch.from_numpy(cls.task.bounded.copy())
    if not 0 < bounded.sum() <= CORNERS:
        return spread
    ends = product(*((-1.0, 1.0) if own else (0.0,) for own in bounded))
    corners = cls.task.decode(torch.tensor(list(ends), dtype=torch.float64))
    return {name: torch.cat((value, corners[name])) for name, value in spread.items()}


def _returned(
    cls: type[Problem], signature: Signature, parts: tuple[Face | Side, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Call a condition once, on a few points of three tasks, to learn which fields or derivatives it sets, and which
    normal derivatives or rows of its own."""
    problem, where = cls(), f"{cls.__name__}.{signature.function.__name__}"
    sample = cls.task.sample(3, np.random.default_rng(0))
    values = {name: torch.as_tensor(value) for name, value in sample.items()}
    coords = parts[0].place(cls.coords, seeded(cls.coords, 3), 4, values)
    coords, values = coords.requires_grad_(), {name: v.requires_grad_() for name, v in values.items()}
    jet = torch.ones(3, len(signature.channels), 4, len(cls.unknowns)).double().requires_grad_()
    find = lookup(problem, coords, values, jet, signature.channels, parts)
    try:
        found = rows_of(where, lambda: signature(problem, find), (3, 4), full=False)
    except UserError as error:
        raise TypeError(str(error)) from None
    rows = tuple(name for name, row in found.items() if _is_row(cls, where, name, row, jet))
    return tuple(name for name in found if name not in rows), rows


def _is_row(cls: type[Problem], where: str, name: str, row: Tensor, jet: Tensor) -> bool:
    """Whether what a condition returns is a normal derivative, or by a name of its own something that is to vanish."""
    try:
        parse(cls, name)
        return False
    except KeyError:
        pass
    if derived(cls, name) is not None:
        return True
    slope = None
    if row.requires_grad:  # other rows may share its graph
        (slope,) = torch.autograd.grad(row.sum(), jet, retain_graph=True, allow_unused=True)
    known = [*cls.unknowns, *(spelled(cls.coords.names, u, (k,)) for u in cls.unknowns for k in space(cls))]
    close = nearest(name, known, cutoff=0.75)
    if slope is not None and "_" in name and not close and name.partition("_")[0] not in cls.unknowns:
        raise TypeError(
            f"{where}: returns {name!r}, which is no field or derivative; a row of its own has a name of letters and "
            f"digits, for derivatives come after an underscore; write {name.replace('_', '')!r}"
        )
    if slope is None or "_" in name or close:
        raise TypeError(unknown(cls, where, name).replace("unknown argument", "returns the unknown"))
    return True
