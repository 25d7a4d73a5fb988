"""Values held exactly on the sides of shapes: to rounding, with the right jets, and where they cannot be, said so."""

import pytest
import torch
from small import function_jet, generator, task_values

from pinnlora import Ball, Box, Condition, Disk, Polygon, Problem, Uniform
from pinnlora.errors import UserError
from pinnlora.nets.distance import curved
from pinnlora.nets.hard import hard_conditions
from pinnlora.problem.channels import Channels, product
from pinnlora.problem.mismatch import found_and_wanted


class Shaped(Problem):
    """Heat between moving sides: what is given depends on place, time and task."""

    coords = (Disk(x=0, y=0, radius=1) - Disk(x=0, y=0, radius="r").named("hole")) * Box(t=(0, 1))
    fields = ("u",)
    task = Uniform(r=(0.2, 0.5), a=(1, 2))

    def residual(self, u_t, u_xx, u_yy):
        return {"heat": u_t - u_xx - u_yy}

    def start(self, x, y):
        return {"u": x * y + x}

    def hot(self, x, y, t, a):
        return {"u": x * y + x + a * t}

    def rim(self, x, y, t):
        return {"u": x * y + x + torch.sin(t) * y}

    conditions = [Condition(start, on="t=0"), Condition(hot, on="hole"), Condition(rim, on="disk")]


def changed(**parts):
    return type("Changed", (Shaped,), parts)()


def zero(self):
    return {"u": 0.0}


def insulated(self):
    return {"u_n": 0.0}


def poisson(self, u_xx, u_yy):
    return {"poisson": u_xx + u_yy + 1}


def flat(coords, *conditions):
    return changed(coords=coords, residual=poisson, conditions=list(conditions))


ELL = Polygon(x=(0, 2, 2, 1, 1, 0), y=(0, 0, 1, 1, 2, 2), edges=("floor", "a", "a", "inner", "a", "a"))
SLIT = Polygon(x=(-1, 1, "r", -1), y=(-1, -1, 1, 1), edges=("a", "b", "c", "d"))
SQUARE = Box(x=(-1, 1), y=(-1, 1))
WALLS = ("x=-1", "x=1", "y=-1", "y=1")
WEDGE = Polygon(x=(0, 0.5, "r"), y=(0, 0, 0.5))
PIPE = Disk(x=0, y=0, radius="r") * Box(z=(0, 1))
HELD = {
    "moving": Shaped(),
    "polygon": flat(ELL, Condition(zero, on="polygon")),
    "task's polygon": flat(SLIT, Condition(zero, on="polygon")),
    "hole": flat(SQUARE - Disk(x=0, y="r", radius=0.2), Condition(zero, on=(*WALLS, "disk"))),
    "polygon hole": flat(SQUARE - WEDGE, Condition(zero, on=WALLS), Condition(zero, on="polygon", name="z")),
    "some edges": flat(ELL, Condition(zero, on="floor"), Condition(insulated, on=("a", "inner"))),
    "union": flat(Box(x=(0, 2), y=(0, 1)) | Box(x=(0, 1), y=(0, 2)), Condition(zero, on="boundary")),
    "half": flat(Disk(x=0, y=0, radius=1) & Box(x=(0, 2), y=(-2, 2)), Condition(zero, on="boundary")),
    "some": flat(
        SQUARE - Disk(x=0, y=0, radius="r"), Condition(zero, on="disk"), Condition(insulated, on=WALLS)
    ),
    "ball": flat(Ball(x=0, y=0, z=0, radius="r"), Condition(zero, on="ball")),
    "pipe": flat(PIPE, Condition(zero, on="disk"), Condition(zero, on=("z=0", "z=1"), name="lids")),
}


SHARP = ("polygon", "polygon hole", "union")


def held(name):
    return hard_conditions(HELD[name], own=False, insist=name in SHARP)


def fields_on(problem, condition, hard, channels, values, count=200):
    """What a random network gives on each part of a condition, as (found, wanted) by name."""
    draw = generator(3)

    def unit(many):
        return torch.rand(4, many, len(problem.coords.names), generator=draw).double()

    for part in condition.faces:
        coords = part.place(problem.coords, unit, count, values)
        offset, factor = curved(problem, hard.patches, hard.kept, coords, values, channels)
        network = torch.randn(4, len(channels), count, 1, generator=draw, dtype=torch.float64)
        yield found_and_wanted(
            problem, condition, coords, values, offset + product(factor, network, channels)
        )


