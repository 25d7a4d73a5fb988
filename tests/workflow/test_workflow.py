"""What the workflow runs, and what it runs again. The jobs are stubs; see stub_project.py."""

import pytest
import yaml
from stub_project import (
    FIGURES,
    ROOT,
    SMALL,
    TABLES,
    edit,
    planned,
    report,
    run,
    snakemake,
    trained,
    write,
)


def test_a_finished_study_has_nothing_to_do(finished):
    assert planned(finished) == set()
    for problem in ("kovasznay", "burgers2d"):
        for name in {f"{problem}/tasks.nc", f"{problem}/reference.nc", f"{problem}/base"} | trained(problem):
            assert (finished / "results/small" / name).exists(), name


def test_a_reworded_comment_or_docstring_reruns_nothing(project):
    edit(project, "nets/mlp.py", '"""About nets/mlp."""', '"""All about it."""\n\n# why')
    edit(project, "study/jobs/fit.py", "arguments):", 'arguments):\n    """Run it."""  # quickly\n')
    assert planned(project) == set()


def test_an_edit_to_figures_redraws_figures_only(project):
    edit(project, "report/curves.py", "value = ", "value = 'new' + ")
    assert planned(project) == FIGURES


def test_an_edit_to_tables_remakes_tables_only(project):
    edit(project, "report/tables.py", "value = ", "value = 'new' + ")
    assert planned(project) == TABLES


def test_an_edit_to_a_problem_reruns_that_problem(project):
    edit(project, "problem/library/kovasznay.py", "name = ", "title = ")
    first = {"kovasznay/tasks.nc", "kovasznay/reference.nc", "kovasznay/base"}
    assert planned(project) == first | trained("kovasznay")


def test_an_edit_behind_hypernetworks_reruns_these(project):
    edit(project, "nets/hypernetwork.py", "value = ", "value = 'new' + ")
    expected = set()
    for problem in ("kovasznay", "burgers2d"):
        expected |= {f"{problem}/surrogate/{mode}/rank1" for mode in ("weights", "physics")} | report(problem)
    assert planned(project) == expected


def test_a_setting_reruns_what_uses_it(project):
    write(project, SMALL | {"overrides": {"kovasznay": {"training": {"teachers": {"steps": 7}}}}})
    one = {"kovasznay/teachers/rank1", "kovasznay/surrogate/weights/rank1"}
    assert planned(project) == one | report("kovasznay")
    write(project, SMALL | {"training": {"lora": {"ranks": {2: {"steps": 7}}}}})
    expected = {f"{problem}/fits/lora/rank2" for problem in ("kovasznay", "burgers2d")}
    assert planned(project) == expected | report("kovasznay") | report("burgers2d")


def test_one_more_rank_trains_that_rank(project):
    write(project, SMALL | {"hypernetwork_ranks": [1, "full"]})
    expected = set()
    for problem in ("kovasznay", "burgers2d"):
        expected |= {f"{problem}/surrogate/{mode}/rankfull" for mode in ("weights", "physics")}
        expected |= {f"{problem}/teachers/rankfull"} | report(problem)
    assert planned(project) == expected


def test_another_seed_trains_each_hypernetwork_once_more_and_nothing_else(project):
    write(project, SMALL | {"hypernetwork_seeds": 3})
    expected = set()
    for problem in ("kovasznay", "burgers2d"):
        again = {f"rank1-seed{2023 + k}" for k in (1, 2)}
        expected |= {f"{problem}/surrogate/{m}/{rank}" for m in ("weights", "physics") for rank in again}
        expected |= report(problem)
    assert planned(project) == expected


def test_a_run_cut_short_is_taken_up_where_it_stopped(project):
    write(project, SMALL | {"overrides": {"kovasznay": {"training": {"base": {"steps": 7}}}}})
    run(project, "results/small/kovasznay/base")
    assert planned(project) == trained("kovasznay")


def test_a_reference_that_is_refined_asks_for_the_gpu_that_it_computes_on(project):
    for kind, asked in (("auto", "gpu=0"), ("refined", "gpu=1")):
        write(project, SMALL | {"reference": kind, "device": "cuda"})
        said = run(project, "-n", "--forcerun", "reference", "--until", "reference", "--resources", "gpu=1")
        job = said.split("rule reference:")[1].split("\n\n")[0]
        assert asked in job and ("threads: 2" in job) is (kind == "refined"), job


def test_a_forced_rule_takes_what_builds_on_it_along(project):
    forced = planned(project, "--forcerun", "results/small/kovasznay/base")
    assert forced == {"kovasznay/base"} | trained("kovasznay")
    assert planned(project, "--forcerun", "evaluate") == report("kovasznay") | report("burgers2d")


