"""Which fields at the start are the task: found from the conditions, and refused in one line where there are none."""

import pytest
import torch

from pinnlora import Box, Condition, Cycle, Disk, GaussianField, Periodic, Problem, Uniform
from pinnlora.errors import UserError
from pinnlora.problem.initial_state import initial_states
from pinnlora.problem.load import load_problem

RING = Box(x=Cycle(0, 1), t=(0, 1))


class Carried(Problem):
    coords = RING
    fields = ("u",)
    task = GaussianField("u0", points=16)

    def residual(self, u_t, u_x):
        return {"advection": u_t + u_x}

    def start(self, u0):
        return {"u": u0}

    conditions = [Condition(start, on="t=0")]


class String(Carried):
    """Second order in time: two functions, one of them a velocity."""

    task = GaussianField("u0", points=16) * GaussianField("v0", points=16) * Uniform(c=(1, 2))

    def residual(self, u_tt, u_xx, c):
        return {"wave": u_tt - c**2 * u_xx}

    def start(self, u0, v0):
        return {"u": u0, "u_t": v0}

    conditions = [Condition(start, on="t=0")]


class Plucked(String):
    """A velocity that is no function of the task: at the end of time it is not zero."""

    task = GaussianField("u0", points=16) * Uniform(c=(1, 2))

    def start(self, u0):
        return {"u": u0, "u_t": 0.0}

    conditions = [Condition(start, on="t=0")]


class Doubled(Carried):
    def start(self, u0):
        return {"u": 2 * u0}

    conditions = [Condition(start, on="t=0")]


class Fed(Carried):
    """The function is a source."""

    def residual(self, u_t, u_x, u0):
        return {"advection": u_t + u_x - u0}

    def start(self):
        return {"u": 0.0}

    conditions = [Condition(start, on="t=0")]


class Remembering(Carried):
    def residual(self, u, u_t, u_x, u0):
        return {"relaxation": u_t + u_x + u - u0}


class Aging(Carried):
    def residual(self, t, u_t, u_x):
        return {"advection": u_t + torch.exp(-t) * u_x}


class Driven(Carried):
    coords = Box(x=(0, 1), t=(0, 1))

    def inlet(self, t):
        return {"u": torch.sin(t)}

    conditions = [*Carried.conditions, Condition(inlet, on="x=0")]


class Commanded(Driven):
    task = GaussianField("u0", points=16) * GaussianField("g", points=16, on="t")

    def inlet(self, g):
        return {"u": g}

    conditions = [*Carried.conditions, Condition(inlet, on="x=0")]


class Backward(Carried):
    conditions = [Condition(Carried.start, on="t=1", name="end")]


class Plane(Carried):
    coords = Box(x=(0, 1), y=(0, 1), t=(0, 1))
    conditions = [Condition(Carried.start, on="t=0"), Periodic("x"), Periodic("y", "walls")]


class Round(Carried):
    coords = Disk(x=0, y=0, radius=1) * Box(t=(0, 1))


class Seen(Carried):
    """What is observed of the potential is another thing later on."""

    potentials = ("s",)

    def observe(self, t, s_x):
        return {"u": (1 + t) * s_x}

    def residual(self, s_t, s_x):
        return {"advection": s_t + s_x}

    def start(self, u0):
        return {"s": u0}

    conditions = [Condition(start, on="t=0")]


def test_a_start_that_is_a_function_is_found():
    assert initial_states(Carried()) == {"u0": "u"}
    assert initial_states(String()) == {"u0": "u", "v0": "u_t"}
    assert initial_states(load_problem("burgers1d")) == {"u0": "u"}


def test_of_potentials_it_is_the_field_that_they_make():
    assert initial_states(load_problem("burgers1d").formulated("potential")) == {"u0": "u"}


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Plucked, "its start prescribes u_t by something else than a function"),
        (Doubled, "no condition on t=0 gives a field as a function of the task"),
        (Fed, "no condition on t=0 gives a field as a function of the task"),
        (Remembering, "its equations or ends hold u0, which is another function in each window"),
        (Aging, "its equations depend on t"),
        (Seen, "what is observed depends on t"),
        (Driven, "condition inlet depends on t"),
        (Commanded, "g is a function of t"),
        (Backward, "condition end is on t=1, the end of time"),
        (Plane, "its state depends on y too, of which u0 is no function"),
        (Round, "its domain is no box with the coordinate t"),
    ],
)
def test_what_cannot_be_marched_is_told_in_one_line(problem, words):
    with pytest.raises(UserError, match=f"{problem.__name__.lower()} cannot be marched: {words}") as caught:
        initial_states(problem())
    assert "\n" not in str(caught.value)
