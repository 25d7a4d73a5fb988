"""Numbers of a shape: fixed, a task parameter by its name, or a function of task parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

Number = float | str | Callable[..., Tensor]
Values = Mapping[str, Any]


def constant(values: Sequence[float], like: Tensor) -> Tensor:
    """Numbers as a tensor of the kind of `like`, not to be changed in place: made once, as a GPU is waited for each
    time that one is sent to it."""
    if torch.compiler.is_compiling():
        return like.new_tensor(values)
    return _kept(tuple(values), like.dtype, like.device)


@lru_cache(maxsize=256)
def _kept(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)


def asked(number: Number) -> tuple[str, ...]:
    """The task parameters that a number depends on; TypeError for what is no number."""
    if isinstance(number, str):
        return (number,)
    if callable(number):
        return tuple(inspect.signature(number).parameters)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(
            f"{number!r} is no number of a shape: expected a number, the name of a task parameter, or a function of "
            "task parameters such as lambda angle: cos(angle)"
        )
    return ()


def amount(number: Number, values: Values, like: Tensor) -> Tensor:
    """The number for each task of `values`, (task or 1, 1), of the kind of `like`."""
    if not isinstance(number, str) and not callable(number):
        return torch.full((1, 1), float(number), dtype=like.dtype, device=like.device)
    given = [values[name] for name in asked(number)]
    found = given[0] if isinstance(number, str) else number(*given)
    return torch.as_tensor(found, dtype=like.dtype, device=like.device).reshape(-1, 1)


def row(numbers: tuple[Number, ...], values: Values, like: Tensor) -> Tensor:
    """Several numbers side by side, (task or 1, number)."""
    if all(isinstance(number, int | float) for number in numbers):
        return torch.tensor([numbers], dtype=like.dtype, device=like.device)
    parts = [amount(number, values, like) for number in numbers]
    tasks = max(len(part) for part in parts)
    return torch.cat([part.expand(tasks, -1) for part in parts], 1)
