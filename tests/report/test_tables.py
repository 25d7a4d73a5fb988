"""The three tables: numbers land in the right cells, gaps stay gaps, the paper's numbers keep their place."""

import csv
import json
import math

import numpy as np
import pytest
from synthetic import PROBLEMS, evaluation, row, with_three_seeds

from pinnlora.report import columns
from pinnlora.report.jobs import table
from pinnlora.report.pages import page
from pinnlora.report.solutions import common_error, solutions
from pinnlora.report.summaries import paper, problem, shown
from pinnlora.report.tables import HYPERNETWORKS, NEW_TASK, PER_TASK


def test_table_1_is_the_mean_over_fields_then_tasks(pair):
    found = row(PER_TASK.frame([pair]), method="lora", rank="4")
    assert found["mse"] == pytest.approx(4e-9)  # tasks: 2e-9 and 6e-9
    assert found["mse_median"] == pytest.approx(4e-9)
    assert found["mse_worst"] == pytest.approx(6e-9)
    assert found["tasks"] == 2
    assert found["mse_paper"] == 3.85e-07
    assert found["ratio"] == pytest.approx(4e-9 / 3.85e-07)
    assert found["parameters"] == found["parameters_paper"] == 2580
    assert found["seconds_paper"] == pytest.approx(0.06 * 12000)


def test_the_paper_has_no_rank_for_whole_networks(pair):
    found = row(PER_TASK.frame([pair]), method="pinn")
    assert (found["rank"], found["mse_paper"], found["seconds_paper"]) == (
        "full",
        1.05e-06,
        pytest.approx(6600),
    )


def test_table_1_has_every_row_of_the_paper(full):
    frame = PER_TASK.frame(full)
    assert list(frame["method"][:4]) == ["base", "pinn", "finetuned", "lora"]
    assert list(frame["rank"][3:10]) == ["1", "2", "4", "8", "16", "32", "64"]
    ours = frame[~frame["method"].isin(["ansatz", "base"])]
    assert len(ours) == 27 and ours["mse_paper"].notna().all()


def test_baselines_stand_first_without_numbers_of_the_papers(full):
    for made in (PER_TASK, HYPERNETWORKS):
        frame = made.frame(full)
        kind = frame["method" if made is PER_TASK else "mode"]
        assert list(kind[frame["problem"] == "burgers1d"])[:2] == ["ansatz", "base"]
        baselines = frame[kind.isin(["ansatz", "base"])]
        assert len(baselines) == 4
        assert baselines[[name for name in frame if name.endswith("paper")]].isna().all(axis=None)
        assert baselines["seconds"].isna().tolist() == [False, False, True, False]
        error = baselines["mse" if made is PER_TASK else "mse_train"]
        assert error.notna().all()


def test_table_2_beside_the_paper(pair):
    found = row(HYPERNETWORKS.frame([pair]), mode="physics", rank="4")
    assert found["mse_test"] == pytest.approx(4e-9)
    assert (found["mse_train_paper"], found["mse_validation_paper"]) == (4.15e-07, 5.52e-07)
    assert found["ratio_test"] == pytest.approx(4e-9 / 4.84e-07)
    assert found["mse_test_worst"] == pytest.approx(6e-9)
    assert math.isnan(found["mse_front"])


def test_damaged_and_unfinished_rows_are_shown_but_are_no_bar(full):
    frame = HYPERNETWORKS.frame(full)
    assert len(frame) == 64
    damaged = row(frame, problem="burgers1d", mode="physics", rank="4")
    assert (damaged["print"], damaged["mse_test_paper"]) == ("damaged", 4.74e-06)
    assert math.isnan(damaged["ratio_test"])
    assert (frame["ratio_test"].notna() == (frame["print"] == "ok")).all()
    modes = ~frame["mode"].isin(["ansatz", "base"])
    assert frame.loc[modes & (frame["rank"] == "full"), "print"].str.contains("unfinished").all()
    text = page(2, full)
    line = next(
        line for line in text.split("## 1D Burgers")[1].splitlines() if line.startswith("| physics, rank 4")
    )
    assert "4.74e-06" in line and "(damaged print)" in line
    assert text.split("## Notes")[1].count("67.6 s") == 1


