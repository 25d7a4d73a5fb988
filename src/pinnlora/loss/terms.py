"""What a network can learn from: one function a mode, each returning an objective with named terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from pinnlora.loss.residuals import Block, Regression, Residuals, Terms
from pinnlora.nets.adapters import Parametrisation
from pinnlora.nets.ansatz import field_channels, lifted, observed
from pinnlora.nets.derivatives.exact import Exact
from pinnlora.nets.derivatives.way import Derivatives
from pinnlora.nets.mlp import MLP
from pinnlora.problem.base import Problem
from pinnlora.problem.channels import Channels
from pinnlora.problem.mismatch import found_and_wanted
from pinnlora.problem.operators import united
from pinnlora.problem.signature import BoundCondition, Signature, Values, lookup, spelled

EXACT = Exact()


def supervised(
    problem: Problem,
    parametrisation: Parametrisation,
    values: Values,
    coords: Tensor,
    targets: Tensor,
    name: str = "data",
    importance: Tensor | None = None,
) -> Residuals:
    """`data` and `distilled`: mean square distance to given fields at coords (task, point, dim).

    targets (task, point, field) come from the reference solutions, or from the PINNs of the training tasks;
    importance (task, point) are the points' weights, of mean 1.
    """

    fields = observed(problem, parametrisation.network, coords, values)

    def terms(jet: Tensor) -> Terms:
        error = fields(jet) - targets
        return {f"{name}_{f}": error[..., k] for k, f in enumerate(problem.fields)}

    count = targets.shape[1] * len(problem.fields)
    weight = 1.0 / count if importance is None else importance / count
    return Residuals((Block(coords, field_channels(problem), terms, weight),), parametrisation)


def weights(target: Tensor) -> Regression:
    """`weights`: distance to the trained numbers of per-task PINNs (task, size), eq. 8."""
    return Regression(target)


def physics(
    problem: Problem,
    parametrisation: Parametrisation,
    values: Values,
    points: Mapping[str, Tensor],
    importance: Mapping[str, Tensor] | None = None,
    condition_weight: float = 1.0,
    causal: float = 0.0,
    residual_weight: bool = True,
    derivatives: Derivatives = EXACT,
) -> Residuals:
    """`physics`: mean squares of the residual (eq. 7) and of the conditions; no solution is needed.

    points holds coordinates (task or 1, point, dim) under "interior" and under the name of each condition that the
    network does not hold by itself, importance the points' weights (task, point), of mean 1, where they are not
    all 1. Without `residual_weight` the problem's own weight() is left out. `derivatives` is the way to those in space.
    """
    network, importance = parametrisation.network, importance or {}
    inner = points["interior"], importance.get("interior")
    blocks = [interior(problem, network, values, *inner, causal, residual_weight, derivatives)]
    for condition in network.hard.left(problem):
        name, factor = condition.name, condition_weight * importance.get(condition.name, 1.0)
        given = values, points[name], factor
        blocks.append(_condition(problem, network, condition, *given, derivatives))
    return Residuals(tuple(blocks), parametrisation)


def interior(
    problem: Problem,
    network: MLP,
    values: Values,
    coords: Tensor,
    importance: Tensor | None = None,
    causal: float = 0.0,
    residual_weight: bool = True,
    derivatives: Derivatives = EXACT,
) -> Block:
    """The rows of the equations at coords (task or 1, point, dim), importance (task, point) being of mean 1; once
    more where two independent estimates of them are to be multiplied."""
    signature, own = problem.residual_signature, problem.weight_signature if residual_weight else None
    wanted = signature.channels if own is None else united(signature.channels, own.channels)
    given = problem, network, values, coords, importance, causal, own
    first, *others = (_rows(*given, channels) for channels in derivatives.ways(wanted, coords))
    return replace(first, again=others[0]) if others else first


def _rows(
    problem: Problem,
    network: MLP,
    values: Values,
    coords: Tensor,
    importance: Tensor | None,
    causal: float,
    own: Signature | None,
    channels: Channels,
) -> Block:
    """The rows of the equations by one estimate; `own` is the problem's weight, if it counts."""
    signature = problem.residual_signature
    fields = lifted(problem, network, coords, values, channels)

    def terms(jet: Tensor) -> Terms:
        return signature(problem, lookup(problem, coords, values, fields(jet), channels))

    def weight(jet: Tensor, rows: Terms) -> Tensor:
        factor = torch.full_like(next(iter(rows.values())), 1.0 / coords.shape[1])
        if importance is not None:
            factor = factor * importance
        if own is not None:
            factor = factor * own(problem, lookup(problem, coords, values, fields(jet), channels))
        if causal and "t" in problem.coords.names:
            squares = torch.stack([row.square() for row in rows.values()]).sum(0) * factor
            factor = factor * _causal(coords[..., problem.coords.names.index("t")], squares, causal)
        return factor

    return Block(coords, channels, terms, weight)


def _causal(t: Tensor, squares: Tensor, epsilon: float) -> Tensor:
    """exp(-epsilon * sum of the weighted squares at earlier times), per task: (task, point)."""
    times, order = t.expand_as(squares).contiguous().sort(-1)
    sums = squares.gather(-1, order).cumsum(-1) - squares.gather(-1, order)
    before = sums.gather(-1, torch.searchsorted(times, times))  # of one time all alike
    return torch.empty_like(squares).scatter_(-1, order, torch.exp(-epsilon * before))


def _condition(
    problem: Problem,
    network: MLP,
    condition: BoundCondition,
    values: Values,
    coords: Tensor,
    factor: float | Tensor,
    derivatives: Derivatives,
) -> Block:
    channels = derivatives.ways(condition.channels, coords)[0]
    condition = replace(condition, channels=channels)
    fields = lifted(problem, network, coords, values, channels)
    if condition.periodic is not None:
        return _periodic(problem, condition, coords, fields, factor)

    def terms(jet: Tensor) -> Terms:
        rows = found_and_wanted(problem, condition, coords, values, fields(jet))
        return {
            f"{condition.name}_{name}": found - target
            for name, (found, target) in rows.items()
            if (condition.name, name) not in network.hard.held
        }

    return Block(coords, condition.channels, terms, factor / coords.shape[1])


def _periodic(
    problem: Problem, condition: BoundCondition, coords: Tensor, fields: Callable, factor: float | Tensor
) -> Block:
    """Values and normal derivatives at both ends; coords holds the low end's points, then the high end's."""
    half = coords.shape[1] // 2
    axes = problem.coords.names

    def terms(jet: Tensor) -> Terms:
        jet = fields(jet)
        jump = jet[:, :, :half] - jet[:, :, half:]
        out = {}
        for k, name in enumerate(problem.unknowns):
            for channel, order in enumerate(condition.channels.orders):
                out[f"{condition.name}_{spelled(axes, name, order)}"] = jump[:, channel, :, k]
        return out

    return Block(coords, condition.channels, terms, factor / half, sides=2)