def test_a_failing_job_shows_its_line_and_where_its_log_is(project):
    edit(project, "nets/mlp.py", "value = ", "value = 'new' + ")
    (project / "broken").write_text("fits/lora")
    done = snakemake(project)
    assert done.returncode == 1
    assert "\nerror: it broke\n" in done.stdout
    assert "log: results/small/logs/kovasznay/fits/lora/rank1.log (check log file(s)" in done.stdout
    assert not (project / "results/small/kovasznay/fits/lora/rank1").exists()


@pytest.mark.parametrize("name", ["config", "smoke", "paper"])
def test_the_studies_can_be_planned_and_do_not_mix(finished, name):
    settings = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
    study = None if name == "config" else f"config/{name}.yaml"
    done = snakemake(finished, "-n", "-p", "--until", "tasks", study=study)
    assert done.returncode == 0, done.stdout
    counts = settings["overrides"]["burgers1d"].get("tasks", {}).get("train", settings["tasks"]["train"])
    assert (
        f'"problem": "burgers1d", "seed": 2023, "tasks": {{"test": {settings["tasks"]["test"]},'
        in done.stdout
    )
    assert f'"train": {counts},' in done.stdout
    assert f"results/{settings['study']}/burgers1d/tasks.nc" in done.stdout


def test_single_keys_on_the_command_line(finished):
    done = snakemake(finished, "-n", "-p", "--until", "tasks", "--config", "seed=7", "study=mine", study=None)
    assert '"problem": "burgers1d", "seed": 7,' in done.stdout
    assert '"train": 100,' in done.stdout
    assert "results/mine/burgers1d/tasks.nc" in done.stdout


def test_a_wrong_setting_is_one_line_before_any_job(project):
    write(project, SMALL | {"training": {"physics": {"stpes": 3}}, "lora_ranks": [1, -4]})
    done = snakemake(project)
    assert done.returncode == 1
    assert "config: training.physics.stpes: unknown key, did you mean 'steps'?\n" in done.stdout
    assert "config: lora_ranks[1]: -4 is not a positive rank\n" in done.stdout
    assert "Traceback" not in done.stdout


def test_data_without_a_reference_is_one_line_before_any_job(project):
    (project / "heat.py").write_text("class Heat(Problem):\n    pass\n")
    write(project, SMALL | {"problems": ["heat.py:Heat"], "modes": ["data", "physics"]})
    done = snakemake(project)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "config: modes: data learns from reference solutions" in done.stdout


def test_a_problem_of_ones_own(project):
    (project / "heat.py").write_text("class Heat:\n    pass\n")
    write(project, SMALL | {"problems": ["kovasznay", "burgers2d", "heat.py:Heat"]})
    names = {name.replace("kovasznay", "heat") for name in trained("kovasznay")}
    assert planned(project) == names | {"heat/tasks.nc", "heat/reference.nc", "heat/base"}
    run(project, "results/small/heat/reference.nc")
    (project / "heat.py").write_text("class Heat:\n    pass  # cold\n")
    assert "heat/tasks.nc" not in planned(project)
    (project / "heat.py").write_text("class Heat:\n    alpha = 1\n")
    assert "heat/tasks.nc" in planned(project)


def test_it_can_be_part_of_another_workflow(project):
    outer = project / "outer"
    outer.mkdir()
    (outer / "Snakefile").write_text(
        f'module inner:\n    snakefile: "{project}/Snakefile"\n'
        f'    config: {SMALL!r}\n    prefix: "inside"\n\n'
        "use rule * from inner as inner_*\n\n"
        'rule every:\n    default_target: True\n    input: "inside/results/small/tables/table1.csv"\n'
    )
    for again in (False, True):
        done = snakemake(project, "-s", "outer/Snakefile", study=None)
        assert done.returncode == 0, done.stdout
        assert ("Nothing to be done" in done.stdout) is again
        assert (project / "inside/results/small/tables/table1.csv").exists()
    edit(project, "report/tables.py", "value = ", "value = 'new' + ")
    made = planned(project, "-s", "outer/Snakefile", study=None)
    assert made == {f"inside/results/small/tables/table1.{kind}" for kind in ("csv", "md")}
    forced = planned(project, "-s", "outer/Snakefile", "--forcerun", "inner_evaluate", study=None)
    assert forced - made == {f"inside/results/small/{problem}/evaluation.nc" for problem in SMALL["problems"]}


def test_it_builds_a_report(finished):
    run(finished, "--report", "report.html")
    assert "Networks of single tasks" in (finished / "report.html").read_text()


def test_lint_finds_nothing(finished):
    done = snakemake(finished, "--lint", study=None)
    assert done.returncode == 0, done.stdout


def test_the_resolved_settings_lie_beside_the_results(finished):
    saved = yaml.safe_load((finished / "results/small/config.yaml").read_text())
    assert saved["lora_ranks"] == [1, 2] and saved["training"]["base"]["steps"] == 1000
