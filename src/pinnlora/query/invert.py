"""Which task explains these measurements? Gauss-Newton through hypernetwork and network, from several starts.

A number of the task is uniform in its range beforehand, a function Gaussian; noise is Gaussian and independent, with
the estimated error of the surrogate added to its variance. That error is alike at neighbouring points and does not
average out as noise does: it counts as if only as many measurements were independent as these determine directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import norm, qmc
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.problem.signature import Values
from pinnlora.query.calibration import LEVEL
from pinnlora.query.observations import Observations
from pinnlora.query.posterior import Fit, covariance, fit_unknowns, learned, precision, search_unknowns
from pinnlora.query.refine import check_counts
from pinnlora.query.slopes import slopes
from pinnlora.query.trust import trust

if TYPE_CHECKING:
    from pinnlora.query.surrogate import Surrogate

STARTS = 4
"""Starts of a search, as the cost may have several minima."""
FINE = 1e-4
"""Share of a function's variance in the finest modes, which are left as they are beforehand."""
ROWS = 2**15
"""Points of all problems and directions together that are evaluated at once: what bounds the memory."""
WIDTH = float(norm.ppf((1 + LEVEL) / 2))
"""Half the width of a Gaussian interval of LEVEL, in deviations."""


@dataclass(frozen=True)
class Inverted:
    """Of every set of measurements: unknowns (set, unknown) with their covariance, beforehand's where they were left
    alone; misfit (set,), the root mean square of what is left over noise and error; `rival` the distance, in
    deviations, of another minimum that explains the measurements as well, 0 without one."""

    unknowns: Tensor
    covariance: Tensor
    misfit: np.ndarray
    rival: np.ndarray


def inverted(
    surrogate: Surrogate, observations: Observations, noise: float | Mapping[str, float], seed: int = 0
) -> Inverted:
    """The most probable task of each set of measurements, and the Gaussian around it; `noise` is a standard deviation,
    or one for each field. UserError where it is no positive number."""
    check_counts(seed=seed)
    search = _Search.of(surrogate, observations, _deviations(surrogate, noise))
    sets, starts = len(observations.points), search.starts(STARTS, seed)
    of_set = torch.arange(sets).repeat_interleave(len(starts))
    count = observations.measured.sum((1, 2))
    fit = search_unknowns(
        lambda z, k: search.linearise(z, of_set[k]), starts.repeat(sets, 1), search.bounded, count[of_set]
    )
    ends, (best, _) = fit.unknowns, _best(fit, sets, search.bounded)
    fit = fit_unknowns(search.linearise, best, search.bounded)
    error = search.error_at(fit.unknowns)
    plain = search.with_error(error)
    alike = (count / learned(fit, search.bounded).clamp_min(1)).clamp_min(1)
    search = search.with_error(alike.sqrt() * error)
    every = fit_unknowns(lambda z, k: search.linearise(z, of_set[k]), ends, search.bounded, 0)
    best, rival = _best(every, sets, search.bounded)  # judged anew, now that it is known how far to trust
    fit = fit_unknowns(search.linearise, best, search.bounded)
    whole = torch.eye(len(search.kept), dtype=torch.float64).repeat(sets, 1, 1)
    place = search.kept.nonzero()[:, 0]
    whole[:, place[:, None], place] = covariance(fit, search.bounded)
    left = fit.residuals * (search.deviations / plain.deviations).flatten(1)
    misfit = (left.square().sum(1) / count).sqrt().numpy()
    return Inverted(search.all_unknowns(fit.unknowns), whole, misfit, rival)


def _deviations(surrogate: Surrogate, noise: float | Mapping[str, float]) -> Tensor:
    fields = surrogate.problem.fields
    if isinstance(noise, Mapping):
        if missing := [name for name in fields if name not in noise]:
            raise UserError(
                f"noise: none is given for {missing[0]}; expected a number, or one for each field"
            )
        if unknown := [name for name in noise if name not in fields]:
            raise UserError(f"noise: {unknown[0]!r} is no field; fields are {', '.join(fields)}")
    given = [noise[name] for name in fields] if isinstance(noise, Mapping) else [noise] * len(fields)
    number = int | float | np.integer | np.floating
    if not all(
        isinstance(each, number) and not isinstance(each, bool) and 0 < each < np.inf for each in given
    ):
        raise UserError(f"noise = {noise!r}; expected a standard deviation above 0, or one for each field")
    return torch.tensor([float(each) for each in given], dtype=torch.float64)


