"""Coordinates of many components: points, boundaries, names that functions ask for, and errors that say what to do."""

import pytest
import torch
from small import generator

from pinnlora import Ball, Box, Condition, Disk, Problem, Uniform, Vector
from pinnlora.loss.draw import Draw
from pinnlora.nets.hard import hard_conditions
from pinnlora.problem.domain.hyperball import Hyperball
from pinnlora.problem.domain.vector import direction
from pinnlora.problem.verify import verify_problem

MANY = 4000


class Heat(Problem):
    """u_t = alpha laplacian u, with a part of it asked for in every way."""

    coords = Ball(x=Vector(20), radius=2) * Box(t=(0, 1))
    fields = ("u",)
    task = Uniform(alpha=(0.5, 2))

    def residual(self, u_t, laplacian_u, gradient_u, gradient_squared_u, x, alpha):
        along = gradient_u.square().sum(-1) - gradient_squared_u
        return {"heat": u_t - alpha * laplacian_u + along + 0 * x.sum(-1)}

    def start(self, x):
        return {"u": x.square().sum(-1) / 40}

    def rim(self, t, alpha):
        return {"u": 0.1 + alpha * t}

    conditions = [Condition(start, on="t=0"), Condition(rim, on="boundary")]

    def exact(self, x, t, alpha):
        return {"u": x.square().sum(-1) / 40 + alpha * t}


def points(domain, part=None, count=MANY):
    """Uniform points (count, dim), inside or on a part of the boundary."""
    draw, dim = Draw(generator(1), torch.device("cpu"), torch.float64), len(domain.names)

    def unit(many):
        return draw.unit(1, many, dim)

    if part is None:
        return domain.scale(domain.uniform(unit, count, {}))[0]
    return domain.face(part).place(domain, unit, count, {})[0]


@pytest.mark.parametrize("size", [2, 3, 5, 8, 250])
def test_points_of_a_ball_are_uniform(size):
    inside = points(Ball(x=Vector(size), radius=2))
    length = inside.norm(dim=-1) / 2
    assert abs(float((length**size).mean()) - 0.5) < 0.02  # the share of the volume within is uniform
    assert inside.mean(0).abs().max() < 0.1 * 2
    second = inside.mT @ inside / MANY * (size + 2) / 4
    assert (second - torch.eye(size)).abs().max() < 0.2
    rim = points(Ball(x=Vector(size), radius=2), "boundary")
    assert (rim.norm(dim=-1) - 2).abs().max() < 1e-12
    second = rim.mT @ rim / MANY * size / 4
    assert (second - torch.eye(size)).abs().max() < 0.2
    assert abs(float(rim[:, 0].pow(4).mean() / 16 * size * (size + 2) / 3) - 1) < 0.2


def test_directions_of_three_dimensions_have_uniform_heights():
    unit = torch.rand(20_000, 2, generator=generator(2), dtype=torch.float64)
    height = direction(unit).sort(0).values
    even = torch.linspace(-1, 1, len(height), dtype=torch.float64).unsqueeze(-1)
    assert (height - even).abs().max() < 0.03


def test_points_on_the_faces_of_a_box_are_as_many_as_the_faces_are_large():
    domain = Box(x=Vector(3, 0, 2), y=(0, 1), t=(0, 5))
    rim = points(domain, "boundary", 40_000)
    low, high = rim.new_tensor(domain.low), rim.new_tensor(domain.high)
    share = torch.stack(((rim == low).double().mean(0), (rim == high).double().mean(0)))[:, :4]
    area = torch.tensor([4.0, 4.0, 4.0, 8.0], dtype=torch.float64)
    assert (share - area / area.sum() / 2).abs().max() < 0.01
    assert (((rim == low) | (rim == high))[:, :4].sum(-1) == 1).all()
    free = rim[(rim[:, 1] == 0)]
    assert abs(float(free[:, 0].mean()) - 1) < 0.05 and abs(float(free[:, 2].var()) - 1 / 3) < 0.03
    assert abs(float(free[:, 3].mean()) - 0.5) < 0.03 and abs(float(free[:, 4].mean()) - 2.5) < 0.2


def test_a_problem_in_many_dimensions_passes_check_and_holds_its_conditions():
    found = verify_problem(Heat())
    assert {finding.severity for finding in found} == {"note"}, found
    assert any("10000 random points" in finding.text for finding in found)
    assert {name for name, _ in hard_conditions(Heat(), own=False).held} == {"start", "rim"}


def test_an_exact_solution_that_is_none_is_found_out():
    class Wrong(Heat):
        def exact(self, x, t, alpha):
            return {"u": x.square().sum(-1) / 40 + 1.01 * alpha * t}

    assert [f for f in verify_problem(Wrong()) if f.severity == "error" and "does not solve heat" in f.text]


def test_a_missing_condition_on_the_ball_is_found_out():
    class Open(Heat):
        conditions = [Condition(Heat.start, on="t=0")]

    assert [f for f in verify_problem(Open()) if f.severity == "error" and "boundary" in f.text]


def test_random_points_take_the_grids_place():
    places = Heat().places()
    assert places.shape == (10_000, 21) and Heat().inside({}) is None
    assert (places == Heat().places()).all()

    class Few(Heat):
        grid = {"point": 50}

    assert Few().reference({"alpha": torch.ones(2).double().numpy()})["u"].shape == (2, 50)


def test_what_it_was_made_of_comes_back():
    box = Box(t=(0, 1), x=Vector(3, -1, 1), y=(0, 2))
    assert box.names == ("t", "x1", "x2", "x3", "y") and box.components("x") == slice(1, 4)
    assert Box(**box.intervals()) == box and box.until(0.5).vectors == box.vectors
    assert (Box(x=Vector(3, 0, 1)) * Box(t=(0, 1))).names == ("x1", "x2", "x3", "t")
    ball = Box(t=(0, 1)) * Ball(x=Vector(3), radius=1)
    assert isinstance(ball, Hyperball) and ball.names[-1] == "t" and ball.until(0.5).high[-1] == 0.5


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Vector(1), "2 or more"),
        (lambda: Box(x=Vector(5)), r"Vector\(size, low, high\)"),
        (lambda: Ball(x=Vector(5, 0, 1), radius=1), "without ends"),
        (lambda: Ball(x=Vector(5), radius="r"), "a number above 0"),
        (lambda: Box(x=Vector(3, 0, 1), x2=(0, 1)), "'x2' is also a component"),
        (lambda: Ball(x=Vector(5), radius=1) - Ball(x=Vector(5), radius=0.5), "nothing else can be joined"),
        (lambda: Box(x=Vector(2, 0, 1)) - Disk(x1=0, x2=0, radius=0.1), "nothing else can be joined"),
        (lambda: Box(x=Vector(300, 0, 1), t=(0, 1)).face("t=2"), "expected one of t=0, t=1, boundary"),
    ],
)
def test_what_is_no_domain_is_said_in_a_line(made, said):
    with pytest.raises(TypeError, match=said) as error:
        made()
    assert len(str(error.value)) < 300


def test_a_misspelt_operator_is_told_what_exists():
    with pytest.raises(TypeError, match="Did you mean 'laplacian_u'"):

        class Wrong(Heat):
            def residual(self, laplacian, alpha):
                return {"heat": alpha * laplacian}
