"""Random functions of one coordinate as tasks: an initial state, a source, a coefficient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from pinnlora.errors import UserError
from pinnlora.problem.distributions import Distribution, check_names, finite

FALSE_ALARM = 1e-4  # share of its own samples that GaussianField.inside may call outside


@dataclass(frozen=True)
class GaussianField(Distribution):
    """A function of the coordinate `on` from N(0, scale (-Laplacian + shift I)^-power), given at `points` points.

    The law is that of s = (x - low) / (high - low), whatever the interval. In the orthonormal basis
    1, sqrt(2) cos(2 pi k s), sqrt(2) sin(2 pi k s) of a periodic interval, or 1, sqrt(2) cos(pi k s) of one that is
    not (the Laplacian with zero slopes at the ends, as for Darcy flow in Li et al., arXiv:2010.08895), coefficients
    are independent with variance scale (wavenumber^2 + shift)^-power, for k up to (points - 1) // 2: periodic fields
    are band-limited, and the Nyquist wavenumber, which the points cannot tell from its negative, stays empty.
    Points are s = j / points where periodic, else j / (points - 1), both ends included.

    `mean_mode`: "zero" drops the constant mode, as the public generator of the paper's data does; "keep" draws it
    with the variance above. `on`: by default the first coordinate that is not time. `periodic`: by default whether
    the problem has Periodic(on). `interval` and `declared` are filled in by the problem's class.
    """

    name: str
    points: int = 128
    scale: float = 625.0
    shift: float = 25.0
    power: float = 2.0
    mean_mode: str = "zero"
    on: str = ""
    periodic: bool | None = None
    interval: tuple[float, float] = (0.0, 1.0)
    declared: bool = True

    def __post_init__(self):
        if self.mean_mode not in ("zero", "keep"):
            raise UserError(f"mean_mode={self.mean_mode!r}; expected 'zero' or 'keep'")
        if not isinstance(self.name, str):
            raise UserError(
                f"GaussianField({self.name!r}): expected the function's name first, GaussianField('u0')"
            )
        if isinstance(self.points, bool) or not isinstance(self.points, Integral):
            raise UserError(f"GaussianField: points={self.points!r}; expected a whole number")
        law = (self.scale, self.shift, self.power)
        if not all(isinstance(number, Real) and np.isfinite(number) for number in law):
            raise UserError(f"GaussianField: scale, shift and power are {law}; expected numbers")
        if self.points < 4 or min(self.scale, self.shift, self.power) <= 0:
            raise UserError("GaussianField needs points >= 4 and scale, shift and power above 0")

    def within(self, intervals: Mapping[str, tuple[float, float]], periodic: Iterable[str]) -> GaussianField:
        """The same on its coordinate's interval; UserError where there is no such coordinate."""
        on = self.on or next((name for name in intervals if name != "t"), next(iter(intervals)))
        if on not in intervals:
            raise UserError(
                f"GaussianField({self.name!r}, on={on!r}): no such coordinate, there are {', '.join(intervals)}"
            )
        return replace(self, on=on, interval=intervals[on], declared=on in periodic)

    @property
    def wraps(self) -> bool:
        """Whether the function is periodic."""
        return self.declared if self.periodic is None else self.periodic

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def functions(self) -> Mapping[str, GaussianField]:
        return {self.name: self}

    @property
    def size(self) -> int:
        return self.points

    @property
    def grid(self) -> np.ndarray:
        """Where the function is given, (points,)."""
        low, high = self.interval
        return low + (high - low) * np.arange(self.points) / (self.points - (not self.wraps))

    @property
    def description(self) -> str:
        law = f"N(0, {self.scale:g} (-Laplacian + {self.shift:g} I)^-{self.power:g})"
        mean = {"zero": "dropped", "keep": "kept"}[self.mean_mode]
        kind = "periodic" if self.wraps else "not periodic"
        return f"{self.name} ~ {law}, {kind}, constant mode {mean}, at {self._where()}"

    def _where(self) -> str:
        low, high = self.interval
        ends = f"[{low:g}, {high:g}" + (")" if self.wraps else "]")
        return f"{self.points} equidistant points of {self.on or 'x'} in {ends}"

    def _wavenumbers(self) -> np.ndarray:
        return (2 if self.wraps else 1) * np.pi * np.arange((self.points - 1) // 2 + 1)

    def spectrum(self) -> np.ndarray:
        """Variances of the coefficients of wavenumbers 0 to (points - 1) // 2, in the orthonormal basis."""
        variance = self.scale * (self._wavenumbers() ** 2 + self.shift) ** -self.power
        if self.mean_mode == "zero":
            variance[0] = 0.0
        return variance

    def deviation(self) -> np.ndarray:
        """Standard deviation of the field at its points, (points,)."""
        variance = self.spectrum()
        if self.wraps:
            return np.full(self.points, np.sqrt(variance[0] + 2 * variance[1:].sum()))
        squares = 2 * np.cos(np.outer(np.linspace(0, 1, self.points), self._wavenumbers())) ** 2
        squares[:, 0] = 1
        return np.sqrt(squares @ variance)

    def _modes(self, field: np.ndarray) -> np.ndarray:
        """(task, k): amplitudes c_k of sum_k c_k exp(2 pi i k s) + conj., or of c_0 + 2 sum_k c_k cos(pi k s)."""
        from scipy import fft

        if self.wraps:
            return np.fft.rfft(field, axis=-1) / self.points
        return fft.dct(field, type=1, axis=-1) / (2 * (self.points - 1))

    def sample(self, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Fields (count, points)."""
        from scipy import fft

        deviation = np.sqrt(self.spectrum())
        if self.wraps:
            normal = rng.standard_normal((count, len(deviation), 2))
            modes = (normal[..., 0] - 1j * normal[..., 1]) * deviation / np.sqrt(2)
            modes[:, 0] = normal[:, 0, 0] * deviation[0]
            return {self.name: np.fft.irfft(modes * self.points, n=self.points, axis=-1)}
        modes = np.zeros((count, self.points))
        modes[:, : len(deviation)] = rng.standard_normal((count, len(deviation))) * deviation / np.sqrt(2)
        modes[:, 0] *= np.sqrt(2)
        return {self.name: fft.dct(modes, type=1, axis=-1)}

    @property
    def bounded(self) -> np.ndarray:
        """None of the unknowns of `decode` is bounded: they are standard normal."""
        return np.zeros(self._basis().shape[1], dtype=bool)

    def decode(self, unknowns) -> dict:
        """The field of independent standard normal numbers, a tensor (task, unknown) -> (task, points).

        The law's own modes (Karhunen-Loeve), the longest waves first.
        """
        return {self.name: unknowns @ unknowns.new_tensor(self._basis()).mT}

    def _basis(self) -> np.ndarray:
        """(points, unknown): the modes with variance, each times its deviation."""
        variance = self.spectrum()
        kept = np.flatnonzero(variance)
        place = (self.grid - self.interval[0]) / (self.interval[1] - self.interval[0])
        angle = self._wavenumbers()[kept] * place[:, None]
        size = np.sqrt(variance[kept]) * np.where(kept == 0, 1.0, np.sqrt(2))
        waves = [np.cos(angle) * size] + ([np.sin(angle) * size] if self.wraps else [])
        stacked = np.stack(waves, -1).reshape(self.points, -1)
        return stacked[:, stacked.any(0)]  # the constant has no sine

    def spread(self, count: int, rng: np.random.Generator, margin: float = 0.0) -> dict[str, np.ndarray]:
        """As `sample`: in so many directions an even spread is out of reach, and the range has no ends."""
        return self.sample(count, rng)

    def embed(self, values: Mapping):
        """(task, points), of unit variance at every point."""
        value, deviation = values[self.name], self.deviation()
        return value / (deviation if isinstance(value, np.ndarray) else value.new_tensor(deviation))

    def check(self, values: Mapping) -> dict[str, np.ndarray]:
        """The same field as a float64 array (task, points), a lone function being one task."""
        check_names(values, self.names)
        field = np.atleast_2d(finite(self.name, values[self.name]))
        if field.ndim != 2 or field.shape[1] != self.points:
            raise UserError(
                f"{self.name} has shape {np.shape(values[self.name])}; expected ({self.points},) or "
                f"(task, {self.points}), the values at {self._where()}"
            )
        return {self.name: field}

    def inside(self, values: Mapping) -> np.ndarray:
        """Whether each task (task,) is one that the distribution could have drawn.

        The energy of wavenumbers 1 to K, sum over k of the squared coefficients over their variances, has 2 K
        degrees of freedom (K where not periodic); it must stay below its chi-square quantile for K = 1, 2, 4, ...
        and for all of them, so that neither one large wave nor a rough tail passes. Smaller than usual is inside.
        The mean must vanish to a thousandth of the deviation at a point (or, if kept, fit its variance), and so
        must any wave above those.
        """
        modes, variance = self._modes(self.check(values)[self.name]), self.spectrum()
        last = len(variance) - 1
        energy = np.cumsum(2 * np.abs(modes[:, 1 : last + 1]) ** 2 / variance[1:], axis=-1)
        limits = self.limits()
        small = 1e-3 * self.deviation().mean()
        mean_limit = small if self.mean_mode == "zero" else 4 * np.sqrt(variance[0])
        within = (np.abs(modes[:, 0]) <= mean_limit) & (np.abs(modes[:, last + 1 :]) <= small).all(axis=-1)
        return within & np.all([energy[:, band - 1] <= limit for band, limit in limits.items()], axis=0)

    def never_drawn(self, field: np.ndarray) -> np.ndarray:
        """What the law has no variance for, of functions (task, points): the mean where it is dropped, and waves above
        its last."""
        from scipy import fft

        modes, variance = self._modes(field), self.spectrum()
        modes[:, : len(variance)][:, variance > 0] = 0
        if self.wraps:
            return fft.irfft(modes * self.points, n=self.points, axis=-1)
        return fft.dct(modes, type=1, axis=-1)

    def limits(self) -> dict[int, float]:
        """The most energy that wavenumbers 1 to K may have in range, by K; that of `decode`'s unknowns is the sum of
        their squares."""
        from scipy.special import gammainccinv

        last = len(self.spectrum()) - 1
        bands = sorted({*(2**j for j in range(last.bit_length())), last})
        freedom = 2 if self.wraps else 1
        return {band: 2 * float(gammainccinv(band * freedom / 2, FALSE_ALARM / len(bands))) for band in bands}

    def wavenumbers(self) -> list[int]:
        """That of each unknown of `decode`, 0 for the constant."""
        kept = np.flatnonzero(self.spectrum())
        return [int(k) for k in kept for _ in range(2 if self.wraps and k else 1)]
