"""`check`: every mistake in a problem's text, and the words that the finding has to hold."""

import textwrap

import pytest

from pinnlora.errors import UserError
from pinnlora.problem.load import load_problem
from pinnlora.problem.verify import verify_problem

HEAT = """
import math

import numpy as np
import torch

from pinnlora import Box, Condition, GaussianField, LogUniform, Periodic, Problem, Uniform


class Heat(Problem):
    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u",)
    task = Uniform(alpha=(0.1, 1))

    def residual(self, u, u_t, u_x, u_xx, x, alpha):
        return {"heat": u_t - alpha * u_xx}

    def start(self, x, alpha):
        return {"u": torch.sin(torch.pi * x)}

    def ends(self):
        return {"u": 0.0}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1"))]

    def exact(self, x, t, alpha):
        return {"u": torch.exp(-alpha * torch.pi**2 * t) * torch.sin(torch.pi * x)}
"""
ROW = 'return {"heat": u_t - alpha * u_xx}'
START = 'return {"u": torch.sin(torch.pi * x)}'
BOTH = 'conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1"))]'
EXACT = 'return {"u": torch.exp(-alpha * torch.pi**2 * t) * torch.sin(torch.pi * x)}'
TASK = "task = Uniform(alpha=(0.1, 1))"


def write(tmp_path, text: str) -> str:
    (tmp_path / "heat.py").write_text(textwrap.dedent(text))
    return f"{tmp_path / 'heat.py'}:Heat"


def findings(tmp_path, *changes: tuple[str, str]) -> list[tuple[str, str]]:
    text = HEAT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return [(f.severity, f.text) for f in verify_problem(load_problem(write(tmp_path, text)))]


def test_nothing_is_wrong_with_a_right_problem(tmp_path):
    found = findings(tmp_path)
    assert {severity for severity, _ in found} == {"note"}
    words = " ".join(text for _, text in found)
    assert all(word in words for word in ("solves heat", "meets start", "meets ends"))


@pytest.mark.parametrize("name", ["kovasznay", "burgers1d", "burgers2d"])
def test_nothing_is_wrong_with_the_problems_of_the_package(name):
    assert {f.severity for f in verify_problem(load_problem(name))} == {"note"}


