"""Does the 90 % interval of an inversion hold: Re, nu and u0 from noisy measurements of the true solutions?

Bundles of a study (physics, rank 4) are asked for tasks that were drawn anew; what is measured is the exact solution,
or the solver's, not what the surrogate says. 30 random points give Re and nu; u0 comes from the state at t = 0.5 and
1. A function's interval holds at a share of its points, which the column averages.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from common import SEED, arguments, report, run

import pinnlora
from pinnlora.query.surrogate import Surrogate

POINTS, NOISE = 30, 0.01
REPEATS = {"kovasznay": 200, "burgers2d": 200, "burgers1d": 200}


def exact_measurements(
    surrogate: Surrogate, values: dict[str, np.ndarray], rng: np.random.Generator
) -> xr.Dataset:
    """All fields at POINTS random points, other ones for each task, with noise."""
    problem, count = surrogate.problem, len(next(iter(values.values())))
    box = problem.coords
    points = rng.uniform(box.low, box.high, (count, POINTS, len(box.names)))
    given = {name: torch.from_numpy(value) for name, value in values.items()}
    exact = problem.exact_at(torch.from_numpy(points), given)
    out = xr.Dataset({name: (("task", "point"), points[..., k]) for k, name in enumerate(box.names)})
    for name, field in exact.items():
        noisy = field.expand(count, -1).numpy() + NOISE * rng.standard_normal((count, POINTS))
        out[name] = (("task", "point"), noisy)
    return out


def states(surrogate: Surrogate, values: dict[str, np.ndarray], rng: np.random.Generator) -> xr.Dataset:
    """u of the solver everywhere at t = 0.5 and 1, with noise."""
    axes = surrogate.problem.axes()
    u = surrogate.problem.reference(values)["u"][:, :, [len(axes["t"]) // 2, -1]]
    noisy = u + NOISE * rng.standard_normal(u.shape)
    return xr.Dataset({"u": (("task", "x", "t"), noisy)}, coords={"x": axes["x"], "t": axes["t"][[50, 100]]})


def inverted(name: str, study: Path, repeats: int) -> dict[str, Any]:
    """One problem's row."""
    surrogate = pinnlora.load(study / name / "surrogate" / "physics" / "rank4", trust=True)
    rng = np.random.default_rng(SEED)
    values = surrogate.problem.task.sample(repeats, rng)
    data = (states if surrogate.problem.task.functions else exact_measurements)(surrogate, values, rng)
    began = time.perf_counter()
    found = surrogate.invert(data, noise=NOISE)
    seconds = time.perf_counter() - began
    (parameter,) = values
    low, high = found[f"{parameter}_low"].values, found[f"{parameter}_high"].values
    held = (low <= values[parameter]) & (values[parameter] <= high)
    width = np.median(high - low) / np.std(values[parameter])
    return {
        "problem": name,
        "repetitions": repeats,
        "interval holds": float(held.mean()),
        "its width, in deviations of the law": float(width),
        "misfit": float(found.misfit.mean()),
        "warned": float((found.warning.values != "").mean()),
        "ms a task": 1e3 * seconds / repeats,
    }


def main(options: argparse.Namespace) -> None:
    """One row a problem."""
    rows = []
    for name, repeats in REPEATS.items():
        row = inverted(name, Path(options.study), 4 if options.quick else repeats)
        rows.append(row)
        print(rows[-1], flush=True)
    notes = [f"noise {NOISE}; many tasks at once; the interval is to hold for 80 to 97 % of them"]
    report("inversion", "Tasks from measurements", rows, notes, options)


if __name__ == "__main__":
    run(main, arguments(__doc__, study=("results/default", "directory of a study")))
