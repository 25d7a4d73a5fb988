"""A surrogate as one page to look at: sliders for the task, the fields by the real network, the estimated error."""

from __future__ import annotations

import base64
import html
import itertools
import json
import math
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib import colormaps

from pinnlora.files import atomic
from pinnlora.problem.base import Problem
from pinnlora.query.calibration import Calibration
from pinnlora.query.explore_graphs import CHUNK, page_graphs
from pinnlora.query.score import score

if TYPE_CHECKING:
    from pinnlora.query.surrogate import Surrogate

SHOWN = 101
"""Points along each axis that is drawn."""
WAVES = 8
"""Unknowns of a function that have a slider: those of its longest waves."""
BEYOND = 1.1
"""How far the sliders of numbers go, in units of the trained range: what lies beyond is told apart."""
NODES = 17
"""Nodes for each number of the table of scores, where a score cannot be computed in the page."""

LEAST = 1e-300
"""What the logarithm of 0 is taken of there."""


def write_page(surrogate: Surrogate, output: Path) -> None:
    """One HTML file that needs neither a network nor this package.

    UserError where the problem's functions cannot be written as a graph for the page.
    """
    page, problem = files("pinnlora.query").joinpath("page"), surrogate.problem
    graphs = page_graphs(surrogate)
    about = graphs | _described(surrogate) | {"chunk": CHUNK}
    if "score" not in graphs["graphs"]:
        about["table"] = _table(surrogate)
    about["how"] = _how(surrogate.calibration, "score" in graphs["graphs"], about.get("table") is not None)
    about["kernels"] = base64.b64encode(page.joinpath("kernels.wasm").read_bytes()).decode()
    scripts = [
        page.joinpath(name).read_text(encoding="utf-8")
        for name in ("kernels.js", "fuse.js", "graph.js", "view.js")
    ]
    text = Template(page.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(f"{problem.name}: {problem.title}"),
        aspect=_aspect(problem),
        surrogate=json.dumps(about, separators=(",", ":"), allow_nan=False).replace("</", "<\\/"),
        scripts="\n".join(scripts),
    )
    with atomic(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _described(surrogate: Surrogate) -> dict[str, Any]:
    """What the page shows: axes, fields, the task and its sliders, colours, the calibration."""
    problem = surrogate.problem
    box = problem.coords
    axes = [
        {"name": name, "low": low, "high": high, "count": SHOWN}
        for name, low, high in zip(box.names, box.low, box.high, strict=True)
    ]
    functions = problem.task.functions
    task = [
        {"name": name, "grid": [float(x) for x in field.grid], "limits": list(field.limits().items())}
        if (field := functions.get(name)) is not None
        else {"name": name}
        for name in problem.task.names
    ]
    colours = colormaps["viridis"](np.arange(256), bytes=True)[:, :3].ravel()
    return {
        "title": problem.title,
        "fields": list(problem.fields),
        "axes": axes,
        "task": task,
        "unknowns": _unknowns(problem),
        "colours": [int(colour) for colour in colours],
        "calibration": None if surrogate.calibration is None else _factors(surrogate.calibration),
    }


def _unknowns(problem: Problem) -> list[dict[str, Any]]:
    """Each unknown of `decode` with where it starts; those that have a slider with its label and its ends."""
    found: list[dict[str, Any]] = []
    rng = np.random.default_rng(1)
    for factor in getattr(problem.task, "factors", (problem.task,)):
        for name in () if factor.functions else factor.names:
            found.append({"name": name, "label": name, "low": -BEYOND, "high": BEYOND, "start": 0.0})
        for name, field in factor.functions.items():
            before: list[int] = []
            for k, wave in enumerate(field.wavenumbers()):
                one: dict[str, Any] = {"name": name, "wave": wave, "start": 0.0}
                if k < WAVES:
                    part = "sine" if wave in before else "cosine"
                    label = f"{name}: constant" if wave == 0 else f"{name}: {part} {wave}"
                    one |= {
                        "label": label,
                        "low": -3.0,
                        "high": 3.0,
                        "start": round(rng.standard_normal(), 2),
                    }
                before.append(wave)
                found.append(one)
    return found


def _factors(calibration: Calibration) -> dict[str, Any]:
    """What a score is multiplied by: the median and the ends of the interval, null for infinity."""
    one = np.ones(1)
    low, high = (float(end[0]) for end in calibration.interval("residual", one))
    median = float(calibration.estimate("residual", one)[0])
    return {"median": median, "low": low, "high": high if math.isfinite(high) else None}


def _how(calibration: Calibration | None, exact: bool, table: bool) -> str:
    """What the estimated error rests on, for the reader of the page."""
    if calibration is None:
        return "The errors of this bundle were never measured: there is no estimate."
    if not exact and not table:
        return "The residual cannot be computed in this page: pinnlora predict gives the estimated error."
    how = "computed here" if exact else f"interpolated between {NODES} values of each parameter"
    text = (
        f"Estimated error: root mean square over domain and fields; the residual, {how}, times what it was worth on "
        f"{len(calibration.ratios['residual'])} tasks, against {calibration.truth} solutions."
    )
    if calibration.default != "residual":
        text += " For this problem the residual says little: pinnlora predict takes refining steps to estimate it."
    return text


def _table(surrogate: Surrogate) -> dict[str, Any] | None:
    """Logarithms of residual, mismatch and loss of tasks in range, for one or two numbers, None where there are none;
    None for more numbers."""
    task = surrogate.problem.task
    count = len(task.bounded)
    if count > 2 or task.functions:
        return None
    nodes = np.array(list(itertools.product(np.linspace(-1, 1, NODES), repeat=count)))
    values = {name: value.numpy() for name, value in task.decode(torch.from_numpy(nodes)).items()}
    found = score(surrogate.networks(**values))
    logs = np.log(np.maximum(np.stack([found.residual, found.mismatch, found.loss]), LEAST))
    return {
        "nodes": NODES,
        "logs": [[each if math.isfinite(each) else None for each in row] for row in logs.tolist()],
    }


def _aspect(problem: Problem) -> str:
    """Width over height of the maps: true to scale, but for time."""
    box = problem.coords
    if len(box.names) < 2 or "t" in box.names[:2]:
        return "1.2"
    width, height = (box.high[k] - box.low[k] for k in (0, 1))
    return f"{min(3.0, max(0.5, width / height)):.3f}"
