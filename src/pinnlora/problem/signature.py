"""What a problem's functions ask for: argument names read once, resolved to fields, derivatives and parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnlora.errors import UserError, nearest
from pinnlora.problem.calls import rows_of
from pinnlora.problem.channels import Channels, Index
from pinnlora.problem.domain.sides import Face

Values = Mapping[str, Any]
"""Task parameters by name: (task,) for scalars, (task, points) for functions."""


@dataclass(frozen=True)
class Condition:
    """Initial or boundary values: `function` returns the targets of fields (or derivatives) on some faces."""

    function: Callable
    on: str | tuple[str, ...]
    name: str = ""

    @property
    def faces(self) -> tuple[str, ...]:
        """The faces as a tuple of texts."""
        return (self.on,) if isinstance(self.on, str) else tuple(self.on)


@dataclass(frozen=True)
class Periodic:
    """Equal values and equal normal derivatives of all fields at both ends of one coordinate."""

    coordinate: str
    name: str = "periodic"


@dataclass(frozen=True)
class Signature:
    """A resolved function: its argument names and the channels of the network they need."""

    function: Callable
    names: tuple[str, ...]
    channels: Channels

    def __call__(self, problem: Any, lookup: Callable[[str], Any]) -> dict[str, Tensor]:
        return self.function(problem, *(lookup(name) for name in self.names))


@dataclass(frozen=True)
class BoundCondition:
    """A condition with its faces found and its arguments and targets, fields or derivatives, resolved."""

    name: str
    faces: tuple[Face, ...]
    signature: Signature | None
    channels: Channels
    periodic: int | None = None
    targets: tuple[str, ...] = ()


def lookup(
    problem: Any,
    coords: Tensor,
    values: Values,
    jet: Tensor | None = None,
    channels: Channels | None = None,
):
    """A function from argument names to tensors (task, point), for one set of points."""

    def find(name: str) -> Tensor:
        if name in problem.coords.names:
            return coords[..., problem.coords.names.index(name)]
        if name in values:
            value = values[name]
            return value.unsqueeze(-1) if value.ndim == 1 else problem.function_values(name, value, coords)
        stem, order = split(problem.coords.names, name)
        if stem in values:
            return problem.function_values(stem, values[stem], coords, len(order))
        return jet[:, channels.position(order), :, problem.unknowns.index(stem)]

    return find


def split(axes: tuple[str, ...], name: str) -> tuple[str, Index]:
    """'u_xy' -> ('u', axes of x and y, sorted); (name, ()) where what follows is no derivative.

    After the underscores come coordinates, 'u_xi_xi', of which those of one letter may stand in a row, 'u_xx'.
    """
    stem, *parts = name.split("_")
    order: list[int] = []
    for part in parts:
        letters = [part] if part in axes else list(part)
        if not letters or any(letter not in axes for letter in letters):
            return name, ()
        order += [axes.index(letter) for letter in letters]
    return stem, tuple(sorted(order))


def spelled(axes: tuple[str, ...], name: str, order: Index) -> str:
    """The inverse of `split`: 'u_xx', or 'u_xi_xi' where a coordinate has more than one letter."""
    joint = "" if all(len(axes[axis]) == 1 for axis in order) else "_"
    return name + ("_" if order else "") + joint.join(axes[axis] for axis in order)


def parse(problem: Any, name: str) -> tuple[int, Index]:
    """'u_xy' -> (number of the field, sorted coordinate axes); KeyError when it is no field or derivative."""
    stem, order = split(problem.coords.names, name)
    if stem not in problem.unknowns or len(order) > 2:
        raise KeyError(name)
    return problem.unknowns.index(stem), order


def resolve(cls: type, function: Callable) -> Signature:
    """Read a function's argument names; a name that means nothing is an error that says what exists."""
    where = f"{cls.__name__}.{function.__name__}"
    first, *names = tuple(inspect.signature(function).parameters) or (None,)
    if first is None or _means(cls, first) is not None:
        raise TypeError(f"{where}: the first argument has to be self, then come what it needs; got {first!r}")
    for name in names:
        if _means(cls, name) is None:
            raise TypeError(_unknown(cls, where, name))
    return Signature(function, tuple(names), Channels.of(_means(cls, name) for name in names))


