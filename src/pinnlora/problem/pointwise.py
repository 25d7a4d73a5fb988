"""Derivatives of functions that a user wrote in torch: by automatic differentiation, point by point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.func import jvp

from pinnlora.problem.channels import Channels, Directions, Index
from pinnlora.problem.domain.base import Domain

LINE, ROUGH = 2001, 0.05
"""Points on a line, and how far a function may be from the integral of its derivative, relative to its rise."""
LEAP, SUSPECTS, CLOSER = 1e-5, 8, 501
"""How far it may leap from one point to the next in an interval that is looked at with CLOSER points, relative to its
size, and how many intervals are."""

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
    if coords.requires_grad or torch._C._functorch.peek_interpreter_stack() is not None:
        return _differentiable(function, coords, channels, names)
    with torch.enable_grad():
        coords = coords.detach().clone().requires_grad_()
        values = function(coords)
        return {name: _jet(_full(values[name], coords, shape), coords, channels) for name in names or values}


def _differentiable(
    function: Callable[[Tensor], Mapping[str, Tensor]],
    coords: Tensor,
    channels: Channels,
    names: Sequence[str] | None,
) -> Jets:
    """The same in forward mode, slower, that can be differentiated again, by autograd and by torch.func."""
    out: Jets = {}
    for order in channels.orders:
        found: Callable[[Tensor], Mapping[str, Tensor]] = function
        for axis in order:
            found = _along(found, axis)
        values = found(coords)
        for name in names or values:
            out.setdefault(name, {})[order] = _full(values[name], coords, coords.shape[:-1])
    return out


def _along(
    function: Callable[[Tensor], Mapping[str, Tensor]], axis: int
) -> Callable[[Tensor], dict[str, Tensor]]:
    def slopes(coords: Tensor) -> dict[str, Tensor]:
        direction = torch.zeros_like(coords)
        direction[..., axis] = 1

        def full(at: Tensor) -> dict[str, Tensor]:  # a constant has a slope too
            return {
                name: _full(value, at, at.shape[:-1]) + 0 * at[..., 0] for name, value in function(at).items()
            }

        return jvp(full, (coords,), (direction,))[1]

    return slopes


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


def is_smooth(function, name: str, points: Tensor, axis: int, order: int) -> bool:
    """Whether, on lines of `along`, a function is the integral of its derivative in `axis`, and this of the next, up to
    `order`; whether neither leaps.

    It is not with a jump, with a kink where the order is two, nor where torch cannot see a slope. A leap is what is
    left of a small interval that is looked at more closely, where the integral was furthest from the function.
    """

    def rows(where: Tensor, highest: int) -> list[Tensor]:
        chain = Channels.of([(axis,) * count for count in range(highest + 1)])
        jet = pointwise_jet(function, where, chain, [name])[name]
        return [jet.get(own, torch.zeros_like(where[..., 0])) for own in chain.orders]

    x, whole = points[..., axis], rows(points, order)
    for level, (value, slope) in enumerate(pairwise(whole)):
        integral, rise = torch.cumulative_trapezoid(slope, x, dim=-1), value[:, 1:] - value[:, :1]
        size = torch.maximum(rise.abs().amax(-1), integral.abs().amax(-1))
        error = (rise - integral).abs().amax(-1)
        if not bool((error <= ROUGH * size + 1e-9 * (1 + value.abs().amax(-1))).all()):
            return False
        gaps = _gaps(value, slope, x).topk(SUSPECTS, -1).indices
        closer = torch.linspace(0, 1, CLOSER, dtype=x.dtype, device=x.device)
        ends = x.gather(-1, gaps).unsqueeze(-1), x.gather(-1, gaps + 1).unsqueeze(-1)
        near = points[:, :1].expand(-1, SUSPECTS * CLOSER, -1).clone()
        near[..., axis] = torch.lerp(*ends, closer).flatten(1)
        close = rows(near, level + 1)[-2:]
        shape = (SUSPECTS, CLOSER)
        leaps = _gaps(*(row.unflatten(-1, shape) for row in (*close, near[..., axis])))
        if not bool((leaps.amax((-1, -2)) <= LEAP * value.abs().amax(-1)).all()):
            return False
    return True


def _gaps(value: Tensor, slope: Tensor, x: Tensor) -> Tensor:
    """How far the rise over each interval is from the integral of the slope, by the trapezoidal rule."""
    step = x.diff(dim=-1)
    return (value.diff(dim=-1) - step * (slope[..., 1:] + slope[..., :-1]) / 2).abs()