def test_every_row_shows_its_budget(full):
    frame = HYPERNETWORKS.frame(full[:1])
    assert row(frame, mode="physics", rank="4")["budget"] == "GN, float64: 25 x 10 x (40 + 12)"
    assert row(frame, mode="data", rank="4")["budget"] == "GN, float64: 25 x 10 x 40"  # no conditions
    assert row(frame, mode="weights", rank="4")["budget"] == "Adam, float64: 25 x 10"  # no points
    frame = PER_TASK.frame(full[:1])
    assert row(frame, method="lora", rank="4")["budget"] == "LM, float64: 25 x 20 x (40 + 12)"
    assert row(frame, method="base")["budget"] == "LM, float64: 25 x 1 x (40 + 12)"
    assert "LM, float64: 25 x 20 x (40 + 12)" in page(1, full[:1])


def test_a_budget_with_points_for_each_condition_and_two_optimisers(full):
    settings = json.loads(full[0].attrs["settings"])
    stage = settings["trained"]["pinn full"]["stage"]
    stage |= {"optimiser": "adam+lbfgs", "steps": 30000, "lbfgs_steps": 500}
    stage["condition_points"] = {"walls": 320, "outflow": 80}
    changed = full[0].assign_attrs(settings=json.dumps(settings))
    found = row(PER_TASK.frame([changed]), method="pinn")["budget"]
    assert found == "Adam + L-BFGS, float64: (30,000 + 500) x 20 x (40 + 320 + 80)"


def test_a_budget_of_seconds_shows_the_points_that_it_left(full):
    settings = json.loads(full[0].attrs["settings"])
    known = settings["trained"]["physics 4"]
    known |= {"taken": {"points": 9, "condition_points": {"walls": 3}}}
    known["stage"] |= {"seconds": 30.0, "steps": 10**6}
    changed = full[0].assign_attrs(settings=json.dumps(settings))
    found = row(HYPERNETWORKS.frame([changed]), mode="physics", rank="4")["budget"]
    assert found == "GN, float64: 30 s x 10 x (9 + 3)"


def test_a_variant_stands_beside_its_problems_numbers():
    frame = HYPERNETWORKS.frame([evaluation("burgers1d@plain")])
    found = row(frame, mode="data", rank="4")
    assert (found["problem"], found["mse_test_paper"]) == ("burgers1d-plain", 3.22e-04)
    frame = NEW_TASK.frame([evaluation("burgers1d@plain")])
    assert row(frame, solver="pinn")["seconds_paper"] == 8400


def test_trained_once_is_the_sum_of_what_a_row_is_built_on(full):
    frame = HYPERNETWORKS.frame(full[:1])
    for mode, others in (("data", 20 + 3), ("weights", 20 + 50), ("distilled", 20 + 50), ("physics", 20)):
        found = row(frame, mode=mode, rank="4")
        assert found["seconds_once"] == pytest.approx(found["seconds"] + others)
    lines = page(2, full[:1]).splitlines()
    header = next(line for line in lines if "trained once, s" in line)
    cells = [
        cell.strip()
        for cell in next(line for line in lines[lines.index(header) :] if "weights, rank 4" in line).split(
            "|"
        )
    ]
    assert cells[4:9] == ["82", "20", "-", "50", "152"]


def test_table_3_has_time_and_error_side_by_side_and_divides_nothing(full):
    frame = NEW_TASK.frame(full)
    assert not [column for column in frame.columns if "ratio" in column or "over" in column]
    for name in PROBLEMS:
        zero, refined = (
            row(frame, problem=name, method="physics", solver=s) for s in ("zero-shot", "refined")
        )
        assert refined["seconds"] == pytest.approx(0.004 + 0.35)
        assert refined["mse"] == pytest.approx(zero["mse"] * 1e-3)
        assert math.isnan(refined["seconds_paper"]) and zero["seconds_paper"] < 2
        assert zero["seconds_once"] == refined["seconds_once"]
        assert row(frame, problem=name, solver="lora")["seconds_once"] == 20
        assert math.isnan(row(frame, problem=name, solver="pinn")["seconds_once"])
    text = page(3, full)
    assert "Example CPU, 2 cores, 1 thread a job" in text
    assert "| hypernetwork (physics, rank 4), zero-shot" in text


