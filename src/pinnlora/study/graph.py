"""The jobs of a study: what each reads and writes, and which of them have to run.

A job runs if an output is missing or carries another provenance than today's code and settings ask for, if it was built
on other numbers than its inputs hold, if it is forced, or if something that it reads is made anew. Times of files, logs
and Snakemake's own records play no part.
"""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pinnlora.problem.load import problem_file
from pinnlora.study.job_settings import job_settings
from pinnlora.study.provenance import built, checksum_of, code_of, provenance, recorded
from pinnlora.study.settings import Settings
from pinnlora.train.settings import FROM_TEACHERS

MODULES = {
    "tasks": "study.jobs.tasks",
    "reference": "study.jobs.reference",
    "base": "study.jobs.fit",
    "fit": "study.jobs.fit",
    "teachers": "study.jobs.fit",
    "hypernetwork": "study.jobs.hypernetwork",
    "evaluate": "study.jobs.evaluate",
    "table": "report.jobs.table",
    "figure": "report.jobs.figure",
}
OUTPUTS = {
    "tasks": ("{problem}/tasks.nc",),
    "reference": ("{problem}/reference.nc",),
    "base": ("{problem}/base",),
    "fit": ("{problem}/fits/{which}/rank{rank}",),
    "teachers": ("{problem}/teachers/rank{rank}",),
    "hypernetwork": ("{problem}/surrogate/{which}/rank{rank}{again}",),
    "evaluate": ("{problem}/evaluation.nc",),
    "table": ("tables/table{which}.csv", "tables/table{which}.md"),
    "figure": ("figures/error_against_{which}.pdf", "figures/error_against_{which}.png"),
}
FIELDS = ("figures/{problem}.pdf", "figures/{problem}.png")
RESUMED = ("base", "fit", "teachers", "hypernetwork")
TRAINING = (*RESUMED, "evaluate")


@dataclass(frozen=True)
class Job:
    """One job. `which`: method of a fit, mode of a hypernetwork, number of a table, kind of a figure; `again`: the seed
    of a hypernetwork that is trained with another one than the study's."""

    stage: str
    problem: str | None = None
    rank: str | None = None
    which: str | None = None
    again: int | None = None

    def outputs(self) -> list[str]:
        """What it writes, below the study's directory; the last one, written last, carries the provenance."""
        templates = FIELDS if self.which == "fields" else OUTPUTS[self.stage]
        words = {"problem": self.problem, "rank": self.rank, "which": self.which}
        again = "" if self.again is None else f"-seed{self.again}"
        return [text.format(again=again, **words) for text in templates]


def inputs(settings: Settings, job: Job) -> dict[str, list[Job]]:
    """What a job reads, by the option that names it on the command line, in the order in which it is hashed."""
    name = job.problem or ""
    if job.stage in ("table", "figure"):
        names = [name] if name else [settings.problem(spec).name for spec in settings.problems]
        return {"evaluation": [Job("evaluate", each) for each in names]}
    tasks, reference = {"tasks": [Job("tasks", name)]}, {"reference": [Job("reference", name)]}
    base, teachers = {"base": [Job("base", name)]}, {"teachers": [Job("teachers", name, job.rank)]}
    match job.stage:
        case "tasks":
            return {}
        case "reference":  # one that is refined starts from the base network
            return tasks | (base if settings.problem(name).reference == "refined" else {})
        case "base":
            return tasks
        case "evaluate":
            fits = [Job("fit", name, str(rank), method) for method, rank in settings.problem(name).fits()]
            bundles = [
                Job("hypernetwork", name, str(rank), mode, again)
                for mode, rank in settings.problem(name).surrogates()
                for again in (None, *settings.problem(name).other_seeds())
            ]
            return tasks | reference | base | {"fit": fits, "surrogate": bundles}
    taught = job.stage == "hypernetwork" and job.which in FROM_TEACHERS
    return tasks | reference | base | (teachers if taught else {})


@dataclass(frozen=True)
class Plan:
    """Which jobs of a study have to run. `folder` is the study's; `forced` says what the user wants made anew."""

    settings: Settings
    folder: Path
    forced: Callable[[Job], bool]
    _own: dict[Job, dict] = field(default_factory=dict)
    _wanted: dict[Job, str] = field(default_factory=dict)
    _sums: dict[Job, str | None] = field(default_factory=dict)
    _pending: dict[Job, bool] = field(default_factory=dict)

    def own_settings(self, job: Job) -> dict:
        """The settings that a job uses, and no others: what else is changed leaves it alone."""
        if job not in self._own:
            which = job.problem, job.stage, job.rank, job.which, job.again
            self._own[job] = job_settings(self.settings, *which)
        return self._own[job]

    def read(self, job: Job) -> list[Job]:
        """The jobs whose outputs a job reads."""
        return [each for group in inputs(self.settings, job).values() for each in group]

    def wanted(self, job: Job) -> str:
        """The provenance that the job's output should carry."""
        if job not in self._wanted:
            own = self.own_settings(job)
            code = _code(MODULES[job.stage], problem_file(own["problem"]) if "problem" in own else None)
            self._wanted[job] = provenance(code, own, map(self.wanted, self.read(job)))
        return self._wanted[job]

    def pending(self, job: Job) -> bool:
        """Whether the job has to run."""
        if job not in self._pending:
            paths = [self.folder / path for path in job.outputs()]
            self._pending[job] = (
                self.forced(job)
                or any(map(self.pending, self.read(job)))
                or not all(path.exists() for path in paths)
                or not self._carried(job, recorded(paths[-1]))
            )
        return self._pending[job]

    def _carried(self, job: Job, found: str | None) -> bool:
        """Whether that is what the job's output should carry; one that does not say what it was built on passes."""
        recipe, _, content = (found or "").partition(".")
        return recipe == self.wanted(job) and content in ("", built(map(self._sum, self.read(job))))

    def _sum(self, job: Job) -> str | None:
        if job not in self._sums:
            self._sums[job] = checksum_of(self.folder / job.outputs()[-1])
        return self._sums[job]

    def command(self, job: Job, paths: Mapping[str, Sequence[str]]) -> str:
        """The job as words for `python -m pinnlora job`, but for its outputs; `paths` are its inputs by option.

        Device and interval of checkpoints are told and not hashed: what is trained does not depend on them.
        """
        words = [MODULES[job.stage], "--settings", json.dumps(self.own_settings(job), sort_keys=True)]
        words += [word for option, group in paths.items() for path in group for word in (f"--{option}", path)]
        if job.stage in TRAINING or "base" in paths:
            words += ["--device", self.settings.device]
        if job.stage in RESUMED:
            words += ["--checkpoint-minutes", str(self.settings.checkpoint_minutes)]
        return shlex.join([*words, "--provenance", self.wanted(job)])


@cache
def _code(job: str, problem: Path | None) -> str:
    return code_of(job, problem)
