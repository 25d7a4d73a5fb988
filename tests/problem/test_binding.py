"""Classes of problems: which function a condition has, and on which tasks a domain is looked at."""

import pytest
import torch
from test_verify import HEAT, TASK, findings, write

from pinnlora import Box, Cycle
from pinnlora.errors import UserError
from pinnlora.nets.hard import hard_conditions
from pinnlora.problem.load import load_problem
from pinnlora.problem.mismatch import prescribed
from pinnlora.problem.verify import verify_problem


def test_a_condition_follows_the_function_that_takes_its_place(tmp_path):
    """As methods do: the class that inherits conditions gives one of them other values."""
    more = """

class Steeper(Heat):
    def start(self, x, alpha):
        return {"u": torch.sin(3 * torch.pi * x)}
"""
    problem = load_problem(write(tmp_path, HEAT + more).replace(":Heat", ":Steeper"))
    bound = next(c for c in problem.bound_conditions if c.name == "start")
    values = {"alpha": torch.ones(1).double()}
    found = prescribed(problem, bound, torch.tensor([[[0.5, 0.0]]]).double(), values)
    assert float(found["u"]) == pytest.approx(-1)


def test_a_condition_does_not_take_the_place_of_what_every_problem_has(tmp_path):
    with pytest.raises(UserError, match="every problem has one of its own"):
        findings(tmp_path, ("def start", "def inside"), ("Condition(start", "Condition(inside"))


@pytest.mark.parametrize(
    ("coords", "name", "parts"),
    [
        ("Box(x=(0, 2), y=(0, 1), t=(0, 1))", "boundary", ["x=0", "x=2", "y=0", "y=1"]),
        ("Box(x=(0, 2), y=(0, 1), t=(0, 1)).named('wall')", "wall", ["x=0", "x=2", "y=0", "y=1"]),
        ("Box(x=(0, 2), y=(0, 1)).named('wall') * Box(t=(0, 1))", "wall", ["x=0", "x=2", "y=0", "y=1"]),
        ("Box(x=Cycle(0, 2), y=(0, 1), t=(0, 1))", "boundary", ["y=0", "y=1"]),
        ("Disk(x=0, y=0, radius=1) * Box(z=(0, 2), t=(0, 1))", "boundary", ["z=0", "z=2", "boundary"]),
    ],
)
def test_all_of_a_boundary_has_a_name_and_flat_ends_are_faces(tmp_path, coords, name, parts):
    text = f"""
from pinnlora import Box, Condition, Cycle, Disk, Problem, Uniform


class Heat(Problem):
    coords = {coords}
    fields = ("u",)
    task = Uniform(alpha=(0.1, 1))

    def residual(self, u_t, u_xx, u_yy, {"u_zz, " * ("z=" in coords)}alpha):
        return {{"heat": u_t - alpha * (u_xx + u_yy{" + u_zz" * ("z=" in coords)})}}

    def still(self):
        return {{"u": 1.0}}

    conditions = [Condition(still, on="t=0", name="start"), Condition(still, on=("{name}", "{parts[0]}"))]
"""
    problem = load_problem(write(tmp_path, text))
    still = problem.bound_conditions[1]
    assert [part.words(problem.coords) for part in still.faces] == parts
    assert {finding.severity for finding in verify_problem(problem)} == {"note"}
    hard = hard_conditions(problem, own=False)
    assert {name for name, _ in hard.held} >= {"start", "still"} and not hard.soft


def test_what_has_no_walls_has_no_boundary():
    for box in (Box(t=(0, 1)), Box(x=Cycle(0, 1), t=(0, 1))):
        with pytest.raises(TypeError, match=r"expected one of t=0, t=1$"):
            box.faces("boundary")


def test_domains_are_looked_at_in_the_corners_of_their_tasks_too(tmp_path):
    text = HEAT.replace(
        "coords = Box(x=(0, 1), t=(0, 1))", "coords = Disk(x=0, y=0, radius=lambda a, b, c: a + b + c)"
    )
    text = text[: text.index("    def residual")].replace(
        TASK, "task = Uniform(a=(0.1, 1), b=(0.1, 1), c=(0.1, 1))"
    )
    text += """
    def residual(self, u_xx, u_yy):
        return {"poisson": u_xx + u_yy + 1}

    def rim(self):
        return {"u": 0.0}

    conditions = [Condition(rim, on="disk")]
"""
    problem = load_problem(write(tmp_path, text.replace("import Box", "import Box, Disk")))
    assert problem.coords.high == pytest.approx((3, 3)) and problem.coords.low == pytest.approx((-3, -3))
