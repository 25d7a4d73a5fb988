"""`train`: from a problem to a bundle without a workflow, for people who bring their own equation."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

from pinnlora.errors import UserError
from pinnlora.files import read_netcdf, refuse_foreign, write_text
from pinnlora.problem.load import load_problem, problem_file, problem_name
from pinnlora.query.load import load_surrogate
from pinnlora.study.cards import own_card
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import check
from pinnlora.study.lock import alone_in
from pinnlora.study.provenance import begin, code_of, recorded
from pinnlora.study.settings import Settings, check_rank, load_settings, read_config
from pinnlora.temporary import remove_leftovers
from pinnlora.train.appraise import Verdict, appraise
from pinnlora.train.budget import EVALUATION, settings_within
from pinnlora.train.data import of_split, read_reference, read_tasks
from pinnlora.train.kinds import positive_rank
from pinnlora.train.setup import device_of

MINUTES = 5.0
"""The budget where neither it nor a config is given."""
TRAINED = ("base", "physics")
"""The stages of a study that `train` has."""
OF_STUDIES = (
    "study",
    "results",
    "problems",
    "modes",
    "methods",
    "lora_ranks",
    "hypernetwork_ranks",
    "hypernetwork_seeds",
    "evaluation",
)
"""What a config says of a study, and nothing of one bundle."""


def run(
    spec: str,
    output: Path,
    rank: int | str,
    config: Path | None,
    minutes: float | None = None,
    force: bool = False,
    device: str | None = None,
) -> None:
    """Write tasks.nc, reference.nc, base/ and bundle/ under `output`; `device` goes before the config's.

    With `minutes`, or without a config, settings are chosen for the problem and the time; what the config says has
    the last word. `rank` is a number or 'auto'. A training that was killed goes on: what it had made of the same
    settings stays. UserError where something else was trained at `output` before, unless `force`, which removes that
    first; InUse while another process trains there.
    """
    began = time.perf_counter()
    if minutes is not None and not 0 < minutes < math.inf:
        raise UserError(f"--minutes {minutes:g}: expected a number above 0")
    rank = _rank(rank)
    _refuse(output, force)
    check.run(spec)
    minutes = MINUTES if minutes is None and config is None else minutes
    chosen = settings_within(load_problem(spec), minutes) if minutes else {}
    given = _own_part(read_config(config), spec) if config else {}
    settings = load_settings(chosen, given, {"problems": [spec]})
    _tell_of_unused(given, spec)
    check_rank(rank, settings.problem(spec))
    where = device or settings.device
    device_of(where)
    with alone_in(output):
        _refuse(output, force)  # again: it may have been trained meanwhile
        if force:
            _discard(output)
        verdict = _train(settings, spec, output, rank, where, began, minutes)
    print("\n".join(verdict.table()))
    print(
        f"the bundle is {output / 'bundle'}: try `pinnlora predict {output / 'bundle'} --set ... -o out.nc`"
    )
    print(f"{time.perf_counter() - began:.0f} s; {verdict.text}")


def _own_part(config: dict[str, Any], spec: str) -> dict[str, Any]:
    """A config without the overrides of the other problems that it names."""
    problems, overrides = config.get("problems"), config.get("overrides")
    if not (isinstance(problems, list) and isinstance(overrides, dict)):
        return config
    others = {problem_name(str(each)) for each in problems} - {problem_name(spec)}
    return config | {
        "overrides": {key: own for key, own in overrides.items() if problem_name(str(key)) not in others}
    }


def _tell_of_unused(config: dict[str, Any], spec: str) -> None:
    """A line about what a config says of a whole study, and one bundle is not made by."""
    overrides = config.get("overrides", {}).items()
    own = {f"overrides.{key}.": part for key, part in overrides if problem_name(key) == problem_name(spec)}
    unused: list[str] = []
    for path, part in ({"": config} | own).items():
        unused += [f"{path}{key}" for key in OF_STUDIES if key in part]
        unused += [f"{path}training.{stage}" for stage in part.get("training", {}) if stage not in TRAINED]
    if unused:
        print(f"config: {', '.join(unused)} play no part here: `train` makes one hypernetwork, by physics")


def _rank(given: int | str) -> int | str:
    try:
        return "auto" if given == "auto" else positive_rank(given)
    except ValueError:
        raise UserError(f"--rank {given}: expected a number of at least 1, or auto") from None


def _train(
    settings: Settings,
    spec: str,
    output: Path,
    rank: int | str,
    where: str,
    began: float,
    minutes: float | None,
) -> Verdict:
    """All jobs, one after the other, on the code that the first one finds."""
    made, code = dict[str, Path](), _code(spec)
    trained: dict[str, Any] = {"device": where, "checkpoint_minutes": settings.checkpoint_minutes}

    def make(job: str, stage: str, path: Path, **more: Any) -> None:
        """One job on all that was made before it."""
        if _code(spec) != code:
            raise UserError(
                f"the code of {spec} changed while it was being trained: train again with --force"
            )
        own = job_settings(settings, problem_name(spec), stage, rank, "physics")
        module, provenance = begin(f"study.jobs.{job}", own, made.values())
        remove_leftovers(path)
        if path.exists():
            _same(path, provenance)
            return
        if minutes and stage == "hypernetwork" and own["stage"]["seconds"]:
            own["stage"]["seconds"] = _left(began, minutes)
        module.run(own, **made, output=path, provenance=provenance, **more)

    make("tasks", "tasks", output / "tasks.nc")
    made["tasks"] = output / "tasks.nc"
    waited = time.perf_counter()
    with own_card(where):
        began += time.perf_counter() - waited
        make("fit", "base", output / "base", **trained)
        made["base"] = output / "base"
        make("reference", "reference", output / "reference.nc", device=where)
        made = {"tasks": made["tasks"], "reference": output / "reference.nc", "base": made["base"]}
        make("hypernetwork", "hypernetwork", output / "bundle", **trained)
        if _code(spec) != code:
            print(f"the code of {spec} changed meanwhile: the bundle is of what it was before")
        return _judge(output, where)


def _code(spec: str) -> str | None:
    """A hash of the problem's code and data and of what trains them; None while it cannot be read."""
    try:
        return code_of("study.jobs.hypernetwork", problem_file(spec))
    except (OSError, SyntaxError, ValueError):
        return None


