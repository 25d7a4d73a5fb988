"""What the benchmarks share: a clock that can be stopped, timing in turn, and results as a table and as JSON."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from pinnlora.errors import UserError
from pinnlora.files import commit, machine, version
from pinnlora.problem.base import Problem
from pinnlora.problem.distributions import sample_splits
from pinnlora.study.settings import ProblemSettings, load_settings
from pinnlora.train.fit import fit

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
CPU = torch.device("cpu")
SEED = 2023


@dataclass
class Clock:
    """Seconds of wall time spent inside `with clock.running():`, nothing else."""

    seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start


@dataclass
class Contestant:
    """A way to train: `step()` goes on for a while and says whether there is more, `error()` measures."""

    name: str
    step: Callable[[], bool]
    error: Callable[[], float]
    clock: Clock = field(default_factory=Clock)
    errors: list[tuple[float, float]] = field(default_factory=list)
    _shown: float = 0.0

    def race(self, target: float, limit: float) -> dict[str, Any]:
        """Step until the error is `target`, or `limit` seconds are over, or there are no more steps."""
        more, mse = True, self.error()
        while more and mse > target and self.clock.seconds < limit:
            with self.clock.running():
                more = self.step()
            mse = self.error()
            self.errors.append((self.clock.seconds, mse))
            self._show()
        return {"seconds": self.clock.seconds, "reached": mse <= target, "MSE": mse, "_errors": self.errors}

    def _show(self) -> None:
        seconds, mse = self.errors[-1]
        if seconds > self._shown:
            self._shown = 1.2 * seconds
            print(f"{time.strftime('%H:%M:%S')} {self.name}: {seconds:.1f} s, MSE {mse:.2e}", flush=True)


def in_turn(
    functions: dict[str, Callable[[], Any]],
    rounds: int,
    warm: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each function in each round, A B A B ..., after `warm` rounds that do not count.

    Whatever slows the machine down for a while then slows all of them.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(warm + rounds):
        for name, function in functions.items():
            began = clock()
            function()
            if turn >= warm:
                times[name].append(clock() - began)
    return times


def ratio(over: list[float], under: list[float]) -> float:
    """The median over rounds of one time over another."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def where() -> dict[str, Any]:
    """Machine, threads, versions, commit and time: without them a number of seconds means nothing."""
    return {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pinnlora": version(),
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def settings_of(study: str, problem: str) -> ProblemSettings:
    """A problem's settings in config/<study>.yaml."""
    return load_settings(HERE.parent / "config" / f"{study}.yaml").problem(problem)


def base_network(
    problem: Problem, settings: ProblemSettings, quick: bool
) -> tuple[torch.Tensor, float, float]:
    """The base network of a study: its numbers (1, size), the seconds it took, and its task."""
    values, _ = sample_splits(problem.task, {}, SEED)
    stage = settings.stage("base")
    stage = stage.model_copy(update={"steps": 4}) if quick else stage
    with contextlib.redirect_stdout(io.StringIO()):
        theta, history = fit(problem, values, stage, settings.network, "base", "full", SEED, "cpu")
    return theta.cpu(), history.seconds, float(next(iter(values.values()))[0])


def arguments(description: str, **defaults: tuple[Any, str]) -> argparse.ArgumentParser:
    """A parser with --quick and --threads, and an option for each `name=(default, help)`."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, numbers without meaning: a test")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (all cores)")
    for name, (default, text) in defaults.items():
        option = "--" + name.replace("_", "-")
        if default is False:
            parser.add_argument(option, action="store_true", help=text)
        else:
            parser.add_argument(option, type=type(default), default=default, help=f"{text} ({default})")
    return parser


def report(name: str, title: str, rows: list[dict[str, Any]], notes: list[str], options: Any) -> None:
    """Print one Markdown table with its notes; write results/<name>.json beside it (quick runs: -quick)."""
    facts = where()
    columns = list(dict.fromkeys(key for row in rows for key in row if not key.startswith("_")))
    print(f"\n### {title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(_cell(row.get(column, "")) for column in columns) + " |")
    print()
    for note in notes:
        print(f"- {note}")
    print("- " + "; ".join(f"{key} {value}" for key, value in facts.items()))
    path = RESULTS / f"{name}{'-quick' if options.quick else ''}.json"
    path.parent.mkdir(exist_ok=True)
    clean = [{key.removeprefix("_"): value for key, value in row.items()} for row in rows]
    said = {
        name: value for name, value in vars(options).items() if not str(value).startswith("/")
    }  # no one's folders
    content = {"title": title, "options": said, "where": facts, "notes": notes, "rows": clean}
    path.write_text(json.dumps(content, indent=1) + "\n")


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """The program: options, threads, one clear line for an error of the user's."""
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        main(options)
    except UserError as error:
        sys.exit(f"error: {error}")