@pytest.mark.parametrize("name", HELD)
def test_what_is_held_is_held_to_rounding(name):
    problem = HELD[name]
    hard, values = held(name), task_values(problem, 4)
    soft = {condition for condition, *_ in hard.soft}
    assert soft == ({"insulated"} if name in ("some", "some edges") else set()), hard.soft
    assert len(hard.held) == len(problem.bound_conditions) - len(soft)
    for condition in problem.bound_conditions:
        if condition.name not in soft:
            for rows in fields_on(problem, condition, hard, condition.channels, values):
                for found, wanted in rows.values():
                    assert (found - wanted).abs().max() < 1e-6 * (1 + found.abs().max())


@pytest.mark.parametrize("name", HELD)
def test_nothing_else_is_held(name):
    """Inside, the factor is positive, at most about one, and not small everywhere."""
    problem = HELD[name]
    hard, values, draw = held(name), task_values(problem, 4), generator(5)
    domain = problem.coords

    def unit(many):
        return torch.rand(4, many, len(domain.names), generator=draw).double()

    coords = domain.scale(domain.uniform(unit, 500, values))
    _, factor = curved(problem, hard.patches, hard.kept, coords, values, Channels(((),)))
    assert (factor > 0).all() and factor.max() < 2 and factor.median() > 0.02


def test_in_a_long_domain_the_factor_is_not_small_near_a_short_side():
    """Without levels that end to grow it would be 0.003 of its largest value there."""
    channel = Box(x=(-2, 6), y=(-2, 2)) - Disk(x=0, y=0, radius=0.5)
    walls = Condition(zero, on=("x=-2", "y=-2", "y=2"))
    problem = flat(channel, walls, Condition(zero, on="disk", name="z"), Condition(insulated, on="x=6"))
    hard, values = hard_conditions(problem, own=False), task_values(problem, 1)
    coords = torch.tensor([[[-1.0, 0], [1, 0], [0, 1], [5.9, 0]]], dtype=torch.float64)
    _, factor = curved(problem, hard.patches, hard.kept, coords, values, Channels(((),)))
    assert (factor[0, 0, :, 0] > 0.1).all()


@pytest.mark.parametrize("name", ["moving", "polygon", "union", "ball", "pipe"])
def test_jets_are_the_derivatives_of_the_trial_function(name):
    problem = HELD[name]
    hard, values, draw = held(name), task_values(problem, 1), generator(5)
    channels, dim = problem.residual_signature.channels, len(problem.coords.names)

    def unit(many):
        return torch.rand(1, many, dim, generator=draw).double()

    coords = problem.coords.scale(problem.coords.uniform(unit, 20, values))
    found = curved(problem, hard.patches, hard.kept, coords, values, channels)

    def value(k):
        def at(point):
            jets = curved(problem, hard.patches, hard.kept, point.view(1, 1, dim), values, Channels(((),)))
            return jets[k][0, 0, 0]

        return at

    for k in range(2):
        expected = function_jet(value(k), coords[0], channels.orders)
        assert (found[k][0] - expected).abs().max() < 1e-9 * (1 + expected.abs().max())


def test_what_cannot_be_held_stays_in_the_loss_with_the_reason():
    def other(self):
        return {"u": 1.0}

    for name in SHARP:
        assert any(
            "not smooth at inner corners" in why for *_, why in hard_conditions(HELD[name], own=False).soft
        )
    two, ends = Box(x=(0, 2), y=(0, 1)) | Box(x=(0, 1), y=(0, 2)), ("x=0", "y=0", "x=2", "y=2")
    sides, other_side = Condition(zero, on=("a", "b", "c")), Condition(other, on="d")
    parts, rest = Condition(zero, on=("floor", "a")), Condition(other, on="inner")
    for problem, words in {
        flat(ELL, parts, rest): "inner corners",
        flat(SLIT, sides, other_side): "contradicts",
        changed(conditions=[*Shaped.conditions[:2], Condition(other, on="disk")]): "contradicts",
        HELD["some"]: "along the normal",
        flat(
            two, Condition(zero, on=("x=1", "y=1")), Condition(insulated, on=ends)
        ): "no smooth function is known",
    }.items():
        assert any(words in why for *_, why in hard_conditions(problem, own=False).soft), words


