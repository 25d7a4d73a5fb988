"""`invert`: a bundle and measurements in, the task that explains them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pinnlora.errors import UserError
from pinnlora.query.load import load
from pinnlora.query.surrogate import Surrogate
from pinnlora.study.jobs.query import check_output, read_points, write_dataset


def run(bundle: Path, data: Path, output: Path, noise: str, device: str, trust: bool = False) -> None:
    """Write the task with its interval, covariance and misfit; say what was found, and what speaks against it."""
    check_output(output, bundle, data)
    deviations = _noise(noise)
    surrogate = load(bundle, device, trust)
    if not isinstance(surrogate, Surrogate):
        raise UserError(f"{bundle} is refined networks of given tasks: an inversion needs the hypernetwork")
    found = surrogate.invert(read_points(data), deviations)
    kept = found if output.suffix != ".csv" else found.drop_dims(["parameter", "other"])
    write_dataset(kept, output, f"{surrogate.problem.name}, the task that explains {data.name}")
    for name in surrogate.problem.task.names:
        if found[name].ndim == 0:
            print(
                f"{name} = {found[name]:.6g} (90 %: {found[f'{name}_low']:.6g} to {found[f'{name}_high']:.6g})"
            )
    print(f"misfit {np.max(found['misfit'].values):.2f} times noise and estimated error")
    for text in dict.fromkeys(np.atleast_1d(found["warning"].values).astype(str)):
        if text:
            print(f"warning: {text}")
    if surrogate.calibration is None:
        print(f"warning: {found.attrs['calibration'].removeprefix('none: ')}")
    print(f"wrote {output}")


def _noise(text: str) -> float | dict[str, float]:
    """'0.01', or 'u=0.01,p=0.1' for every field its own."""
    try:
        if "=" not in text:
            return float(text)
        pairs = [part.partition("=") for part in text.split(",")]
        found = {name: float(value) for name, _, value in pairs}
    except ValueError:
        raise UserError(f"--noise {text}: expected a number, or FIELD=NUMBER,FIELD=NUMBER") from None
    if len(found) < len(pairs):
        raise UserError(f"--noise {text}: a field is given twice")
    return found
