"""L-BFGS for batches of tasks, Adam with its schedules and its guard."""

import copy
import gc
import math
import weakref

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from small import generator, relative

from pinnlora.optimise.first_order import FirstOrder, Schedule
from pinnlora.optimise.lbfgs import LBFGS

STARTS = torch.tensor([[-1.2, 1.0], [2.0, -1.5], [0.3, 0.0]], dtype=torch.float64)


def rosenbrock(theta: torch.Tensor) -> torch.Tensor:
    x, y = theta.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def minimise(loss, theta: torch.Tensor, steps: int) -> torch.Tensor:
    method, path = LBFGS(), [theta]
    for _ in range(steps):
        moved, value = method.step(path[-1], loss)
        torch.testing.assert_close(value, loss(moved))
        path.append(moved)
    return torch.stack(path)


def test_lbfgs_finds_the_minimum_of_rosenbrock_that_scipy_finds():
    path = minimise(rosenbrock, STARTS, 60)
    for task, start in enumerate(STARTS):
        truth = minimize(
            lambda p: float(rosenbrock(torch.from_numpy(p))),
            start.numpy(),
            method="BFGS",
            options={"gtol": 1e-8},
        )
        np.testing.assert_allclose(path[-1][task].numpy(), truth.x, atol=1e-4)
        assert rosenbrock(path[-1][task]) < 1e-12
    losses = torch.stack([rosenbrock(theta) for theta in path])
    assert (losses.diff(dim=0) <= 0).all()  # no step goes uphill


def test_each_task_goes_the_way_it_goes_alone():
    together = minimise(rosenbrock, STARTS, 40)
    for task in range(len(STARTS)):
        alone = minimise(rosenbrock, STARTS[task : task + 1], 40)
        assert torch.equal(together[:, task], alone[:, 0])


def test_lbfgs_solves_badly_scaled_quadratics_exactly():
    scales = torch.logspace(0, 3, 8, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(2, 8, 8, generator=generator(), dtype=torch.float64))[0]
    hessians = turn @ torch.diag(scales) @ turn.mT
    right = torch.randn(2, 8, generator=generator(1), dtype=torch.float64)

    def loss(theta):
        return 0.5 * torch.einsum("ti,tij,tj->t", theta, hessians, theta) - (right * theta).sum(-1)

    end = minimise(loss, torch.zeros(2, 8, dtype=torch.float64), 60)[-1]
    assert relative(end, torch.linalg.solve(hessians, right)) < 1e-6


def test_a_task_that_cannot_move_waits_and_holds_nobody_up():
    def loss(theta):
        value = rosenbrock(theta)
        return torch.cat((value[:1], torch.where((theta[1:] == STARTS[1:2]).all(-1), value[1:], torch.nan)))

    path = minimise(rosenbrock, STARTS[:1], 30)
    both = [STARTS[:2]]
    method = LBFGS()
    for _ in range(30):
        both.append(method.step(both[-1], loss)[0])
    assert torch.equal(both[-1][1], STARTS[1])
    assert torch.equal(both[-1][0], path[-1][0])


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1e-3),
        (9_999, 1e-3),
        (10_000, 1e-4),
        (14_999, 1e-4),
        (15_000, 1e-5),
        (20_000, 1e-6),
        (25_000, 1e-7),
        (29_999, 1e-7),
        (1_000_000, 1e-7),
    ],
)
def test_the_papers_schedule(step, rate):
    assert Schedule("steps", 1e-3, 30_000)(step) == pytest.approx(rate)


def test_the_papers_schedule_of_hypernetworks():
    rate = Schedule("steps", 1e-3, 15_000, decay_start=5_000, decay_every=3_000)
    assert [rate(step) for step in (4_999, 5_000, 7_999, 8_000, 14_999)] == pytest.approx(
        [1e-3, 1e-4, 1e-4, 1e-5, 1e-7]
    )


def test_the_cosine_rises_falls_and_ends_near_zero():
    rate = Schedule("cosine", 2e-3, 1000)
    rates = np.array([rate(step) for step in range(1000)])
    assert rates[0] == pytest.approx(1e-4) and rates.argmax() in (19, 20)
    assert rates.max() == pytest.approx(2e-3, rel=2e-3)
    assert (np.diff(rates[20:]) < 0).all() and 0 < rates[-1] < 1e-5
    assert rate(510) == pytest.approx(1e-3, rel=5e-3)  # halfway down
    assert {Schedule("constant", 3e-4, 10)(step) for step in range(10)} == {3e-4}


