"""Adaptive points: drawn where residuals are large and conditions steep, without bias, and with a memory."""

import math

import pytest
import torch
from small import CPU, generator, random_theta, relative, task_values, tiny

from pinnlora.loss.draw import Draw
from pinnlora.loss.sampler import Sampler, by_size, steepness, take
from pinnlora.loss.terms import interior
from pinnlora.problem.base import Problem
from pinnlora.problem.domain.box import Box
from pinnlora.problem.load import load_problem
from pinnlora.problem.scalars import Uniform
from pinnlora.problem.signature import Condition

TASKS = 2


def sampler(problem, count=100, conditions=40, seed=0, **more) -> Sampler:
    return Sampler(
        problem, Draw(generator(seed), CPU, torch.float64), count, conditions, adaptive=True, **more
    )


def test_points_drawn_by_residual_are_unbiased_and_prefer_large_residuals():
    """Importance-weighted means over the drawn points estimate the means over the pool."""
    problem, parametrisation = tiny("kovasznay", "full")
    theta, values = random_theta(parametrisation, TASKS), task_values(problem, TASKS)
    pool = torch.rand(TASKS, 3000, 2, generator=generator(7), dtype=torch.float64)

    def size(coords):
        return interior(problem, parametrisation.network, values, coords).size(parametrisation, theta)

    chosen, importance = by_size(size(pool), 40000, generator(8))
    drawn, everywhere = size(pool).square().gather(1, chosen), size(pool).square().mean(1)
    assert relative(importance.mean(1), torch.ones(TASKS, dtype=torch.float64)) < 0.02
    assert relative((importance * drawn).mean(1), everywhere) < 0.02
    assert (drawn.mean(1) > 1.1 * everywhere).all()


def test_points_are_drawn_even_where_the_residual_is_not_a_number():
    size = torch.rand(TASKS, 50, generator=generator(7), dtype=torch.float64)
    expected, _ = by_size(size, 20, generator(8))
    for broken in (torch.nan, torch.inf, 0.0, 1e308):
        size[1] = broken
        chosen, importance = by_size(size, 20, generator(8))
        assert torch.equal(chosen[0], expected[0])
        assert ((chosen[1] >= 0) & (chosen[1] < 50)).all() and len(chosen[1].unique()) == 20
        assert importance[1].tolist() == pytest.approx([1.0] * 20)


def needle(place: float, width: float = 1e-3):
    """A residual that is large in a layer across x = `place` only."""
    return lambda coords: torch.exp(-(((coords[..., 0] - place) / width) ** 2))


@pytest.mark.parametrize("together", [True, False])
def test_a_thin_layer_is_found_and_then_followed_where_it_goes(together):
    """600 even candidates have two or three in a layer of 0.004: chosen again and again, but few different ones."""
    problem = load_problem("kovasznay")
    drawn = sampler(problem, together=together)
    values = {"re": torch.tensor([30.0, 60.0], dtype=torch.float64)}

    def different(place):
        points = drawn.points(values, needle(place)).coords["interior"]
        near = [task[(task[:, 0] - place).abs() < 2e-3].unique(dim=0) for task in points]
        return min(len(task) for task in near), max(len(task) for task in near)

    assert different(0.5)[1] < 10
    for _ in range(5):
        later = different(0.5)
    for step in range(1, 21):  # it moves by its own width and more at every step
        moved = different(0.5 + 0.002 * step)
    assert later[0] > 20 and moved[0] > 12
    assert drawn.remembered.shape == (2, 100, 2)
    assert ((drawn.remembered >= 0) & (drawn.remembered <= 1)).all()


def test_tasks_remember_apart_or_together():
    problem = load_problem("kovasznay")
    for together in (True, False):
        drawn = sampler(problem, together=together)
        drawn.remembered = torch.tensor([0.25, 0.75]).double()[:, None, None].expand(2, 100, 2)
        near = drawn._candidates(task_values(problem, 2), problem.coords)[
            :, 300:, 0
        ]  # the first half is spread evenly
        other = ((near - torch.tensor([[0.75], [0.25]])).abs() < 0.2).double().mean(1)
        assert (other > 0.4).all() if together else (other < 0.05).all()


def test_half_of_the_candidates_are_even_and_the_others_stay_in_the_box():
    drawn = sampler(load_problem("burgers2d"), count=200)
    drawn.remembered = torch.zeros(1, 200, 3, dtype=torch.float64)  # a corner
    pool = drawn._candidates({"a": torch.zeros(1)}, drawn.problem.coords)
    assert pool.shape == (1, 1200, 3) and ((pool >= 0) & (pool <= 1)).all()
    assert float((pool[:, :600].mean(1) - 0.5).abs().max()) < 0.02
    reach = pool[0, 600:].norm(dim=-1)
    assert float(reach.median()) < 0.03 and float(reach.max()) > 0.1 and float(reach.min()) < 2e-3