def _means(cls: type, name: str) -> Index | None:
    """The derivative of a field that an argument asks for, () for all that is none; None: it means nothing."""
    stem, order = split(cls.coords.names, name)
    if name in cls.coords.names or name in cls.task.names:
        return ()
    if stem in cls.task.functions:
        own = cls.coords.names.index(cls.task.functions[stem].on)
        return () if order in ((own,), (own, own)) else None
    try:
        return parse(cls, name)[1]
    except KeyError:
        return None


def _unknown(cls: type, where: str, name: str) -> str:
    axes = cls.coords.names
    orders = [(i,) for i in range(len(axes))] + [
        (i, j) for i in range(len(axes)) for j in range(i, len(axes))
    ]
    derivatives = [spelled(axes, field, order) for field in cls.unknowns for order in orders]
    close = nearest(name, [*cls.unknowns, *derivatives, *axes, *cls.task.names])
    kind = "Potentials" if cls.potentials else "Fields"
    hint = f" Did you mean {close!r}?" if close else ""
    return (
        f"{where}: unknown argument {name!r}.{hint} {kind}: {', '.join(cls.unknowns)}; "
        f"derivatives up to second order in {', '.join(axes)}, written {derivatives[len(axes)]}; "
        f"parameters: {', '.join(cls.task.names)}"
    )


def bind(cls: type, condition: Condition | Periodic) -> BoundCondition:
    """Find a condition's faces, arguments and targets; TypeError says what is wrong with it."""
    if isinstance(condition, Periodic):
        if condition.coordinate not in cls.coords.names:
            raise TypeError(
                f"{cls.__name__}: Periodic({condition.coordinate!r}): coordinates are {cls.coords.names}"
            )
        axis = cls.coords.names.index(condition.coordinate)
        faces = (Face(axis, cls.coords.low[axis]), Face(axis, cls.coords.high[axis]))
        return BoundCondition(condition.name, faces, None, Channels.of([(axis,)]), axis)
    signature = resolve(cls, condition.function)
    faces = tuple(cls.coords.face(text) for text in condition.faces)
    targets = _targets(cls, signature, faces[0])
    orders = [*signature.channels.orders, *(parse(cls, name)[1] for name in targets)]
    name = condition.name or condition.function.__name__
    return BoundCondition(name, faces, signature, Channels.of(orders), targets=targets)


def _targets(cls: type, signature: Signature, face: Face) -> tuple[str, ...]:
    """Call a condition once, on a few points of three tasks, to learn which fields or derivatives it sets."""
    problem, where = cls(), f"{cls.__name__}.{signature.function.__name__}"
    unit = torch.rand(3, 4, len(cls.coords.names), generator=torch.Generator().manual_seed(0)).double()
    coords = face.project(cls.coords.scale(unit)).requires_grad_()
    sample = cls.task.sample(3, np.random.default_rng(0))
    values = {name: torch.as_tensor(value).requires_grad_() for name, value in sample.items()}
    jet = torch.ones(3, len(signature.channels), 4, len(cls.unknowns)).double().requires_grad_()
    find = lookup(problem, coords, values, jet, signature.channels)
    try:
        targets = tuple(rows_of(where, lambda: signature(problem, find), (3, 4), full=False))
    except UserError as error:
        raise TypeError(str(error)) from None
    for name in targets:
        try:
            parse(cls, name)
        except KeyError:
            raise TypeError(
                _unknown(cls, where, name).replace("unknown argument", "returns the unknown")
            ) from None
    return targets
