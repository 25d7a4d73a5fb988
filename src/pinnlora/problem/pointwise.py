"""Derivatives of functions that a user wrote in torch: by automatic differentiation, point by point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from pinnlora.problem.channels import Channels, Directions, Index
from pinnlora.problem.domain.base import Domain

LINE, ROUGH = 2001, 0.05
"""Points on a line, and how far a function may be from the integral of its derivative, relative to its rise."""

Jets = dict[str, dict[Index, Tensor]]


def pointwise_jet(
    function: Callable[[Tensor], Mapping[str, Tensor]],
    coords: Tensor,
    channels: Channels,
    names: Sequence[str] | None = None,
) -> Jets:
    """name -> derivative -> (task, point) for a function from coords (task, point, dim) to named (task, point).

    A value at a point may depend on that point and task only. Derivatives that vanish identically are left out.
    """
    shape = coords.shape[:-1]
    if len(channels) == 1:
        values = function(coords)
        return {name: {(): _full(values[name], coords, shape)} for name in names or values}
    with torch.enable_grad():
        coords = coords.detach().clone().requires_grad_()
        values = function(coords)
        return {name: _jet(_full(values[name], coords, shape), coords, channels) for name in names or values}


def _full(value: Tensor | float, coords: Tensor, shape: torch.Size) -> Tensor:
    return torch.as_tensor(value, dtype=coords.dtype, device=coords.device).expand(shape)


def _jet(value: Tensor, coords: Tensor, channels: Channels) -> dict[Index, Tensor]:
    known: dict[Index, Tensor] = {(): value}
    gradients: dict[Index, Tensor | None] = {}
    for order in channels.orders[1:]:
        before = order[:-1]
        if before not in gradients:
            gradients[before] = _gradient(known.get(before), coords)
        gradient = gradients[before]
        if gradient is not None:
            known[order] = gradient[..., order[-1]]
    return {order: derivative.detach() for order, derivative in known.items()}


def _gradient(value: Tensor | None, coords: Tensor) -> Tensor | None:
    if value is None or not value.requires_grad:
        return None
    return torch.autograd.grad(value.sum(), coords, create_graph=True, allow_unused=True)[0]


def jet_in_space(
    function: Callable[[Tensor], Mapping[str, Tensor]], coords: Tensor, channels: Channels
) -> dict[str, Tensor]:
    """name -> jet (task, channel, point) with rays and Laplacian, of a function as `pointwise_jet` takes it.

    One product with the Hessian a ray: of K random directions, or of all axes.
    """
    below = pointwise_jet(function, coords, channels.plain)
    with torch.enable_grad():
        coords = coords.detach().clone().requires_grad_()
        values = function(coords)
        found = {}
        for name, jet in below.items():
            rows = [jet.get(order, torch.zeros_like(jet[()])).detach() for order in channels.orders]
            found[name] = torch.stack(
                (*rows, *_rays(_full(values[name], coords, coords.shape[:-1]), coords, channels)), 1
            )
    return found


def _rays(value: Tensor, coords: Tensor, channels: Channels) -> list[Tensor]:
    """The derivatives along the rays, and the Laplacian, (task, point) each."""
    slope = _gradient(value, coords)
    if slope is None:
        return [torch.zeros_like(value)] * (channels.count + 1)
    if isinstance(channels.way, Directions):
        directions = channels.way.at()
    else:
        directions = torch.eye(coords.shape[-1], dtype=coords.dtype, device=coords.device)
        directions = directions[list(channels.space)].unsqueeze(1)
    rows, laplacian = [], torch.zeros_like(value)
    for direction in directions:
        along = (slope * direction).sum(-1)
        rows.append(along.detach())
        if along.requires_grad:
            (bend,) = torch.autograd.grad(along.sum(), coords, retain_graph=True, allow_unused=True)
            laplacian = laplacian if bend is None else laplacian + (bend * direction).sum(-1)
    return [*rows, laplacian.detach()]


def along(domain: Domain, axis: int, unit: Tensor) -> Tensor:
    """Lines from end to end of an axis, through points unit (task, dim) of the unit cube: (task, LINE, dim)."""
    through = unit.unsqueeze(1).repeat(1, LINE, 1)
    through[..., axis] = torch.linspace(0, 1, LINE, dtype=unit.dtype, device=unit.device)
    return domain.scale(through)


def is_smooth(function, name: str, points: Tensor, axis: int, channels: Channels) -> bool:
    """Whether, on lines of `along`, a function is the integral of its derivative in `axis`, and this of the next.

    Looked at are the derivatives in `channels`. It is not with a kink or a jump, nor where torch cannot see a slope.
    """
    chain = [order for order in channels.orders if order == (axis,) * len(order)]
    jet, x = pointwise_jet(function, points, Channels.of(chain), [name])[name], points[..., axis]
    rows = [jet.get(order, torch.zeros_like(x)) for order in chain]
    for value, slope in pairwise(rows):
        integral, rise = torch.cumulative_trapezoid(slope, x, dim=-1), value[:, 1:] - value[:, :1]
        size = torch.maximum(rise.abs().amax(-1), integral.abs().amax(-1))
        error = (rise - integral).abs().amax(-1)
        if not bool((error <= ROUGH * size + 1e-9 * (1 + value.abs().amax(-1))).all()):
            return False
    return True