class Bowl:
    """The loss |theta|^2 a task; `broken` replaces it."""

    broken: float | None = None

    def losses(self, theta):
        loss = theta.square().sum(-1)
        return {"bowl": loss if self.broken is None else loss * self.broken}


def adam(check_every: int = 5, rate: float = 0.1) -> tuple[FirstOrder, torch.Tensor]:
    theta = torch.tensor([[3.0, -2.0]], dtype=torch.float64, requires_grad=True)
    return FirstOrder([theta], Schedule("constant", rate, 1000), check_every=check_every), theta


def test_adam_descends_by_the_schedules_rate():
    method, theta = adam()
    losses = [float(method.step(theta, Bowl())["bowl"]) for _ in range(60)]
    assert losses[0] == 13 and losses[-1] < 0.1
    method, theta = adam(rate=0.25)
    method.step(theta, Bowl())
    assert theta.tolist()[0] == pytest.approx([2.75, -1.75])  # the first step of Adam is the rate itself


class Held:
    """A hook that lives as long as the graph that it is part of."""

    def __call__(self, gradient):
        return gradient


class Watched(Bowl):
    """A bowl whose graphs can be seen to go."""

    def __init__(self):
        self.graphs = []

    def losses(self, theta):
        loss, held = super().losses(theta)["bowl"] * 1.0, Held()
        loss.register_hook(held)
        self.graphs.append(weakref.ref(held))
        return {"bowl": loss}


@pytest.mark.parametrize("method", ["adam", "soap"])
def test_no_step_leaves_its_graph_in_memory(method):
    """As hypernetworks are trained, whose theta is not the parameter: a long training would end where memory does."""
    body, bowl = torch.nn.Linear(2, 3), Watched()
    rule = FirstOrder(
        list(body.parameters()), Schedule("constant", 1e-3, 1000), method, clip=2.0, normalise=0.5
    )
    for _ in range(3):
        rule.step(body(torch.ones(4, 2)), bowl)
    gc.collect()
    assert [graph() for graph in bowl.graphs] == [None] * 3


@pytest.mark.parametrize("method", ["adam", "soap"])
def test_what_goes_on_from_a_checkpoint_can_still_return_to_what_was_good_before(method):
    """A file gives the optimiser's memory back by name, in another order than it was made in."""

    def begun():
        torch.manual_seed(1)
        body = torch.nn.Linear(3, 4)
        return FirstOrder(
            list(body.parameters()), Schedule("constant", 1e-2, 100), method, check_every=4
        ), body

    def steps(rule, body, count, factor=None):
        bowl, inputs = Bowl(), torch.eye(5, 3)
        bowl.broken = factor
        for _ in range(count):
            rule.step(body(inputs), bowl)

    whole, body = begun()
    steps(whole, body, 6)
    kept = copy.deepcopy((whole.state_dict(), [p.detach() for p in body.parameters()]))
    steps(whole, body, 2, 1e9)  # the eighth returns to the fourth
    steps(whole, body, 9)
    again, other = begun()
    state, weights = kept
    memory = {str(key): dict(sorted(held.items())) for key, held in state["optimiser"]["state"].items()}
    with torch.no_grad():
        for p, own in zip(other.parameters(), weights, strict=True):
            p.copy_(own)
    again.load_state_dict(state | {"optimiser": state["optimiser"] | {"state": memory}})
    steps(again, other, 2, 1e9)
    steps(again, other, 9)
    assert int(whole.halvings) == int(again.halvings) == 1
    assert all(torch.equal(a, b) for a, b in zip(body.parameters(), other.parameters(), strict=True))


def test_what_begins_again_does_so_at_half_the_rate_and_returns_no_further_also_from_a_checkpoint():
    method, theta = adam()
    bowl = Bowl()
    for _ in range(7):
        method.step(theta, bowl)
    method.begin_again()
    here, later = theta.detach().clone(), adam()[0]
    later.load_state_dict(copy.deepcopy(method.state_dict()))
    (moved,) = later.parameters
    with torch.no_grad():
        moved.copy_(theta)
    for rule, what in ((method, theta), (later, moved)):
        bowl.broken = None
        rule.step(what, bowl)
        assert (here - what).abs().tolist()[0] == pytest.approx([0.05, 0.05], rel=0.2)
        bowl.broken = math.nan
        for _ in range(2):
            rule.step(what, bowl)
        assert int(rule.halvings) == 2 and torch.equal(what, here)


