"""Does the exact solution solve the equations? Derivatives by automatic differentiation, apart from the jets."""

from __future__ import annotations

import torch
from torch import Tensor

from pinnlora.problem.base import Problem
from pinnlora.problem.signature import Values, lookup


def exact_jet(problem: Problem, coords: Tensor, values: Values) -> Tensor:
    """The jet (task, channel, point, field) of the exact solution at coords (task, point, dim), float64."""
    channels = problem.residual_signature.channels
    coords = coords.detach().requires_grad_()
    columns = []
    for field in problem.exact_at(coords, values).values():
        known = {(): field.expand(coords.shape[:-1])}
        for order in channels.orders[1:]:
            inner = known[order[:-1]]
            gradient = None
            if inner.requires_grad:
                (gradient,) = torch.autograd.grad(inner.sum(), coords, create_graph=True, allow_unused=True)
            known[order] = torch.zeros_like(inner) if gradient is None else gradient[..., order[-1]]
        columns.append(torch.stack([known[order] for order in channels.orders], 1))
    return torch.stack(columns, -1).detach()


def residual_of_exact(
    problem: Problem, values: Values, points: int = 200, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Each equation's largest residual of the exact solution, and the size of its terms.

    The size is the largest change of the residual when one derivative or field is set to zero.
    """
    generator = torch.Generator().manual_seed(seed)
    tasks = len(next(iter(values.values())))
    unit = torch.rand(tasks, points, len(problem.coords.names), generator=generator, dtype=torch.float64)
    coords = problem.coords.scale(unit)
    jet = exact_jet(problem, coords, values)

    def residual(jet: Tensor) -> dict[str, Tensor]:
        return problem.residual_signature(
            problem, lookup(problem, coords, values, jet, problem.residual_signature.channels)
        )

    rows = residual(jet)
    sizes = dict.fromkeys(rows, 0.0)
    for channel in range(jet.shape[1]):
        for field in range(jet.shape[3]):
            without = jet.clone()
            without[:, channel, :, field] = 0
            for name, row in residual(without).items():
                sizes[name] = max(sizes[name], float((row - rows[name]).abs().max()))
    return {name: (float(row.abs().max()), sizes[name]) for name, row in rows.items()}
