"""The training loop: best states, stopping, history."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from pinnlora.train.loop import train


@dataclass
class Script:
    """A learner that follows a script: `curves` (entry, step) are its validation losses after each step."""

    curves: torch.Tensor
    now: int = 0
    kept: list[int] = field(default_factory=list)
    dropped: list[list[bool]] = field(default_factory=list)
    turned: list[tuple[int, list[bool]]] = field(default_factory=list)
    restored: bool = False
    settles: int = 0
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        return self.curves.shape[1] - 1

    def __post_init__(self):
        self.kept = [-1] * len(self.curves)

    def step(self, step):
        assert step == self.now
        self.now += 1
        terms = {"one": torch.full((len(self.curves),), 2.0)}
        return terms | ({"two": torch.tensor([1.0, 3.0])} if step else {})

    def settled(self, step):
        return step >= self.settles

    def validate(self):
        return self.curves[:, self.now]

    def keep(self, better):
        self.kept = [self.now if new else old for new, old in zip(better.tolist(), self.kept, strict=True)]

    def turn_back(self, astray):
        self.turned.append((self.now, astray.tolist()))

    def drop(self, finished):
        self.dropped.append(finished.tolist())
        return bool(finished.all())

    def next_phase(self):
        return False

    def restore(self):
        self.restored = True

    def look(self, losses, step):
        pass

    def error(self):
        return 0.5 * self.now


def script(*curves) -> Script:
    return Script(torch.tensor(curves, dtype=torch.float64))


def test_every_entry_keeps_its_best_state_even_the_first():
    learner = script([5, 3, 4, 1, 2], [1, 2, 3, 4, 5])
    history = train(learner, report_every=1, quiet=True)
    assert learner.kept == [3, 0] and learner.restored
    assert history.best.tolist() == [1, 1] and history.iterations == 4


def test_entries_that_are_far_above_their_best_turn_back_unless_a_part_is_all_that_was_judged():
    learner = script([5, 499, 501, 1, 99, torch.inf], [1, 2, 3, 4, 5, 500])
    train(learner, report_every=1, quiet=True)
    assert learner.turned == [(2, [True, False]), (5, [True, True])]
    unsettled = script([1, 900, 900, 900], [1, 1, 1, 1])
    unsettled.settles = 9
    train(unsettled, report_every=1, quiet=True)
    assert unsettled.turned == []


def test_nothing_better_is_seen_between_reports_but_the_last_step_always_is():
    learner = script([9, 1, 8, 7, 6, 5], [9, 1, 1, 1, 1, 1])
    history = train(learner, report_every=2, quiet=True)
    assert learner.kept == [5, 2]
    assert [row["step"] for row in history.rows] == [2, 4, 5]


def test_until_the_whole_problem_is_minimised_the_latest_state_is_kept():
    """And the first judgement after it counts afresh: what was lower before was another loss."""
    learner = script([9, 1, 2, 3, 8, 7, 7.5, 7], [9, 1, float("nan"), 3, 8, 8.5, 9, 9])
    learner.settles = 3
    history = train(learner, report_every=1, patience=3, quiet=True)
    assert learner.kept == [5, 4] and history.best.tolist() == [7, 8]
    assert learner.dropped[:6] == [[False, False]] * 6 and learner.dropped[6] == [False, True]


def test_entries_stop_one_by_one_and_stay_stopped():
    learner = script([5, 4, 4, 4, 1, 1, 1, 1, 1], [9, 8, 7, 6, 5, 5, 5, 5, 1])
    history = train(learner, report_every=1, patience=2, quiet=True)
    assert learner.dropped[:4] == [[False, False], [False, False], [True, False], [True, False]]
    assert history.iterations == 6  # the second stops two steps after its last gain
    assert learner.kept == [1, 4]  # what became better after it had stopped does not count
    assert history.best.tolist() == [4, 5] and learner.restored


def test_patience_counts_steps_not_reports():
    learner = script([5] + [6] * 20, [5] + [6] * 20)
    assert train(learner, report_every=3, patience=6, quiet=True).iterations == 6
    learner = script([5] + [6] * 20, [5] + [6] * 20)
    assert train(learner, report_every=3, patience=0, quiet=True).iterations == 20
    assert learner.dropped == []


def test_losses_that_are_not_numbers_are_never_the_best():
    learner = script([5, np.inf, 4, np.inf], [np.inf, 3, np.inf, np.inf])
    train(learner, report_every=1, quiet=True)
    assert learner.kept == [2, 1]


def test_the_history_holds_every_term_as_a_described_variable():
    dataset = train(script([5, 4, 3], [5, 4, 1]), report_every=1, quiet=True).dataset()
    assert set(dataset) == {"seconds", "step", "validation", "mse", "loss", "loss_one", "loss_two"}
    assert dataset["loss_one"].values.tolist() == [2, 2]
    np.testing.assert_equal(dataset["loss_two"].values, [np.nan, 2])
    assert dataset["loss"].values.tolist() == [2, 4]
    assert dataset["validation"].values.tolist() == [4, 2] and dataset["mse"].values.tolist() == [0.5, 1]
    assert (np.diff(dataset["seconds"]) >= 0).all()
    assert all(variable.attrs["long_name"] and variable.attrs["units"] for variable in dataset.values())
    assert dataset.attrs["iterations"] == 2


def test_progress_is_a_line_a_report_where_there_is_no_terminal(capsys):
    train(script([5, 4, 3], [5, 4, 1]), report_every=1)
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["step", "1"],
        ["step", "2"],
    ]
    train(script([5, 4, 3], [5, 4, 1]), report_every=1, quiet=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("steps", [1, 3])
def test_one_report_covers_a_run_shorter_than_an_interval(steps):
    learner = script([5] * (steps + 1), [6] * (steps + 1))
    assert len(train(learner, report_every=50, quiet=True).rows) == 1
