"""Hypernetworks: every mode learns on a tiny Kovasznay flow, from the tasks and points it is told to use."""

import numpy as np
import pytest
import torch
from small import CPU, generator, random_theta, relative, tiny

from pinnlora import Box, Condition, Disk, Problem, Uniform
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.train.data import Monitor, Solutions, fields_of, grid_coords, task_set
from pinnlora.train.hyperlearner import Hyperlearner
from pinnlora.train.loop import train
from pinnlora.train.settings import StageSettings
from pinnlora.train.setup import draw_of, numpy_generator, torch_generator

RE = {"train": [20.0, 45.0, 70.0, 95.0], "validation": [30.0, 80.0], "test": [25.0, 60.0]}
FIELDS = ("u", "v", "p")
PHYSICS = ["momentum_x", "momentum_y", "continuity", "walls_u", "walls_v", "outflow_p"]
TERMS = {
    "data": [f"data_{field}" for field in FIELDS],
    "weights": ["weights"],
    "distilled": [f"distilled_{field}" for field in FIELDS],
    "physics": PHYSICS,
}


def learner_of(mode: str, seed: int = 0, **settings) -> Hyperlearner:
    problem, full = tiny("kovasznay", "full", width=8)
    stage = StageSettings(
        **{"dtype": "float64", "steps": 60, "points": 30, "condition_points": 12, "tasks_per_step": 4}
        | {"learning_rate": 1e-2, "rows": 1000, "fresh_tasks": False}
        | settings
    )

    def solutions(split: str) -> Solutions:
        values = {"re": np.array(RE[split])}
        tasks = task_set(problem, values, False, CPU, torch.float64)
        reference = problem.reference(values)
        fields = np.stack([reference[field].reshape(len(RE[split]), -1) for field in FIELDS], -1)
        return Solutions(tasks, grid_coords(problem, CPU, torch.float64), torch.from_numpy(fields))

    teachers = random_theta(full, 1) + torch.linspace(0, 0.3, 4)[:, None]
    start = random_theta(full, 1, seed=8)[0]
    hypernetwork = Hypernetwork(1, (16, 16), start, "silu", torch_generator(seed, "body")).double()
    return Hyperlearner(
        problem,
        full,
        hypernetwork,
        mode,
        solutions("train"),
        solutions("validation"),
        stage,
        draw_of(seed, "points", CPU, torch.float64),
        numpy_generator(seed, "tasks"),
        problem.embed,
        teachers,
        monitor=Monitor.of(solutions("test")),
        origin={"re": torch.tensor([60.0], dtype=torch.float64)},
    )


@pytest.mark.parametrize(
    ("mode", "optimiser"),
    [
        ("data", "adam"),
        ("data", "gauss_newton"),
        ("weights", "adam"),
        ("distilled", "adam"),
        ("distilled", "gauss_newton"),
        ("physics", "adam"),
        ("physics", "gauss_newton"),
    ],
)
def test_every_mode_lowers_its_loss_and_names_its_terms(mode, optimiser):
    learner = learner_of(mode, optimiser=optimiser, steps=60 if optimiser == "adam" else 12)
    first = learner.step(0)
    assert list(first) == TERMS[mode]
    assert all(loss.shape == (4,) for loss in first.values())
    last = [learner.step(step) for step in range(1, learner.steps)][-1]
    before, after = (float(sum(losses.values()).mean()) for losses in (first, last))
    assert after < before / 3


@pytest.mark.parametrize("mode", ["data", "physics"])
def test_training_lowers_the_error_of_tasks_it_has_not_seen(mode):
    learner = learner_of(mode, optimiser="gauss_newton", steps=50, fresh_tasks=True)
    before = learner.error()
    history = train(learner, 5, quiet=True)
    assert learner.error() < before / 5
    torch.testing.assert_close(learner.validate(), history.best)


def test_regressed_weights_are_those_of_the_teachers():
    learner = learner_of("weights", steps=1500)
    for step in range(1500):
        learner.step(step)
    with torch.no_grad():
        predicted = learner.hypernetwork(learner.embed(learner.training.tasks.values))
    assert relative(predicted, learner.teachers) < 0.02


def test_distilled_targets_are_the_teachers_fields():
    """With its teachers' weights predicted exactly, the distilled loss vanishes; with others it does not."""
    learner = learner_of("distilled")
    values, chosen = learner._draw_tasks(0, 4)
    objective = learner._residuals(values, chosen, learner.hypernetwork(learner.embed(values)).detach(), 0)
    assert float(objective.total(learner.teachers[chosen]).max()) < 1e-25
    assert float(objective.total(learner.teachers[chosen.flip(0)]).min()) > 1e-6


