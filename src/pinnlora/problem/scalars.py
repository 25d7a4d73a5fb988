"""Distributions of numbers: uniform, and uniform in the logarithm."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pinnlora.errors import UserError
from pinnlora.problem.distributions import Distribution, check_names, finite


@dataclass(frozen=True, init=False)
class _Scalars(Distribution):
    """Independent numbers, each in its range; abstract, see Uniform and LogUniform."""

    ranges: tuple[tuple[str, float, float], ...]
    above = -np.inf  # what all values must exceed

    def __init__(self, *unnamed: object, **ranges: tuple[float, float]):
        kind = type(self).__name__
        if unnamed or not ranges:
            raise UserError(f"{kind}() names no parameter; write for example {kind}(re=(20, 100))")
        for name, pair in ranges.items():
            numbers = finite(name, pair)
            if numbers.shape != (2,) or not self.above < numbers[0] < numbers[1]:
                raise UserError(f"{kind}({name}={pair}): expected (low, high), {self.above:g} < low < high")
        object.__setattr__(self, "ranges", tuple((n, float(a), float(b)) for n, (a, b) in ranges.items()))

    @abstractmethod
    def _place(self, unit: np.ndarray, low: float, high: float) -> np.ndarray:
        """Numbers of [0, 1] to the range."""

    @abstractmethod
    def _widened(self, low: float, high: float, margin: float) -> tuple[float, float]:
        """The range, longer by `margin` of its embedded length at both ends."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.ranges)

    @property
    def size(self) -> int:
        return len(self.ranges)

    @property
    def bounded(self) -> np.ndarray:
        """All unknowns of `decode` lie in [-1, 1]."""
        return np.ones(self.size, dtype=bool)

    @property
    def description(self) -> str:
        inner = ", ".join(f"{name}=({low:g}, {high:g})" for name, low, high in self.ranges)
        return f"{type(self).__name__}({inner})"

    def sample(self, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """`count` tasks (count,) a name; of one generator state, fewer tasks are the first of more."""
        unit = rng.random((count, self.size)).T
        return {name: self._place(u, a, b) for (name, a, b), u in zip(self.ranges, unit, strict=True)}

    def spread(self, count: int, rng: np.random.Generator, margin: float = 0.0) -> dict[str, np.ndarray]:
        """As `sample`, but without gaps (a Latin hypercube), denser towards the ends, and over a little more than the
        ranges: what a training step wants of its fresh tasks, because errors are largest at the ends.

        The density is that of Chebyshev nodes, 1 / (pi sqrt(1 - x^2)) on [-1, 1], which keeps the error of an
        interpolating polynomial even. `margin` is added at both ends, as a fraction of the embedded range.
        """
        from scipy.stats import qmc

        unit = (1 - np.cos(np.pi * qmc.LatinHypercube(self.size, rng=rng).random(count).T)) / 2
        wide = [(name, *self._widened(a, b, margin)) for name, a, b in self.ranges]
        return {name: self._place(u, a, b) for (name, a, b), u in zip(wide, unit, strict=True)}

    def check(self, values: Mapping) -> dict[str, np.ndarray]:
        """The same values as float64 arrays (task,), a lone number being one task; UserError if wrong."""
        check_names(values, self.names)
        checked = {name: np.atleast_1d(finite(name, values[name])) for name in self.names}
        for name, array in checked.items():
            if array.shape != checked[self.names[0]].shape or array.ndim != 1:
                raise UserError(f"{name} has shape {array.shape}; expected (task,), one number a task")
        for name, low, high in self.ranges:
            self._check_sign(name, checked[name], low, high)
        return checked

    def _check_sign(self, name: str, array: np.ndarray, low: float, high: float) -> None:
        """A viscosity below zero is no matter of extrapolation."""
        wrong = array <= self.above
        if low >= 0:
            wrong |= array <= 0 if low > 0 else array < 0
        if high <= 0:
            wrong |= array >= 0 if high < 0 else array > 0
        if wrong.any():
            raise UserError(
                f"{name} = {array[wrong][0]:g}, of another sign than all of its range; expected {low:g} to {high:g}"
            )

    def inside(self, values: Mapping) -> np.ndarray:
        """Whether each task (task,) lies in the ranges, up to single-precision rounding."""
        return (np.abs(self.embed(self.check(values))) <= 1 + 1e-5).all(axis=-1)


class Uniform(_Scalars):
    """Each number uniform in its range, `Uniform(re=(20, 100))`; embedded linearly to [-1, 1]."""

    def _place(self, unit: np.ndarray, low: float, high: float) -> np.ndarray:
        return low + (high - low) * unit

    def _widened(self, low: float, high: float, margin: float) -> tuple[float, float]:
        """Never across or onto zero: a viscosity stays positive."""
        extra = margin * (high - low)
        below, above = low - extra, high + extra
        return max(below, low / 2) if low >= 0 else below, min(above, high / 2) if high <= 0 else above

    def embed(self, values: Mapping):
        """(task, size): linear from [low, high] to [-1, 1]."""
        return _stack([(2 * values[name] - (a + b)) / (b - a) for name, a, b in self.ranges])

    def decode(self, unknowns) -> dict:
        """The inverse of `embed`: a tensor (task, size) -> name -> (task,)."""
        return {
            name: (a + b) / 2 + (b - a) / 2 * unknowns[..., k] for k, (name, a, b) in enumerate(self.ranges)
        }


class LogUniform(_Scalars):
    """The logarithm of each number uniform, `LogUniform(nu=(1e-4, 1e-3))`; the logarithm is embedded."""

    above = 0.0

    def _place(self, unit: np.ndarray, low: float, high: float) -> np.ndarray:
        return low * (high / low) ** unit

    def _widened(self, low: float, high: float, margin: float) -> tuple[float, float]:
        return low * (low / high) ** margin, high * (high / low) ** margin

    def embed(self, values: Mapping):
        """(task, size): linear from [log low, log high] to [-1, 1]."""
        return _stack([2 * _log(values[name] / a) / float(np.log(b / a)) - 1 for name, a, b in self.ranges])

    def decode(self, unknowns) -> dict:
        """The inverse of `embed`: a tensor (task, size) -> name -> (task,)."""
        halves = (unknowns + 1) / 2
        return {name: a * (b / a) ** halves[..., k] for k, (name, a, b) in enumerate(self.ranges)}


def _log(value):
    """The logarithm of a tensor (its own method) or of an array."""
    return value.log() if hasattr(value, "log") else np.log(value)


def _stack(columns: list):
    """Columns side by side in a new last axis, for tensors or arrays."""
    if isinstance(columns[0], np.ndarray | np.generic | float):
        return np.stack(columns, axis=-1)
    import torch

    return torch.stack(columns, dim=-1)
