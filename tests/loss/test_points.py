"""Points: evenly spread, repeated where they should be, near fronts, where residuals are large."""

import pytest
import torch
from small import CPU, generator, random_theta, relative, task_values, tiny

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import by_residual, draw_points
from pinnlora.loss.terms import physics
from pinnlora.problem.load import load_problem

TASKS = 2


def kovasznay():
    problem, parametrisation = tiny("kovasznay", "full")
    return problem, parametrisation, random_theta(parametrisation, TASKS), task_values(problem, TASKS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_random_points_are_new_each_time_for_each_task_and_evenly_spread(dtype):
    draw = Draw(generator(), CPU, dtype)
    first, second = draw.unit(3, 256, 2), draw.unit(3, 256, 2)
    assert first.dtype == dtype and ((first >= 0) & (first < 1)).all()
    assert relative(first[0], first[1]) > 0.1 and relative(first, second) > 0.1
    many = torch.stack([draw.unit(1, 16, 1)[0, 0, 0] for _ in range(2000)])
    assert abs(float(many.mean()) - 0.5) < 0.03 and abs(float(many.std()) - 12**-0.5) < 0.02
    for points in first:
        for axis in points.T:  # 32 in each eighth, but for those that the shift cuts
            counts = torch.histc(axis, 8, 0, 1)
            assert (counts - 32).abs().max() <= 2


@pytest.mark.parametrize("name", ["kovasznay", "burgers2d", "burgers1d"])
def test_a_fixed_set_of_points_is_the_same_every_time_and_fills_the_domain(name):
    problem = load_problem(name)
    values, draw = task_values(problem, 2), Draw(generator(), CPU, torch.float64, fixed=True, seed=2)
    first, again = (draw_points(problem, draw, values, 200, 30) for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    other = Draw(generator(), CPU, torch.float64, fixed=True, seed=1)
    assert not torch.equal(first["interior"], draw_points(problem, other, values, 200, 30)["interior"])
    middle = first["interior"][:, 100:].mean(1)  # the first half may sit at a front
    assert float((middle - 0.5).abs().max()) < 0.05


def test_points_of_2d_burgers_follow_the_front_into_every_face_it_crosses():
    """At nu = 1e-4 the front y = x + t/4 is 0.0048 wide; it enters at x = 0 and leaves at y = 1."""
    problem, nu = load_problem("burgers2d"), torch.tensor([1e-4], dtype=torch.float64)
    unit = torch.rand(1, 4000, 3, generator=generator(), dtype=torch.float64)
    for face in (None, "t=0", "x=0", "y=1"):
        fixed = None if face is None else problem.coords.face(face)
        coords = unit if fixed is None else fixed.project(unit)
        moved = problem.focus(coords, {"nu": nu}, generator(1), None if fixed is None else fixed.axis)
        x, y, t = moved.unbind(-1)
        near = float(((y - x - t / 4).abs() < 0.0144).double().mean())
        assert near > 0.3, f"{face}: {near:.2f} of the points are near the front"
        assert ((moved >= 0) & (moved <= 1)).all()
        assert fixed is None or (moved[..., fixed.axis] == fixed.value).all()


def test_points_drawn_by_residual_are_unbiased_and_prefer_large_residuals():
    """Importance-weighted means over the drawn points estimate the means over the pool."""
    problem, parametrisation, theta, values = kovasznay()
    pool = torch.rand(TASKS, 3000, 2, generator=generator(7), dtype=torch.float64)
    drawn, importance = by_residual(problem, parametrisation, theta, values, pool, 40000, generator(8))

    def squares(coords):
        channels = problem.residual_signature.channels
        objective = physics(problem, parametrisation, values, {"interior": coords} | walls)
        jet = parametrisation.network.forward(parametrisation.weights(theta), coords, channels)
        return sum(row.square() for row in objective.blocks[0].terms(jet).values())

    walls = {"walls": pool[:, :1], "outflow": pool[:, :1]}
    assert relative(importance.mean(1), torch.ones(TASKS, dtype=torch.float64)) < 0.02
    assert relative((importance * squares(drawn)).mean(1), squares(pool).mean(1)) < 0.02
    assert (squares(drawn).mean(1) > 1.1 * squares(pool).mean(1)).all()


def test_points_are_drawn_even_where_the_residual_is_not_a_number():
    problem, parametrisation, theta, values = kovasznay()
    pool = torch.rand(TASKS, 50, 2, generator=generator(7), dtype=torch.float64)
    expected, _ = by_residual(problem, parametrisation, theta, values, pool, 20, generator(8))
    theta[1, 0] = torch.nan
    points, importance = by_residual(problem, parametrisation, theta, values, pool, 20, generator(8))
    assert torch.equal(points[0], expected[0])
    assert importance[1].tolist() == pytest.approx([1.0] * 20)


def test_each_condition_can_have_its_own_number_of_points():
    problem = load_problem("kovasznay")
    values = {"re": torch.tensor([30.0, 40.0], dtype=torch.float64)}
    draw = Draw(torch.Generator().manual_seed(0), torch.device("cpu"), torch.float64)
    points = draw_points(problem, draw, values, 7, {"walls": 12, "outflow": 5})
    assert {name: tuple(p.shape) for name, p in points.items()} == {
        "interior": (2, 7, 2),
        "walls": (2, 12, 2),
        "outflow": (2, 5, 2),
    }
    with pytest.raises(
        UserError, match="condition_points: no number for condition 'outflow', only for walls"
    ):
        draw_points(problem, draw, values, 7, {"walls": 12})
