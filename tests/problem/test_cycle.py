"""A coordinate that closes on itself says so in its domain, and every network is periodic in it."""

import pytest
import torch
from small import random_theta, task_values

from pinnlora import Box, Condition, Cycle, Disk, GaussianField, Periodic, Problem, Uniform
from pinnlora.nets.adapters import Full
from pinnlora.problem.verify import verify_problem
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of


class Ring(Problem):
    """Advection and diffusion on a ring."""

    coords = Box(x=Cycle(-1, 2), t=(0, 1))
    fields = ("u",)
    task = Uniform(speed=(0.5, 2))

    def residual(self, u_t, u_x, u_xx, speed):
        return {"transport": u_t + speed * u_x - 0.01 * u_xx}

    def start(self, x):
        return {"u": 1 + torch.cos(2 * torch.pi * x / 3)}

    conditions = [Condition(start, on="t=0")]


@pytest.mark.parametrize("conditions", ["soft", "auto", "hard"])
def test_it_is_periodic_without_a_setting_and_without_rows(conditions):
    problem = Ring()
    network = network_of(problem, NetworkSettings(width=8, hidden_layers=2, conditions=conditions))
    assert network.periodic == ((0, -1.0, 3.0),)
    left = [condition.name for condition in network.hard.left(problem)]
    assert left == (["start"] if conditions == "soft" else [])
    theta = random_theta(Full(network), 2)
    ends = torch.tensor([[-1.0, 0.3], [2.0, 0.3]], dtype=torch.float64).expand(2, -1, -1)
    jet = network.forward(network.unflatten(theta), ends, problem.residual_signature.channels)
    assert (jet[:, :, 0] - jet[:, :, 1]).abs().max() < 1e-12 < jet.abs().max()


def test_a_start_that_is_not_periodic_is_said_and_keeps_the_condition_in_the_loss():
    def start(self, x):
        return {"u": x}

    problem = type("Jump", (Ring,), {"conditions": [Condition(start, on="t=0")]})()
    network = network_of(problem, NetworkSettings(width=8, hidden_layers=2, conditions="auto"))
    assert "cycle_x" in [condition.name for condition in network.hard.left(problem)]
    assert any("both ends of the periodic x" in finding.text for finding in verify_problem(problem))


def test_check_finds_nothing_and_random_functions_are_periodic_on_it():
    assert {finding.severity for finding in verify_problem(Ring())} == {"note"}
    field = type("Field", (Ring,), {"task": Uniform(speed=(1, 2)) * GaussianField("f")}).task.functions["f"]
    assert field.wraps and field.interval == (-1.0, 2.0)


def test_it_has_no_ends():
    for parts, words in {
        (
            ("conditions", (Condition(Ring.start, on="x=2"),)),
        ): "x is a Cycle and has no ends; expected one of t=0, t=1",
        (("conditions", (Periodic("x"),)),): r"x is a Cycle, leave Periodic\('x'\) out",
    }.items():
        with pytest.raises(TypeError, match=words):
            type("Wrong", (Ring,), dict(parts))
    with pytest.raises(TypeError, match="time is no Cycle"):
        Box(t=Cycle(0, 1))
    holed = (Box(x=Cycle(0, 1), y=(0, 1)) - Disk(x=0.5, y=0.5, radius=0.2)).over({})
    assert holed.cycles == ("x",) and holed.parts() == ("y=0", "boundary", "y=1", "disk")
    assert task_values(Ring(), 1)["speed"].shape == (1,)


@pytest.mark.parametrize(
    "coords",
    [Box(x=(0, 2), y=(0, 1), t=(0, 1)) - Disk(x=1, y=0.5, radius=0.2), Disk(x=1, y=0, radius=1) * Box(t=(0, 1))],
    ids=["a box with a hole", "a disk"],
)  # fmt: skip
def test_what_is_no_interval_of_its_own_has_no_period(coords):
    words = r"Wrong: Periodic\('x'\): x is no interval of its own in this shape: give it a Box with x=Cycle"
    with pytest.raises(TypeError, match=words):
        type("Wrong", (Ring,), {"coords": coords, "conditions": [*Ring.conditions, Periodic("x")]})


def test_the_axis_of_a_pipe_may_be_periodic_and_so_may_a_cycle_beside_a_hole():
    pipe = Disk(y=0, z=0, radius=1) * Box(x=(-1, 2), t=(0, 1))
    made = type("Pipe", (Ring,), {"coords": pipe, "conditions": [*Ring.conditions, Periodic("x")]})
    assert [c.name for c in made().bound_conditions if c.periodic is not None] == ["periodic"]
    holed = Box(x=Cycle(-1, 2), y=(0, 1), t=(0, 1)) - Disk(x=0.5, y=0.5, radius=0.2)
    made = type("Holed", (Ring,), {"coords": holed})
    assert [c.name for c in made().bound_conditions if c.periodic is not None] == ["cycle_x"]
