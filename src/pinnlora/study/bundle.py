"""Bundles: a trained hypernetwork as a directory of its own, with its model card, training history and problem."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pinnlora.files import atomic_directory, save_weights, version, write_netcdf
from pinnlora.nets.adapters import LowRank
from pinnlora.problem.base import Problem
from pinnlora.problem.carry import copy_problem
from pinnlora.query.calibration import FORMAT, LEVEL, Calibration
from pinnlora.query.family import Family
from pinnlora.train.progress import History


def save_bundle(
    surrogate: Family,
    output: Path,
    settings: dict[str, Any],
    history: History,
    measured: Mapping[str, float | str] | None = None,
    provenance: str = "",
    code: Mapping[str, bytes] | None = None,
) -> None:
    """Write weights, configuration, model card and history; an own problem's file and its helpers are copied in, as in
    the snapshot `code`, or as they are now.

    `measured` is what is known of these weights on the test tasks: root mean square `test_residual` and
    `test_mismatch` at fresh points, `test_mse` over the whole grid against a `reference` (its kind, and a note), and
    `test_coverage`, the share of them whose error lies in the estimated interval.
    """
    tensors = {f"hypernetwork.{name}": p for name, p in surrogate.hypernetwork.state_dict().items()}
    tensors["base"] = surrogate.base
    config = settings | {
        "inputs": surrogate.hypernetwork.layers[0].in_features,
        "outputs": surrogate.parametrisation.size,
        "iterations": history.iterations,
        "seconds": history.seconds,
        "version": version(),
        "format": FORMAT,
        "provenance": provenance,
    }
    if config["rank"] == "auto" and isinstance(surrogate.parametrisation, LowRank):
        config["ranks"] = surrogate.parametrisation.ranks
    if surrogate.calibration is not None:
        config["calibration"] = surrogate.calibration.stored()
    config |= measured or {}
    with atomic_directory(output) as temporary:
        config |= copy_problem(settings["problem"], temporary, code)
        save_weights(
            temporary / "model.safetensors", tensors, {"format": "pinnlora bundle", "provenance": provenance}
        )
        (temporary / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        card = _card(surrogate.problem, config, surrogate.calibration)
        (temporary / "README.md").write_text(card, encoding="utf-8")
        write_netcdf(history.dataset(), temporary / "history.nc", f"training history of {config['mode']}")


def _accuracy(config: dict[str, Any], calibration: Calibration | None) -> str:
    """Lines on how accurate the weights are on the test tasks, as far as that was measured."""
    lines, known = [], config.get("reference", "none")
    if "test_mse" in config:
        of = f" (those in {config['reference_note']})" if known == "file" else ""
        what = f"Mean squared error of these weights on the test tasks{of}, over the whole grid"
        if known == "refined":
            what = "Mean squared distance to each test task's own refined solution, over the whole grid"
        how = f"; {config['reference_note']}" if known == "refined" else ""
        lines.append(f"- {what}: {config['test_mse']:.2e}{how}.")
    elif "test_residual" in config:
        lines.append("- No test task has a reference solution to compare with.")
    if "test_residual" in config:
        conditions = (
            f", {config['test_mismatch']:.2e} of the conditions' mismatches"
            if "test_mismatch" in config
            else ""
        )
        lines.append(
            "- Root mean square at fresh points, averaged over the test tasks: "
            f"{config['test_residual']:.2e} of the equations' residuals{conditions}."
        )
    if calibration is not None:
        lines.append(_trusted(calibration, config.get("test_coverage")))
    return "".join(f"{line}\n" for line in lines)


def _trusted(calibration: Calibration, covered: float | None) -> str:
    """What the estimated errors rest on, and how they did."""
    kind = calibration.default
    text = (
        f"- Estimated errors come from the {kind} score, calibrated on {len(calibration.ratios[kind])} tasks against "
        f"{calibration.truth} solutions; error / score varies by a factor of {calibration.varies(kind):.1f}"
    )
    if kind == "refined":
        text += ", that of the residual by more than 10, which therefore says little"
    if covered is not None:
        text += f". The {LEVEL:.0%} interval holds for {covered:.0%} of the test tasks"
    return f"{text}."


def _card(problem: Problem, config: dict[str, Any], calibration: Calibration | None) -> str:
    names = problem.task.names
    example = ", ".join(f"{name}=..." for name in names)
    found = f" ({', '.join(map(str, config['ranks']))})" if "ranks" in config else ""
    return f"""# {problem.name}: hypernetwork, mode {config["mode"]}, rank {config["rank"]}{found}

{problem.title}

Given {", ".join(names)} ({problem.task.description}), it predicts the {config["outputs"]} trained numbers of a tanh
network ({config["network"]["hidden_layers"]} hidden layers of {config["network"]["width"]})
for the fields {", ".join(problem.fields)}.

- Training: {config["stage"]["optimiser"]}, {config["iterations"]} steps, {config["seconds"]:.0f} s.
{_accuracy(config, calibration)}- Out of the trained range the prediction is an extrapolation: `in_range` is 0 and the
  interval of its error infinite; `refine` improves it by the task's own physics.

```python
import pinnlora
fields = pinnlora.load("path/to/this/directory").predict({example})
```
"""
