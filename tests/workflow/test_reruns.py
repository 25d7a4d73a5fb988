"""What is run again after losses, kills and edits at the wrong moment. The jobs are stubs; see stub_project.py."""

import os
import shutil

import pytest
from stub_project import SMALL, TABLES, edit, planned, report, run, snakemake, trained, write

from pinnlora.study.provenance import recorded

STUDY = "results/small"
PAIR = ("kovasznay", "burgers2d")
ONE = SMALL | {"problems": ["kovasznay"]}


def everything(*problems: str) -> set[str]:
    first = {f"{p}/{name}" for p in problems for name in ("tasks.nc", "reference.nc", "base")}
    return first.union(*map(trained, problems))


def test_touch_copy_and_lost_metadata_retrain_nothing(project):
    for i, path in enumerate(sorted(project.rglob("*"), reverse=True)):
        if ".snakemake" not in path.parts:
            os.utime(path, (1e9 + i, 1e9 + i))
    assert planned(project) == set()
    shutil.rmtree(project / ".snakemake")
    shutil.rmtree(project / STUDY / "logs")
    assert planned(project) == set()


def test_with_metadata_lost_an_edit_remakes_what_depends_on_it(project):
    shutil.rmtree(project / ".snakemake")
    edit(project, "nets/hypernetwork.py", "value = ", "value = 'new' + ")
    modes = {f"{p}/surrogate/{mode}/rank1" for p in PAIR for mode in ("weights", "physics")}
    assert planned(project) == modes.union(*map(report, PAIR))


def test_with_metadata_lost_another_seed_remakes_all(project):
    shutil.rmtree(project / ".snakemake")
    write(project, SMALL | {"seed": 7})
    assert planned(project) == everything(*PAIR)
    assert planned(project, f"{STUDY}/kovasznay/base") == {"kovasznay/tasks.nc", "kovasznay/base"}


def test_a_half_finished_study_with_another_seed_does_not_mix(project):
    shutil.rmtree(project / ".snakemake")
    for path in ("tables", "figures", "kovasznay/evaluation.nc", "kovasznay/surrogate", "burgers2d/fits"):
        path = project / STUDY / path
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    kept = [project / STUDY / "kovasznay" / name for name in ("tasks.nc", "reference.nc", "base")]
    before = [recorded(path) for path in kept]
    write(project, SMALL | {"seed": 7})
    run(project)
    assert not set(before) & {recorded(path) for path in kept} and None not in before
    assert planned(project) == set()
    write(project, SMALL)
    assert planned(project) == everything(*PAIR)


def test_another_device_retrains_nothing(project):
    for device in ("auto", "cuda"):
        write(project, SMALL | {"device": device})
        assert planned(project) == set()
        assert planned(project, "--workflow-profile", "none") == set()


def test_an_edited_command_line_retrains_nothing(project):
    path = project / "workflow/rules/tasks.smk"
    path.write_text(path.read_text().replace("python -m", "nice python -m"))
    assert planned(project) == set()
    assert planned(project, "--workflow-profile", "none") == set()
    (project / STUDY / "kovasznay/evaluation.nc").unlink()
    assert planned(project, "--workflow-profile", "none") == report("kovasznay")


@pytest.mark.parametrize("name", ["model.safetensors", "history.nc", None])
def test_a_lost_base_is_made_again_with_what_builds_on_it(project, name):
    base = project / STUDY / "kovasznay/base"
    (base / name).unlink() if name else shutil.rmtree(base)
    assert planned(project) == {"kovasznay/base"} | trained("kovasznay")


@pytest.mark.parametrize(
    ("output", "profile"),
    [("tasks.nc", "none"), ("base", "profiles/default"), ("evaluation.nc", "profiles/default")],
)
def test_a_kill_between_an_output_and_its_record_loses_nothing(project, output, profile):
    shutil.rmtree(project / "results")
    shutil.rmtree(project / ".snakemake")
    write(project, ONE | {"modes": ["physics"], "lora_ranks": [1]})
    (project / "kill").write_text(f"kovasznay/{output}")
    assert snakemake(project).returncode == -9
    made = recorded(project / STUDY / "kovasznay" / output)
    assert made and not (project / STUDY / "tables").exists()
    run(project, "--unlock")
    assert f"kovasznay/{output}" not in planned(project, "--workflow-profile", profile)
    run(project, "--workflow-profile", profile)
    assert all((project / STUDY / name).exists() for name in TABLES)
    assert planned(project) == set()
    assert recorded(project / STUDY / "kovasznay" / output) == made


def test_a_kill_after_a_base_that_was_forced_leaves_nothing_of_the_old_one(project):
    """The new base carries the provenance of the old one, and other numbers."""
    write(project, ONE)
    run(project)
    base = project / STUDY / "kovasznay/base"
    made = recorded(base)
    (project / "kill").write_text("kovasznay/base")
    assert snakemake(project, "--forcerun", "base").returncode == -9
    run(project, "--unlock")
    assert recorded(base) == made and planned(project) == trained("kovasznay")
    run(project)
    assert planned(project) == set()


def test_what_ran_with_code_edited_meanwhile_is_not_accepted(project):
    """The base network's job ends, a module of the hypernetworks is edited, and put back after the run."""
    code = project / "src/pinnlora/nets/hypernetwork.py"
    before, one = code.read_text(), f"{STUDY}/kovasznay/surrogate/physics/rank1"
    write(project, ONE | {"seed": 7})
    (project / "meddle").write_text(str(code))
    done = snakemake(project)
    assert done.returncode == 1 and code.read_text() != before
    assert "error: code or inputs of this job changed after it was planned (asked for " in done.stdout
    assert "run snakemake again" in done.stdout and "Traceback" not in done.stdout
    assert not (project / one).exists() and (project / STUDY / "kovasznay/base").exists()
    code.write_text(before)
    (project / "meddle").unlink()
    assert planned(project) == {f"kovasznay/surrogate/{mode}/rank1" for mode in ("weights", "physics")} | (
        report("kovasznay") - {f"figures/burgers2d.{kind}" for kind in ("png", "pdf")}
    )
    run(project)
    assert planned(project) == set()
    os.utime(code, (2e9, 2e9))
    assert planned(project) == set()


def test_on_a_cluster_every_job_plans_for_itself_and_comes_to_the_same(project):
    """What an executor calls on a node: one job, another one after it, and a group of two at once."""
    write(project, ONE | {"seed": 7})
    fit = "fit:problem=kovasznay,method=lora,rank=1"
    remote = ("--mode", "remote", "--nolock", "--force", "--target-files-omit-workdir-adjustment")
    for jobs in (
        ["tasks:problem=kovasznay"],
        ["reference:problem=kovasznay"],
        ["base:problem=kovasznay", fit],
    ):
        rules = [job.partition(":")[0] for job in jobs]
        run(project, *remote, "--allowed-rules", *rules, "--target-jobs", *jobs)
    made = {"tasks.nc", "reference.nc", "base", "fits/lora/rank1"}
    assert planned(project) == everything("kovasznay") - {f"kovasznay/{name}" for name in made} - {
        f"figures/burgers2d.{kind}" for kind in ("png", "pdf")
    }
