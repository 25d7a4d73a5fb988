"""Classes of problems: which function a condition has, and on which tasks a domain is looked at."""

import pytest
import torch
from test_verify import HEAT, TASK, findings, write

from pinnlora.errors import UserError
from pinnlora.problem.load import load_problem
from pinnlora.problem.mismatch import prescribed


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
