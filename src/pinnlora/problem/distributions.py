"""Distributions of tasks: what a family of tasks is drawn from, how a task is shown to a network.

Values are dicts from name to array, (task,) for a number and (task, points) for a function. `embed` takes tensors
too, and leaves their device, dtype and gradients alone; `bounded` and `decode` give tasks from independent unknowns,
for those who look for one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from pinnlora.errors import UserError, nearest


class Distribution(ABC):
    """What all distributions share; `*` joins independent ones: `Uniform(a=(1, 2)) * GaussianField("u0")`."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The parameters."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many numbers `embed` makes of a task."""

    @property
    @abstractmethod
    def bounded(self) -> np.ndarray:
        """Which unknowns of `decode` lie in [-1, 1], (unknown,); the others are standard normal."""

    @property
    @abstractmethod
    def description(self) -> str:
        """As it was written."""

    @abstractmethod
    def sample(self, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """`count` tasks; of one generator state, fewer tasks are the first of more."""

    @abstractmethod
    def spread(self, count: int, rng: np.random.Generator, margin: float = 0.0) -> dict[str, np.ndarray]:
        """As `sample`, evenly spread in every number."""

    @abstractmethod
    def embed(self, values: Mapping) -> Any:
        """(task, size), an array or a tensor as the values are."""

    @abstractmethod
    def decode(self, unknowns: Any) -> dict:
        """Values of a tensor of unknowns (task, unknown), differentiable."""

    @abstractmethod
    def check(self, values: Mapping) -> dict[str, np.ndarray]:
        """The same values as float64 arrays with a task axis; UserError if wrong."""

    @abstractmethod
    def inside(self, values: Mapping) -> np.ndarray:
        """Whether each task (task,) lies in the range."""

    @property
    def functions(self) -> Mapping[str, Distribution]:
        """The distributions of function-valued parameters, by name."""
        return {}

    def within(self, intervals: Mapping[str, tuple[float, float]], periodic: Iterable[str]) -> Distribution:
        """The same for a problem with these coordinates, of which `periodic` close on themselves."""
        return self

    def __mul__(self, other: Distribution) -> Product:
        if not isinstance(other, Distribution):
            return NotImplemented
        return Product((*_factors(self), *_factors(other)))


@dataclass(frozen=True)
class Product(Distribution):
    """Independent distributions side by side: parameters of all of them, embedded one after the other."""

    factors: tuple[Distribution, ...]

    def __post_init__(self) -> None:
        for name in self.names:
            if self.names.count(name) > 1:
                raise UserError(
                    f"task parameter {name!r} is in two factors of the product; rename one of them"
                )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for factor in self.factors for name in factor.names)

    @property
    def size(self) -> int:
        return sum(factor.size for factor in self.factors)

    @property
    def functions(self) -> Mapping[str, Distribution]:
        return {name: field for factor in self.factors for name, field in factor.functions.items()}

    @property
    def bounded(self) -> np.ndarray:
        return np.concatenate([factor.bounded for factor in self.factors])

    @property
    def description(self) -> str:
        return " * ".join(factor.description for factor in self.factors)

    def within(self, intervals: Mapping[str, tuple[float, float]], periodic: Iterable[str]) -> Product:
        return Product(tuple(factor.within(intervals, periodic) for factor in self.factors))

    def sample(self, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Each factor from a stream of its own, so that fewer tasks are the first of more."""
        return self._joined(
            [f.sample(count, r) for f, r in zip(self.factors, self._streams(rng), strict=True)]
        )

    def spread(self, count: int, rng: np.random.Generator, margin: float = 0.0) -> dict[str, np.ndarray]:
        """As `sample`, evenly spread in every number."""
        streams = zip(self.factors, self._streams(rng), strict=True)
        return self._joined([factor.spread(count, stream, margin) for factor, stream in streams])

    def embed(self, values: Mapping):
        """(task, size): the factors' embeddings side by side."""
        parts = [factor.embed(values) for factor in self.factors]
        if isinstance(parts[0], np.ndarray):
            return np.concatenate(parts, axis=-1)
        import torch

        return torch.cat(parts, dim=-1)

    def decode(self, unknowns) -> dict:
        """Values of a tensor of unknowns (task, unknown), differentiable: the factors' side by side."""
        parts, start = [], 0
        for factor in self.factors:
            count = len(factor.bounded)
            parts.append(factor.decode(unknowns[..., start : start + count]))
            start += count
        return self._joined(parts)

    def check(self, values: Mapping) -> dict[str, np.ndarray]:
        """The same values as float64 arrays with a task axis; UserError if wrong."""
        check_names(values, self.names)
        checked = self._joined([f.check({name: values[name] for name in f.names}) for f in self.factors])
        counts = {name: len(value) for name, value in checked.items()}
        if len(set(counts.values())) > 1:
            numbers = ", ".join(f"{count} of {name}" for name, count in counts.items())
            raise UserError(f"every parameter needs one value a task, but there are {numbers}")
        return checked

    def inside(self, values: Mapping) -> np.ndarray:
        """Whether each task (task,) lies in the range of every factor."""
        checked = self.check(values)
        return np.all([f.inside({name: checked[name] for name in f.names}) for f in self.factors], axis=0)

    def _streams(self, rng: np.random.Generator) -> list[np.random.Generator]:
        return [np.random.default_rng(int(seed)) for seed in rng.integers(2**63, size=len(self.factors))]

    @staticmethod
    def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: value for part in parts for name, value in part.items()}


