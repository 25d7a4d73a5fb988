"""Points evenly spread: in the domain, on its grid, on faces; new or repeated as they should be."""

import pytest
import torch
from declared import Poisson
from small import CPU, generator, relative, task_values

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points, on_grid
from pinnlora.problem.load import load_problem


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
    assert float((first["interior"].mean(1) - 0.5).abs().max()) < 0.02


def test_points_of_the_grid_are_different_grid_points():
    """The paper's 2,601 of 101 x 101; the same ones every time for a fixed set."""
    problem = load_problem("kovasznay")
    draw, values = Draw(generator(), CPU, torch.float64), task_values(problem, 3)
    first = on_grid(problem, draw.frozen(2), values, 2601)
    assert first.shape == (3, 2601, 2) and torch.equal(first[0], first[2])
    assert torch.equal(first, on_grid(problem, draw.frozen(2), values, 2601))
    assert not torch.equal(first, on_grid(problem, draw.frozen(1), values, 2601))
    places = (first[0] * 100).round()
    assert relative(places / 100, first[0]) < 1e-14
    assert len(places.unique(dim=0)) == 2601
    assert abs(float(first.mean()) - 0.5) < 0.02
    with pytest.raises(UserError, match=r"points: 10202 with points_on: grid, but the grid has 10201 points"):
        on_grid(problem, draw, values, 10202)


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


@pytest.mark.parametrize(("asked", "each"), [(1, 1), (2, 1), (4, 1), (6, 2)])
def test_every_part_of_a_boundary_has_as_many_points(asked, each):
    """Fewer points than parts would leave some without their condition."""
    problem = Poisson()
    draw = Draw(generator(), CPU, torch.float64)
    points = draw_points(problem, draw, task_values(problem, 2), 7, asked)["walls"]
    sides = [(points[..., axis] == end).sum(1) for axis in (0, 1) for end in (0.0, 1.0)]
    assert points.shape[1] == 4 * each and all((side == each).all() for side in sides)
