"""Reference solver for 1D viscous Burgers, u_t + (u^2/2)_x = nu u_xx, periodic on [0, 1).

Fourier in space, dealiased by the 2/3 rule; fourth-order exponential Runge-Kutta in time (ETDRK4), its
coefficients by contour integrals (Kassam & Trefethen, SIAM J. Sci. Comput. 26, 2005). The linear part is
exact, so the step is bound by accuracy of the advection only. All tasks advance together.

With the defaults, at nu = 0.01: relative L2 error below 1e-10 for u0 = sin(2 pi x), against Cole-Hopf; for
fields of N(0, 625 (-Laplacian + 25 I)^-2) below 1e-9 (median 5e-12), against 2048 modes and half the step.
"""

from math import ceil

import numpy as np
from scipy import fft

from pinnlora.errors import UserError

CONTOUR_POINTS = 32  # of the mean over a half circle of radius 1: exact to rounding


def solve_burgers(
    u0: np.ndarray, nu: float, times: np.ndarray, modes: int = 1024, step: float = 2.5e-4
) -> np.ndarray:
    """Solutions (task, time, m) at x = j/m from initial values u0 (task, m) at the same points.

    `u0` is taken as the band-limited function through its points; its mean may be any. `times` (k,) increase,
    from 0 on. `modes` is the number of grid points of the Fourier series, of which the lowest third of
    wavenumbers is kept; `step` is an upper bound on the time step. Raises UserError for input that makes no
    sense and for solutions that `modes` and `step` do not resolve.
    """
    u0, times = np.asarray(u0, dtype=float), np.asarray(times, dtype=float)
    points = _checked(u0, nu, times, modes, step)
    state = to_modes(u0, modes)
    wavenumber = 2 * np.pi * np.arange(state.shape[-1])
    solution = np.empty((len(u0), len(times), points))
    now, coefficients = 0.0, {}
    for index, time in enumerate(times):
        # rounding off noise in the differences of `times` lets equal intervals share their coefficients
        interval = round(time - now, 12)
        count = ceil(interval / step - 1e-9)
        if count and (interval, count) not in coefficients:
            coefficients[interval, count] = etdrk4(-nu * wavenumber**2, interval / count)
        with np.errstate(over="ignore", invalid="ignore"):  # _resolved speaks of it
            for _ in range(count):
                state = _advance(state, coefficients[interval, count], -0.5j * wavenumber, modes)
        now = time
        _resolved(state, time, modes, step)
        solution[:, index] = to_points(state, modes, points)
    return solution


def to_modes(values: np.ndarray, modes: int) -> np.ndarray:
    """Fourier coefficients (task, kept wavenumbers), scaled as `rfft` over `modes` points would give them."""
    points = values.shape[-1]
    spectrum = fft.rfft(values, axis=-1) * (modes / points)
    if points % 2 == 0:
        spectrum[..., -1] /= 2  # the cosine at the Nyquist wavenumber is shared by +points/2 and -points/2
    kept = np.zeros((*values.shape[:-1], (modes - 1) // 3 + 1), dtype=complex)
    kept[..., : spectrum.shape[-1]] = spectrum
    return kept


def to_points(state: np.ndarray, modes: int, points: int) -> np.ndarray:
    """The Fourier series itself, (task, points), at x = j/points."""
    stride = ceil(modes / points)
    fine = fft.irfft(state * (stride * points / modes), n=stride * points, axis=-1)
    return fine[..., ::stride]


def etdrk4(linear: np.ndarray, step: float) -> tuple[np.ndarray, ...]:
    """Coefficients E, E/2, Q, f1, f2, f3 of ETDRK4 for a real diagonal linear part, each of its shape."""
    circle = np.exp(1j * np.pi * (np.arange(CONTOUR_POINTS) + 0.5) / CONTOUR_POINTS)
    z = step * linear[:, None] + circle
    power = np.exp(z)
    weights = (
        (np.exp(z / 2) - 1) / z,
        (-4 - z + power * (4 - 3 * z + z**2)) / z**3,
        2 * (2 + z + power * (z - 2)) / z**3,
        (-4 - 3 * z - z**2 + power * (4 - z)) / z**3,
    )
    return (
        np.exp(step * linear),
        np.exp(step * linear / 2),
        *(step * weight.mean(axis=1).real for weight in weights),
    )


def _advance(state: np.ndarray, coefficients: tuple, half_derivative: np.ndarray, modes: int) -> np.ndarray:
    """One step; `half_derivative` is -i k / 2, so that the nonlinear part is half_derivative * F[u^2]."""
    full, half, q, f1, f2, f3 = coefficients

    def nonlinear(spectrum: np.ndarray) -> np.ndarray:
        values = fft.irfft(spectrum, n=modes, axis=-1)
        values *= values
        product = fft.rfft(values, axis=-1)[..., : spectrum.shape[-1]]
        return half_derivative * product

    at_start = nonlinear(state)
    halved = half * state
    first = halved + q * at_start
    at_first = nonlinear(first)
    at_second = nonlinear(halved + q * at_first)
    at_third = nonlinear(half * first + q * (2 * at_second - at_start))
    return full * state + f1 * at_start + f2 * (at_first + at_second) + f3 * at_third


def _checked(u0: np.ndarray, nu: float, times: np.ndarray, modes: int, step: float) -> int:
    """Number of points of u0; UserError in one line for what cannot be solved."""
    if u0.ndim != 2 or not np.isfinite(u0).all():
        raise UserError(f"u0 has shape {u0.shape}; expected finite values of shape (task, points)")
    if times.ndim != 1 or not len(times) or times[0] < 0 or (np.diff(times) < 0).any():
        raise UserError("times must be a list of increasing numbers, none below 0")
    if not (nu > 0 and step > 0):
        raise UserError(f"nu = {nu} and step = {step}; both must be above 0")
    if u0.shape[1] // 2 > (modes - 1) // 3:
        raise UserError(f"u0 at {u0.shape[1]} points needs modes > {3 * (u0.shape[1] // 2)}, not {modes}")
    return u0.shape[1]


def _resolved(state: np.ndarray, time: float, modes: int, step: float) -> None:
    """UserError if the solution blew up or its highest quarter of wavenumbers still carries weight."""
    size = np.linalg.norm(state, axis=-1)
    if not np.isfinite(size).all():
        raise UserError(f"the Burgers solution blew up before t = {time:g}; make step < {step:g}")
    tail = np.linalg.norm(state[:, -(state.shape[1] // 4) :], axis=-1) / np.maximum(size, 1e-300)
    if tail.max(initial=0) > 1e-6:
        worst = int(tail.argmax())
        raise UserError(
            f"task {worst} is not resolved at t = {time:g}: its highest quarter of wavenumbers holds "
            f"{tail[worst]:.1e} of it; make modes > {modes} or nu larger"
        )