SOLVED = """        alpha = values["alpha"].reshape(-1, 1, 1)
        x, t = np.linspace(0, 1, 101)[:, None], np.linspace(0, 1, 101)
        u = np.exp(-alpha * np.pi**2 * t) * np.sin(np.pi * x)
"""
# what is written instead of what, and the words of the finding; all of them errors
ERRORS = {
    "residual returns nothing": (ROW, "row = u_t - u_xx", ["Heat.residual", "returns nothing", "return"]),
    "residual returns a tensor": (ROW, "return u_t - alpha * u_xx", ["Heat.residual", "a Tensor", "dict"]),
    "residual returns a number": (ROW, "return 0.0", ["Heat.residual", "a float", "dict"]),
    "residual returns an empty dict": (ROW, "return {}", ["Heat.residual", "empty dict"]),
    "residual's row is a number": (ROW, 'return {"heat": 0.0}', ["'heat' is the number 0.0", "one value a point"]),
    "residual's row is a mean": (ROW, 'return {"heat": (u_t - alpha * u_xx).mean()}', ["has shape ()", "means"]),
    "residual's row is stacked": (ROW, 'return {"heat": torch.stack([u_t, u_xx])}', ["(2, 6, 40)", "expected (6, 40)"]),
    "residual of math.sin": (ROW, 'return {"heat": u_t - math.sin(u)}', ["line 16", "torch.sin for math.sin"]),
    "residual of np.sin": (ROW, 'return {"heat": u_t - np.sin(u)}', ["residual: line 16", "torch.sin for np.sin"]),
    "residual of np.sin(x)": (ROW, 'return {"heat": u_t - u_xx - np.sin(x)}', ["residual: line 16", "numpy"]),
    "residual with if": (
        ROW,
        'return {"heat": u_t - u_xx if alpha > 0.5 else u_t}',
        ["residual: line 16", "`if`", "torch.where"],
    ),
    "residual with max": (ROW, 'return {"heat": max(u_t, u_xx)}', ["max()", "torch.maximum"]),
    "residual with an unknown name": (ROW, 'return {"heat": u_t - sin(u)}', ["'sin' is not defined", "import it"]),
    "residual that divides by zero": (ROW, 'return {"heat": 1 / 0}', ["line 16", "division by zero"]),
    "residual without fields": (ROW, 'return {"heat": x * alpha}', ["'heat'", "not depend on any field"]),
    "residual cut from its fields": (
        ROW,
        'return {"heat": u_t - u_xx, "v": u.detach()}',
        ["'v'", "not depend on any field"],
    ),
    "residual with NaN": (ROW, 'return {"heat": u_t - alpha * u_xx * torch.log(-x)}', ["'heat' is NaN", "at x="]),
    "condition with NaN": (START, 'return {"u": torch.log(x - 2)}', ["Heat.start: 'u' is NaN", "t=0"]),
    "exact with NaN": (EXACT, 'return {"u": torch.log(x - 2)}', ["Heat.exact: 'u' is NaN"]),
    "exact of numpy": (EXACT, 'return {"u": np.sin(np.pi * x)}', ["Heat.exact: line 27", "torch.sin for np.sin"]),
    "exact of another field": (EXACT, 'return {"w": x}', ["Heat.exact returns w, expected u"]),
    "exact of the wrong shape": (EXACT, 'return {"u": x[0, :3]}', ["Heat.exact", "has shape (3,)"]),
    "exact that does not solve": (
        EXACT,
        EXACT.replace("pi**2", "pi"),
        ["Heat.exact: does not solve heat", "residual()"],
    ),
    "exact of an equation that divides by its field": (
        EXACT,
        'return {"u": torch.sqrt(1 + alpha * t)}',
        ["Heat.exact: does not solve heat", "terms of size 9.9e-01"],
    ),
    "exact that starts elsewhere": (EXACT, EXACT.replace('{"u": ', '{"u": 2 * '), ["does not meet start", "t=0"]),
    "exact that misses a flux": (
        'def ends(self):\n        return {"u": 0.0}',
        'def ends(self):\n        return {"u_x": 0.0}',
        ["does not meet ends", "x="],
    ),
    "exact that is not periodic": (
        'Condition(ends, on=("x=0", "x=1"))',
        'Periodic("x")',
        ["does not meet periodic", "x=1"],
    ),
    "no initial condition": (
        BOTH,
        'conditions = [Condition(ends, on=("x=0", "x=1"))]',
        ["Heat.conditions", "hold u_t", "1 condition in t but has 0", "on='t=0'"],
    ),
    "a velocity in place of the start": (
        START,
        'return {"u_t": 0.0}',
        ["Heat.conditions", "hold u_t", "1 condition in t but has 0", "give u at the start"],
    ),
    "no initial condition for a root of the field": (
        BOTH,
        'conditions = [Condition(ends, on=("x=0", "x=1"))]',
        ["Heat.conditions", "hold u_t", "1 condition in t but has 0"],
    ),
    "one wall for a root of the field": (
        BOTH,
        'conditions = [Condition(start, on="t=0"), Condition(ends, on="x=0")]',
        ["Heat.conditions", "hold u_xx", "none at x=1"],
    ),
    "one wall": (
        BOTH,
        'conditions = [Condition(start, on="t=0"), Condition(ends, on="x=0")]',
        ["Heat.conditions", "hold u_xx", "none at x=1", "Periodic('x')"],
    ),
    "a wave without its velocity": (
        "u_t, u_x, u_xx, x, alpha):\n        " + ROW,
        'u_tt, u_xx, x, alpha):\n        return {"heat": u_tt - alpha * u_xx}',
        ["hold u_tt", "2 conditions in t but has 1", "u and u_t"],
    ),
    "a third order with two ends alone": (
        "u_t, u_x, u_xx, x, alpha):\n        " + ROW,
        'u_t, u_x, u_xxx, alpha):\n        return {"heat": u_t + u * u_x + alpha * u_xxx}',
        ["hold u_xxx", "3 conditions in x", "has 2", "u and u_x", "Periodic('x')"],
    ),
    "a beam that is only supported": (
        "u_t, u_x, u_xx, x, alpha):\n        " + ROW,
        'u_t, u_xxxx, alpha):\n        return {"heat": u_t + alpha * u_xxxx}',
        ["hold u_xxxx", "4 conditions in x", "has 2"],
    ),
    "a third order in time": (
        "u_t, u_x, u_xx, x, alpha):\n        " + ROW,
        'u_ttt, u_xx, alpha):\n        return {"heat": u_ttt - alpha * u_xx}',
        ["hold u_ttt", "3 conditions in t but has 1", "u and u_t and u_tt"],
    ),
    "no condition at all": (ROW, 'return {"heat": u_x + alpha * u}', ["Heat.conditions: there are none"]),
    "a condition that cancels itself": (
        'def ends(self):\n        return {"u": 0.0}',
        'def ends(self, u, t):\n        return {"u": u - t}',
        ["Heat.ends: 'u' cancels itself", "asks for nothing", "what u is there"],
    ),
    "two starts": (
        BOTH,
        "def again(self, x):\n        return {'u': x}\n\n    " + BOTH.replace("]", ', Condition(again, on="t=0")]'),
        ["Heat.start and again give u as", "t=0"],
    ),
    "weight of the wrong sign": (
        "    def exact",
        "    def weight(self, u):\n        return u\n\n    def exact",
        ["Heat.weight: not above 0 at x="],
    ),
    "weight that is a dict": (
        "    def exact",
        "    def weight(self, u):\n        return {'heat': u}\n\n    def exact",
        ["Heat.weight is a dict"],
    ),
    "axes outside the domain": (
        "    def exact",
        "    def axes(self):\n        return {'x': np.linspace(0, 2, 5), 't': np.linspace(0, 1, 5)}\n\n    def exact",
        ["Heat.axes: x should be numbers (points,) within [0, 1]"],
    ),
    "axes of other coordinates": (
        "    def exact",
        "    def axes(self):\n        return {'t': np.linspace(0, 1, 5)}\n\n    def exact",
        ["Heat.axes: expected a dict of arrays for x, t"],
    ),
    "a function's values that fail": (
        TASK,
        "task = Uniform(alpha=(0.1, 1)) * GaussianField('f')\n\n    def embed(self, values):\n        return values",
        ["Heat.embed: expected a tensor (task, size)"],
    ),
    "reference of the wrong shape": (
        "    def exact",
        "    def reference(self, values):\n        return {'u': np.zeros((2, 3, 101))}\n\n    def exact",
        ["Heat.reference: 'u' has shape (2, 3, 101)", "expected (2, 101, 101)"],
    ),
    "reference with NaN": (
        "    def exact",
        "    def reference(self, values):\n        return {'u': np.full((2, 101, 101), np.nan)}\n\n    def exact",
        ["Heat.reference: 'u' holds NaN or infinite values for 2 of 2 tasks, first alpha="],
    ),
    "reference of one task whatever is asked": (
        "    def exact",
        "    def reference(self, values):\n        return {'u': np.zeros((1, 101, 101))}\n\n    def exact",
        ["'u' has shape (1, 101, 101) for 2 tasks"],
    ),
    "reference with its axes swapped": (
        "    def exact",
        f"    def reference(self, values):\n{SOLVED}        return {{'u': u.swapaxes(1, 2)}}\n\n    def exact",
        ["Heat.reference: 'u' differs by", "from what start prescribes", "is it on the axes (x, t)"],
    ),
    "exact with NaN at a point of the grid": (
        EXACT,
        'return {"u": torch.exp(-alpha * torch.pi**2 * t) * torch.sin(torch.pi * x) * (1 - x) / (1 - x)}',
        ["Heat.exact: 'u' is NaN or infinite at x=1"],
    ),
    "an equation that is called as a condition's loss": (
        ROW,
        'return {"ends_u": u_t - alpha * u_xx}',
        ["Heat.residual: 'ends_u' is what a condition's loss is called"],
    ),
    "reference that fails": (
        "    def exact",
        "    def reference(self, values):\n        return {'u': values['beta']}\n\n    def exact",
        ["Heat.reference: line 27", "'beta'"],
    ),
}  # fmt: skip
ROOT = 'return {"heat": u_t - alpha * (torch.sqrt(u) * u_xx + u_x**2 / torch.sqrt(u) / 2)}'
ALSO = {
    "no initial condition for a root of the field": [(ROW, ROOT)],
    "one wall for a root of the field": [(ROW, ROOT), ('"u": 0.0', '"u": 0.1')],
    "no condition at all": [(BOTH, "conditions = []")],
    "exact of an equation that divides by its field": [
        (ROW, 'return {"heat": u_t - alpha / u}'),
        (START, 'return {"u": 1.0}'),
        (BOTH, 'conditions = [Condition(start, on="t=0")]'),
    ],
    "all conditions at one end of a plate": [
        (EXACT, ""),
        ("def exact(self, x, t, alpha):", ""),
        ("t=(0, 1))", "y=(0, 1))"),
        ("u_t, u_x, u_xx, x, alpha):", "u_xx, u_yy, alpha):"),
        (ROW, 'return {"heat": u_xx + alpha * u_yy}'),
        ('"u": 0.0', '"u": 0.0, "u_x": 1.0'),
    ],
    "all conditions at one end of a rod": [(', on=("x=0", "x=1"))', ', on="x=1")')],
    "a pressure up to a constant": [
        (BOTH, 'conditions = [Condition(ends, on="x=0")]'),
        ('"u": 0.0', '"u_x": 0.0'),
    ],
}


