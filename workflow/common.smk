"""The study's settings and plan, and what the rules derive from them. How reruns are decided: config/README.md."""

from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import RerunTrigger

try:
    from pinnlora.errors import UserError
    from pinnlora.problem.code import PACKAGE
    from pinnlora.study.graph import Job, Plan, inputs
    from pinnlora.study.interpreter import share_interpreter
    from pinnlora.study.memory import mem_mb
    from pinnlora.study.settings import load_study, read_config
    from pinnlora.study.settings_files import save_resolved
    from pinnlora.train.kinds import rank_or_name
except ImportError as error:
    raise WorkflowError(f"cannot import the package ({error}); install it first: pip install -e .")

try:
    for file in workflow.configfiles:  # for keys that stand there twice, which Snakemake lets through
        read_config(Path(file))
    SETTINGS = load_study(config)
except UserError as error:
    raise WorkflowError(str(error))

STUDY = f"{SETTINGS.results}/{SETTINGS.study}"
PROBLEMS = [SETTINGS.problem(spec).name for spec in SETTINGS.problems]
GPUS = 0 if SETTINGS.device == "cpu" else 1
THREADS = 2 if GPUS else 1  # without a GPU jobs of one thread run side by side: no time is lost in waiting
# As a module of another workflow paths and rules have other names; rules are parsed while these are in force.
PLACE = workflow.modifier.path_modifier.replace_prefix(STUDY)
RULE_NAME = workflow.modifier.modify_rulename
ALONE = workflow.modifier.parent_modifier is None

share_interpreter(PACKAGE)


def forced(job):
    """Whether the user asked for a job to be run again, by its rule's name or by its output's."""
    names = {rule.name for rule in workflow.dag.forcerules}
    return RULE_NAME(job.stage) in names or not workflow.dag.forcefiles.isdisjoint(paths(job))


def paths(job):
    return [f"{PLACE}/{path}" for path in job.outputs()]


PLAN = Plan(SETTINGS, Path(PLACE), forced)


def job_of(stage, wildcards):
    which = [wildcards[name] for name in ("method", "mode", "number", "quantity") if name in wildcards.keys()]
    fields = ["fields"] if stage == "figure" else [None]
    again = wildcards.get("again", "").removeprefix("-seed")
    chosen = (which or fields)[0], int(again) if again else None
    return Job(stage, wildcards.get("problem"), wildcards.get("rank"), *chosen)


def inputs_of(stage):
    """What a job reads. On the way Snakemake learns whether the plan wants the job run.

    Inputs that stay as they are count as old, whatever their times. As outputs are renamed into place when
    they are whole, and carry their provenance, Snakemake's records of changes and of unfinished jobs are left
    aside, unless other rules than these need them.
    """

    def paths_by_option(wildcards):
        job = job_of(stage, wildcards)
        if ALONE:
            workflow.dag_settings.rerun_triggers = frozenset([RerunTrigger.MTIME])
            workflow.dag.ignore_incomplete = True
        if PLAN.pending(job):
            workflow.dag.forcefiles.update(paths(job))
        return {option: [path_of(each) for each in group] for option, group in inputs(SETTINGS, job).items()}

    return paths_by_option


def path_of(job):
    path = f"{STUDY}/{job.outputs()[-1]}"
    return path if PLAN.pending(job) else ancient(path)


def gpus_of_reference(wildcards):
    """Only one that is refined is computed on a GPU."""
    return GPUS if SETTINGS.problem(wildcards.problem).reference == "refined" else 0


def memory_of(stage):
    """Megabytes for a job, twice what it should need; as much again when it is tried again."""

    def megabytes(wildcards, attempt):
        job = job_of(stage, wildcards)
        problem, rank = SETTINGS.problem(job.problem), rank_or_name(job.rank or "full")
        return attempt * mem_mb(problem, stage, rank, job.which or "")

    return megabytes


def command_of(stage):
    """The job's words on the command line, but for its outputs."""

    def words(wildcards, input):  # what depends on `input` is no reason for Snakemake to run a job again
        given = {option: [paths] if isinstance(paths, str) else paths for option, paths in input.items()}
        return PLAN.command(job_of(stage, wildcards), given)

    return words


def measured_code(wildcards):
    """All files of the benchmark of many dimensions; which of its cells they make invalid it finds out itself."""
    from pinnlora.problem.code import closure

    root = Path(workflow.basedir)
    given = [
        *(root / "examples").glob("*.py"),
        root / "examples/high_dimensions.yaml",
        root / "examples/stein.yaml",
    ]
    return [*closure(root / "benchmarks/high_dimensions.py"), *given]
