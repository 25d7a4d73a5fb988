"""The study's settings, and what the rules derive from them."""

import hashlib
import json
import shlex
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

try:
    from pinnlora.errors import UserError
    from pinnlora.problem.code import PACKAGE, fingerprint
    from pinnlora.problem.load import problem_file
    from pinnlora.study.interpreter import share_interpreter
    from pinnlora.study.job_settings import job_settings
    from pinnlora.study.settings import load_settings
except ImportError as error:
    raise WorkflowError(f"cannot import the package ({error}); install it first: pip install -e .")

try:
    SETTINGS = load_settings(config)
except UserError as error:
    raise WorkflowError(str(error))

STUDY = f"{SETTINGS.results}/{SETTINGS.study}"
PROBLEMS = [SETTINGS.problem(spec).name for spec in SETTINGS.problems]
GPUS = 0 if SETTINGS.device == "cpu" else 1
THREADS = 2 if GPUS else 1  # without a GPU jobs of one thread run side by side: no time is lost in waiting

share_interpreter(PACKAGE)


# Outputs that others build on, below the study's directory.
OUTPUTS = {
    "tasks": "{problem}/tasks.nc",
    "reference": "{problem}/reference.nc",
    "base": "{problem}/base",
    "fit": "{problem}/fits/{mode}/rank{rank}",
    "teachers": "{problem}/teachers/rank{rank}",
    "hypernetwork": "{problem}/surrogate/{mode}/rank{rank}",
    "evaluate": "{problem}/evaluation.nc",
}


JOBS = {"base": "fit", "teachers": "fit"}  # jobs that are others by their code


def made_by(stage):
    """The input that `stage` makes for the same problem."""

    def path(wildcards):
        return output_of(stage, wildcards.problem)

    return path


def teachers_of(wildcards):
    """Teachers of the same rank, for the modes that learn from them."""
    if wildcards.mode not in ("weights", "distilled"):
        return []
    return output_of("teachers", wildcards.problem, wildcards.rank)


def fits_of(wildcards):
    return [
        output_of("fit", wildcards.problem, str(rank), method)
        for method, rank in SETTINGS.problem(wildcards.problem).fits()
    ]


def surrogates_of(wildcards):
    return [
        output_of("hypernetwork", wildcards.problem, str(rank), mode)
        for mode, rank in SETTINGS.problem(wildcards.problem).surrogates()
    ]


def evaluations(wildcards):
    return [output_of("evaluate", problem) for problem in PROBLEMS]


def output_of(stage, problem=None, rank=None, mode=None):
    """The path, `ancient` where it is what today's code and settings make.

    Times of files say nothing after a checkout or a copy, so they decide only where nothing better is known.
    """
    path = path_of(stage, problem, rank, mode)
    return ancient(path) if settled(stage, problem, rank, mode) else path


def path_of(stage, problem, rank, mode):
    inside = OUTPUTS[stage].format(problem=problem, rank=rank, mode=mode)
    return f"{STUDY}/{inside}"


@cache
def settled(stage, problem=None, rank=None, mode=None):
    """Whether an output and all that it is built on exist, were made by today's code and settings, and may stay.

    The first line of a job's log holds the `provenance` it ran with.
    """
    path = path_of(stage, problem, rank, mode)
    log = Path(STUDY, "logs", Path(path).relative_to(STUDY).with_suffix(".log"))
    forced = workflow.dag_settings.forcerun
    if stage in forced or path in forced or not Path(path).exists() or not log.is_file():
        return False
    with log.open(encoding="utf-8", errors="replace") as lines:
        if lines.readline().strip() != f"provenance {provenance(stage, problem, rank, mode)}":
            return False
    return all(settled(*key) for key in upstream(stage, problem, rank, mode))


def repeated(option, name):
    """`option` before each of the inputs called `name`."""

    def arguments(wildcards, input):
        paths = input.get(name, [])
        return " ".join(
            f"{option} {shlex.quote(path)}" for path in ([paths] if isinstance(paths, str) else paths)
        )

    return arguments


def settings_of(stage):
    """JSON of the settings that the job uses, and no others: what else is changed leaves it alone."""

    def text(wildcards):
        return settings_text(stage, *job_key(wildcards))

    return text


def code_of(stage):
    """The job's `provenance`: as it covers everything upstream, a run cut short is taken up where it stopped."""

    def digest(wildcards):
        return provenance(stage, *job_key(wildcards))

    return digest


def job_key(wildcards):
    return (
        wildcards.get("problem"),
        wildcards.get("rank"),
        wildcards.get("method", wildcards.get("mode")),
    )


@cache
def settings_text(stage, problem, rank, mode):
    return json.dumps(job_settings(SETTINGS, problem, stage, rank, mode), sort_keys=True)


@cache
def provenance(stage, problem=None, rank=None, mode=None):
    """Hash of a job's code and settings, and of those of all jobs upstream."""
    if stage in ("table", "figure"):
        parts = [
            fingerprint(
                f"pinnlora.report.jobs.{stage}", files=tuple((PACKAGE / "report" / "paper").glob("*.csv"))
            )
        ]
    else:
        own_file = problem_file(SETTINGS.problem(problem).spec)
        parts = [
            fingerprint(f"pinnlora.study.jobs.{JOBS.get(stage, stage)}", own_file),
            settings_text(stage, problem, rank, mode),
        ]
    parts += [provenance(*key) for key in upstream(stage, problem, rank, mode)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def upstream(stage, problem, rank, mode):
    """The jobs that a job builds on, as arguments of `provenance`."""
    if stage in ("table", "figure"):
        return [("evaluate", name) for name in ([problem] if problem else PROBLEMS)]
    if stage == "evaluate":
        chosen = SETTINGS.problem(problem)
        fits = [("fit", problem, str(rank), method) for method, rank in chosen.fits()]
        made = [("hypernetwork", problem, str(rank), mode) for mode, rank in chosen.surrogates()]
        return [("base", problem), *fits, *made]
    tasks, reference, base = ("tasks", problem), ("reference", problem), ("base", problem)
    teachers = [("teachers", problem, rank)] if mode in ("weights", "distilled") else []
    return {
        "tasks": [],
        "reference": [tasks],
        "base": [tasks],
        "fit": [reference, base],
        "teachers": [reference, base],
        "hypernetwork": [reference, base, *teachers],
    }[stage]