@pytest.mark.parametrize(("lift", "adaptive"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("mode", ["data", "distilled"])
def test_the_loss_of_the_exact_fields_vanishes_in_the_canonical_frame_too(mode, lift, adaptive):
    """1D Burgers with symmetry: targets are moved into the frame where the network works."""
    problem, full = tiny("burgers1d", "full", lift=lift)
    values = {"u0": problem.task.sample(3, np.random.default_rng(0))["u0"] + 0.4}
    tasks = task_set(problem, values, True, CPU, torch.float64)
    grid, theta = grid_coords(problem, CPU, torch.float64)[:, ::97], random_theta(full, 3)
    solutions = Solutions(tasks, grid, fields_of(full, theta, tasks, grid))
    stage = StageSettings(dtype="float64", points=20, tasks_per_step=2, adaptive=adaptive)
    body = Hypernetwork(33, (4,), theta[0]).double()
    draw, rng = draw_of(0, "points", CPU, torch.float64), numpy_generator(0, "tasks")
    learner = Hyperlearner(
        problem, full, body, mode, solutions, solutions, stage, draw, rng, problem.embed, theta
    )
    drawn, chosen = learner._draw_tasks(0, 2)
    objective = learner._residuals(drawn, chosen, body(problem.embed(drawn)).detach(), 0)
    assert float(objective.total(theta[chosen]).max()) < 1e-25
    assert float(objective.total(theta[chosen.flip(0)]).min()) > 1e-6


def test_adaptive_points_of_data_lie_where_the_error_is_and_count_for_less():
    plain, adaptive = learner_of("data"), learner_of("data", adaptive=True)
    sizes = []
    for learner in (plain, adaptive):
        values, chosen = learner._draw_tasks(0, 4)
        embedding = learner.embed(values)
        theta = learner.hypernetwork(embedding).detach()
        losses, errors = [], []
        for _ in range(40):
            objective = learner._residuals(values, chosen, theta, 0)
            block = objective.blocks[0]
            jet = learner.parametrisation.network.forward(
                learner.parametrisation.weights(theta), block.coords, block.channels
            )
            errors.append(torch.stack(list(block.terms(jet).values())).square().sum(0).mean())
            losses.append(objective.total(theta).mean())
        sizes.append((torch.stack(errors).mean(), torch.stack(losses).mean()))
    assert sizes[1][0] > 1.05 * sizes[0][0]
    assert float(sizes[1][1]) == pytest.approx(float(sizes[0][1]), rel=0.1)  # on average the same loss


def test_physics_draws_fresh_tasks_or_the_training_tasks():
    fresh = learner_of("physics", fresh_tasks=True, tasks_per_step=7, margin=0.05)
    first, second = (fresh._draw_tasks(step, 7)[0]["re"] for step in range(2))
    assert first.shape == (7,) and not torch.equal(first, second)
    for drawn in (first, second):  # one between neighbouring Chebyshev nodes of the range with its margin
        assert sorted((7 * torch.arccos(1 - (drawn - 16) / 44) / torch.pi).floor().tolist()) == list(range(7))
    trained = learner_of("physics", tasks_per_step=3)
    for step in range(3):
        values, chosen = trained._draw_tasks(step, 3)
        assert values["re"].tolist() == [RE["train"][k] for k in chosen]
        assert len(set(chosen.tolist())) == 3


class Cracked(Problem):
    """A plate that a hole of the largest size nearly cuts apart."""

    coords = Box(x=(-0.5, 0.5), y=(-0.5, 0.5)) - Disk(x=0, y=0, radius="r").named("hole")
    fields = ("u",)
    task = Uniform(r=(0.1, 0.49), k=(1, 5))

    def residual(self, u_xx, u_yy, k):
        return {"poisson": u_xx + u_yy + k}

    def rim(self):
        return {"u": 0.0}

    conditions = [Condition(rim, on="boundary")]


def test_fresh_tasks_keep_the_range_of_what_the_domain_depends_on():
    """Beyond it the domain may be cut apart, or empty."""
    learner = learner_of("physics", fresh_tasks=True, margin=0.07)
    learner.problem = Cracked()
    drawn, _ = learner._draw_tasks(0, 500)
    assert 0.1 <= drawn["r"].min() < 0.101 and 0.489 < drawn["r"].max() <= 0.49
    assert drawn["k"].min() < 0.8 and drawn["k"].max() > 5.2


def test_continuation_eases_the_tasks_of_physics():
    learner = learner_of("physics", continuation={"re": 5.0}, continuation_steps=10, tasks_per_step=4)
    assert learner._draw_tasks(0, 4)[0]["re"].tolist() == pytest.approx([5.0] * 4)
    assert sorted(learner._draw_tasks(10, 4)[0]["re"].tolist()) == RE["train"]
    own = learner_of("physics", continuation={"re": "base"}, continuation_steps=10, tasks_per_step=4)
    assert own._draw_tasks(0, 4)[0]["re"].tolist() == pytest.approx([60.0] * 4)


def test_nothing_is_judged_while_tasks_are_eased():
    learner = learner_of("physics", continuation={"re": 5.0}, continuation_steps=10)
    assert [learner.settled(step) for step in (0, 9, 10)] == [False, False, True]


@pytest.mark.parametrize(("mode", "remembers"), [("physics", True), ("data", False), ("distilled", False)])
def test_adaptive_physics_remembers_the_points_of_all_tasks(mode, remembers):
    learner = learner_of(mode, adaptive=True, fresh_tasks=True, tasks_per_step=4)
    learner.step(0)
    assert (learner._physics.sampler.remembered is not None) == remembers
    assert learner._physics.sampler.together


@pytest.mark.parametrize("mode", list(TERMS))
def test_a_seed_repeats_the_training_and_another_does_not(mode):
    def run(seed: int) -> torch.Tensor:
        learner = learner_of(mode, seed, steps=3, fresh_tasks=True)
        train(learner, 1, quiet=True)
        return torch.cat([p.detach().flatten() for p in learner.hypernetwork.parameters()])

    assert torch.equal(run(1), run(1))
    assert relative(run(2), run(1)) > 1e-2


def test_random_streams_depend_on_seed_and_name():
    streams = [(1, "a"), (2, "a"), (1, "b"), (1 << 33, "a")]
    numbers = [torch.rand(3, generator=torch_generator(*stream)).tolist() for stream in streams]
    assert len({tuple(row) for row in numbers}) == 4
    assert numbers[0] == torch.rand(3, generator=torch_generator(1, "a")).tolist()
    numbers = [numpy_generator(*stream).random(3).tolist() for stream in streams]
    assert len({tuple(row) for row in numbers}) == 4


def test_a_new_hypernetwork_predicts_its_start_with_little_change_from_task_to_task():
    start = torch.randn(50, generator=generator(), dtype=torch.float64)
    body = Hypernetwork(2, (32, 32), start, generator=generator(1)).double()
    outputs = body(torch.rand(40, 2, generator=generator(2), dtype=torch.float64) * 2 - 1).detach()
    assert relative(outputs.mean(0), start) < 0.2
    assert 0 < float(outputs.std(0).max()) < 0.3 * float(start.std())


def test_the_average_of_the_weights_is_what_is_validated_and_kept():
    learner, decay, states = learner_of("data", average=0.8, learning_rate=0.1), 0.8, []
    for step in range(6):
        learner.step(step)
        states.append([p.detach().clone() for p in learner.hypernetwork.parameters()])
    counts = [(1 - decay) * decay ** (5 - k) / (1 - decay**6) for k in range(6)]
    assert sum(counts) == pytest.approx(1)
    mean = [sum(c * s for c, s in zip(counts, of, strict=True)) for of in zip(*states, strict=True)]
    loss = learner.validate()
    learner.keep(torch.tensor([True]))
    learner.restore()
    for found, expected, last in zip(learner.hypernetwork.parameters(), mean, states[-1], strict=True):
        torch.testing.assert_close(found.detach(), expected, rtol=1e-12, atol=1e-14)
        assert relative(found.detach(), last) > 1e-3
    plain = learner_of("data")
    plain.hypernetwork.load_state_dict(learner.hypernetwork.state_dict())
    torch.testing.assert_close(plain.validate(), loss)  # the same tasks and points


def test_the_average_forgets_what_blew_up():
    learner = learner_of("data", average=0.9, steps=300)
    for step in range(100):
        learner.step(step)
    with torch.no_grad():
        for p in learner.hypernetwork.parameters():
            p.fill_(torch.nan)
    for step in range(100, 202):
        learner.step(step)
    assert int(learner._first_order.halvings) == 1
    assert bool(learner.validate().isfinite())


def test_a_training_that_goes_astray_goes_on_from_its_best_weights_with_shorter_steps(capsys, monkeypatch):
    """At rate one SOAP ends a thousand times above the start within ten steps, and takes a hundred to come back."""
    ends = []
    for _ in range(2):
        learner = learner_of("data", optimiser="soap", learning_rate=1.0, steps=100)
        rows = train(learner, 10, quiet=True).rows
        ends.append(rows[-1]["validation"])
        monkeypatch.setattr(Hyperlearner, "turn_back", lambda self, astray: None)
    assert "back to the best weights, at half the rate" in capsys.readouterr().out
    assert ends[0] < 1 and ends[1] > 100 * ends[0]


@pytest.mark.parametrize("optimiser", ["adam", "gauss_newton"])
def test_a_step_that_does_not_fit_in_memory_is_taken_with_fewer_tasks(optimiser, monkeypatch, capsys):
    learner, whole = learner_of("physics", optimiser=optimiser, steps=4), Hyperlearner._residuals

    def residuals(self, values, chosen, current, step):
        if len(current) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, values, chosen, current, step)

    monkeypatch.setattr(Hyperlearner, "_residuals", residuals)
    losses = learner.step(0)
    assert {len(loss) for loss in losses.values()} == {2} and learner.state_dict()["batch"] == 2
    assert capsys.readouterr().out.count("too large for the memory: 2 from now on") == 1
    learner.step(1)
    assert "memory" not in capsys.readouterr().out