@pytest.mark.parametrize("what", ERRORS)
def test_mistakes_are_errors_that_say_what_to_change(tmp_path, what):
    old, new, words = ERRORS[what]
    found = [
        text for severity, text in findings(tmp_path, (old, new), *ALSO.get(what, [])) if severity == "error"
    ]
    assert all("\n" not in text for text in found)
    assert any(all(word in text for word in words) for text in found), found


def test_a_solver_is_tried_and_right_axes_are_no_mistake(tmp_path):
    solver = f"    def reference(self, values):\n{SOLVED}        return {{'u': u}}\n\n    def exact"
    found = findings(tmp_path, ("    def exact", solver))
    assert {severity for severity, _ in found} == {"note"}
    assert "Heat.reference: gives u of shape (101, 101) for each of 2 tasks" in [text for _, text in found]


@pytest.mark.parametrize(
    ("name", "term", "told"), [("T", "u_xx", True), ("tau", "u_x", True), ("s", "u_xx", True), ("s", "u_x", False)]
)  # fmt: skip
def test_time_by_another_name_is_taken_for_space(tmp_path, name, term, told):
    changes = [
        ("t=(0, 1)", f"{name}=(0, 1)"),
        ("u_t, u_x, u_xx", f"u_{name}, u_x, u_xx"),
        (ROW, f'return {{"heat": u_{name} - alpha * {term}}}'),
        (BOTH, 'conditions = [Condition(ends, on=("x=0", "x=1"))]'),
        ("x, t, alpha", f"x, {name}, alpha"),
        ("* t)", f"* {name})"),
    ]
    words = f"Heat.coords: {name} is taken for space"
    assert any(s == "note" and text.startswith(words) for s, text in findings(tmp_path, *changes)) == told


