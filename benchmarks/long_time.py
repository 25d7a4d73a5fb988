"""Beyond the time that was trained: how fast do errors grow when a surrogate goes on from its own end?

1D Burgers, which decays, and regularised long waves, which do not, from drawn states, each window of time a prediction,
beside spectral solutions. Writes docs/long-time.md and its figure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
import yaml
from common import HERE, SEED, arguments, report, run
from tabulate import tabulate
from truths import long_wave

from pinnlora.errors import UserError
from pinnlora.files import atomic
from pinnlora.problem.library.burgers1d import NU
from pinnlora.problem.spectral import solve_burgers
from pinnlora.query.load import load_surrogate
from pinnlora.query.surrogate import Surrogate

UNTIL, TASKS, A_WINDOW = 5, 20, 10
"""The last time, tasks that are drawn, and times that errors are measured at in a window of length 1."""
DOCS = HERE.parent / "docs"
WAVES = f"{HERE.parent / 'examples' / 'long_wave.py'}:LongWave"
BUNDLE = HERE.parent / "results" / "long_wave" / "bundle"
STEPS = {"base": 30, "physics": 6000}
"""Of the long waves' training: what one quiet core does in about five minutes."""
TITLES = {"burgers1d": "1D Burgers", "longwave": "Regularised long waves"}
SHARES = ("errors below its upper end", "states in range")
HEAD = """# Long time

Where the task is the state at the start, a trained surrogate goes on beyond its time: its own state at the end is
the next task.

`u0.npy` holds the state at the function's points, for 1D Burgers 128 values at `x = j / 128`, of mean zero as those of
training: `x = np.arange(128) / 128; np.save("u0.npy", 0.5 * np.sin(2 * np.pi * x))`.

```bash
pinnlora predict results/default/burgers1d/surrogate/physics/rank4 --set u0=u0.npy --until 5 -o u.nc
```

```python
import numpy as np
import pinnlora

surrogate = pinnlora.load("results/default/burgers1d/surrogate/physics/rank4")
found = surrogate.march(until=5, u0=np.load("u0.npy"))  # as predict; also times=[1, 2.5, 5], or at=...
found.in_range  # over window: is the state that it starts from like those of training?
found.estimated_error  # over window, as predict's
found.accumulated_error  # over t: those of the windows so far, added up
```

A problem needs nothing more for it than a condition at the start of `t` that gives a field as the function, `{"u":
u0}` (`{"u": u0, "u_t": v0}` in second order), and equations and conditions that do not depend on `t`. What cannot
be marched is told in one line.

- **Each window is a prediction**, its residual measured anew. The interval of its error is calibrated on tasks that
  were drawn. A state that the surrogate has come to is none of these: `in_range` says whether the law could have
  drawn one with as much energy in each band of waves. Once it is 0, `accumulated_error_high` is infinite from there
  on.
- **Errors add up.** `accumulated_error` is the sum of the windows' estimates. It takes an error that is there as
  neither amplified nor damped: too large where the equation forgets its start, as Burgers' does, too small where it
  is chaotic.
- **No derivatives in the task** such as `u_nu` beyond the first window: later windows start from states that depend
  on it.
- **What the law never draws**, a mean where it has none, is taken out of a state if it is smaller than the window's
  estimated error. If it is larger, the state is out of range.

## Measured

`python benchmarks/long_time.py --burgers results/default/burgers1d/surrogate/physics/rank4` marches drawn tasks
from t = 0 through windows of length 1 and writes this page; a bundle of
[`long_wave.py`](../examples/long_wave.py) is trained where there is none. Solutions are spectral ones. 1D Burgers
loses its energy; the long waves keep theirs, and pass through each other for ever.

![error against time for both problems, above; the state at the end beside its solution, below](long-time.png)

Relative errors are L2 over x at one time; a decaying solution makes them larger. The *accumulated estimate* is what
a user sees at the end of a window, beside the true error there; its *upper end* should be above nine of ten errors,
and is infinite once a state was out of range."""
Solver = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class March(NamedTuple):
    """What was predicted, with u (task, x, t), the solution there, and the rows of the table."""

    found: xr.Dataset
    known: np.ndarray
    rows: list[dict[str, Any]]


