"""Which jobs run: the plan, without Snakemake."""

import shlex
from collections import Counter

import pytest
from typer.testing import CliRunner

from pinnlora.cli import app
from pinnlora.study import graph
from pinnlora.study.graph import MODULES, OUTPUTS, Job, Plan, inputs
from pinnlora.study.provenance import built
from pinnlora.study.settings import load_settings

SETTINGS = load_settings({"problems": ["kovasznay"], "lora_ranks": [1], "hypernetwork_ranks": [1]})
BASE, FIT = Job("base", "kovasznay"), Job("fit", "kovasznay", "1", "lora")
EVALUATION, TABLE = Job("evaluate", "kovasznay"), Job("table", which="1")
TASKS, REFERENCE = Job("tasks", "kovasznay"), Job("reference", "kovasznay")


def every(job: Job) -> set[Job]:
    """A job and all behind it."""
    return {job}.union(*(every(each) for group in inputs(SETTINGS, job).values() for each in group))


@pytest.fixture
def sums(monkeypatch, tmp_path):
    """The checksums of outputs, by path."""
    found = {tmp_path / job.outputs()[-1]: str(job) for job in every(TABLE)}
    monkeypatch.setattr(graph, "checksum_of", found.get)
    return found


@pytest.fixture
def carried(monkeypatch, tmp_path, sums):
    """What outputs carry, by path: all of a finished study to begin with."""
    plan, found = Plan(SETTINGS, tmp_path, lambda job: False), {}
    for job in every(TABLE):
        for name in job.outputs():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
            content = built(sums[tmp_path / each.outputs()[-1]] for each in plan.read(job))
            found[tmp_path / name] = f"{plan.wanted(job)}.{content}"
    monkeypatch.setattr(graph, "recorded", found.get)
    return found


def pending(folder, forced=()) -> set[str]:
    plan = Plan(SETTINGS, folder, lambda job: job.stage in forced)
    return {job.stage for job in every(TABLE) if plan.pending(job)}


def test_only_what_carries_something_else_runs_and_what_builds_on_it(carried, tmp_path):
    assert pending(tmp_path) == set()
    assert pending(tmp_path, ["evaluate"]) == {"evaluate", "table"}
    carried[tmp_path / "kovasznay/fits/lora/rank1"] = "0" * 16
    assert pending(tmp_path) == {"fit", "evaluate", "table"}
    carried[tmp_path / "kovasznay/reference.nc"] = None
    assert pending(tmp_path) == {"reference", "fit", "teachers", "hypernetwork", "evaluate", "table"}


def test_what_was_built_on_other_numbers_runs_though_made_by_the_same_recipe(carried, sums, tmp_path):
    """As after a base network that was made again by the clock, and a kill before what builds on it."""
    sums[tmp_path / "kovasznay/base"] = "another"
    trained = {"fit", "teachers", "hypernetwork", "evaluate", "table"}
    assert pending(tmp_path) == trained
    carried.update({path: text.partition(".")[0] for path, text in carried.items()})  # says nothing of it
    assert pending(tmp_path) == set()


def test_an_output_that_carries_nothing_has_to_be_there(carried, tmp_path):
    (tmp_path / "tables/table1.csv").unlink()
    assert pending(tmp_path) == {"table"}


def test_a_job_is_hashed_with_all_behind_it():
    plan, other = (
        Plan(load_settings({"problems": ["kovasznay"], "seed": seed}), None, None) for seed in (1, 2)
    )
    jobs = [TASKS, REFERENCE, BASE, FIT, EVALUATION, TABLE]
    assert len({each.wanted(job) for each in (plan, other) for job in jobs}) == 2 * len(jobs)


def test_only_the_modes_that_learn_from_teachers_read_them():
    for mode in ("data", "weights", "distilled", "physics"):
        read = inputs(SETTINGS, Job("hypernetwork", "kovasznay", "1", mode))
        assert list(read) == [
            "tasks",
            "reference",
            "base",
            *(["teachers"] * (mode in ("weights", "distilled"))),
        ]