def _best(fit: Fit, sets: int, bounded: Tensor) -> tuple[Tensor, np.ndarray]:
    """The unknowns of the best start of each set, and the distance of a rival, in deviations."""
    unknowns, cost = fit.unknowns.unflatten(0, (sets, -1)), fit.cost.view(sets, -1)
    lowest, which = cost.min(1)
    best = unknowns[torch.arange(sets), which]
    precise = precision(fit, bounded).unflatten(0, (sets, -1))[torch.arange(sets), which]
    apart = unknowns - best.unsqueeze(1)
    distance = torch.einsum("rsi,rij,rsj->rs", apart, precise, apart).clamp_min(0).sqrt()
    equal = cost - lowest.unsqueeze(1) < WIDTH**2
    rival = torch.where(equal & (distance > 3 * WIDTH), distance, 0.0)
    return best, rival.amax(1).numpy()


@dataclass(frozen=True)
class _Search:
    """The surrogate in float64 as a function of the `kept` unknowns, beside measurements and their deviations."""

    surrogate: Surrogate
    observations: Observations
    deviations: Tensor
    kept: Tensor

    @classmethod
    def of(cls, surrogate: Surrogate, observations: Observations, deviations: Tensor) -> _Search:
        surrogate = surrogate.to(torch.float64)
        task = surrogate.problem.task
        kept = torch.from_numpy(task.bounded.copy())
        columns = task.decode(torch.eye(len(kept), dtype=torch.float64))
        for name in task.functions:
            share = columns[name].square().sum(1)
            rest = share.flip(0).cumsum(0).flip(0) / share.sum()  # from each mode on
            kept |= (rest > FINE) & (share > 0)
        shape = observations.values.shape
        return cls(surrogate, observations, deviations.expand(shape), kept)

    @property
    def bounded(self) -> Tensor:
        return torch.from_numpy(self.surrogate.problem.task.bounded.copy())[self.kept]

    def starts(self, count: int, seed: int) -> Tensor:
        """Evenly spread where bounded, else half as far out as the law: zero may be a symmetric point."""
        bounded = self.bounded
        unit = qmc.LatinHypercube(len(bounded), rng=np.random.default_rng(seed)).random(count)
        return torch.where(bounded, torch.from_numpy(2 * unit - 1), torch.from_numpy(norm.ppf(unit)) / 2)

    def all_unknowns(self, z: Tensor) -> Tensor:
        """The kept unknowns among all, the others zero."""
        return z @ torch.eye(len(self.kept), dtype=z.dtype)[self.kept]

    def linearise(self, z: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Residuals over noise of the sets `index` at z (n, unknown), and their Jacobian, in bounded memory."""
        together = max(1, ROWS // (self.observations.points.shape[1] * z.shape[1]))
        parts = [self._part(a, b) for a, b in zip(z.split(together), index.split(together), strict=True)]
        return torch.cat([r for r, _ in parts]), torch.cat([jacobian for _, jacobian in parts])

    def _part(self, z: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        data, surrogate = self.observations, self.surrogate

        def decode(unknowns: Tensor) -> Values:
            return surrogate.problem.task.decode(self.all_unknowns(unknowns))

        found, jacobian = slopes(surrogate, decode, z, data.points[index])
        measured, size = data.measured[index].flatten(1), self.deviations[index].flatten(1)
        missed = (found - data.values[index].flatten(1)) / size
        # where nothing was measured a field may be infinite, in the middle of a hole for instance
        return torch.where(measured, missed, 0.0), torch.where(
            measured.unsqueeze(-1), jacobian / size.unsqueeze(-1), 0.0
        )

    def error_at(self, z: Tensor) -> Tensor:
        """The surrogate's estimated error at the tasks z, (set,), as `predict` has it; 0 if it does not know it."""
        if self.surrogate.calibration is None:
            return z.new_zeros(len(z))
        values = self.surrogate.problem.task.decode(self.all_unknowns(z))
        networks = self.surrogate.networks(**{name: value.numpy() for name, value in values.items()})
        return torch.from_numpy(np.nan_to_num(trust(networks).estimate, nan=0.0, posinf=np.inf))

    def with_error(self, error: Tensor) -> _Search:
        """With an error of the surrogate (set,) beside the noise."""
        deviations = (self.deviations.square() + error.square()[:, None, None]).sqrt()
        return _Search(self.surrogate, self.observations, deviations, self.kept)