@pytest.mark.parametrize("factor", [math.nan, math.inf, 1e6])
def test_a_blow_up_is_rolled_back_at_half_the_rate(factor):
    method, theta = adam()
    bowl = Bowl()
    for _ in range(4):
        method.step(theta, bowl)
    good = theta.detach().clone()
    method.step(theta, bowl)  # the fifth: the loss of the state before it is checked, and that state kept
    bowl.broken = factor
    for _ in range(4):
        method.step(theta, bowl)
    assert method.halvings == 0 and not torch.equal(theta, good)
    method.step(theta, bowl)
    assert method.halvings == 1 and torch.equal(theta, good)
    bowl.broken = None
    method.step(theta, bowl)
    assert (good - theta).abs().tolist()[0] == pytest.approx([0.05, 0.05], rel=0.2)  # half the rate
    for _ in range(200):
        method.step(theta, bowl)
    assert float(theta.detach().abs().max()) < 0.1


@pytest.mark.parametrize("independent", [True, False])
def test_a_loss_that_grows_with_its_task_is_no_blow_up(independent):
    """A bowl a thousand times as deep after 100 steps as before: nothing goes back while it moves."""
    theta = torch.tensor([[3.0, -2.0]], dtype=torch.float64, requires_grad=True)
    rule = FirstOrder([theta], Schedule("constant", 1e-3, 200), check_every=5, independent=independent)
    bowl = Bowl()
    for step in range(100):
        bowl.broken = torch.tensor([1000.0 ** (step / 100)])
        rule.step(theta, bowl, moving=True)
    assert int(rule.halvings) == 0
    bowl.broken = torch.tensor([1e6])
    for _ in range(5):
        rule.step(theta, bowl)
    assert int(rule.halvings) == 1


def test_independent_tasks_are_rolled_back_alone():
    start = torch.tensor([[3.0, -2.0], [2.0, 1.0], [1.0, 1.0]], dtype=torch.float64)

    def after(rows, broken):
        theta = start[rows].clone().requires_grad_()
        method = FirstOrder([theta], Schedule("constant", 0.1, 100), check_every=5, independent=True)
        bowl, halvings = Bowl(), []
        for step in range(14):
            bowl.broken = broken if 6 <= step < 10 else None
            method.step(theta, bowl)
            halvings.append(method.halvings.tolist())
        return theta.detach(), halvings

    together, halvings = after([0, 1, 2], torch.tensor([1.0, math.nan, 1.0]))
    assert halvings[8] == [0, 0, 0] and halvings[-1] == [0, 1, 0]
    assert torch.equal(together[[0, 2]], after([0, 2], None)[0])
    assert torch.equal(together[1:2], after([1], torch.tensor([math.nan]))[0])
    assert together[1].isfinite().all()


def test_rows_say_which_tasks_are_still_trained():
    theta = torch.tensor([[3.0, -2.0], [2.0, 1.0]], dtype=torch.float64, requires_grad=True)
    method = FirstOrder([theta], Schedule("constant", 0.1, 100), check_every=2, independent=True)
    bowl, rows = Bowl(), torch.tensor([1])
    for _ in range(2):
        method.step(theta[rows], bowl, rows)
    bowl.broken = math.inf
    for _ in range(2):
        method.step(theta[rows], bowl, rows)
    assert method.halvings.tolist() == [0, 1]
    assert theta[0].tolist() == [3.0, -2.0] and theta[1].isfinite().all()


def test_lbfgs_keeps_the_history_of_the_tasks_that_go_on():
    alone, method, path = LBFGS(), LBFGS(), [STARTS[:2]]
    for _ in range(5):
        path.append(method.step(path[-1], rosenbrock)[0])
    method.keep(torch.tensor([False, True]))
    rest, single = path[-1][1:2], STARTS[1:2]
    for _ in range(5):
        rest = method.step(rest, rosenbrock)[0]
    for _ in range(10):
        single = alone.step(single, rosenbrock)[0]
    assert relative(rest, single) < 1e-9


def test_a_last_good_state_is_one_whose_gradient_was_good_too():
    """A loss may be finite where its gradient is not: that step is not one to return to."""
    method, theta = adam()

    class Cusp(Bowl):
        def losses(self, theta):
            return {"cusp": super().losses(theta)["bowl"] + (theta - theta.detach()).abs().sum(-1).sqrt()}

    for step in range(10):
        method.step(theta, Cusp() if step == 4 else Bowl())
    assert theta.isfinite().all()
