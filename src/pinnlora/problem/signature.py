"""What a problem's functions ask for: argument names read once, resolved to fields, derivatives and parameters."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnlora.problem.box import Face
from pinnlora.problem.channels import Channels, Index

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
    """A condition with its faces found and its arguments and targets resolved."""

    name: str
    faces: tuple[Face, ...]
    signature: Signature | None
    channels: Channels
    periodic: int | None = None


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
        number, order = parse(problem, name)
        return jet[:, channels.position(order), :, number]

    return find


def parse(problem: Any, name: str) -> tuple[int, Index]:
    """'u_xy' -> (number of the field, sorted coordinate axes); KeyError when it is no field or derivative."""
    stem, _, letters = name.partition("_")
    axes = problem.coords.names
    if stem not in problem.unknowns or any(letter not in axes for letter in letters) or len(letters) > 2:
        raise KeyError(name)
    if name.endswith("_"):
        raise KeyError(name)
    return problem.unknowns.index(stem), tuple(sorted(axes.index(letter) for letter in letters))


def resolve(cls: type, function: Callable) -> Signature:
    """Read a function's argument names; a name that means nothing is an error that says what exists."""
    names = tuple(inspect.signature(function).parameters)[1:]
    orders = []
    for name in names:
        if name in cls.coords.names or name in cls.task.names:
            continue
        try:
            orders.append(parse(cls, name)[1])
        except KeyError:
            raise TypeError(_unknown(cls, function, name)) from None
    return Signature(function, names, Channels.of(orders))


def _unknown(cls: type, function: Callable, name: str) -> str:
    axes = cls.coords.names
    derivatives = [f"_{a}" for a in axes] + [f"_{a}{b}" for i, a in enumerate(axes) for b in axes[i:]]
    known = [*cls.unknowns, *(f + d for f in cls.unknowns for d in derivatives), *axes, *cls.task.names]
    close = difflib.get_close_matches(name, known, n=1)
    kind = "Potentials" if cls.potentials else "Fields"
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return (
        f"{cls.__name__}.{function.__name__}: unknown argument {name!r}.{hint} {kind}: {', '.join(cls.unknowns)}; "
        f"derivatives up to second order in {', '.join(axes)}; parameters: {', '.join(cls.task.names)}"
    )


def bind(cls: type, condition: Condition | Periodic) -> BoundCondition:
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
    return BoundCondition(
        condition.name or condition.function.__name__, faces, signature, _targets(cls, signature, faces[0])
    )


def _targets(cls: type, signature: Signature, face: Face) -> Channels:
    """Call a condition once on a dummy point to learn which fields or derivatives it sets."""
    problem = cls()
    coords = face.project(torch.tensor([[cls.coords.low]], dtype=torch.float64))
    sample = cls.task.sample(1, np.random.default_rng(0))
    values = {name: torch.as_tensor(np.asarray(value)) for name, value in sample.items()}
    jet = torch.zeros(1, len(signature.channels), 1, len(cls.unknowns), dtype=torch.float64)
    targets = signature(problem, lookup(problem, coords, values, jet, signature.channels))
    orders = list(signature.channels.orders)
    for name in targets:
        try:
            orders.append(parse(cls, name)[1])
        except KeyError:
            raise TypeError(_unknown(cls, signature.function, name)) from None
    return Channels.of(orders)