@pytest.mark.parametrize(
    ("methods", "fits"),
    [
        (["lora"], ["fits/lora/rank2", "fits/lora/rank4"]),
        (["finetuned", "pinn"], ["fits/finetuned/rankfull", "fits/pinn/rankfull"]),
        ([], []),
    ],
)
def test_only_the_methods_that_are_asked_for_fit_single_tasks(methods, fits):
    settings = load_settings({"problems": ["kovasznay"], "methods": methods, "lora_ranks": [2, 4]})
    read = [job.outputs()[0] for job in inputs(settings, EVALUATION)["fit"]]
    assert read == [f"kovasznay/{fit}" for fit in fits]


def test_the_other_seeds_of_a_hypernetwork_are_jobs_of_their_own_on_the_same_base():
    settings = load_settings(
        {"problems": ["kovasznay"], "seed": 5, "hypernetwork_seeds": 2, "modes": ["data"]}
    )
    jobs = inputs(settings, EVALUATION)["surrogate"]
    assert [job.again for job in jobs] == [None, 6] * len(settings.hypernetwork_ranks)
    first, again = jobs[:2]
    assert [job.outputs() for job in (first, again)] == [
        ["kovasznay/surrogate/data/rank1"],
        ["kovasznay/surrogate/data/rank1-seed6"],
    ]
    plan = Plan(settings, None, None)
    assert inputs(settings, first) == inputs(settings, again)
    assert (plan.own_settings(first)["seed"], plan.own_settings(again)["seed"]) == (5, 6)
    assert plan.own_settings(first) | {"seed": 6} == plan.own_settings(again)


@pytest.mark.parametrize("job", [*sorted(every(TABLE), key=str), Job("figure", which="rank")], ids=str)
def test_the_command_line_hashes_what_the_plan_hashes(monkeypatch, tmp_path, job):
    """The planned words, read by the real command line, give the inputs in the order of the plan's hash."""
    plan, seen = Plan(SETTINGS, tmp_path, None), {}

    def begin(name, settings, files, asked):
        seen.update(name=name, settings=settings, files=list(files), asked=asked)
        raise SystemExit(7)

    monkeypatch.setattr("pinnlora.cli.begin", begin)
    read = inputs(SETTINGS, job)
    paths = {option: [each.outputs()[-1] for each in group] for option, group in read.items()}
    words = shlex.split(plan.command(job, paths))
    second = {"table": ["--markdown", "b.md"], "figure": ["--pdf", "b.pdf"]}.get(job.stage, [])
    done = CliRunner().invoke(app, ["job", *words, "--output", "a", *second])
    assert done.exit_code == 7, done.output
    assert seen["settings"] == plan.own_settings(job) and seen["asked"] == plan.wanted(job)
    assert [str(path) for path in seen["files"]] == [each.outputs()[-1] for each in plan.read(job)]
    assert seen["name"] == MODULES[job.stage]


def test_every_stage_has_a_place_and_a_module():
    assert set(OUTPUTS) == set(MODULES)


def test_planning_grows_with_the_number_of_jobs_only(monkeypatch, tmp_path):
    """A study of 5,000 jobs: each is looked at once, and code is read once a stage, however many variants there are."""
    counts = Counter()

    def counted(name: str):
        real = getattr(graph, name)

        def call(*arguments):
            counts[name] += 1
            return real(*arguments)

        monkeypatch.setattr(graph, name, call)

    ranks = list(range(1, 41))
    settings = load_settings(
        {
            "problems": [f"kovasznay@v{k}" for k in range(20)],
            "lora_ranks": ranks,
            "hypernetwork_ranks": ranks,
        }
    )
    for name in ("job_settings", "provenance", "code_of", "recorded", "checksum_of"):
        counted(name)
    graph._code.cache_clear()
    plan, jobs, todo = Plan(settings, tmp_path, lambda job: False), set(), [TABLE]
    while todo:
        job = todo.pop()
        if job not in jobs:
            jobs.add(job)
            todo += plan.read(job)
            assert plan.pending(job) and plan.command(job, {})
    assert len(jobs) > 4900
    assert counts["job_settings"] == counts["provenance"] == len(jobs)
    assert counts["code_of"] <= len(set(MODULES.values()))
    assert max(counts["recorded"], counts["checksum_of"]) <= len(jobs)
