"""Points of a problem in time are drawn up to a horizon that grows over the first part of the steps."""

import pytest
import torch
from declared import Heat, Mixed, Poisson, Schroedinger, Torus, Wave
from small import CPU, generator, task_values

from pinnlora.loss.draw import Draw
from pinnlora.loss.horizon import grown, time_axis, within
from pinnlora.loss.points import draw_points
from pinnlora.problem.load import load_problem
from pinnlora.problem.signature import Condition


class BothEnds(Heat):
    """Fixed at both ends of time: not grown into."""

    conditions = [*Heat.conditions, Condition(Heat.start, on="t=1", name="stop")]


IN_TIME = [(Heat(), 1), (Wave(), 1), (Schroedinger(), 1), (Mixed(), 1), (load_problem("burgers2d"), 2)]
NOT_IN_TIME = [(problem, None) for problem in (Poisson(), Torus(), load_problem("kovasznay"), BothEnds())]


@pytest.mark.parametrize(("problem", "axis"), IN_TIME + NOT_IN_TIME)
def test_time_is_the_t_that_conditions_fix_at_its_start_only(problem, axis):
    assert time_axis(problem) == axis
    box = within(problem, 0.25)
    shares = [
        (high - low) / (whole_high - low)
        for low, high, whole_high in zip(box.low, box.high, problem.coords.high, strict=True)
    ]
    assert box.names == problem.coords.names and box.low == problem.coords.low
    assert shares == pytest.approx([0.25 if k == axis else 1.0 for k in range(len(shares))])


def test_the_horizon_grows_from_a_tenth_to_all_in_the_first_third():
    shares = [grown(step, 100) for step in (0, 14, 35, 99)]
    assert shares == pytest.approx([0.1, 0.46, 1.0, 1.0])


@pytest.mark.parametrize("fixed", [True, False])
def test_all_points_lie_before_it(fixed):
    problem = Wave()
    draw = Draw(generator(0), CPU, torch.float64, fixed=fixed)
    points = draw_points(problem, draw, task_values(problem, 2), 400, 100, box=within(problem, 0.3))
    latest = {name: float(coords[..., 1].max()) for name, coords in points.items()}
    assert latest["start"] == 0 and latest["ends"] < 0.6
    assert latest["interior"] == pytest.approx(0.6, abs=0.01)