def _factors(distribution: Distribution) -> tuple[Distribution, ...]:
    return distribution.factors if isinstance(distribution, Product) else (distribution,)


def sample_splits(
    distribution: Distribution, counts: Mapping[str, int], seed: int
) -> tuple[dict, np.ndarray]:
    """Values and labels (task,) of all splits, in the order of `counts`, and of the one task "base" (T0).

    Each split has a random stream of its own, named by seed and split: more tasks in one split change
    neither the others nor the tasks it had. No task occurs twice.
    """
    if "base" in counts:
        raise UserError("split 'base' is the one task T0 and is always drawn; leave it out of the counts")
    counts = {**counts, "base": 1}
    streams = {split: np.random.default_rng([seed, crc32(split.encode())]) for split in counts}
    drawn = [distribution.sample(count, streams[split]) for split, count in counts.items()]
    values = {name: np.concatenate([part[name] for part in drawn]) for name in distribution.names}
    return values, np.repeat(list(counts), list(counts.values()))


def check_names(values: Mapping, names: tuple[str, ...]) -> None:
    """UserError for a parameter too many or missing."""
    for name in values:
        if name not in names:
            close = nearest(name, names, cutoff=0.4)
            hint = f"did you mean {close!r}?" if close else f"expected {', '.join(names)}"
            raise UserError(f"unknown task parameter {name!r}; {hint}")
    for name in names:
        if name not in values:
            raise UserError(f"task parameter {name!r} is missing; expected {', '.join(names)}")


def finite(name: str, value) -> np.ndarray:
    """`value`, a number, list, array or tensor, as a float64 array; UserError if it is anything else."""
    array = reals(name, value)
    if not np.isfinite(array).all():
        raise UserError(f"{name} holds {np.count_nonzero(~np.isfinite(array))} NaN or infinite values")
    return array


def reals(name: str, value) -> np.ndarray:
    """As `finite`, also with NaN, which stands for masked values too, and infinite values; what is complex, true or
    false, a date or text is none."""
    try:
        given = np.asanyarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if given.dtype.kind in "iufO" and value is not None:
            return np.asarray(np.ma.filled(given.astype(float), np.nan))
    except (TypeError, ValueError):
        pass
    else:
        if given.ndim:
            raise UserError(f"{name} is an array of {given.dtype}; expected real numbers")
    raise UserError(f"{name} = {' '.join(repr(value).split())[:60]}; expected numbers")
