"""Operators in space that functions ask for by name: `laplacian_u`, `gradient_u`, `gradient_squared_u`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pinnlora.problem.channels import Channels, gradient

OPERATORS = ("laplacian", "gradient", "gradient_squared")
"""Each over all coordinates but time: the trace of the Hessian, the vector (task, point, d), its square."""


def operator(problem: Any, name: str) -> tuple[str, int] | None:
    """'gradient_squared_u' -> ('gradient_squared', number of the unknown); None for other names."""
    kind, _, stem = name.rpartition("_")
    return (kind, problem.unknowns.index(stem)) if kind in OPERATORS and stem in problem.unknowns else None


def applied(kind: str, jet: Tensor, channels: Channels) -> Tensor:
    """The operator (task, point), or (task, point, axis), from the jet of one unknown (task, channel, point)."""
    if kind == "laplacian":
        return jet[:, -1]
    return gradient(jet, channels) if kind == "gradient" else jet[:, channels.rays].square().sum(1)


def united(*several: Channels) -> Channels:
    """All that several sets of channels hold, in the way of the first."""
    space = max((channels.space for channels in several), key=len)
    orders = [order for channels in several for order in channels.orders]
    return Channels.of(orders, space).by(several[0].way)
