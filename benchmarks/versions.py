"""CPU time of one training step over that of another version of the package, both run in turn, A B A B.

Each version lives in a process of its own, on one thread, which reads a line and answers with the seconds of a step:
loss, gradient and Adam's update of one task (float32), or its rows and their Jacobian (float64).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from common import HERE, arguments, ratio, report, run

from pinnlora.errors import UserError

WORKER = """
import sys, time
from dataclasses import replace
import torch
from step_time import case, jets_objective, jets_step
problem, points, kind = sys.argv[1:]
torch.set_num_threads(1)
here = case(problem, int(points))
step = jets_step(here)[0]
if kind == "Jacobian":
    points = {key: at.double() for key, at in here.points.items()}
    values = {key: value.double() for key, value in here.values.items()}
    here = replace(here, points=points, values=values)
    objective, theta = jets_objective(here), here.start.double()
    step = lambda: objective.linearise(theta)
for _ in sys.stdin:
    start = time.process_time()
    step()
    print(time.process_time() - start, flush=True)
"""


def stepper(source: Path, problem: str, points: int, kind: str) -> Callable[[], float]:
    """A function that has the version in `source` (its src/) take one step, and says how many seconds it took."""
    if not (source / "pinnlora").is_dir():
        raise UserError(f"{source}: expected a folder that holds the package pinnlora, such as OTHER/src")
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, problem, str(points), kind],
        env=os.environ | {"PYTHONPATH": f"{source}{os.pathsep}{HERE}", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def step() -> float:
        print(file=process.stdin, flush=True)
        return float(process.stdout.readline())

    return step


def measure(before: Path, problem: str, points: int, kind: str, rounds: int) -> dict:
    """One row of the table."""
    steppers = {
        name: stepper(Path(source).resolve(), problem, points, kind)
        for name, source in (("now", HERE.parent / "src"), ("before", before))
    }
    times: dict[str, list[float]] = {name: [] for name in steppers}
    for turn in range(rounds + 3):
        for name, step in steppers.items():
            seconds = step()
            if turn >= 3:
                times[name].append(seconds)
    return {
        "problem": f"{problem}, {points} points",
        "step": kind,
        "now, ms": 1e3 * median(times["now"]),
        "before, ms": 1e3 * median(times["before"]),
        "now over before": ratio(times["now"], times["before"]),
        "_times": times,
    }


def main(options) -> None:
    """Measure and report."""
    rounds = 3 if options.quick else options.rounds
    sizes = {"Adam": 200 if options.quick else 4000, "Jacobian": 100 if options.quick else 500}
    rows = [
        measure(Path(options.before), problem, points, kind, rounds)
        for problem in ("kovasznay", "burgers1d", "burgers2d")
        for kind, points in sizes.items()
    ]
    notes = [f"medians of {rounds} rounds in turn, ratios within a round; one thread", "target: 1.05 or less"]
    report("versions", "Time of one training step over that of the version before", rows, notes, options)


if __name__ == "__main__":
    run(main, arguments(__doc__, before=("../before/src", "the other version's src"), rounds=(31, "rounds")))
