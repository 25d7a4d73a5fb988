"""Training by budget: the optimiser that suits, settings that fit, steps from the watch, and an end in time."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from declared import Heat

from pinnlora.problem.load import load_problem
from pinnlora.study.settings import load_settings
from pinnlora.train import budget, loop, progress
from pinnlora.train.budget import paced, settings_within, suited, train_within
from pinnlora.train.loop import train
from pinnlora.train.settings import HypernetworkStage, NetworkSettings, PerTaskStage, StageSettings
from pinnlora.train.setup import network_of

ROOT = Path(__file__).parents[2]
EXAMPLES = ("cylinder.py:Cylinder", "poisson.py:Poisson")


@pytest.mark.parametrize(
    ("stage", "name", "optimiser", "dtype"),
    [
        (HypernetworkStage, "kovasznay", "gauss_newton", "float64"),
        (HypernetworkStage, "burgers1d", "soap", "float32"),
        (PerTaskStage, "burgers1d", "levenberg_marquardt", "float64"),
    ],
)
def test_the_optimiser_that_suits(stage, name, optimiser, dtype):
    found = suited(stage(optimiser="auto", steps=7), load_problem(name))
    assert (found.optimiser, found.dtype, found.steps) == (optimiser, dtype, 7)
    assert (found.clip, found.normalise) == ((2.0, 0.5) if optimiser == "soap" else (0.0, 0.0))
    named = stage(optimiser="adam", learning_rate=3e-3)
    assert suited(named, load_problem(name)) is named


@pytest.mark.parametrize("name", ["kovasznay", "burgers1d", "burgers2d"])
@pytest.mark.parametrize("minutes", [0.1, 5, 60])
def test_settings_are_those_of_a_study_and_their_shares_fit(name, minutes):
    settings = load_settings(settings_within(load_problem(name), minutes), {"problems": [name]})
    problem = settings.problem(name)
    base, physics = problem.stage("base"), problem.stage("physics", 4)
    assert base.seconds + physics.seconds < 60 * minutes and physics.seconds > 2 * base.seconds
    rows = physics.tasks_per_step * (
        physics.points * len(load_problem(name).fields) + physics.condition_points
    )
    assert rows < physics.rows
    assert problem.network.conditions == "auto" and physics.horizon == "auto"


def test_a_formulation_that_a_problem_offers_is_taken_with_all_that_it_needs():
    network = settings_within(load_problem("burgers1d"), 5)["network"]
    assert (network["formulation"], network["symmetry"], network["lift"]) == ("potential", True, True)
    network_of(load_problem("burgers1d").formulated("potential"), NetworkSettings(**network))
    assert settings_within(load_problem("kovasznay"), 5)["network"]["formulation"] == "default"


@dataclass
class Clock:
    """What the package takes for the time."""

    now: float = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    for module in (budget, loop, progress):
        monkeypatch.setattr(module, "time", made)
    return made


@dataclass
class Watched:
    """A learner whose step takes a tenth of a millisecond a point, and notes what it is asked for."""

    stage: StageSettings
    clock: Clock
    slower: float = 1.0
    asked: list[int] = field(default_factory=list)

    def __post_init__(self):
        self.steps, self.seconds = self.stage.steps, self.stage.seconds

    def step(self, step):
        self.asked.append(step)
        self.clock.now += self.slower * 1e-4 * self.stage.points
        return {"one": torch.ones(1)}

    def validate(self):
        self.clock.now += 2e-4
        return torch.ones(1)

    def settled(self, step):
        return True

    def keep(self, better):
        pass

    def restore(self):
        pass

    def next_phase(self):
        return False

    def look(self, losses, step):
        pass

    def error(self):
        return 0.0


def test_steps_come_from_the_time_that_they_take(clock):
    stage = StageSettings(steps=10**6, seconds=1.0, points=20)
    found = paced(stage, lambda stage: Watched(stage, clock))
    assert found.points == 20 and found.seconds == pytest.approx(0.98, abs=3e-3)  # less what was measured
    assert found.steps == 486 == int((1 - 9 * 2e-3 - 2e-4 - 40 * 2e-4) / 2e-3)
    assert found.report_every == found.steps // 40
    few = paced(stage.model_copy(update={"steps": 50}), lambda stage: Watched(stage, clock))
    assert few.steps == 50 and few.seconds == pytest.approx(0.98, abs=3e-3)
    assert paced(StageSettings(), Watched) == StageSettings()


def test_a_second_order_method_gets_fewer_points_rather_than_too_few_steps(clock):
    more = {"optimiser": "levenberg_marquardt", "steps": 10**6, "condition_points": {"walls": 300}}

    def found(points: int, seconds: float) -> StageSettings:
        stage = StageSettings(points=points, seconds=seconds, **more)
        return paced(stage, lambda stage: Watched(stage, clock))

    short = found(400, 1.0)
    assert 30 < short.points < 100 and short.steps > 150
    assert short.condition_points["walls"] == pytest.approx(0.75 * short.points, abs=1)
    assert found(40, 2.0).points == 40
    few = StageSettings(points=400, seconds=3.0, **more | {"steps": 50})  # 2 s
    assert paced(few, lambda stage: Watched(stage, clock)).points == 400


def test_a_slow_machine_skips_steps_and_ends_in_time(clock):
    """Three times as slow as measured: schedules still come to their end, evenly."""
    learner = Watched(StageSettings(steps=100, seconds=0.3, points=30), clock, slower=3.0)
    history = train(learner, 10, quiet=True)
    assert clock.now < 0.32 and history.iterations in (33, 34)
    assert learner.asked[0] == 0 and learner.asked[-1] > 95 and np.diff(learner.asked).max() <= 4
    assert history.rows[-1]["step"] == history.iterations


def test_a_fast_machine_uses_its_time(clock):
    learner = Watched(StageSettings(steps=100, seconds=0.3, points=30), clock, slower=0.5)
    assert train(learner, 10, quiet=True).iterations > 190
    assert set(learner.asked) == set(range(100))


@pytest.mark.parametrize(("slower", "taken"), [(0.5, 50), (3.0, 50), (100.0, 5)])
def test_steps_that_fit_into_the_budget_are_taken_once_while_it_lasts(clock, slower, taken):
    """However long they turn out to take: 50 of 2 ms, of one second."""
    learners = []

    def learner_of(stage: StageSettings) -> Watched:
        learners.append(Watched(stage, clock))
        return learners[-1]

    def slow(stage: StageSettings) -> Watched:
        found = learner_of(stage)
        found.slower = slower if len(learners) > 1 else 1.0  # the first is measured
        return found

    _, history = train_within(StageSettings(steps=50, seconds=1.0, points=20), slow, "training")
    assert history.iterations == taken == len(set(learners[-1].asked))


def test_without_a_budget_every_step_is_taken(clock):
    learner = Watched(StageSettings(steps=30, points=1), clock)
    train(learner, 10, quiet=True)
    assert learner.asked == list(range(30))


def test_heat_is_within_what_is_offered():
    """An own problem of one number: Gauss-Newton on as many rows as are allowed."""
    physics = settings_within(Heat(), 2)["training"]["physics"]
    assert physics["optimiser"] == "auto" and "adaptive" not in physics and physics["tasks_per_step"] == 12


def test_the_base_looks_where_a_shape_is_steep_and_nothing_follows_its_points():
    """Around a hole, a small share of the domain, evenly spread points are hardly ever."""
    of = {name: settings_within(load_problem(f"{ROOT}/examples/{name}"), 5)["training"] for name in EXAMPLES}
    cylinder, poisson = of.values()
    assert cylinder["base"]["adaptive"] and "adaptive" not in poisson["base"]
    for stage in ("base", "physics"):
        assert cylinder[stage]["damping_floor"] == poisson[stage]["damping_floor"] == budget.FLOOR
    assert cylinder["base"]["seconds"] == pytest.approx(0.28 * 300)  # three unknowns
    assert poisson["base"]["seconds"] == pytest.approx(0.2 * 300)


def test_of_few_steps_half_are_of_the_tasks_themselves(clock):
    """However many were meant for their way."""
    stage = StageSettings(
        steps=10**6, seconds=1.0, points=20, continuation={"alpha": 1.0}, continuation_steps=3000
    )
    found = paced(stage, lambda stage: Watched(stage, clock))
    assert found.steps == 486 and found.continuation_steps == 243
    enough = paced(
        stage.model_copy(update={"steps": 90, "continuation_steps": 60}), lambda s: Watched(s, clock)
    )
    assert (enough.steps, enough.continuation_steps) == (90, 60)
    none_left = stage.model_copy(update={"steps": 90, "continuation_steps": 90})
    assert paced(none_left, lambda s: Watched(s, clock)).continuation_steps == 45


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"steps": 50, "continuation": {"nu": 1.0}, "continuation_steps": 50},
            "50 of 50 steps: none are left",
        ),
        (
            {
                "steps": 50,
                "continuation": {"nu": 1.0},
                "continuation_steps": 60,
                "optimiser": "adam+lbfgs",
                "lbfgs_steps": 5,
            },
            "60 of 50 steps: none are left",
        ),
        ({"seconds": 5, "chain": True}, "chain: true has no budget of seconds"),
        (
            {"seconds": 5, "optimiser": "adam+lbfgs", "lbfgs_steps": 5},
            r"adam\+lbfgs has no budget of seconds",
        ),
    ],
)
def test_what_no_budget_or_too_few_steps_can_have_is_refused(keys, words):
    with pytest.raises(ValueError, match=words):
        PerTaskStage(**keys)
    assert StageSettings(**keys)  # of what was trained once no more is asked than that it can be read
