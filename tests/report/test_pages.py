"""Tables as pages: what was run, notes, floors, and what is left out where there is no number."""

import json

import numpy as np
import pytest
from synthetic import evaluation, row, with_found_ranks

from pinnlora.errors import UserError
from pinnlora.report.pages import page, write
from pinnlora.report.summaries import read_evaluation
from pinnlora.report.tables import HYPERNETWORKS, PER_TASK


def test_front_errors_show_only_where_there_are_some(full):
    kovasznay, rest = page(2, full).split("## 2D Burgers")
    assert "| front" not in " ".join(kovasznay.split())
    assert "| front" in " ".join(rest.split("## 1D Burgers")[0].split())


def test_a_row_with_another_budget_than_its_methods_other_ranks_says_so(full):
    notes = page(2, full[:1]).split("## Notes")[1]
    assert "Another budget: Kovasznay flow, data, full rank: steps 8 instead of 25." in notes
    assert "rank 4" not in notes
    settings = json.loads(full[0].attrs["settings"])
    settings["trained"]["lora 4"]["stage"]["points"] = 400
    changed = full[0].assign_attrs(settings=json.dumps(settings))
    assert "LoRA, rank 4: points 400 instead of 40." in page(1, [changed])
    assert "Another budget" not in page(1, full[:1])


def test_ranks_that_were_found_stand_in_the_notes_and_between_numbers_and_full_rank(full):
    found = with_found_ranks(full[0], [1, 2, 3])
    notes = page(2, [found]).split("## Notes")[1]
    assert "Kovasznay flow, physics, rank found: 1, 2, 3, a number an adapted map" in notes
    assert "rank found" not in page(2, full[:1])
    order = HYPERNETWORKS.frame([found])
    assert order.loc[order["mode"] == "physics", "rank"].tolist() == ["1", "2", "4", "auto", "full"]


def test_another_trial_function_than_the_papers_is_named(full):
    words = "potential, symmetry, lift, 4 Fourier modes"
    plain = evaluation("burgers1d@plain")
    for number in (1, 2):
        own, other = page(number, [full[2], plain]).split("## 1D Burgers, plain")
        assert words in own and "| trial function" in own
        assert words not in other and "| trial function" not in other
    assert set(PER_TASK.frame([full[0], plain])["trial_function"]) == {""}


def test_each_problem_names_its_own_machine(full):
    other = full[0].assign_attrs(machine="Other GPU", threads=2)
    text = page(3, [other, full[1]])
    assert "Other GPU, 2 threads a job" in text and "Example CPU, 2 cores, 1 thread a job" in text


def test_without_a_kind_of_method_the_page_says_so(full):
    only = full[0].sel({"method": ["base", "lora"]})
    assert HYPERNETWORKS.frame([only]).empty
    assert "no such method" in page(2, [only])


def test_problems_that_nothing_printed_and_no_settings_leave_gaps(full):
    bare = full[0].drop_attrs().assign_attrs(problem="kovasznay", study="bare")
    for number in (1, 2, 3):
        text = page(number, [bare])
        assert "of the reference unknown" in text and "unknown threads" in text


def test_failed_tasks_are_counted_not_hidden(pair):
    note = page(1, [pair]).split("## Notes")[1]
    assert "kovasznay, LoRA, rank 4: the errors cover 2 of 20 test tasks." in note


def test_the_page_says_what_was_run_and_the_floors_of_each_problem(full):
    for number in (1, 2, 3):
        heading, paragraph = page(number, full).split("\n\n")[:2]
        assert heading.startswith(f"# Table {number}.")
        for word in ("`default`", "commit 0123abc", "one seed, 2023", "may have run side by side"):
            assert word in paragraph
        section = page(number, full).split("## 1D Burgers")[1]
        assert "of the reference 2.5e-21 (against a doubly refined run)" in section
        assert "grid 3.0e-18" in section and "precision (float32) 7.0e-15" in section


def test_distances_to_refined_solutions_are_not_called_errors(full):
    text = page(2, [full[0].assign_attrs(reference="refined"), full[1]])
    ours, rest = text.split("## 2D Burgers")
    header = " ".join(next(line for line in ours.splitlines() if line.startswith("| mode")).split())
    assert "| train, distance | paper | validation, distance |" in header and "distance" not in rest
    assert "Errors are distances to the task's own refined solution." in ours


def test_tasks_without_a_reference_are_left_out_and_it_is_said(full):
    dataset = (
        full[0].copy(deep=True).assign_attrs(reference="file", reference_note="mine.nc: 3 of 20 test tasks")
    )
    there = dataset["mse"].notnull().any("field")
    dataset["residual"] = 1e-3 * there.where(there)
    before = row(PER_TASK.frame(full[:1]), method="lora", rank="4")
    dataset["mse"][{"task": slice(3, None)}] = np.nan
    found = row(PER_TASK.frame([dataset]), method="lora", rank="4")
    assert (found["tasks"], found["reference"], found["residual"]) == (20, "file", pytest.approx(1e-3))
    of_three = full[0]["mse"].sel({"method": "lora", "rank": "4", "split": "test"})[0, :3]
    assert found["mse"] == pytest.approx(float(of_three.mean())) != before["mse"]
    text = page(1, [dataset])
    assert text.count("kovasznay: 3 of 20 test tasks have a reference; errors are means over those.") == 1
    assert "References are from mine.nc: 3 of 20 test tasks." in text


def test_errors_are_one_clear_line(tmp_path, full):
    with pytest.raises(UserError, match="no table 4; expected 1, 2 or 3"):
        write(4, full, tmp_path / "a.csv", tmp_path / "a.md")
    with pytest.raises(UserError, match="there is no file"):
        read_evaluation(tmp_path / "none.nc")
    full[0].drop_vars("mse").to_netcdf(tmp_path / "other.nc")
    with pytest.raises(UserError, match="no variable 'mse'"):
        read_evaluation(tmp_path / "other.nc")
    full[0].drop_attrs().to_netcdf(tmp_path / "nameless.nc")
    with pytest.raises(UserError, match="not an evaluation file"):
        read_evaluation(tmp_path / "nameless.nc")