def test_prescribed_values_are_steep_where_their_derivative_along_the_face_says():
    """2D Burgers at t = 0: both velocities change by s'(4 x - 4 y) / 8 nu along each axis."""
    problem, nu = load_problem("burgers2d"), torch.tensor([1e-3, 1e-2], dtype=torch.float64)
    face, condition = problem.coords.face("t=0"), problem.bound_conditions[0]
    coords = face.project(torch.rand(2, 50, 3, generator=generator(), dtype=torch.float64))
    coords[..., 1] = coords[..., 0] + 0.01 * (coords[..., 1] - 0.5)
    s = torch.sigmoid((4 * coords[..., 0] - 4 * coords[..., 1]) / (32 * nu[:, None]))
    expected = 2 * s * (1 - s) / 4 * 4 / (32 * nu[:, None])  # u and v, x and y: a factor of two in all
    assert relative(steepness(problem, condition, {"nu": nu}, coords, face), expected) < 1e-12


def test_points_of_conditions_follow_the_front_into_every_face_it_crosses():
    """At nu = 1e-4 the front y = x + t / 4 is 0.005 wide; it lies on t = 0, x = 0 and y = 1."""
    problem, nu = load_problem("burgers2d"), torch.tensor([1e-4], dtype=torch.float64)
    points = sampler(problem, conditions=200).points({"nu": nu}, needle(0.5))
    for name in ("initial", "walls"):
        x, y, t = points.coords[name].unbind(-1)
        near = float(((y - x - t / 4).abs() < 0.005).double().mean())
        assert 0.35 < near < 0.65, f"{name}: {near:.2f} of the points are near the front"
        assert points.coords[name].shape == (1, 200, 3)
    on = [(points.coords["walls"][..., axis] == end) for axis, end in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert torch.stack(on).any(0).all()
    assert float(on[0].double().mean()) > 0.2 and float(on[3].double().mean()) > 0.2


class Plate(Problem):
    """A plate: one edge at a constant value, one by its own slope, one by a function of place."""

    coords = Box(x=(0, 2), y=(0, 1))
    fields = ("u",)
    task = Uniform(k=(1, 2))

    def residual(self, u_xx, u_yy):
        return {"laplace": u_xx + u_yy}

    def cold(self, k):
        return {"u": k}

    def open(self, x, u):
        return {"u_y": u * x}

    def hot(self, x, y, k):
        return {"u": k * torch.sin(math.pi * x / 2) + y}

    conditions = [Condition(cold, on="x=0"), Condition(open, on="y=0"), Condition(hot, on="y=1")]


def test_conditions_whose_values_do_not_depend_on_the_place_get_even_points():
    problem, k = Plate(), torch.tensor([1.5], dtype=torch.float64)
    points = sampler(problem).points({"k": k}, needle(0.5))
    assert set(points.importance) == {"interior", "hot"}
    for name, axis in (("cold", 1), ("open", 0)):
        counts = torch.histc(points.coords[name][0, :, axis] / (2 if axis == 0 else 1), 8, 0, 1)
        assert (counts - 5).abs().max() <= 2
    face, edge = problem.coords.face("y=1"), torch.rand(1, 9, 2, generator=generator(), dtype=torch.float64)
    slope = steepness(problem, problem.bound_conditions[2], {"k": k}, edge, face)
    assert (
        relative(slope, (1.5 * math.pi * torch.cos(math.pi * edge[..., 0] / 2)).abs()) < 1e-12
    )  # a side is 2


def test_what_the_conditions_weigh_is_on_average_what_even_points_weigh():
    problem, k = Plate(), torch.tensor([1.5], dtype=torch.float64)
    drawn, even = sampler(problem), Sampler(problem, Draw(generator(3), CPU, torch.float64), 100, 4000)
    means = []
    for _ in range(60):
        points = drawn.points({"k": k}, needle(0.5))
        means.append((points.importance["hot"] * points.coords["hot"][..., 0] ** 2).mean())
    expected = float((even.points({"k": k}).coords["hot"][..., 0] ** 2).mean())
    assert float(torch.stack(means).mean()) == pytest.approx(expected, rel=0.05)


def test_taking_tasks_and_points():
    pool = torch.arange(12.0).view(2, 3, 2)
    assert take(pool, torch.tensor([[2], [0]])).tolist() == [[[4.0, 5.0]], [[6.0, 7.0]]]
    points = sampler(load_problem("kovasznay")).points(
        {"re": torch.tensor([30.0, 60.0]).double()}, needle(0.5)
    )
    one = points.take(torch.tensor([1]))
    assert torch.equal(one.coords["walls"][0], points.coords["walls"][1])
    assert torch.equal(one.importance["interior"][0], points.importance["interior"][1])
