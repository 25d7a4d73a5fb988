"""A trained hypernetwork: what it can be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from pinnlora.query.answer import inverted_dataset
from pinnlora.query.calibration import described
from pinnlora.query.export import SolutionModule
from pinnlora.query.family import Family
from pinnlora.query.invert import inverted
from pinnlora.query.march import marched
from pinnlora.query.observations import read_observations
from pinnlora.query.predict import check_asked, predicted, refined_dataset
from pinnlora.query.refine import refine
from pinnlora.query.solved import check_place, save_networks


@dataclass(frozen=True)
class Surrogate(Family):
    """A hypernetwork with its base network: tasks in, fields out."""

    def predict(
        self,
        at: Mapping[str, Any] | xr.Dataset | None = None,
        fields: Sequence[str] | None = None,
        estimate: str = "auto",
        **task: Any,
    ) -> xr.Dataset:
        """Fields of one or many tasks, with residual, mismatch, in_range and the estimated error with its interval.

        Example: `surrogate.predict(re=42.0)`, `surrogate.predict(re=[30, 40], at={"x": [0.1, 0.2], "y": 0.5},
        fields=["u", "u_x", "u_re"])`. at: the evaluation grid, points (a dict of arrays), or an xarray.Dataset with
        the coordinates. estimate: "residual", "refined" (slower; with a map of the error), "auto" or "none".
        """
        return predicted(self.networks(**task), at, fields, estimate)

    def march(
        self,
        until: float,
        at: Mapping[str, Any] | xr.Dataset | None = None,
        times: Sequence[float] | None = None,
        fields: Sequence[str] | None = None,
        estimate: str = "auto",
        **task: Any,
    ) -> xr.Dataset:
        """As `predict`, on to a time beyond the trained one: the state at its end is the next window's task.

        Example: `surrogate.march(until=5, u0=u0)`, with `times=[1, 2.5, 5]`, or `at` as for `predict`. What `predict`
        says of a task stands here over `window`: `in_range` is 0 for the windows whose state is none that training
        drew from, and `accumulated_error` adds up the windows' estimated errors.
        """
        return marched(self.networks, task, until, at, times, fields, estimate)

    def refine(
        self,
        tolerance: float | None = None,
        steps: int | None = None,
        points: int | None = None,
        seed: int = 0,
        at: Mapping[str, Any] | xr.Dataset | None = None,
        fields: Sequence[str] | None = None,
        save: str | Path | None = None,
        **task: Any,
    ) -> xr.Dataset:
        """As `predict`, after Levenberg-Marquardt steps on each task's own physics (no data needed).

        10 steps, or as many as bring the estimated error below `tolerance`; `refinement` says how it ended. `points`
        a step are 300, and 1,200 where the task holds a function. `save` is a directory for the refined networks:
        `pinnlora.load(save).predict()` needs no hypernetwork.
        """
        if save is not None:
            check_place(save)
        networks = self.networks(**task)
        check_asked(networks, at, fields)
        found = refine(networks, tolerance, steps, points, seed)
        if save is not None:
            save_networks(found.networks, Path(save))
        return refined_dataset(found, at, fields)

    def explore(self, output: str | Path) -> None:
        """Write one HTML page with sliders for the task and the fields by this network: no network access needed."""
        from pinnlora.query.explore import write_page

        write_page(self, Path(output))

    def module(self, **task: Any) -> SolutionModule:
        """One task's solution as a plain torch module: coordinates (point, dim) -> fields (point, field).

        It says nothing of the task's range and error, which `predict` does, and gives numbers at all points, those
        outside of the domain included.
        """
        return SolutionModule(self.networks(**task))

    def invert(
        self,
        observations: xr.Dataset | Mapping[str, Any],
        noise: float | Mapping[str, float] = 0.01,
        seed: int = 0,
    ) -> xr.Dataset:
        """The task that explains measurements of some fields at some points, and how well it is known.

        observations: fields over `point` with coordinates (nan: not measured), or a dict of arrays; with a dimension
        `task`, many sets at once. noise: their standard deviation, or one for each field. The answer has `re`, `re_low`
        and `re_high` of the 90 % interval, the covariance, the misfit (about 1) and a warning, empty where all is well.
        The attribute `calibration` says what the surrogate's own error, which intervals hold too, rests on.
        """
        data = read_observations(self.problem, observations)
        out = inverted_dataset(self.problem, inverted(self, data, noise, seed), data)
        return out.assign_attrs(calibration=described(self.calibration, "intervals hold the noise alone"))
