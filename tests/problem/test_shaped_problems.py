"""Problems on shapes: what their conditions ask for, what check finds, and the grid that is blank outside."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small import CPU, generator, task_values

from pinnlora import Box, Condition, Disk, LogUniform, Problem, Uniform
from pinnlora.loss.draw import Draw
from pinnlora.loss.horizon import within
from pinnlora.loss.points import draw_points
from pinnlora.loss.sampler import Sampler
from pinnlora.problem.load import load_problem
from pinnlora.problem.verify import verify_problem

Annulus = type(load_problem(f"{Path(__file__).parents[2] / 'examples/annulus.py'}:Annulus"))


class Cooling(Problem):
    """A plate with a hole that loses its heat there."""

    coords = Box(x=(0, 2), y=(0, 1), t=(0, 1)) - Disk(x="place", y=0.5, radius=0.2).named("hole")
    fields = ("u",)
    task = Uniform(place=(0.5, 1.5)) * LogUniform(alpha=(0.1, 1))

    def residual(self, u_t, u_xx, u_yy, alpha):
        return {"heat": u_t - alpha * (u_xx + u_yy)}

    def start(self):
        return {"u": 1.0}

    def kept(self):
        return {"u_n": 0.0}

    def lost(self, n_x, n_y, u, u_x, u_y, alpha):
        return {"loss": alpha * (n_x * u_x + n_y * u_y) + u}

    conditions = [
        Condition(start, on="t=0"),
        Condition(kept, on=("x=0", "x=2", "y=0", "y=1")),
        Condition(lost, on="hole"),
    ]


def changed(base, **parts):
    return type("Changed", (base,), parts)


def test_nothing_is_wrong_with_right_problems_and_the_exact_solution_meets_robin_conditions():
    for problem in (Annulus(), Cooling()):
        found = verify_problem(problem)
        assert {finding.severity for finding in found} == {"note"}, found
    assert any("meets cooled" in finding.text for finding in verify_problem(Annulus()))


def test_a_wrong_exact_solution_is_found_out_by_its_normal_derivative():
    def exact(self, x, y, inner, k):
        return {"u": torch.log(x**2 + y**2) / torch.log(inner**2)}

    found = verify_problem(changed(Annulus, exact=exact)())
    assert [f.text.partition(":")[0] for f in found if f.severity == "error"] == ["Changed.exact"]
    assert any("does not meet cooled" in finding.text for finding in found)


def errors(cls) -> list[str]:
    return [finding.text for finding in verify_problem(cls()) if finding.severity == "error"]


def test_rows_of_one_condition_may_share_what_they_are_made_of():
    def lost(self, u, u_x, u_y):
        slope = u_x**2 + u_y**2
        return {"loss": slope - u, "gain": slope * u}

    problem = changed(Cooling, conditions=[*Cooling.conditions[:2], Condition(lost, on="hole")])()
    assert problem.bound_conditions[2].rows == ("loss", "gain")


def test_a_row_that_holds_a_field_fixes_its_constant():
    def level(self, u, u_n):
        return {"level": u_n + 3 * u - 1}

    def steep(self, u_n):
        return {"level": u_n - 1}

    def insulated(self):
        return {"u_n": 0.0}

    square, walls = Box(x=(0, 1), y=(0, 1)), ("x=0", "x=1", "y=0", "y=1")
    for coords, parts in ((square, walls), (Disk(x=0, y=0, radius=1), "disk"), (Annulus.coords, "boundary")):
        for condition, warned in ((level, False), (steep, True), (insulated, True)):
            given = {"coords": coords, "task": Annulus.task, "conditions": [Condition(condition, on=parts)]}
            problem = changed(Cooling, residual=lambda self, u_xx, u_yy: {"laplace": u_xx + u_yy}, **given)()
            assert any("up to a constant" in found.text for found in verify_problem(problem)) == warned


def test_two_slopes_along_the_normal_of_one_side_contradict_each_other():
    def one(self):
        return {"u_n": 1.0}

    def two(self, inner):
        return {"u_n": 1 + inner}

    for other, wrong in ((two, True), (lambda self: {"u_n": 1.0}, False)):
        conditions = [Condition(one, on="disk"), Condition(other, on="boundary", name="other")]
        found = errors(changed(Annulus, conditions=conditions))
        assert any("give u_n as" in text for text in found) == wrong


def test_a_side_without_a_condition_is_an_error():
    (error,) = errors(changed(Annulus, conditions=Annulus.conditions[:1]))
    assert "needs a condition on all of the boundary but has none on 'disk'" in error
    few = [Cooling.conditions[0], Condition(Cooling.kept, on=("x=0", "x=2", "y=0")), Cooling.conditions[2]]
    (error,) = errors(changed(Cooling, conditions=few))
    assert "on='y=1'" in error
    (error,) = errors(changed(Cooling, conditions=Cooling.conditions[1:]))
    assert "on='t=0'" in error


@pytest.mark.parametrize(
    "parts, words",
    [
        ({"coords": Disk(x=0, y=0, radius="outer")}, "'outer' is no number among the task parameters"),
        ({"conditions": [Condition(Annulus.heated, on="hol")]}, "on='hol': expected one of disk, boundary, hole"),
        ({"residual": lambda self, u_xx, u_n: {"a": u_xx + u_n}}, "u_n is of the boundary's normal; only a condition"),
        ({"conditions": [Condition(lambda self, u: {"u_q": u}, on="disk")]}, "the unknown 'u_q'"),
        (
            {"conditions": [Condition(lambda self, u, u_n: {"heat_loss": u_n + u}, on="disk")]},
            "returns 'heat_loss', which is no field.*a name of letters and digits.*write 'heatloss'",
        ),
        ({"conditions": [Condition(lambda self, u: {"ux": u}, on="disk")]}, "'ux'. Did you mean 'u_x'"),
        ({"conditions": [Condition(lambda self, k: {"w": k}, on="disk")]}, "returns the unknown 'w'"),
        ({"coords": Disk(x=0, y=0, radius=1) - Disk(x=0, y=0, radius=2)}, "Changed.coords: the domain is empty"),
        ({"coords": Disk(x=0, y=0, radius=lambda inner: -inner)}, "Changed.coords: radius -0"),
        ({"coords": {"x": (0, 1)}}, "or shapes made of Disk, Ball, Polygon"),
    ],
)  # fmt: skip
def test_mistakes_are_said_when_the_class_is_made(parts, words):
    with pytest.raises(TypeError, match=words):
        changed(Annulus, **parts)


def test_the_normal_has_no_place_in_time():
    with pytest.raises(TypeError, match="u_n is along the normal in space; time has none"):
        changed(Cooling, conditions=[Condition(Cooling.kept, on="t=0")])


@pytest.mark.parametrize("problem", [Annulus(), Cooling()], ids=lambda problem: problem.name)
@pytest.mark.parametrize("fixed", [False, True])
def test_points_of_training_lie_inside_and_on_the_sides_of_each_task(problem, fixed):
    values = task_values(problem, 5)
    draw = Draw(generator(), CPU, torch.float64, fixed=fixed, seed=1)
    points = draw_points(problem, draw, values, 200, 40)
    domain = problem.coords
    again = draw_points(problem, draw, values, 200, 40)["interior"]
    assert torch.equal(points["interior"], again) == fixed
    for name, at in points.items():
        assert at.shape[:2] == (5, 200 if name == "interior" else 40)
        assert domain.contains(at, values, 1e-9).all()
        assert domain.contains(at, values, -1e-9).any() == (name in ("interior", "start"))
    centre = values.get("place", torch.zeros(5))[:, None], 0.5 if "place" in values else 0.0
    radius = values["inner"][:, None] if "inner" in values else 0.2
    at = points["heated" if "inner" in values else "lost"]
    away = ((at[..., 0] - centre[0]) ** 2 + (at[..., 1] - centre[1]) ** 2).sqrt()
    assert (away - radius).abs().max() < 1e-12


def test_adaptive_points_stay_inside_and_a_horizon_cuts_time():
    problem, values = Cooling(), task_values(Cooling(), 3)
    draw = Draw(generator(), CPU, torch.float64)
    sampler = Sampler(problem, draw, 100, 20, adaptive=True, box=within(problem, 0.3))
    for _ in range(3):
        points = sampler.points(values, lambda coords: torch.exp(-30 * coords[..., 1]))
        inner = points.coords["interior"]
        assert problem.coords.contains(inner, values, 1e-9).all() and inner[..., 2].max() <= 0.3
    assert inner[..., 1].mean() < 0.3
    assert points.coords["lost"][..., 2].max() <= 0.3


def test_the_grid_is_blank_outside_and_nowhere_else():
    problem = Annulus()
    values = {name: value.numpy() for name, value in task_values(problem, 3).items()}
    axes, u = problem.axes(), problem.reference(values)["u"]
    away = np.hypot(*np.meshgrid(*axes.values(), indexing="ij"))
    for inner, field in zip(values["inner"], u, strict=True):
        assert (np.isnan(field) == ((away > 1 + 1e-9) | (away < inner - 1e-9))).all()
    floor, _ = problem.reference_floor(values, {"u": u})
    assert 0 < floor < 1e-28
