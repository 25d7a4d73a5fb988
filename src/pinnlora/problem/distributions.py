"""Distributions of tasks: what a family of tasks is drawn from, how a task is shown to a network.

One interface: `names`, `scalar`, `size`, `description`, `sample`, `embed`, `check`, `inside`. Values are
dicts from name to array, (task,) for a number and (task, points) for a function. `embed` takes tensors too,
and leaves their device, dtype and gradients alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from zlib import crc32

import numpy as np

from pinnlora.errors import UserError

FALSE_ALARM = 1e-4  # share of its own samples that GaussianField.inside may call outside


@dataclass(frozen=True, init=False)
class _Scalars:
    """Independent numbers, each in its range; abstract, see Uniform and LogUniform."""

    ranges: tuple[tuple[str, float, float], ...]
    scalar = True
    above = -np.inf  # what all values must exceed

    def __init__(self, **ranges: tuple[float, float]):
        kind = type(self).__name__
        if not ranges:
            raise UserError(f"{kind}() names no parameter; write for example {kind}(re=(20, 100))")
        for name, pair in ranges.items():
            numbers = _finite(name, pair)
            if numbers.shape != (2,) or not self.above < numbers[0] < numbers[1]:
                raise UserError(f"{kind}({name}={pair}): expected (low, high), {self.above:g} < low < high")
        object.__setattr__(self, "ranges", tuple((n, float(a), float(b)) for n, (a, b) in ranges.items()))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.ranges)

    @property
    def size(self) -> int:
        return len(self.ranges)

    @property
    def description(self) -> str:
        inner = ", ".join(f"{name}=({low:g}, {high:g})" for name, low, high in self.ranges)
        return f"{type(self).__name__}({inner})"

    def sample(self, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """`count` tasks (count,) a name; of one generator state, fewer tasks are the first of more."""
        unit = rng.random((count, self.size)).T
        return {name: self._place(u, a, b) for (name, a, b), u in zip(self.ranges, unit, strict=True)}

    def spread(self, count: int, rng: np.random.Generator, margin: float) -> dict[str, np.ndarray]:
        """As `sample`, but evenly spread (a Latin hypercube) over a little more than the ranges: what a training
        step wants of its fresh tasks, because errors are largest at the ends of what was trained.

        `margin` is added at both ends, as a fraction of the embedded range.
        """
        from scipy.stats import qmc

        unit = qmc.LatinHypercube(self.size, rng=rng).random(count).T
        wide = [(name, *self._widened(a, b, margin)) for name, a, b in self.ranges]
        return {name: self._place(u, a, b) for (name, a, b), u in zip(wide, unit, strict=True)}

    def check(self, values: Mapping) -> dict[str, np.ndarray]:
        """The same values as float64 arrays (task,), a lone number being one task; UserError if wrong."""
        _check_names(values, self.names)
        checked = {name: np.atleast_1d(_finite(name, values[name])) for name in self.names}
        for name, array in checked.items():
            if array.shape != checked[self.names[0]].shape or array.ndim != 1:
                raise UserError(f"{name} has shape {array.shape}; expected (task,), one number a task")
            if (array <= self.above).any():
                raise UserError(f"{name} = {array.min():g}; expected numbers above {self.above:g}")
        return checked

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


@dataclass(frozen=True)
class GaussianField:
    """A function on [0, 1), periodic, from N(0, scale (-Laplacian + shift I)^-power), at x = j/points.

    In the orthonormal basis 1, sqrt(2) cos(2 pi k x), sqrt(2) sin(2 pi k x) the coefficients are independent
    with variance scale ((2 pi k)^2 + shift)^-power, for k up to (points - 1) // 2: the function is
    band-limited, and the Nyquist wavenumber, which the points cannot tell from its negative, stays empty.
    `mean_mode`: "zero" drops the constant mode, as the public generator of the paper's data does; "keep"
    draws it with the variance above. Embedded by division by the standard deviation at a point.
    """

    name: str
    points: int = 128
    scale: float = 625.0
    shift: float = 25.0
    power: float = 2.0
    mean_mode: str = "zero"
    scalar = False

    def __post_init__(self):
        if self.mean_mode not in ("zero", "keep"):
            raise UserError(f"mean_mode={self.mean_mode!r}; expected 'zero' or 'keep'")
        if self.points < 3 or min(self.scale, self.shift, self.power) <= 0:
            raise UserError("GaussianField needs points >= 3 and scale, shift and power above 0")

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def size(self) -> int:
        return self.points

    @property
    def grid(self) -> np.ndarray:
        """x = j/points, (points,)."""
        return np.arange(self.points) / self.points

    @property
    def description(self) -> str:
        law = f"N(0, {self.scale:g} (-Laplacian + {self.shift:g} I)^-{self.power:g})"
        mean = {"zero": "dropped", "keep": "kept"}[self.mean_mode]
        return f"{self.name} ~ {law}, periodic on [0, 1), constant mode {mean}, at x = j/{self.points}"

    def spectrum(self) -> np.ndarray:
        """Variances of the coefficients of wavenumbers 0 to (points - 1) // 2, in the orthonormal basis."""
        wavenumber = 2 * np.pi * np.arange((self.points - 1) // 2 + 1)
        variance = self.scale * (wavenumber**2 + self.shift) ** -self.power
        if self.mean_mode == "zero":
            variance[0] = 0.0
        return variance

    def deviation(self) -> float:
        """Standard deviation of the field at any one point."""
        variance = self.spectrum()
        return float(np.sqrt(variance[0] + 2 * variance[1:].sum()))

    def sample(self, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Fields (count, points)."""
        deviation = np.sqrt(self.spectrum())
        normal = rng.standard_normal((count, len(deviation), 2))
        modes = (normal[..., 0] - 1j * normal[..., 1]) * deviation / np.sqrt(2)
        modes[:, 0] = normal[:, 0, 0] * deviation[0]
        return {self.name: np.fft.irfft(modes * self.points, n=self.points, axis=-1)}

    def spread(self, count: int, rng: np.random.Generator, margin: float) -> dict[str, np.ndarray]:
        """As `sample`: in so many directions an even spread is out of reach, and the range has no ends."""
        return self.sample(count, rng)

    def embed(self, values: Mapping):
        """(task, points), of unit variance at every point."""
        return values[self.name] / self.deviation()

    def check(self, values: Mapping) -> dict[str, np.ndarray]:
        """The same field as a float64 array (task, points), a lone function being one task."""
        _check_names(values, self.names)
        field = np.atleast_2d(_finite(self.name, values[self.name]))
        if field.ndim != 2 or field.shape[1] != self.points:
            raise UserError(
                f"{self.name} has shape {np.shape(values[self.name])}; expected ({self.points},) or "
                f"(task, {self.points}), the values at x = j/{self.points}"
            )
        return {self.name: field}

    def inside(self, values: Mapping) -> np.ndarray:
        """Whether each task (task,) is one that the distribution could have drawn.

        The energy of wavenumbers 1 to K, sum over k of |u_k|^2 / sigma_k^2, has 2 K degrees of freedom; it
        must stay below its chi-square quantile for K = 1, 2, 4, ... and for all of them, so that neither one
        large wave nor a rough tail passes. Smaller than usual is inside. The mean must vanish to a
        thousandth of the deviation at a point (or, if kept, fit its variance), and so must any Nyquist wave.
        """
        from scipy.special import gammainccinv

        field = self.check(values)[self.name]
        modes, variance = np.fft.rfft(field, axis=-1) / self.points, self.spectrum()
        last = len(variance) - 1
        energy = np.cumsum(2 * np.abs(modes[:, 1 : last + 1]) ** 2 / variance[1:], axis=-1)
        bands = sorted({*(2**j for j in range(last.bit_length())), last})
        limits = {band: 2 * gammainccinv(band, FALSE_ALARM / len(bands)) for band in bands}
        small = 1e-3 * self.deviation()
        mean_limit = small if self.mean_mode == "zero" else 4 * np.sqrt(variance[0])
        within = (np.abs(modes[:, 0]) <= mean_limit) & (np.abs(modes[:, last + 1 :]) <= small).all(axis=-1)
        return within & np.all([energy[:, band - 1] <= limits[band] for band in bands], axis=0)


def sample_splits(distribution, counts: Mapping[str, int], seed: int) -> tuple[dict, np.ndarray]:
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


def _check_names(values: Mapping, names: tuple[str, ...]) -> None:
    for name in values:
        if name not in names:
            close = get_close_matches(str(name), names, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(names)}"
            raise UserError(f"unknown task parameter {name!r}; {hint}")
    for name in names:
        if name not in values:
            raise UserError(f"task parameter {name!r} is missing; expected {', '.join(names)}")


def _finite(name: str, value) -> np.ndarray:
    """`value`, a number, list, array or tensor, as a float64 array; UserError if it is anything else."""
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, dtype=float)
    except (TypeError, ValueError):
        raise UserError(f"{name} = {value!r}; expected numbers") from None
    if not np.isfinite(array).all():
        raise UserError(f"{name} holds {np.count_nonzero(~np.isfinite(array))} NaN or infinite values")
    return array


def _log(value):
    """The logarithm of a tensor (its own method) or of an array."""
    return value.log() if hasattr(value, "log") else np.log(value)


def _stack(columns: list):
    """Columns side by side in a new last axis, for tensors or arrays."""
    if isinstance(columns[0], np.ndarray | np.generic | float):
        return np.stack(columns, axis=-1)
    import torch

    return torch.stack(columns, dim=-1)