def test_what_is_not_smooth_inside_is_not_taken_there():
    """By the angle around the centre of a disk: bounded, and its second derivatives are not."""
    disk = Disk(x=0, y=0, radius=1)

    def turned(self, x, y):
        return {"u": torch.cos(2 * torch.atan2(y, x))}

    def normal(self, n_x, n_y):
        return {"u": n_x**2 - n_y**2}

    def steep(self, x, y):
        return {"u": torch.exp(-50 * ((x - 1) ** 2 + y**2))}

    for rim, smooth in ((turned, False), (normal, False), (steep, True)):
        found = hard_conditions(flat(disk, Condition(rim, on="disk")), own=False)
        assert any("not smooth inside" in why for *_, why in found.soft) != smooth


def level(self):
    return {"u": 1.0}


def test_at_a_corner_the_common_value_is_held():
    """Of two conditions that agree where their sides meet, exactly there and beside it."""
    hole = Box(x=(0, 1), y=(0, 1)) - Disk(x=0.5, y=0.5, radius=0.2).named("hole")
    left, rest = Condition(level, on="x=0"), Condition(level, on=("x=1", "y=0", "y=1"), name="rest")
    problem = flat(hole, left, rest, Condition(level, on="hole", name="inner"))
    hard, values = hard_conditions(problem, own=False), task_values(problem, 1)
    assert not hard.soft
    coords = torch.tensor([[[0, 0], [0, 1], [1, 1], [1e-9, 1e-9], [0, 0.5], [0.3, 0]]], dtype=torch.float64)
    offset, factor = curved(problem, hard.patches, hard.kept, coords, values, Channels(((),)))
    assert (offset - 1).abs().max() < 1e-12 and factor[0, 0, :3].abs().max() < 1e-12


def test_on_a_side_derivatives_are_those_beside_it():
    """Of what is joined between a ring's two rims."""

    def cold(self):
        return {"u": 0.0}

    ring = Disk(x=0, y=0, radius=1) - Disk(x=0, y=0, radius=0.5).named("hole")
    problem = flat(ring, Condition(cold, on="disk"), Condition(level, on="hole"))
    hard, values = hard_conditions(problem, own=False), task_values(problem, 1)
    assert not hard.soft
    coords = torch.tensor([[[0.5, 0], [0.5 + 1e-9, 0], [1, 0], [1 - 1e-9, 0]]], dtype=torch.float64)
    offset, factor = curved(problem, hard.patches, hard.kept, coords, values, Channels.of([(0,)]))
    slopes = (offset + factor)[0, 1, :, 0]
    torch.testing.assert_close(slopes[::2], slopes[1::2], rtol=1e-5, atol=1e-5)
    assert offset[0, 1, ::2, 0].abs().min() > 1


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_values_contradict_each_other_in_their_own_size(scale):
    hole = Box(x=(0, 1), y=(0, 1)) - Disk(x=0.5, y=0.5, radius=0.2).named("hole")

    def other(self):
        return {"u": scale * 0.5}

    parts = Condition(zero, on="x=0"), Condition(other, on=("x=1", "y=0", "y=1", "hole"))
    assert any("contradicts" in why for *_, why in hard_conditions(flat(hole, *parts), own=False).soft)


def test_rounding_of_large_values_contradicts_nothing():
    """A hundred thousand at most, and zero to rounding where the sides meet."""

    def arch(self, x):
        return {"u": 1e5 * torch.sin(torch.pi * x)}

    hole = Box(x=(0, 1), y=(0, 1)) - Disk(x=0.5, y=0.5, radius=0.2).named("hole")
    parts = Condition(arch, on="y=0"), Condition(zero, on=("x=0", "x=1", "y=1", "hole"))
    assert not hard_conditions(flat(hole, *parts), own=False).soft


def test_ends_that_nobody_prescribed_are_not_held():
    """A coordinate without conditions, beside sides on which only the whole domain's function would vanish."""
    domain = (SQUARE - Box(x=(-0.2, 0.2), y=(-0.2, 0.2)).named("hole")) * Box(z=(0, 1))
    problem = changed(coords=domain, residual=poisson, conditions=[Condition(zero, on=(*WALLS, "hole"))])
    with pytest.raises(UserError, match="no smooth function is known"):
        hard_conditions(problem, own=False, insist=True)
