"""Functions as tasks: a periodic Gaussian field, with the interface of the distributions of numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pinnlora.errors import UserError
from pinnlora.problem.distributions import check_names, finite

FALSE_ALARM = 1e-4  # share of its own samples that GaussianField.inside may call outside


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
        check_names(values, self.names)
        field = np.atleast_2d(finite(self.name, values[self.name]))
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
