"""What each job of the workflow is told: only the part of the settings that it uses."""

import json
from typing import Any

from pinnlora.errors import UserError
from pinnlora.problem.code import sum_of_file
from pinnlora.study.settings import REFERENCES, ProblemSettings, Settings
from pinnlora.train.kinds import rank_or_name

STAGES = ("tasks", "reference", "base", "fit", "teachers", "hypernetwork", "evaluate", "table", "figure")


class Told(dict):
    """A job's settings as it is told them: what is missing is a UserError."""

    def __missing__(self, key: str) -> None:
        raise UserError(f"--settings have no {key!r}; the workflow writes them")


def told_settings(text: str) -> Told:
    """A job's settings from JSON; UserError for what is none."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings is not JSON ({error}); the workflow writes it") from None
    if not isinstance(found, dict) or not isinstance(found.get("problem", ""), str):
        raise UserError("--settings are no settings of a job; the workflow writes them")
    return Told(found)


def job_settings(
    settings: Settings,
    problem: str | None,
    stage: str,
    rank: int | str | None = None,
    mode: str | None = None,
    seed: int | None = None,
) -> dict:
    """The settings of one job, ready for JSON.

    `stage` is the job, one of STAGES. `mode` is the method of a fit (pinn, finetuned, lora), the mode of a
    hypernetwork, the number of a table or the kind of a figure. `rank` is an integer, also as text,
    'auto' or 'full'. `seed` is by default the study's. Raises UserError where there is no such job or problem.
    """
    if stage not in STAGES:
        raise UserError(f"no job {stage!r}; there are {', '.join(STAGES)}")
    if stage in ("table", "figure"):
        return {"number": int(mode or "")} if stage == "table" else {"kind": mode}
    chosen = settings.problem(problem or "")
    own = _own_part(chosen, stage, rank_or_name(rank or "full"), mode or "")
    return {"problem": chosen.spec, "seed": settings.seed if seed is None else seed} | own


def _own_part(chosen: ProblemSettings, stage: str, rank: int | str, mode: str) -> dict[str, Any]:
    def trained(name: str, rank: int | str) -> dict[str, Any]:
        own = chosen.stage(name, rank).model_dump(mode="json")
        return {"rank": rank, "network": chosen.network.model_dump(mode="json"), "stage": own}

    match stage:
        case "tasks":
            return {"tasks": chosen.tasks.model_dump(mode="json")}
        case "reference":
            file = chosen.reference if chosen.reference not in REFERENCES else None
            return {"reference": chosen.reference} | ({"sha256": sum_of_file(file)} if file else {})
        case "base":
            return {"method": "base", "split": "base"} | trained("base", "full")
        case "fit":
            return {"method": mode, "split": "test"} | trained(mode, rank)
        case "teachers":
            return {"method": "finetuned" if rank == "full" else "lora", "split": "train"} | trained(
                stage, rank
            )
        case "hypernetwork":
            only_auto = set() if rank == "auto" else {"largest_rank", "tolerance"}
            shape = chosen.hypernetwork.model_dump(mode="json", exclude=only_auto)
            return {"mode": mode, "hypernetwork": shape} | trained(mode, rank)
    evaluation = chosen.evaluation.model_dump(mode="json")
    shown = figure_rank(chosen)
    ranks = _lora_ranks(chosen)
    lora = shown if shown in ranks else min(ranks, default=shown)
    return {"evaluation": evaluation | {"figure_rank": shown, "lora_rank": lora}}


def _lora_ranks(chosen: ProblemSettings) -> list[int]:
    return [int(rank) for method, rank in chosen.fits() if method == "lora"]


def figure_rank(chosen: ProblemSettings) -> int | str:
    """The rank that the figures of fields show.

    The one asked for where lora and hypernetworks both have it, else the largest they have in common, else
    the largest of the hypernetworks; without any, of lora, which is shown at its lowest where it has not this one.
    """
    wanted = chosen.evaluation.figure_rank
    lora: set[int | str] = set(_lora_ranks(chosen))
    hypernetworks = set(chosen.hypernetwork_ranks if chosen.modes else ())
    present = (lora & hypernetworks) or hypernetworks or lora
    if wanted in present or not present:
        return wanted
    numbers = [rank for rank in present if isinstance(rank, int)]
    return max(numbers, default="auto" if "auto" in present else "full")