WARNINGS = {
    "corners that disagree": (
        START,
        'return {"u": torch.cos(torch.pi * x)}',
        ["Heat.start and ends give u as 1 and 0 at x=0, t=0"],
    ),
    "a flux that the start does not have": (
        'return {"u": 0.0}',
        'return {"u_x": 0.0}',
        ["Heat.start and ends give u_x as 3.14", "and 0 at x=0, t=0"],
    ),
    "a start that is not periodic": (
        f'{START}\n\n    def ends(self):\n        return {{"u": 0.0}}\n\n    {BOTH}',
        'return {"u": x}\n\n    conditions = [Condition(start, on="t=0"), Periodic("x")]',
        ["Heat.start, at both ends of the periodic x, give u as"],
    ),
    "all conditions at one end of a plate": (
        BOTH,
        'conditions = [Condition(start, on=("y=0", "y=1")), Condition(ends, on="x=0")]',
        ["all conditions of u in x are at x=0", "hold u_yy too", "at the other end"],
    ),
    "all conditions at one end of a rod": (
        'def ends(self):\n        return {"u": 0.0}',
        'def ends(self):\n        return {"u": 0.0, "u_x": 1.0}',
        ["all conditions of u in x are at x=1", "hold u_t too"],
    ),
    "a parameter without effect": (TASK, "task = Uniform(alpha=(0.1, 1), beta=(0, 1))", ["'beta'", "no effect"]),
    "fewer equations than fields": ('fields = ("u",)', 'fields = ("u", "v")', ["alone for u, v", "fewer"]),
    "a parameter asked for without use": (ROW, 'return {"heat": u_t - u_xx}', ["parameter 'alpha'", "no effect"]),
    "a function without effect": (TASK, 'task = Uniform(alpha=(0.1, 1)) * GaussianField("f")', ["'f'", "no effect"]),
    "a square root of the field": (
        ROW,
        'return {"heat": u_t - alpha * u_xx + torch.sqrt(u)}',
        ["Heat.residual: 'heat' is NaN", "any sign"],
    ),
    "a root of the field at an end": (
        'def ends(self):\n        return {"u": 0.0}',
        'def ends(self, u):\n        return {"u_x": -(u**1.25)}',
        ["Heat.ends: 'u_x' is NaN", "any sign"],
    ),
    "a pressure up to a constant": (
        "u_t, u_x, u_xx, x, alpha):\n        " + ROW,
        'u_x, x, alpha):\n        return {"heat": alpha * u_x}',
        ["derivatives of u only", "up to a constant"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WARNINGS)
def test_what_may_be_meant_is_a_warning(tmp_path, what):
    old, new, words = WARNINGS[what]
    found = [
        text
        for severity, text in findings(tmp_path, (old, new), *ALSO.get(what, []))
        if severity == "warning"
    ]
    assert any(all(word in text for word in words) for text in found), found


def test_a_bad_class_does_not_block_the_others_of_its_file(tmp_path):
    bad = """

class Wrong(Heat):
    task = Uniform(alpha=(2, 1))


class Worse(Wrong):
    pass


class Misspelt(Heat):
    def residual(self, u_tx_):
        return {"heat": u_tx_}


@__import__("dataclasses").dataclass
class Last:
    number: int = 1


class Fine(Heat):
    pass
"""
    file = write(tmp_path, HEAT + bad).removesuffix(":Heat")
    assert load_problem(f"{file}:Heat").name == "heat" and load_problem(f"{file}:Fine").name == "fine"
    for name, words in {
        "Wrong": "line 31.*(2, 1)",
        "Worse": "line 31.*(2, 1)",
        "Misspelt": "'u_tx_'",
    }.items():
        with pytest.raises(UserError, match=words.replace("(", r"\(").replace(")", r"\)")) as caught:
            load_problem(f"{file}:{name}")
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"no problem 'Fin'.*Heat, Fine, Wrong, Worse, Misspelt"):
        load_problem(f"{file}:Fin")
