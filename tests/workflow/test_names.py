"""Names and paths are never run by a shell: spaces, quotes and $(...) in them are letters like others."""

import json
import shlex
import shutil
import textwrap

import pytest
from stub_project import SMALL, planned, run, snakemake, write
from test_surrogate import OWN
from test_train_command import CONFIG

from pinnlora.study.graph import Job, Plan
from pinnlora.study.settings import load_settings

NASTY = """it's "my" $(touch pwned) `touch pwned`; touch pwned & #"""


def test_a_study_in_a_folder_with_a_nasty_name(project):
    (project / NASTY).mkdir()
    shutil.copy(project / "src/pinnlora/problem/library/kovasznay.py", project / NASTY / f"{NASTY}.py")
    with (project / NASTY / f"{NASTY}.py").open("a") as file:
        file.write("\n\nclass Heat:\n    pass\n")
    write(project, SMALL | {"problems": [f"{NASTY}/{NASTY}.py:Heat"], "results": f"{NASTY}/results"})
    for target in ("base", "tasks.nc"):
        run(project, f"{NASTY}/results/small/heat/{target}")
        assert (project / NASTY / "results/small/heat" / target).exists()
    assert f"{NASTY}/results/small/heat/base" not in planned(project)
    assert not list(project.rglob("pwned"))


def test_planning_runs_nothing_of_a_problem_file(project):
    """It is read as text: what it does happens in the jobs only."""
    (project / "heat.py").write_text("open('ran', 'w').close()\n\n\nclass Heat:\n    pass\n")
    write(project, SMALL | {"problems": ["heat.py:Heat"]})
    assert "heat/base" in planned(project)
    assert not (project / "ran").exists()


def test_a_study_cannot_be_named_so(project):
    write(project, SMALL | {"study": "$(touch pwned)"})
    done = snakemake(project)
    assert done.returncode == 1 and "may only hold letters" in done.stdout and "Traceback" not in done.stdout
    assert not list(project.rglob("pwned"))


def test_a_jobs_command_is_words_whatever_its_settings_hold(tmp_path):
    folder = tmp_path / NASTY
    folder.mkdir()
    (folder / "heat.py").write_text(textwrap.dedent(OWN))
    settings = load_settings({"problems": [f"{folder}/heat.py:Heat"], "results": NASTY})
    plan, job = Plan(settings, folder, lambda job: False), Job("base", "heat", "full", "base")
    words = shlex.split(plan.command(job, {"tasks": [f"{folder}/tasks.nc"]}))
    assert json.loads(words[words.index("--settings") + 1])["problem"] == f"{folder}/heat.py:Heat"
    assert words[words.index("--tasks") + 1] == f"{folder}/tasks.nc"


@pytest.mark.slow
def test_a_training_and_a_prediction_there(run, tmp_path, monkeypatch):
    folder = tmp_path / NASTY
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / f"{NASTY}.py").write_text(textwrap.dedent(OWN))
    (folder / f"{NASTY}.yaml").write_text(CONFIG)
    status, _, error = run("train", f"{NASTY}.py:Heat", "-o", f"{NASTY}", "--config", f"{NASTY}.yaml")
    assert status == 0, error
    asked = ("predict", f"{NASTY}/bundle", "--set", "alpha=0.5", "-o", f"{NASTY}.nc")
    assert run(*asked)[0] == 0 and (folder / f"{NASTY}.nc").is_file()
    assert not list(tmp_path.rglob("pwned"))
