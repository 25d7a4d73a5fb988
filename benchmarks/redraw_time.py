"""How long does the page of `pinnlora explore` take to draw another task?

Surrogates of the size of the default study, untrained, in headless Chromium, which computes a page in one thread. Each
redraw is of another task: its fields, painted, and its estimated error; on the page's whole grid, and on every second
point of each axis, as while a slider moves.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import arguments, report, run
from playwright.sync_api import Playwright, sync_playwright
from prediction_time import surrogate_of

from pinnlora.errors import UserError
from pinnlora.problem.load import load_problem
from pinnlora.query.calibration import Calibration

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium(started: Playwright) -> Path | None:
    """Playwright's own Chromium or one of the system, None without any."""
    own = Path(started.chromium.executable_path)
    return own if own.exists() else next((Path(path) for path in map(shutil.which, BROWSERS) if path), None)


TIMED = """(rounds) => {
    const times = {moving: [], rested: [], fields: [], estimate: []};
    for (let k = 0; k < rounds + 3; k++) {
        state.unknowns = state.unknowns.map((z, i) => z + (i ? 0 : k % 2 ? 0.01 : -0.01));
        const places = grid().points;
        const asks = {
            moving: () => redraw(2), rested: () => redraw(), fields: () => ask(state.unknowns, places),
            estimate: () => estimate(state.unknowns),
        };
        for (const [name, work] of Object.entries(asks)) {
            const began = performance.now();
            work();
            if (k >= 3) times[name].push((performance.now() - began) / 1000);
        }
    }
    return times;
}"""


def timed(page: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round in a fresh browser: of a redraw while a slider moves, of one on the whole grid, and of the
    latter's fields and estimate alone."""
    with sync_playwright() as started:
        path = chromium(started)
        if path is None:
            raise UserError("no Chromium here: playwright install chromium, or apt-get install chromium")
        browser = started.chromium.launch(executable_path=str(path), args=["--no-sandbox"])
        opened = browser.new_context(offline=True).new_page()
        opened.set_default_timeout(300_000)
        opened.goto(page.as_uri())
        opened.wait_for_function("last !== null")
        found = opened.evaluate(TIMED, rounds)
        browser.close()
    return found


def main(options: argparse.Namespace) -> None:
    """One row a problem."""
    rows: list[dict[str, Any]] = []
    for name in ("kovasznay", "burgers2d", "burgers1d")[: 1 if options.quick else 3]:
        surrogate = surrogate_of(load_problem(name), name)
        surrogate = replace(surrogate, calibration=Calibration({"residual": [0.1 * k for k in range(1, 41)]}))
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            surrogate.explore(page)
            times, size = timed(page, 2 if options.quick else options.rounds), page.stat().st_size
        milliseconds = {key: 1e3 * statistics.median(each) for key, each in times.items()}
        rows.append({
            "problem": name,
            "while a slider moves, ms": milliseconds["moving"],
            "the whole grid, ms": milliseconds["rested"],
            "its slowest, ms": 1e3 * max(times["rested"]),
            "its fields, ms": milliseconds["fields"],
            "its estimated error, ms": milliseconds["estimate"],
            "page, MB": size / 1e6,
            "_times": times,
        })  # fmt: skip
    report("redraw_time", "One redraw of the page of `explore`", rows, ["medians over rounds"], options)


if __name__ == "__main__":
    run(main, arguments(__doc__, rounds=(20, "rounds")))
