"""What a problem's functions ask for: argument names read once, resolved to fields, derivatives and parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pinnlora.errors import UserError, nearest
from pinnlora.problem.channels import ORDER, Channels, Index
from pinnlora.problem.domain.sides import Face, Side, outward_normal
from pinnlora.problem.normal import Parts, along_normal, component, derived, space
from pinnlora.problem.operators import OPERATORS, applied, operator

if TYPE_CHECKING:
    from pinnlora.problem.base import Problem

Values = Mapping[str, Any]
"""Task parameters by name: (task,) for scalars, (task, points) for functions."""


@dataclass(frozen=True)
class Condition:
    """Initial or boundary values: `function` returns, on some parts of the boundary, what fields or derivatives are
    there, or by any other name what is to vanish: {"cooling": u_n + k * u}."""

    function: Callable
    on: str | tuple[str, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(
                f"Condition({self.function!r}, ...): expected a function, by its name without quotes"
            )
        if not self.on or not all(isinstance(face, str) for face in self.faces):
            raise TypeError(
                f"Condition(..., on={self.on!r}): expected a part of the boundary, such as on='t=0'"
            )

    @property
    def faces(self) -> tuple[str, ...]:
        """The faces as a tuple of texts."""
        return tuple(self.on) if isinstance(self.on, tuple | list) else (self.on,)


@dataclass(frozen=True)
class Periodic:
    """Equal values and normal derivatives of all fields at both ends of one coordinate, up to an order below that of
    the equations."""

    coordinate: str
    name: str = "periodic"


@dataclass(frozen=True)
class Signature:
    """A resolved function: its argument names and the channels of the network they need."""

    function: Callable
    names: tuple[str, ...]
    channels: Channels

    def __call__(self, problem: Any, lookup: Callable[[str], Any]) -> Any:
        return self.function(problem, *(lookup(name) for name in self.names))


@dataclass(frozen=True)
class BoundCondition:
    """A condition with its faces found and its arguments and what it returns resolved: `targets` are fields or
    derivatives, `rows` normal derivatives and what is to vanish. The function of a `periodic` one gives nothing."""

    name: str
    faces: tuple[Face | Side, ...]
    signature: Signature
    channels: Channels
    periodic: int | None = None
    targets: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[Face, ...]:
        """Those of its faces where a coordinate is held: both of a periodic one."""
        return tuple(face for face in self.faces if isinstance(face, Face))


def lookup(
    problem: Any,
    coords: Tensor,
    values: Values,
    jet: Tensor | None = None,
    channels: Channels | None = None,
    parts: Parts = (),
) -> Callable[[str], Tensor]:
    """A function from argument names to tensors (task, point), for one set of points on `parts` of the boundary;
    vectors and gradients are (task, point, d).

    Without a jet and its channels, what a network gives cannot be asked for: UserError.
    """

    def find(name: str) -> Tensor:
        if name in problem.coords.names:
            return coords[..., problem.coords.names.index(name)]
        if (axes := problem.coords.components(name)) is not None:
            return coords[..., axes]
        if (axis := component(problem, name)) is not None:
            return outward_normal(problem.coords, parts, coords, values)[..., axis]
        number = derived(problem, name)
        if number is None and name in values:
            value = values[name]
            return value.unsqueeze(-1) if value.ndim == 1 else problem.function_values(name, value, coords)
        stem, order = split(problem.coords.names, name)
        if number is None and stem in values:
            return problem.function_values(stem, values[stem], coords, len(order))
        if jet is None or channels is None:
            raise UserError(f"{name} is not known here: there are coordinates and task parameters only")
        if (asked := operator(problem, name)) is not None:
            return applied(asked[0], jet[..., asked[1]], channels)
        if number is not None:
            return slope_along_normal(problem, number, coords, values, jet, channels, parts)
        return jet[:, channels.position(order), :, problem.unknowns.index(stem)]

    return find


def slope_along_normal(
    problem: Any, number: int, coords: Tensor, values: Values, jet: Tensor, channels: Channels, parts: Parts
) -> Tensor:
    """The derivative of an unknown along the outward normal of the nearest of `parts`: (task, point)."""
    slopes = [jet[:, channels.position((axis,)), :, number] for axis in space(problem)]
    return along_normal(problem, parts, coords, values, slopes)


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
    if stem not in problem.unknowns or len(order) > ORDER:
        raise KeyError(name)
    return problem.unknowns.index(stem), order


def resolve(cls: type[Problem], function: Callable, boundary: bool = False) -> Signature:
    """Read a function's argument names; a name that means nothing is an error that says what exists.

    On a `boundary` there is a normal to ask for.
    """
    where = f"{cls.__name__}.{function.__name__}"
    first, *names = tuple(inspect.signature(function).parameters) or ("",)
    if not first or _means(cls, first) is not None:
        got = repr(first or None)
        raise TypeError(f"{where}: the first argument has to be self, then come what it needs; got {got}")
    orders: list[Index] = []
    for name in names:
        normal = component(cls, name) is not None or derived(cls, name) is not None
        if normal and not boundary:
            raise TypeError(f"{where}: {name} is of the boundary's normal; only a condition can ask for it")
        meant = () if normal else _means(cls, name)
        if meant is None:
            raise TypeError(unknown(cls, where, name))
        orders += needed(cls, name) if normal else [meant]
    operators = any(operator(cls, name) is not None for name in names)
    return Signature(function, tuple(names), Channels.of(orders, space(cls) if operators else ()))


def needed(cls: type[Problem], name: str) -> list[Index]:
    """The derivatives that a name of the normal needs."""
    return [] if derived(cls, name) is None else [(axis,) for axis in space(cls)]


def _means(cls: type[Problem], name: str) -> Index | None:
    """The derivative of a field that an argument asks for, () for all that is none; None: it means nothing."""
    stem, order = split(cls.coords.names, name)
    if name in cls.coords.names or name in cls.task.names:
        return ()
    if cls.coords.components(name) is not None or operator(cls, name) is not None:
        return ()
    if stem in cls.task.functions:
        own = cls.coords.names.index(cls.task.functions[stem].on)
        return () if order in ((own,), (own, own)) else None
    try:
        return parse(cls, name)[1]
    except KeyError:
        return None


def unknown(cls: type[Problem], where: str, name: str) -> str:
    """What to say of a name that means nothing."""
    if cls.coords.vectors:
        return _unknown_in_many(cls, where, name)
    axes = cls.coords.names
    orders = [o for n in range(1, ORDER + 1) for o in combinations_with_replacement(range(len(axes)), n)]
    derivatives = [spelled(axes, field, order) for field in cls.unknowns for order in orders]
    close = nearest(name, [*cls.unknowns, *derivatives, *axes, *cls.task.names])
    kind = "Potentials" if cls.potentials else "Fields"
    hint = f" Did you mean {close!r}?" if close else ""
    return (
        f"{where}: unknown argument {name!r}.{hint} {kind}: {', '.join(cls.unknowns)}; "
        f"derivatives up to fourth order in {', '.join(axes)}, written {derivatives[len(axes)]}; "
        f"parameters: {', '.join(cls.task.names)}"
    )


def _unknown_in_many(cls: type[Problem], where: str, name: str) -> str:
    """The same where coordinates have many components."""
    coords = cls.coords
    axes = [n for n, _, _ in coords.vectors]
    single = [
        coords.names[axis]
        for axis in coords.looked_at
        if not any(a <= axis <= b for _, a, b in coords.vectors)
    ]
    operators = [f"{kind}_{unknown}" for unknown in cls.unknowns for kind in OPERATORS]
    slopes = [f"{unknown}_{axis}" for unknown in cls.unknowns for axis in single]
    close = nearest(name, [*cls.unknowns, *operators, *slopes, *axes, *single, *cls.task.names])
    hint = f" Did you mean {close!r}?" if close else ""
    return (
        f"{where}: unknown argument {name!r}.{hint} There are {', '.join((*cls.unknowns, *operators, *slopes))}; "
        f"coordinates {', '.join((*axes, *single))}, of which {axes[0]} has components {axes[0]}1, {axes[0]}2 ...; "
        f"parameters: {', '.join(cls.task.names)}"
    )
