"""What is published comes from one clean commit whose code is still that of HEAD; otherwise nothing is written."""

import json
import shutil
import subprocess

import netCDF4
import numpy as np
import pytest
from synthetic import evaluation, with_three_seeds
from typer.testing import CliRunner

from pinnlora.cli import app
from pinnlora.errors import UserError
from pinnlora.report.archive import read_archive
from pinnlora.report.findings import findings
from pinnlora.report.pages import page, write
from pinnlora.report.publish import publish, results
from pinnlora.report.tables import TABLES

NAMES = ("kovasznay", "burgers1d@plain")
README = "# title\n\n<!-- results:start -->\nold numbers\n<!-- results:end -->\n\nthe rest\n"


def git(project, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(
        ["git", "-C", str(project), *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(project, message="change"):
    git(project, "add", "-A")
    git(project, "commit", "-qm", message)
    return git(project, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path):
    """A project with code, a README with markers, and a finished study made by its only commit."""
    git(tmp_path, "init", "-q")
    for path in ("src/pinnlora/train.py", "src/pinnlora/report/tables.py", "config/config.yaml", "Snakefile"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("a: 1\n")
    (tmp_path / ".gitignore").write_text("results\n")
    (tmp_path / "README.md").write_text(README)
    study(tmp_path, [commit(tmp_path)] * len(NAMES))
    return tmp_path


def benchmark(project, name, seconds, processor="NA"):
    path = project / f"results/default/benchmarks/{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tcpu_time\n{seconds}.0\t0:00:03\t{processor}\n")
    return path


def study(project, commits, changed=lambda dataset: dataset):
    datasets = []
    for name, made in zip(NAMES, commits, strict=True):
        datasets.append(changed(evaluation(name)).assign_attrs(source=f"pinnlora 0.1.0 (commit {made})"))
        folder = project / "results/default" / name.replace("@", "-")
        folder.mkdir(parents=True, exist_ok=True)
        datasets[-1].to_netcdf(folder / "evaluation.nc")
    tables = project / "results/default/tables"
    write(3, datasets, tables / "table3.csv", tables / "table3.md")


def run(project):
    publish(project / "results/default", project / "docs/default", project / "README.md")


def refused(project, *words):
    with pytest.raises(UserError) as caught:
        run(project)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert not (project / "docs").exists() and (project / "README.md").read_text() == README


def test_docs_and_readme_are_made_anew(project):
    benchmark(project, "tables/table1", 120, "90.0")
    benchmark(project, "tables/table2", 120)
    run(project)
    curves = {f"error_against_{kind}.png" for kind in ("rank", "time")}
    fields = {"kovasznay.png", "burgers1d-plain.png"}
    assert {path.name for path in (project / "docs/default").iterdir()} == curves | fields | {
        f"table{number}.{kind}" for number in (1, 2, 3) for kind in ("md", "csv")
    } | {"study.nc", "manifest.json", "findings.md"}
    text = (project / "README.md").read_text()
    assert text.startswith("# title\n\n<!-- results:start -->\n")
    assert text.endswith("<!-- results:end -->\n\nthe rest\n")
    assert "old numbers" not in text and "(docs/default/error_against_rank.png)" in text
    for word in (
        "one seed, 2023",
        "Example CPU, 2 cores, 1 thread a job",
        git(project, "rev-parse", "HEAD")[:9],
    ):
        assert word in text
    assert (
        "its jobs, several of which may have run side by side, add up to 4 minutes, their CPU times to 2."
        in text
    )
    assert text.split("**")[1::2] == ["Kovasznay flow", "1D Burgers, plain"]
    kovasznay, burgers = text.split("**")[2::2]
    assert "4.84e-07" in physics(kovasznay)[3]
    assert physics(burgers)[3] == "-" and "4.74e-06" not in text  # damaged: shown in the table, never a bar


def test_the_archive_holds_what_the_pages_say(project):
    run(project)
    docs = project / "docs/default"
    kept = read_archive(docs / "study.nc")
    assert [dataset.attrs["problem"] for dataset in kept] == list(NAMES)
    assert findings(kept) == (docs / "findings.md").read_text()
    for number, table in TABLES.items():
        assert page(number, kept) == (docs / f"table{number}.md").read_text()
        assert table.frame(kept).to_csv(index=False) == (docs / f"table{number}.csv").read_text()
    assert not [name for dataset in kept for name in dataset.variables if "showcase" in name or name == "x"]


def test_pages_of_a_published_study_are_written_anew_without_its_results(project):
    run(project)
    docs, text = project / "docs/default", (project / "README.md").read_text()
    before = {path.name: path.read_bytes() for path in docs.iterdir()}
    for name in ("table2.md", "table1.csv", "findings.md"):
        (docs / name).write_text("by hand")
    shutil.rmtree(project / "results")
    publish(docs, project / "elsewhere", project / "no.md")
    assert {path.name: path.read_bytes() for path in docs.iterdir()} == before
    assert (project / "README.md").read_text() == text and not (project / "elsewhere").exists()


def test_a_damaged_archive_is_one_line(project):
    run(project)
    path = project / "docs/default/study.nc"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"study\.nc is not a readable NetCDF file"):
        publish(path.parent, path.parent, project / "README.md")
    path.write_bytes(whole)
    with netCDF4.Dataset(path, "a") as file:
        file["kovasznay"]["mse"][:] = 0.0
    with pytest.raises(UserError, match=r"study\.nc is damaged: its content is not what was written"):
        publish(path.parent, path.parent, project / "README.md")


def test_an_archive_without_evaluations_leaves_the_pages_alone(project):
    run(project)
    docs = project / "docs/default"
    before = (docs / "table2.md").read_bytes()
    (docs / "study.nc").unlink()
    evaluation("kovasznay").to_netcdf(docs / "study.nc")  # no groups
    with pytest.raises(UserError, match=r"study\.nc holds no evaluations"):
        publish(docs, docs, project / "README.md")
    evaluation("kovasznay").drop_attrs().to_netcdf(docs / "study.nc", group="kovasznay")
    with pytest.raises(UserError, match="is not an evaluation file"):
        publish(docs, docs, project / "README.md")
    assert (docs / "table2.md").read_bytes() == before


def test_the_manifest_says_what_each_stage_of_the_evaluations_took(project):
    """Jobs of ranks, seeds and problems that the study was trained with once are left out."""
    head = git(project, "rev-parse", "HEAD")
    study(project, [head] * 2, with_three_seeds)
    kept = ("base", "teachers/rank8", "surrogate/data/rank1", "surrogate/data/rank1-seed2024")
    dropped = ("fits/lora/rank3", "teachers/rank3", "surrogate/data/rank1-seed2031", "surrogate/other/rank1")
    for place, name in enumerate((*kept, *dropped), start=103):
        benchmark(project, f"kovasznay/{name}", place)
    benchmark(project, "heat/base", 100)  # a problem that the study has no more
    run(project)
    told = json.loads((project / "docs/default/manifest.json").read_text())
    assert told["stages"] == {
        "kovasznay/base": {"jobs": 1, "resumed": 0, "seconds": 103.0, "CPU seconds": 0.0},
        "kovasznay/surrogate/data": {"jobs": 2, "resumed": 0, "seconds": 211.0, "CPU seconds": 0.0},
        "kovasznay/teachers": {"jobs": 1, "resumed": 0, "seconds": 104.0, "CPU seconds": 0.0},
    }
    assert told["commit"] == git(project, "rev-parse", "HEAD") and told["versions"]["torch"]
    assert set(told["provenance of evaluations"]) == {"kovasznay", "burgers1d-plain"}


def test_what_was_trained_before_a_kill_counts(project):
    """Snakemake's record is of the last process; the history of a training has all of it."""
    study(project, [git(project, "rev-parse", "HEAD")] * 2, with_three_seeds)
    for name in ("base", "teachers/rank8", "fits/pinn/rankfull", "surrogate/data/rank1-seed2024"):
        benchmark(project, f"kovasznay/{name}", 5, "4.0")
    benchmark(project, "kovasznay/evaluation", 7, "6.0")
    run(project)
    told = json.loads((project / "docs/default/manifest.json").read_text())["stages"]
    trained = {"base": 20.0, "teachers": 50.0, "fits/pinn": 54.0, "surrogate/data": 75.0}
    assert told == {
        f"kovasznay/{name}": {"jobs": 1, "resumed": 1, "seconds": seconds, "CPU seconds": 4.0}
        for name, seconds in trained.items()
    } | {"kovasznay/evaluation": {"jobs": 1, "resumed": 0, "seconds": 7.0, "CPU seconds": 6.0}}
    assert "add up to 3 minutes, their CPU times to at least 0." in (project / "README.md").read_text()


def test_what_is_no_error_is_not_called_one():
    """Distances to refined solutions are named so, and without any reference residuals stand for errors."""
    distances = evaluation("kovasznay").assign_attrs(reference="refined")
    unknown = evaluation("heat").assign_attrs(problem="heat.py:Heat", reference="none").copy(deep=True)
    unknown["residual"] = 0 * unknown["mse"].isel(field=0, drop=True) + 3e-4
    unknown["mismatch"] = unknown["residual"] / 2
    unknown = unknown.assign({name: np.nan * unknown[name] for name in ("mse", "relative_l2", "mse_refined")})
    block = results("mine", [distances, unknown], "0123", {}, "docs")
    kovasznay, heat = block.split("**")[2::2]
    assert "Errors are distances to the task's own refined solution." in kovasznay
    assert "| test MSE, distance | paper |" in " ".join(kovasznay.split())
    assert "No test task has a reference solution" in heat and "MSE" not in heat
    assert (
        "| method | residual | mismatch | one task alone, s |" in " ".join(heat.split()) and "1.5e-04" in heat
    )
    assert "mean squared error over grid" in block
    assert "mean squared error" not in results("mine", [unknown], "0123", {}, "docs")
    assert "distance" not in results("mine", [evaluation("kovasznay")], "0123", {}, "docs")


def physics(section):
    line = next(line for line in section.splitlines() if "physics, rank 4), zero-shot" in line)
    return [cell.strip() for cell in line.split("|")]


def test_a_later_commit_of_docs_or_report_is_accepted(project):
    (project / "notes.md").write_text("new")
    (project / "src/pinnlora/report/tables.py").write_text("b: 2\n")
    commit(project)
    places = ["--docs", str(project / "docs/default"), "--readme", str(project / "README.md")]
    done = CliRunner().invoke(app, ["publish", str(project / "results/default"), *places])
    assert done.exit_code == 0, done.output
    assert (project / "docs/default/table2.md").is_file()


@pytest.mark.parametrize("path", ["src/pinnlora/train.py", "config/config.yaml", "Snakefile"])
def test_code_that_changed_since_is_refused(project, path):
    (project / path).write_text("b: 2\n")
    refused(project, "changed and not committed", path)
    commit(project)
    refused(project, f"{path} has changed since", "run the study again")


def test_a_new_file_that_is_not_committed_is_refused(project):
    (project / "src/pinnlora/other.py").write_text("b: 2\n")
    refused(project, "not committed", "other.py")


def test_evaluations_of_several_commits_are_refused(project):
    first = git(project, "rev-parse", "HEAD")
    (project / "notes.md").write_text("new")
    second = commit(project)
    study(project, [first, second])
    refused(project, "several commits", f"kovasznay {first[:9]}", f"burgers1d-plain {second[:9]}")


def test_a_dirty_tree_or_an_unknown_commit_is_refused(project):
    head = git(project, "rev-parse", "HEAD")
    study(project, [head, f"{head}-dirty"])
    refused(project, "burgers1d-plain", "dirty", "clean checkout")
    study(project, ["unknown"] * 2)
    refused(project, "kovasznay", "unknown")
    study(project, ["0123abcd"] * 2)
    refused(project, "does not have")


def test_missing_results_or_markers_are_refused(project):
    (project / "results/default/burgers1d-plain/evaluation.nc").rename(project / "results/away.nc")
    refused(project, "there is no file", "burgers1d-plain/evaluation.nc")
    (project / "results/default/tables/table3.csv").unlink()
    refused(project, "no finished study", "table3.csv")


def test_tables_of_other_evaluations_are_refused(project):
    """As after a study was killed in the middle of being made anew."""
    path = project / "results/default/kovasznay/evaluation.nc"
    dataset = evaluation("kovasznay").assign_attrs(
        source=f"pinnlora 0.1.0 (commit {git(project, 'rev-parse', 'HEAD')})"
    )
    dataset["mse"] = 2 * dataset["mse"]
    path.unlink()
    dataset.to_netcdf(path)
    refused(project, "table3.csv is not what the evaluations say")


@pytest.mark.parametrize("content", ["", "a\tb\n1\t2\n"], ids=["empty", "foreign"])
def test_a_benchmark_that_is_none_is_one_line(project, content):
    benchmark(project, "tables/table1", 120).write_text(content)
    refused(project, "tables/table1.tsv is no record of a job's seconds", "delete it")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"problem,mse\n",
        b"problem,mse\n,1e-3\n",
        b"problem,mse\nkovasznay,low\n",
        b"\xff\xfe\x00",
    ],
    ids=["empty", "foreign", "header alone", "no problem", "no number", "binary"],
)
def test_a_table_of_something_else_is_one_line(project, content):
    (project / "results/default/tables/table3.csv").write_bytes(content)
    refused(project, "table3.csv is no table of a study", "run the study to its end again")


def test_the_readme_may_stand_in_a_folder(project):
    (project / "docs2").mkdir()
    (project / "README.md").rename(project / "docs2/README.md")
    commit(project)
    (project / "src/pinnlora/train.py").write_text("b: 2\n")
    with pytest.raises(UserError, match=r"changed and not committed: src/pinnlora/train.py"):
        publish(project / "results/default", project / "docs", project / "docs2/README.md")


def test_a_readme_without_markers_is_refused(project):
    (project / "README.md").write_text("nothing here")
    with pytest.raises(UserError, match=r"README\.md has no <!-- results:start -->"):
        run(project)
    assert not (project / "docs").exists()