def test_time_to_the_same_error_counts_what_a_method_builds_on(full):
    frame, dataset = NEW_TASK.frame(full[:1]), full[0]
    level = common_error(solutions(dataset))
    final = {
        m: float(dataset["history_mse"].sel({"method": m, "rank": "4"})[0, -1]) for m in ("lora", "physics")
    }
    assert level == max(final.values()) == row(frame, solver="lora")["same_error"]
    history = dataset.sel({"method": "lora", "rank": "4", "seed": 2023})
    last = int(np.flatnonzero(history["history_mse"].values > level)[-1])
    found = row(frame, solver="lora")["seconds_to_same_error"]
    assert found == pytest.approx(float(history["history_seconds"][last + 1]) + 20)
    never = row(frame, method="weights", solver="zero-shot")
    assert math.isnan(never["seconds_to_same_error"]) and never["final_error"] > level
    section = page(3, full[:1]).split("The same error of all is")[1]
    line = next(line for line in section.splitlines() if "weights" in line)
    assert [cell.strip() for cell in line.split("|")[2:4]] == ["-", f"{never['final_error']:.1e}"]
    assert "refined" not in section


def test_an_error_that_training_passed_through_is_not_what_it_ends_with(full):
    dataset = full[0].copy(deep=True)
    lora = {"method": "lora", "rank": "4"}
    dataset["history_mse"].loc[lora] = np.linspace(-3, -7, dataset.sizes["sample"])[None]
    dataset["history_mse"].loc[lora] = 10.0 ** dataset["history_mse"].loc[lora]
    dataset["history_mse"].loc[lora | {"sample": 30}] = 1e-12  # validated as the best, until the next sample
    frame = NEW_TASK.frame([dataset])
    found = row(frame, solver="lora")
    assert found["final_error"] == found["same_error"] == pytest.approx(1e-7)
    history = dataset.sel(lora | {"seed": 2023})
    assert found["seconds_to_same_error"] == pytest.approx(float(history["history_seconds"][-1]) + 20)
    worse = dataset.copy(deep=True)
    worse["history_mse"].loc[{"method": "pinn", "rank": "full", "sample": slice(5, 10)}] = 1e-12
    worse["history_mse"].loc[{"method": "pinn", "rank": "full", "sample": slice(11, None)}] = 1e-3
    assert math.isnan(row(NEW_TASK.frame([worse]), solver="pinn")["seconds_to_same_error"])


def test_costs_that_were_not_counted_are_unknown_not_nothing(full):
    frame = NEW_TASK.frame([full[0].drop_vars("seconds_teachers")])
    assert frame["seconds_once"].isna().all() and frame["seconds_to_same_error"].isna().all()


def test_the_common_error_without_physics_is_what_all_reach(full):
    some = full[0].sel({"method": ["lora", "weights", "data"]})
    assert common_error(solutions(some)) == pytest.approx(
        float(some["history_mse"].sel({"rank": "4"})[..., -1].max())
    )
    assert math.isnan(common_error(solutions(full[0].drop_vars(["history_mse", "history_seconds"]))))


def test_a_smoke_study_shows_what_is_there():
    smoke = [evaluation(name, smoke=True) for name in PROBLEMS]
    assert list(PER_TASK.frame(smoke[:1])["rank"]) == ["1", "4"]
    assert list(HYPERNETWORKS.frame(smoke[:1])["mode"]) == ["physics", "physics"]
    assert list(NEW_TASK.frame(smoke[:1])["solver"]) == ["lora", "zero-shot", "refined"]


def test_a_problem_of_the_users_has_no_paper_columns():
    own = evaluation("heat").assign_attrs(problem="examples/heat.py:Heat")
    assert problem(own) == "heat"
    assert PER_TASK.frame([own])["mse_paper"].isna().all()
    assert "| paper" not in " ".join(page(1, [own]).split())


def test_a_problem_of_the_users_is_not_the_papers_whatever_it_is_called():
    own = evaluation("kovasznay").assign_attrs(problem="mine.py:Kovasznay")
    assert PER_TASK.frame([own])["mse_paper"].isna().all()
    assert NEW_TASK.frame([own])["seconds_paper"].isna().all()