def _refuse(output: Path, force: bool) -> None:
    """Before anything else, not after the training."""
    for name in ("tasks.nc", "reference.nc"):
        refuse_foreign(output / name, directory=False)
    for name in ("base", "bundle"):
        refuse_foreign(output / name, directory=True)
    if not force and _finished(output / "bundle"):
        raise _earlier(output / "bundle")


def _discard(output: Path) -> None:
    """Remove what was trained before, and its checkpoints, so that a training that is killed goes on without --force;
    the bundle last, for it says that there is something to replace."""
    for name in ("tasks.nc", "reference.nc", "base.checkpoint.safetensors", "bundle.checkpoint.safetensors"):
        (output / name).unlink(missing_ok=True)
    for name in ("base", "bundle"):
        if (output / name).is_dir():
            shutil.rmtree((output / name).resolve())  # where it is a link, this stays


def _finished(bundle: Path) -> bool:
    """Whether a training went on to its verdict."""
    try:
        return bundle.exists() and "verdict" in _config(bundle)
    except (OSError, ValueError):  # it was finished once, whatever happened to it since
        return True


def _config(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "config.json").read_text(encoding="utf-8"))


def _earlier(path: Path) -> UserError:
    return UserError(
        f"{path.parent} holds {path.name} from an earlier training: write elsewhere, or replace it with --force"
    )


def _same(path: Path, provenance: str) -> None:
    """Say that an output stays; UserError where it was made from something else."""
    if recorded(path) not in (provenance, provenance[:16]):
        raise _earlier(path)
    print(f"{path} is there already, made from the same settings and code")


def _left(began: float, minutes: float) -> float:
    """What remains of the time for the hypernetwork, less a share, at most a minute, for evaluation."""
    return max(1.0, 60 * (minutes - min(1.0, EVALUATION * minutes)) - (time.perf_counter() - began))


def _judge(output: Path, device: str) -> Verdict:
    """The verdict on the bundle, which is written into its config.json and model card too."""
    bundle = output / "bundle"
    surrogate = load_surrogate(bundle, device, trust=True)
    values, splits = read_tasks(output / "tasks.nc", surrogate.problem)
    tasks = surrogate.tasks(**of_split(values, splits, "test"))
    verdict = appraise(
        surrogate.parametrisation,
        surrogate.numbers(tasks),
        tasks,
        read_reference(output / "reference.nc", surrogate.problem, values, splits == "test"),
        read_netcdf(bundle / "history.nc")["validation"].values,
    )
    _note(bundle, verdict)
    return verdict


def _note(bundle: Path, verdict: Verdict) -> None:
    """The card first: a training is finished when its config has the verdict."""
    card = (bundle / "README.md").read_text(encoding="utf-8").partition("\nVerdict after training: ")[0]
    table = "\n".join(f"    {line}" for line in verdict.table())
    write_text(bundle / "README.md", f"{card}\nVerdict after training: {verdict.text}\n\n{table}\n")
    config = _config(bundle) | {"verdict": verdict.text}
    write_text(bundle / "config.json", json.dumps(config, indent=2) + "\n")
