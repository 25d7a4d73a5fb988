"""Which conditions a trial function does not hold, and why: they are rows of the loss."""

import math

import pytest
import torch
from declared import Heat, Mixed, Schroedinger
from small import CPU, generator
from test_hard import interior, setting

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.terms import physics
from pinnlora.nets.ansatz import fields_at
from pinnlora.nets.hard import hard_conditions
from pinnlora.problem.channels import Channels
from pinnlora.problem.load import load_problem
from pinnlora.problem.signature import Condition
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of


def test_what_cannot_be_held_stays_in_the_loss_and_says_why():
    problem = Mixed()
    hard = hard_conditions(problem, own=False)
    assert hard.held == (("start", "u"),)
    why = {name: reason for name, _, reason in hard.soft}
    assert list(why) == ["robin", "lid", "flux"]
    assert "where they meet, by 5.0e-01" in why["lid"]  # one and two differ by half of two
    assert "derivative where the value is not prescribed" in why["flux"]
    assert "the unknown itself" in why["robin"]
    assert "start (u)" in hard.describe()[0] and len(hard.describe()) == 4
    full, theta, values = setting(problem, "auto")
    points = draw_points(problem, Draw(generator(1), CPU, torch.float64), values, 6, 4)
    losses = physics(problem, full, values, points).losses(theta)
    assert list(losses) == ["heat", "lid_u", "flux_u_x", "robin_u_x"]
    with pytest.raises(UserError, match="conditions: hard, but condition robin"):
        network_of(problem, NetworkSettings(conditions="hard"))


def rough(function, equation: str = "u_xx"):
    """Heat from another start, its equation asking for the Laplacian, the gradient or u_x instead."""

    class Rough(Heat):
        if equation == "laplacian_u":

            def residual(self, u_t, laplacian_u, alpha):
                return {"heat": u_t - alpha * laplacian_u}

        elif equation == "u_x":

            def residual(self, u_t, u_x, alpha):
                return {"heat": u_t - alpha * u_x}

        def start(self, x):
            return {"u": function(x)}

        conditions = [Condition(start, on="t=0"), Condition(Heat.ends, on=("x=0", "x=2"))]

    return Rough()


@pytest.mark.parametrize(
    "start",
    [
        lambda x: x + (x - 1).abs() - 1,  # a kink: its second derivative is a source that no residual sees
        lambda x: x + (x > 1).to(x.dtype) * (2 - x),  # a jump
        lambda x: x + torch.sin(math.pi * x.detach()),  # torch does not see the slope
        lambda x: torch.sqrt(x * 2),  # no slope at x = 0
        lambda x: x + torch.round(100 * torch.sin(math.pi * x)) / 100,  # stairs
        lambda x: (
            x + torch.sin(math.pi * x) + 1e-3 * torch.relu(0.5 - (x - 1).abs())
        ),  # a weak kink beside what bends
        lambda x: x + torch.sin(math.pi * x) + 0.02 * ((x > 0.6) & (x < 0.61)),  # a small step
    ],
    ids=["kink", "jump", "detached", "root", "stairs", "weak", "step"],
)
@pytest.mark.parametrize("equation", ["u_xx", "laplacian_u"])
def test_a_start_that_is_not_smooth_stays_soft(start, equation):
    hard = hard_conditions(rough(start, equation), own=False)
    assert ("start", "u") not in hard.held and ("ends", "u") in hard.held
    assert any(name == "start" and "smooth" in why for name, _, why in hard.soft)


@pytest.mark.parametrize(
    ("start", "equation"),
    [
        (
            lambda x: x + torch.sin(math.pi * x) * torch.tanh((x - 1) / 0.02),
            "laplacian_u",
        ),  # steep, and smooth
        (lambda x: x + torch.sin(40 * math.pi * x), "u_xx"),
        (
            lambda x: x + torch.sin(math.pi * x) * torch.relu(x - 1) ** 2,
            "u_xx",
        ),  # bends suddenly, has no kink
        (lambda x: x + (x - 1).abs() - 1, "u_x"),  # an equation of first order sees no kink
    ],
    ids=["front", "waves", "bend", "first order"],
)
def test_what_is_smooth_enough_for_its_equation_is_held(start, equation):
    assert ("start", "u") in hard_conditions(rough(start, equation), own=False).held


def test_a_small_start_is_held_or_not_as_a_large_one():
    """4e-7 at the start and 0 at the ends contradict each other, whatever the unit."""

    class Small(Heat):
        size = 1.0

        def start(self, x):
            return {"u": 0 * x + self.size}

        def ends(self, x):
            return {"u": 0 * x}

        conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=2"))]

    for size in (1.0, 4e-7):
        hard = hard_conditions(type("Small", (Small,), {"size": size})(), own=False)
        assert hard.held == (("start", "u"),) and "contradicts" in hard.soft[0][2]


def test_a_start_that_contradicts_the_periodic_ends_is_said():
    class Broken(Schroedinger):
        def start(self, x, a):
            return {"u": a * x, "v": 0.0}

        conditions = [Condition(start, on="t=0"), Schroedinger.conditions[1]]

    hard = hard_conditions(Broken(), own=False)
    assert hard.periodic == () and hard.soft == (
        ("periodic", "all", "what is prescribed at the start is not periodic"),
    )


def test_a_hand_written_ansatz_wins_and_is_asked_what_it_holds():
    problem = load_problem("burgers1d")
    hard = hard_conditions(problem, own=True)
    assert hard.held == (("initial", "u"), ("periodic", "all")) and not hard.patches
    full, theta, values = setting(problem, "auto", lift=True)
    points = draw_points(problem, Draw(generator(1), CPU, torch.float64), values, 6, 4)
    assert list(physics(problem, full, values, points).losses(theta)) == ["burgers"]
    at = interior(problem)
    offset, factor = problem.lift(at, values, Channels.of([(0, 0), (1,)]))
    network = full.network.forward(full.weights(theta), at, Channels.of([]))[:, 0]
    found = fields_at(problem, full.network, full.weights(theta), at, values)
    torch.testing.assert_close(found, offset[:, 0] + factor[:, 0] * network)