def burgers(u0: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(task, x, t) by the package's spectral solver, on the points that u0 is given at; with this step it is right to
    1e-6, of the fourth order of its default's 1e-9."""
    return np.swapaxes(solve_burgers(u0, NU, t, step=1e-3), 1, 2)


def waves(u0: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(task, x, t) by the solver of truths/, whose own error is far below what is measured."""
    return long_wave.solve(None, {"u0": u0}, [x, t]).fields.reshape(len(u0), len(x), len(t))


def measured(surrogate: Surrogate, solve: Solver, until: int, tasks: int) -> March:
    """March `tasks` drawn tasks and hold them against their solutions."""
    problem = surrogate.problem
    u0 = problem.task.sample(tasks, np.random.default_rng(SEED))["u0"]
    x, t = problem.task.functions["u0"].grid, np.linspace(0, until, until * A_WINDOW + 1)
    found = surrogate.march(until, at=xr.Dataset(coords={"x": x, "t": t}), u0=u0)
    known = solve(u0, x, t)
    rows = [_row(found, known, window) for window in range(until)]
    return March(found, known, rows)


def _row(found: xr.Dataset, known: np.ndarray, window: int) -> dict[str, Any]:
    """One window: relative errors at its end, and whether what was said of it holds."""
    end, here = (window + 1) * A_WINDOW, slice(window * A_WINDOW + (window > 0), (window + 1) * A_WINDOW + 1)
    missed = found["u"].values - known
    relative = np.sqrt((missed**2).mean(1) / (known**2).mean(1))
    over = np.sqrt((missed[..., here] ** 2).mean((1, 2)))
    said, most = (found[f"accumulated_error{which}"].values[:, end] for which in ("", "_high"))
    inside = found["in_range"].values.astype(bool)
    return {
        "problem": TITLES[found.attrs["problem"]],
        "until t": float(found["t"][end]),
        "relative error, mean": float(relative[:, end].mean()),
        "worst": float(relative[:, end].max()),
        "root mean square error in the window": float(over.mean()),
        "accumulated estimate": float(said.mean()),
        "errors below its upper end": float((over <= most).mean()),
        "states in range": float(inside[:, window].mean()),
        "_times": found["t"].values[here].tolist(),
        "_mean over tasks": relative[:, here].mean(0).tolist(),
        "_worst of tasks": relative[:, here].max(0).tolist(),
    }


def draw(marches: list[March], path: Path) -> None:
    """Error against time, and one state at the end beside its solution, a column a problem."""
    figure, panels = plt.subplots(2, len(marches), figsize=(8, 5.2), dpi=100, squeeze=False)
    for (over, under), (found, known, _) in zip(panels.T, marches, strict=True):
        t, name = found["t"].values, TITLES[found.attrs["problem"]]
        missed = np.sqrt(((found["u"].values - known) ** 2).mean(1))
        over.semilogy(t, np.sqrt((known**2).mean(1)).mean(0), "k", label="the solution's own size")
        over.semilogy(t, missed.mean(0), "C1", label="error, mean over tasks")
        over.fill_between(
            t, missed.min(0).clip(1e-6), missed.max(0), color="C1", alpha=0.2, label="best to worst task"
        )
        over.semilogy(t, found["accumulated_error"].mean("task"), "C0--", label="accumulated estimate, mean")
        over.set(title=name, xlabel="t", ylim=(1e-5, 2))
        k = int(np.argsort(missed[:, -1])[len(missed) // 2])
        under.plot(found["x"], known[k, :, 0], "0.7", label="u at t = 0")
        under.plot(found["x"], known[k, :, -1], "k", label=f"solution at t = {t[-1]:g}")
        under.plot(found["x"], found["u"].values[k, :, -1], "C1--", label="marched")
        under.set(xlabel="x", title="the task with the median error")
    panels[0, 0].set_ylabel("root mean square over x")
    panels[0, 0].legend(fontsize=7, loc="lower right")
    panels[1, -1].legend(fontsize=7)
    figure.tight_layout()
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png")
    plt.close(figure)


def page(result: dict[str, Any]) -> str:
    """docs/long-time.md from what results/long_time.json holds."""
    columns = [key for key, value in result["rows"][0].items() if not isinstance(value, list)]
    cells = [[_cell(key, row[key]) for key in columns] for row in result["rows"]]
    facts = "; ".join(f"{key} {value}" for key, value in result["where"].items())
    table = tabulate(cells, columns, tablefmt="pipe", disable_numparse=True)
    notes = "\n".join(f"- {line}" for line in [*result["notes"], facts])
    return f"{HEAD}\n\n{table}\n\n{notes}\n"


def _cell(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:g}" if key == "until t" else f"{value:.0%}" if key in SHARES else f"{value:.1e}"


def trained(bundle: Path) -> Path:
    """A bundle of long waves: the one that is there, or trained by the command that users have, with steps counted in
    place of minutes: the same on any machine, busy or not."""
    if bundle.exists():
        return bundle
    home = bundle.parent
    home.mkdir(parents=True, exist_ok=True)
    stages = {stage: {"steps": steps, "seconds": 0} for stage, steps in STEPS.items()}
    (home / "steps.yaml").write_text(yaml.safe_dump({"training": stages}))
    command = [sys.executable, "-m", "pinnlora", "train", WAVES, "--minutes", "5", "-o", str(home)]
    command += ["--config", str(home / "steps.yaml")]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError(f"training the long waves failed: {done.stderr.strip()[-300:]}")
    return bundle


def about(surrogate: Surrogate) -> str:
    """How a bundle was trained."""
    config = surrogate.config
    words = f"rank {config['rank']}, {config['iterations']} steps of {config['stage']['optimiser']}"
    verdict = config.get("verdict", "").partition(":")[0]
    return f"{TITLES[surrogate.problem.name]}: {words}, {config['seconds']:.0f} s" + (
        f"; {verdict}" if verdict else ""
    )


def main(options: argparse.Namespace) -> None:
    """Both problems, or the page alone."""
    result = HERE / "results" / f"long_time{'-quick' if options.quick else ''}.json"
    docs = Path(options.docs)
    if not options.page_only:
        if not options.burgers:
            raise UserError(
                "--burgers: expected the bundle of a study, .../burgers1d/surrogate/physics/rank4"
            )
        surrogates = [
            load_surrogate(options.burgers),
            load_surrogate(trained(Path(options.waves)), trust=True),
        ]
        size = (2, 2) if options.quick else (UNTIL, TASKS)
        marches = [measured(s, solve, *size) for s, solve in zip(surrogates, (burgers, waves), strict=True)]
        rows = [row for march in marches for row in march.rows]
        report("long_time", "Marching", rows, [about(surrogate) for surrogate in surrogates], options)
        draw(marches, docs / "long-time.png")
    with atomic(docs / "long-time.md") as temporary:
        temporary.write_text(page(json.loads(result.read_text())))
    print(f"written: {docs / 'long-time.md'}")


if __name__ == "__main__":
    options = {
        "burgers": ("", "the bundle of 1D Burgers, of a study"),
        "waves": (str(BUNDLE), "a bundle of examples/long_wave.py, trained if it is not there"),
        "docs": (str(DOCS), "where page and figure go"),
        "page_only": (False, "run nothing, write the page from what is there"),
    }
    run(main, arguments(__doc__, **options))
