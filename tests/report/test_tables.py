"""The three tables: numbers land in the right cells, gaps stay gaps, the paper's numbers keep their place."""

import csv
import math

import numpy as np
import pytest
from synthetic import evaluation

from pinnlora.errors import UserError
from pinnlora.report import markdown, tables
from pinnlora.report.jobs import table
from pinnlora.report.summaries import problem, read_evaluation, shown_rank

PROBLEMS = ("kovasznay", "burgers2d", "burgers1d")


@pytest.fixture(scope="module")
def full():
    return [evaluation(name) for name in PROBLEMS]


@pytest.fixture
def pair():
    """Kovasznay with errors simple enough to average by hand: two test tasks, three fields."""
    dataset = evaluation("kovasznay").copy(deep=True)
    for method, rank in (("lora", "4"), ("physics", "4"), ("pinn", "full")):
        place = {"method": method, "rank": rank, "split": "test"}
        dataset["mse"].loc[place] = np.nan
        dataset["mse"].loc[place | {"task": [0, 1]}] = [[1e-9, 2e-9, 3e-9], [4e-9, 6e-9, 8e-9]]
    return dataset


def row(frame, **keys):
    for key, value in keys.items():
        frame = frame[frame[key] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_table_1_is_the_mean_over_fields_then_tasks(pair):
    found = row(tables.per_task([pair]), method="lora", rank="4")
    assert found["mse"] == pytest.approx(4e-9)  # tasks: 2e-9 and 6e-9
    assert found["mse_median"] == pytest.approx(4e-9)
    assert found["mse_worst"] == pytest.approx(6e-9)
    assert found["tasks"] == found["batch"] == 2
    assert found["mse_paper"] == 3.85e-07
    assert found["ratio"] == pytest.approx(4e-9 / 3.85e-07)
    assert found["parameters"] == found["parameters_paper"] == 2580
    assert found["seconds_per_task"] == pytest.approx(
        float(pair["seconds"].sel({"method": "lora", "rank": "4"})) / 2
    )
    assert found["seconds_paper"] == pytest.approx(0.06 * 12000)


def test_the_paper_has_no_rank_for_whole_networks(pair):
    found = row(tables.per_task([pair]), method="pinn")
    assert (found["rank"], found["mse_paper"], found["seconds_paper"]) == (
        "full",
        1.05e-06,
        pytest.approx(6600),
    )


def test_table_1_has_every_row_of_the_paper(full):
    frame = tables.per_task(full)
    assert len(frame) == 27
    assert frame["mse_paper"].notna().all()
    assert list(frame["method"][:3]) == ["pinn", "finetuned", "lora"]
    assert list(frame["rank"][2:9]) == ["1", "2", "4", "8", "16", "32", "64"]


def test_table_2_beside_the_paper(pair):
    found = row(tables.hypernetworks([pair]), mode="physics", rank="4")
    assert found["mse_test"] == pytest.approx(4e-9)
    assert (found["mse_train_paper"], found["mse_validation_paper"]) == (4.15e-07, 5.52e-07)
    assert found["ratio_test"] == pytest.approx(4e-9 / 4.84e-07)
    assert found["mse_test_worst"] == pytest.approx(6e-9)
    assert math.isnan(found["mse_front"])


def test_damaged_and_unfinished_rows_are_shown_but_are_no_bar(full):
    frame = tables.hypernetworks(full)
    assert len(frame) == 60
    damaged = row(frame, problem="burgers1d", mode="physics", rank="4")
    assert (damaged["print"], damaged["mse_test_paper"]) == ("damaged", 4.74e-06)
    assert math.isnan(damaged["ratio_test"])
    assert (frame["ratio_test"].notna() == (frame["print"] == "ok")).all()
    assert frame.loc[frame["rank"] == "full", "print"].str.contains("unfinished").all()
    page = markdown.hypernetworks(frame, full)
    line = next(
        line for line in page.split("## 1D Burgers")[1].splitlines() if line.startswith("| physics, rank 4")
    )
    assert "4.74e-06" in line and "(damaged print)" in line
    assert page.split("## Notes")[1].count("67.6 s") == 1


def test_front_errors_show_only_where_there_are_some(full):
    page = markdown.hypernetworks(tables.hypernetworks(full), full)
    kovasznay, rest = page.split("## 2D Burgers")
    assert "| front" not in " ".join(kovasznay.split())
    assert "| front" in " ".join(rest.split("## 1D Burgers")[0].split())


def test_table_3_divides_only_our_own_seconds(full):
    frame = tables.new_task(full)
    assert not [column for column in frame.columns if "ratio" in column]
    for name in PROBLEMS:
        pinn, quick = row(frame, problem=name, solver="pinn"), row(frame, problem=name, solver="zero-shot")
        assert quick["pinn_over_this"] == pytest.approx(pinn["seconds"] / quick["seconds"])
        assert (quick["method"], quick["rank"], quick["machine_paper"]) == ("physics", "4", "P100")
        refined = row(frame, problem=name, solver="refined")
        assert refined["seconds"] == pytest.approx(0.004 + 0.35)
        assert math.isnan(refined["seconds_paper"])
    page = markdown.new_task(frame, full)
    assert "Example CPU, 2 cores" in page and "paper, s (P100)" in page
    assert "hypernetwork (physics, rank 4), zero-shot" in page
    assert f"{8400 / 30:,.0f}" not in page  # the paper's PINN over ours


def test_each_problem_names_its_own_machine(full):
    other = full[0].assign_attrs(machine="Other GPU")
    page = markdown.new_task(tables.new_task([other, full[1]]), [other, full[1]])
    assert "kovasznay: Other GPU; burgers2d: Example CPU, 2 cores" in page
    assert "ours, s (Other GPU)" in page and "ours, s (Example CPU, 2 cores)" in page


def test_a_smoke_study_shows_what_is_there():
    smoke = [evaluation(name, smoke=True) for name in PROBLEMS]
    assert list(tables.per_task(smoke[:1])["rank"]) == ["1", "4"]
    assert list(tables.hypernetworks(smoke[:1])["mode"]) == ["physics", "physics"]
    times = tables.new_task(smoke[:1])
    assert list(times["solver"]) == ["lora", "zero-shot", "refined"]
    assert times["pinn_over_this"].isna().all()
    assert "our PINN" not in markdown.new_task(times, smoke[:1]).split("## Kovasznay")[1]


def test_without_a_kind_of_method_the_page_says_so(full):
    only = full[0].sel({"method": ["lora"]})
    assert tables.hypernetworks([only]).empty
    assert "no such method" in markdown.hypernetworks(tables.hypernetworks([only]), [only])


def test_a_problem_of_the_users_has_no_paper_columns():
    own = evaluation("heat").assign_attrs(problem="examples/heat.py:Heat")
    assert problem(own) == "heat"
    frame = tables.per_task([own])
    assert frame["mse_paper"].isna().all()
    assert "| paper" not in " ".join(markdown.per_task(frame, [own]).split())


def test_failed_tasks_are_counted_not_hidden(pair):
    note = markdown.per_task(tables.per_task([pair]), [pair]).split("## Notes")[1]
    assert "kovasznay, LoRA, rank 4: the errors cover 2 of 20 test tasks." in note


def test_the_first_paragraph_says_what_was_run(full):
    for number, (frame_of, page_of) in enumerate(
        ((tables.per_task, markdown.per_task), (tables.hypernetworks, markdown.hypernetworks)), start=1
    ):
        heading, paragraph = page_of(frame_of(full), full).split("\n\n")[:2]
        assert heading.startswith(f"# Table {number}.")
        for word in ("`default`", "commit 0123abc", "Example CPU, 2 cores", "float64", "burgers1d: 2.5e-21"):
            assert word in paragraph


def test_shown_rank_prefers_the_showcase(full):
    assert shown_rank(full[0], "lora") == "4"
    assert shown_rank(full[0], "pinn") == "full"
    assert shown_rank(full[0].drop_vars("showcase_method"), "data") == "4"


def test_the_job_writes_full_precision_and_empty_cells(tmp_path, pair):
    pair.to_netcdf(tmp_path / "evaluation.nc")
    table.run({"number": 2}, [tmp_path / "evaluation.nc"], tmp_path / "table2.csv", tmp_path / "table2.md")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evaluation.nc", "table2.csv", "table2.md"]
    with open(tmp_path / "table2.csv", newline="") as file:
        rows = {(line["mode"], line["rank"]): line for line in csv.DictReader(file)}
    expected = float(pair["mse"].sel({"method": "data", "rank": "8", "split": "test"}).mean())
    assert float(rows["data", "8"]["mse_test"]) == pytest.approx(expected, rel=1e-14)
    assert rows["data", "8"]["mse_front"] == ""
    assert (tmp_path / "table2.md").read_text().startswith("# Table 2.")


def test_errors_are_one_clear_line(tmp_path, full):
    with pytest.raises(UserError, match="no table 4; expected 1, 2 or 3"):
        tables.write(4, full, tmp_path / "a.csv", tmp_path / "a.md")
    with pytest.raises(UserError, match="does not exist"):
        read_evaluation(tmp_path / "none.nc")
    full[0].drop_vars("mse").to_netcdf(tmp_path / "other.nc")
    with pytest.raises(UserError, match="not an evaluation file"):
        read_evaluation(tmp_path / "other.nc")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0044, "0.0044"),
        (1.15, "1.1"),
        (12.4, "12"),
        (7200.0, "7,200"),
        (3e-4, "3.0e-04"),
        (math.inf, "inf"),
    ],
)
def test_numbers_are_short(value, expected):
    assert markdown._number("x")({"x": value}) == expected
