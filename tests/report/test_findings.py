"""What is said of a study is what its evaluations hold."""

import numpy as np
import pytest
from synthetic import evaluation, row, with_three_seeds

from pinnlora.report.columns import frame
from pinnlora.report.findings import ABOVE, COMPARED, FLOORS, RANKS, REGRESSION, WORST, findings, ranked_of
from pinnlora.report.summaries import Row


@pytest.fixture
def ranked():
    """Kovasznay with three seeds: LoRA best at rank 16, `data` at rank 2 by luck, `physics` at rank 8 for good."""
    dataset = with_three_seeds(evaluation("kovasznay")).copy(deep=True)
    test = dataset["mse"].sel(split="test")
    for method, rank, errors in (
        ("lora", "16", [1e-12]), ("data", "4", [4e-9, 5e-9, 6e-9]), ("data", "2", [1e-9, 2e-9, 8e-9]),
        ("physics", "4", [4e-11, 5e-11, 6e-11]), ("physics", "8", [1e-11, 2e-11, 3e-11]),
    ):  # fmt: skip
        for seed, error in zip(dataset["seed"].values, errors, strict=False):
            place = {"method": method, "rank": rank, "seed": seed}
            known = test.sel(place).notnull()
            dataset["mse"].loc[place | {"split": "test"}] = np.where(known, error, np.nan)
    return dataset


def test_the_best_rank_stands_with_the_number_of_seeds_that_it_is_below_rank_4_with(ranked):
    found = frame(RANKS, ranked_of(ranked)).replace({"method": {"LoRA": "lora"}})
    lora, data, physics = (row(found, method=name) for name in ("lora", "data", "physics"))
    assert (lora["best_rank"], lora["mse"], lora["seeds"]) == ("16", pytest.approx(1e-12), "")
    assert (data["best_rank"], data["mse"], data["seeds"]) == ("2", pytest.approx(11e-9 / 3), "2 of 3")
    assert (physics["best_rank"], physics["seeds"]) == ("8", "3 of 3")
    assert (physics["paper_rank"], physics["paper"]) == ("4", 4.84e-7)  # as printed in Table 2


def test_modes_and_weight_regression_are_compared_at_one_rank(ranked):
    modes = [found for found in ranked_of(ranked) if found.method != "lora"]
    physics = row(frame(COMPARED, modes), mode="physics")
    assert (physics["best_seed"], physics["worst_seed"]) == (pytest.approx(1e-11), pytest.approx(3e-11))
    own = row(frame(REGRESSION, [Row(ranked, "weights", "4")]), rank="4")
    errors = [
        np.nanmean(ranked["mse"].sel({"method": m, "rank": "4", "split": "test"}))
        for m in ("weights", "distilled")
    ]
    assert own["ratio"] == pytest.approx(errors[0] / errors[1]) and own["paper"] == 3.19e-3


def test_the_worst_task_is_named_by_its_parameter_with_the_seeds_that_agree(ranked):
    place = {"method": "physics", "rank": "4", "split": "test"}
    for seed, task in zip((2023, 2024, 2025), (7, 7, 3), strict=True):
        ranked["mse"].loc[place | {"seed": seed, "task": task}] = 1e-9
    ranked["task_re"].loc[{"split": "test", "task": 7}] = 99.0
    found = frame(WORST, [Row(ranked, "physics", "4")]).iloc[0]
    assert (found["task"], found["seeds"], found["mse"]) == ("re = 99", "2 of 3", pytest.approx(1e-9))
    assert found["ratio"] == pytest.approx(1e-9 / 5e-11)


def test_a_worst_task_is_counted_among_all_tasks_where_some_have_no_reference(ranked):
    place = {"method": "physics", "rank": "4", "split": "test"}
    ranked["mse"].loc[place | {"task": 7}] = 1e-9
    ranked["mse"].loc[place | {"task": [0, 1]}] = np.nan
    ranked["task_re"].loc[{"split": "test", "task": 7}] = 99.0
    found = frame(WORST, [Row(ranked, "physics", "4")]).iloc[0]
    assert (found["task"], found["seeds"]) == ("re = 99", "3 of 3")


def test_nothing_is_said_of_the_papers_best_rank_where_its_print_is_damaged():
    found = frame(RANKS, ranked_of(with_three_seeds(evaluation("burgers1d"))))
    assert found["paper_rank"].isna().tolist() == [
        False,
        False,
        False,
        True,
        True,
    ]  # lora, data, weights, ...


def test_the_least_error_beside_the_floors_is_that_of_refined_solutions(ranked):
    ranked["mse_refined"].loc[{"method": "physics", "rank": "4", "split": "test"}] = 1e-15
    assert "| 1.0e-15 | hypernetwork (physics, rank 4), refined |" in " ".join(findings([ranked]).split())


def test_only_what_is_above_a_legible_cell_is_listed(ranked):
    text = findings([ranked])
    above = text.split("## What is above the paper?")[1]
    assert "| weights, rank 1 |" in above and "LoRA" not in above and "physics, rank 4 " not in above
    assert frame(ABOVE, [Row(ranked, "weights", "1")]).iloc[0]["ratio"] > 1
    assert frame(FLOORS, [Row(ranked, "lora", "16")]).iloc[0]["reference"] == "1.0e-30"


def test_distances_to_refined_solutions_are_named(ranked):
    text = findings([ranked.assign_attrs(reference="refined"), evaluation("burgers2d")])
    assert "Kovasznay flow: Errors are distances to the task's own refined solution." in text
    assert "distances" not in findings([ranked])