def test_seconds_of_the_papers_adapters_stand_beside_those_of_their_rank(full):
    settings = json.loads(full[0].attrs["settings"])
    settings["evaluation"]["figure_rank"] = 16
    other = full[0].assign_attrs(settings=json.dumps(settings))
    assert row(NEW_TASK.frame(full[:1]), solver="lora")["seconds_paper"] == 720
    found = row(NEW_TASK.frame([other]), solver="lora")
    assert found["rank"] == "16" and math.isnan(found["seconds_paper"])
    whole = NEW_TASK.frame([full[0].sel({"rank": ["full"]})])
    found = row(whole, method="physics", solver="zero-shot")
    assert found["rank"] == "full" and math.isnan(found["seconds_paper"])  # the paper's has LoRA
    assert row(whole, solver="pinn")["seconds_paper"] == 6600


def test_figures_show_the_rank_of_the_settings_else_the_lowest(full):
    ranks = {row.method: row.rank for row in shown(full[0])}
    assert ranks["lora"] == ranks["physics"] == "4" and ranks["pinn"] == "full"
    assert "base" not in ranks
    other = full[0].sel({"rank": ["8", "16", "full"]})
    assert {row.method: row.rank for row in shown(other)}["lora"] == "8"


def test_the_papers_tables_are_whole():
    assert [len(paper(number)) for number in (1, 2, 3)] == [27, 60, 12]
    assert set(paper(2)["legible"]) == {"yes", "no"}


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0044, "0.0044"),
        (1.15, "1.1"),
        (12.4, "12"),
        (7200.0, "7,200"),
        (3e-4, "3.0e-04"),
        (math.inf, "inf"),
        (math.nan, "-"),
    ],
)
def test_numbers_are_short(value, expected):
    assert columns.Column("x", float, "x", columns.plain).cell(value) == expected


def test_errors_are_means_over_seeds_beside_those_of_the_best_and_the_worst(full):
    one, three = (HYPERNETWORKS.frame([dataset]) for dataset in (full[0], with_three_seeds(full[0])))
    before, found = (row(frame, mode="physics", rank="4") for frame in (one, three))
    assert found["mse_test"] == pytest.approx(3 * before["mse_test"])  # of once, twice and six times
    assert found["mse_test_best_seed"] == pytest.approx(before["mse_test"])
    assert found["mse_test_worst_seed"] == pytest.approx(6 * before["mse_test"])
    assert found["mse_test_worst"] == pytest.approx(6 * before["mse_test_worst"])
    assert (found["tasks"], found["failed"], found["parameters"]) == (20, 0, before["parameters"])
    assert found["seconds_once"] == pytest.approx(before["seconds_once"])
    assert math.isnan(before["mse_test_best_seed"])
    assert PER_TASK.frame([full[0]]).equals(PER_TASK.frame([with_three_seeds(full[0])]))


def test_what_covers_some_tasks_or_failed_is_counted_by_tasks_not_by_seeds(full):
    dataset = with_three_seeds(full[0]).copy(deep=True)
    place = {"method": "data", "rank": "4", "split": "test"}
    dataset["mse"].loc[place | {"task": 3}] = np.inf  # with all seeds
    dataset["mse"].loc[place | {"task": 5, "seed": 2024}] = np.inf
    text = page(2, [dataset])
    assert row(HYPERNETWORKS.frame([dataset]), mode="data", rank="4")["failed"] == 2
    assert "data, rank 4: 2 of 20 test tasks failed with one seed or more;" in text
    assert "have a reference" not in text
    dataset["residual"] = 1e-3 + 0 * dataset["mse"].where(np.isfinite(dataset["mse"])).isel(
        field=0, drop=True
    )
    dataset["mse"].loc[{"task": slice(8, None)}] = np.nan
    assert "kovasznay: 8 of 20 test tasks have a reference; errors are means over those." in page(
        2, [dataset]
    )


def test_pages_name_the_seeds_and_show_their_spread_where_there_are_several(full):
    text, alone = page(2, [with_three_seeds(full[0])]), page(2, full[:1])
    assert "hypernetworks with 3 seeds, 2023 to 2025, all else with 2023" in text
    assert "| best seed | worst seed |" in " ".join(text.split()) and "best seed |" not in alone
    assert "; one seed, 2023." in alone
