"""Is the balance of terms as good as the best fixed weight? A scan over the eight equations of the comparison.

Each trains one network for the middle of its range, all conditions in the loss, for the same steps: with
`balance: true`, and with fixed weights of all conditions. Errors are those of examples.py, relative L2 over a grid.
Seeds differ in first weights and points; every fixed weight and the rule see the same ones.
"""

from __future__ import annotations

import contextlib
import io
import statistics
from typing import Any

import numpy as np
import torch
from common import arguments, report, run
from examples_truth import truth_of

from examples import EXAMPLES, PROBLEMS
from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem
from pinnlora.train.budget import settings_within
from pinnlora.train.data import fields_of, task_set
from pinnlora.train.fit import fit
from pinnlora.train.settings import NetworkSettings, PerTaskStage
from pinnlora.train.setup import network_of, parametrisation_of

WEIGHTS = (1.0, 1e1, 1e2, 1e3, 1e4, 1e5)
RULE = "balance: true"
TARGET = 3


def settings(problem: Problem, quick: bool, conditions: str) -> tuple[NetworkSettings, dict[str, Any]]:
    """The network, small enough for a scan, and the keys of the stage that all trainings share."""
    network = settings_within(problem, 2.0)["network"] | {
        "width": 24,
        "hidden_layers": 3,
        "conditions": conditions,
    }
    stage = {
        "optimiser": "levenberg_marquardt", "dtype": "float64", "horizon": "auto", "relaxation": 0.1,
        "points": 120 * len(problem.coords.names), "condition_points": 40, "steps": 4 if quick else 250,
    }  # fmt: skip
    return NetworkSettings(**network), stage


def scan(name: str, conditions: str, seeds: int, quick: bool) -> list[dict[str, float]]:
    """By seed: the error with each weight (its number as the name), and with the rule."""
    spec = f"{EXAMPLES / name}.py:{PROBLEMS[name].cls}"
    problem, truth = load_problem(spec), truth_of(load_problem(spec), PROBLEMS[name].truth)
    middle = len(truth.solved.fields) // 2
    values = {key: value[middle : middle + 1] for key, value in truth.values.items()}
    fields = truth.solved.fields[middle : middle + 1]
    network, keys = settings(problem, quick, conditions)
    ways = {RULE: {"balance": True}} | {f"{w:g}": {"condition_weight": w} for w in WEIGHTS}
    found = []
    for seed in range(seeds):
        errors = {}
        for way, own in ways.items():
            with contextlib.redirect_stdout(io.StringIO()):
                theta, _ = fit(
                    problem, values, PerTaskStage(**keys, **own), network, "pinn", "full", seed, "cpu"
                )
            errors[way] = _error(problem, network, theta, values, truth.points, fields)
        print(name, seed, {way: f"{error:.1e}" for way, error in errors.items()}, flush=True)
        found.append(errors)
    return found


def _error(
    problem: Problem,
    settings: NetworkSettings,
    theta: torch.Tensor,
    values: dict[str, np.ndarray],
    points: np.ndarray,
    fields: np.ndarray,
) -> float:
    """Relative L2 error of the worst field."""
    tasks = task_set(problem, values, settings.symmetry, theta.device, theta.dtype)
    parametrisation = parametrisation_of(network_of(problem, settings), "full", None, settings)
    found = fields_of(parametrisation, theta, tasks, torch.from_numpy(points)[None])[0].numpy()
    missed = np.sqrt(np.nanmean((found - fields[0]) ** 2, 0) / np.nanmean(fields[0] ** 2, 0))
    return float(missed.max())


def row(name: str, found: list[dict[str, float]]) -> dict[str, Any]:
    """The table's row: geometric means over seeds, and the rule's error over that of the best weight."""
    means = {way: statistics.geometric_mean(errors[way] for errors in found) for way in found[0]}
    best = min((w for w in means if w != RULE), key=means.__getitem__)
    return {
        "problem": name,
        "best weight": best,
        "its error": means[best],
        "worst weight's": max(means[w] for w in means if w != RULE),
        "weight 1": means["1"],
        RULE: means[RULE],
        "over the best": means[RULE] / means[best],
        "_errors": found,
    }


def main(options) -> None:
    """Scan and report."""
    names = [name for name, entry in PROBLEMS.items() if entry.beside]
    names = names[:1] if options.quick else names
    rows = [row(name, scan(name, "soft", options.seeds, options.quick)) for name in names]
    notes = [
        "one network of 3 layers of 24, 250 steps of Levenberg-Marquardt, all conditions in the loss; relative L2 "
        f"of the worst field, geometric mean of {options.seeds} seeds; "
        f"weights {WEIGHTS[0]:g} to {WEIGHTS[-1]:g}, a decade apart",
        f"target: within a factor of {TARGET} of the best fixed weight",
    ]
    report("balance", "Balanced terms against the best fixed weight", rows, notes, options)


if __name__ == "__main__":
    run(main, arguments(__doc__, seeds=(3, "seeds a way")))
