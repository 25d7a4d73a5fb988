"""Functions that onnxruntime has in single precision only, in double precision made of those it has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def scalars_in_double() -> dict[Callable[..., Any], Callable[..., Any]]:
    """How numbers in the code become constants, for torch's exporter, which rounds them to single precision itself."""
    from onnxscript import ir
    from onnxscript import opset18 as operators

    def scalar_tensor(
        s: float, dtype: int = 1, layout: str = "", device: str = "", pin_memory: bool = False
    ) -> Any:
        value: Any = ir.tensor(s, dtype=ir.DataType(dtype))
        return operators.Constant(value=value)

    return {aten.scalar_tensor.default: scalar_tensor}


LACKING = {"Celu", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Selu", "Softplus", "Softsign"}
"""What onnxruntime has in float32 only and is not written out here."""


def in_double(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The same program with every arc, tangent and hyperbolic function of float64 written out."""
    return program.run_decompositions({name: _of_double(function) for name, function in _MADE.items()})


def _of_double(function: Callable[..., Tensor]) -> Callable[..., Any]:
    def decomposed(*args: Any, **more: Any) -> Any:
        return function(*args, **more) if args[0].dtype == torch.float64 else NotImplemented

    return decomposed


def _righted(rough: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The angle of the direction (x, y) from one in float32, by one step: the tangent of the difference of both is the
    difference but for its cube, 1e-21."""
    angle = rough.to(torch.float64)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return angle + (y * cos - x * sin) / (x * cos + y * sin)


def _atan(x: Tensor) -> Tensor:
    x = torch.clamp(x, -1e300, 1e300)  # infinite: y / x where x is 0
    return _righted(torch.atan(x.to(torch.float32)), x, torch.ones_like(x))


def _atan2(y: Tensor, x: Tensor) -> Tensor:
    left, half_turn = x < 0, torch.where(y < 0, -math.pi, math.pi)
    largest = torch.maximum(torch.abs(y), torch.abs(x))
    y, x = torch.where(largest > 0, y / largest, 0.0), torch.where(largest > 0, x / largest, 1.0)
    acute = torch.atan((y / torch.abs(x)).to(torch.float32))
    return _righted(torch.where(left, half_turn - acute, acute), y, x)


def _asin(x: Tensor) -> Tensor:
    return _atan2(x, torch.sqrt((1 - x) * (1 + x)))


def _acos(x: Tensor) -> Tensor:
    return _atan2(torch.sqrt((1 - x) * (1 + x)), x)


def _asinh(x: Tensor) -> Tensor:
    size = torch.abs(x)
    return torch.sign(x) * _log_of_both(size, torch.sqrt(size * size + 1))


def _acosh(x: Tensor) -> Tensor:
    return _log_of_both(x, torch.sqrt((x - 1) * (x + 1)))


def _log_of_both(x: Tensor, other: Tensor) -> Tensor:
    """log(x + other), where they are equal but for rounding, and squares may overflow, log(2 x)."""
    return torch.where(x > 1e9, torch.log(x) + math.log(2), torch.log(x + other))


def _softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    soft = (torch.relu(beta * x) + torch.log(1 + torch.exp(-torch.abs(beta * x)))) / beta
    return torch.where(beta * x > threshold, x, soft)


_MADE: dict[Any, Callable[..., Tensor]] = {
    aten.atan.default: _atan,
    aten.atan2.default: _atan2,
    aten.asin.default: _asin,
    aten.acos.default: _acos,
    aten.asinh.default: _asinh,
    aten.acosh.default: _acosh,
    aten.atanh.default: lambda x: torch.log((1 + x) / (1 - x)) / 2,
    aten.softplus.default: _softplus,
    aten.tan.default: lambda x: torch.sin(x) / torch.cos(x),
    aten.sinh.default: lambda x: (torch.exp(x) - torch.exp(-x)) / 2,
    aten.cosh.default: lambda x: (torch.exp(x) + torch.exp(-x)) / 2,
}
