"""A user's own problem: what is wrong with it is said when the class is made, in one line."""

import textwrap

import numpy as np
import pytest
import torch

from pinnlora import Box, Condition, GaussianField, Periodic, Problem, Uniform
from pinnlora.errors import UserError
from pinnlora.problem.exact import residual_of_exact
from pinnlora.problem.load import load_problem
from pinnlora.problem.signature import spelled, split


def heat(**replaced):
    """Make a heat problem, with some of its parts replaced."""

    def residual(self, u_t, u_xx, alpha):
        return {"heat": u_t - alpha * u_xx}

    def start(self, x, alpha):
        return {"u": torch.sin(torch.pi * x)}

    parts = {
        "coords": Box(x=(0, 1), t=(0, 2)),
        "fields": ("u",),
        "task": Uniform(alpha=(0.1, 1)),
        "residual": residual,
        "conditions": [Condition(start, on="t=0")],
    }
    return type("Heat", (Problem,), parts | replaced)


def target(name: str, on="t=0"):
    def start(self, x):
        return {name: 0 * x}

    return [Condition(start, on=on)]


def misspelt(self, u_t, u_y):
    return {"heat": u_t - u_y}


def fifth(self, u_t, u_xxxxx):
    return {"heat": u_t - u_xxxxx}


def mixed(self, u_xxtt, u_xxxy):
    return {"heat": u_xxtt - u_xxxy}


def parameter(self, u_t, alhpa):
    return {"heat": u_t - alhpa}


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"residual": misspelt}, ["'u_y'", "did you mean 'u_", "Fields: u", "in x, t", "parameters: alpha"]),
        ({"residual": fifth}, ["'u_xxxxx'", "up to fourth order in x, t"]),
        ({"residual": mixed}, ["'u_xxxy'", "did you mean 'u_xxx"]),
        ({"residual": parameter}, ["'alhpa'", "did you mean 'alpha'"]),
        ({"conditions": target("w")}, ["'w'", "Fields: u"]),
        ({"conditions": target("u", on="t=1")}, ["on='t=1'", "x=0, x=1, t=0, t=2"]),
        ({"conditions": target("u", on="z=0")}, ["on='z=0'", "x=0, x=1, t=0, t=2"]),
        ({"conditions": target("u", on=("t=0", "x"))}, ["on='x'", "x=0, x=1, t=0, t=2"]),
        ({"conditions": [Periodic("y")]}, ["Periodic('y')", "'x', 't'"]),
        ({"conditions": [Periodic("x"), Periodic("t")]}, ["'periodic'", "name="]),
        ({"conditions": target("u") + target("u", on="x=0")}, ["'start'", "name="]),
    ],
)
def test_a_wrong_part_is_named_when_the_class_is_made(replaced, words):
    with pytest.raises(TypeError) as caught:
        heat(**replaced)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word.lower() in message.lower()


def test_a_missing_part_is_named():
    with pytest.raises(TypeError, match="lacks fields, residual"):
        type("Empty", (Problem,), {"coords": Box(x=(0, 1)), "task": Uniform(alpha=(0, 1))})


@pytest.mark.parametrize(
    ("intervals", "word"),
    [
        ({"x_1": (0, 1)}, "'x_1'.*without underscores"),
        ({"time": (0, 1)}, "'time'.*named t"),
        ({"split": (0, 1)}, "'split'.*results use"),
        ({"x": (0, 1), "t": (0, 1), "xt": (0, 1)}, "u_xt could also mean the derivative in x and t"),
        ({"x": (1, 1)}, r"x: expected \(low, high\) with low < high, got \(1, 1\)"),
        ({"x": 1}, r"expected \(low, high\).*got 1"),
        ({"x": (0, float("inf"))}, "expected"),
    ],
)
def test_a_wrong_box_is_named(intervals, word):
    with pytest.raises(TypeError, match=word):
        Box(**intervals)


def test_derivatives_as_condition_targets_and_names_are_resolved():
    problem = heat(conditions=target("u_x", on=("x=0", "x=1")))()
    (condition,) = problem.bound_conditions
    assert condition.name == "start" and (0,) in condition.channels.orders
    assert [(face.axis, face.value) for face in condition.faces] == [(0, 0.0), (0, 1.0)]
    assert problem.residual_signature.channels.orders == ((), (0,), (1,), (0, 0))


def waves(self, x, t):
    """Two fields, in another order than `fields`: v = cos(x - t), u = sin(x - t) solve u_t = -v, v_x = -u."""
    return {"v": torch.cos(x - t), "u": torch.sin(x - t)}


def test_the_order_of_the_exact_fields_does_not_matter():
    def residual(self, u, u_t, v, v_x):
        return {"one": u_t + v, "two": v_x + u}

    problem = heat(fields=("u", "v"), residual=residual, exact=waves, conditions=[])()
    for residual, size in residual_of_exact(problem, {"alpha": torch.tensor([0.5])}).values():
        assert residual < 1e-10 * size


def test_an_exact_solution_that_lacks_a_field_is_an_error():
    def exact(self, x, t):
        return {"w": x * t}

    problem = heat(exact=exact)()
    for call in (
        lambda: residual_of_exact(problem, {"alpha": torch.tensor([0.5])}),
        lambda: problem.reference({"alpha": np.array([0.5])}),
    ):
        with pytest.raises(UserError, match=r"exact.* w.*expected u"):
            call()


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"fields": ("u_1",)}, ["field 'u_1'", "without underscores", "derivatives", "u1"]),
        ({"fields": ("u v",)}, ["field 'u v'"]),
        ({"fields": "u"}, ["fields = 'u'", '("u",)']),
        ({"fields": ("u", "x")}, ["field 'x'", "also the name of a coordinate"]),
        ({"fields": ("u", "u")}, ["field 'u'", "also the name of a field"]),
        ({"task": Uniform(u=(0, 1))}, ["task parameter 'u'", "also the name of a field"]),
        ({"task": Uniform(t=(0, 1))}, ["task parameter 't'", "also the name of a coordinate"]),
        ({"task": Uniform(u_t=(0, 1))}, ["task parameter 'u_t'", "derivative of u"]),
        ({"task": Uniform(steps=(0, 1))}, ["task parameter 'steps'", "rename"]),
        ({"task": {"alpha": (0, 1)}}, ["Heat.task", "Uniform(...)"]),
        ({"task": GaussianField("f", on="y")}, ["on='y'", "there are x, t"]),
        ({"coords": {"x": (0, 1)}}, ["Heat.coords", "a Box"]),
        ({"conditions": Periodic("x")}, ["Heat.conditions", "a list"]),
        ({"conditions": ["t=0"]}, ["Heat.conditions holds 't=0'"]),
        ({"residual": 5}, ["Heat.residual = 5", "a method"]),
        ({"grid": {"z": 3}}, ["Heat.grid", "'z'"]),
        ({"residual": lambda u_t, u_xx: {"heat": u_t}}, ["first argument has to be self", "'u_t'"]),
        ({"residual": lambda: {"heat": 0}}, ["first argument has to be self"]),
        ({"conditions": [Condition(lambda self, x: {"u": np.sin(x)}, on="t=0")]}, ["torch.sin for np.sin"]),
        ({"conditions": [Condition(lambda self, x: None, on="t=0")]}, ["returns nothing"]),
        ({"conditions": [Condition(lambda self, x: {"u": x[:, :2]}, on="t=0")]}, ["'u' has shape (3, 2)"]),
    ],
)
def test_names_and_parts_that_would_be_misread_are_refused_with_a_reason(replaced, words):
    with pytest.raises(TypeError) as caught:
        heat(**replaced)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_coordinates_of_several_letters_have_their_derivatives_joined_by_underscores():
    def residual(self, u_xi_xi, u_xi_t, u_t, alpha):
        return {"heat": u_t - alpha * u_xi_xi + u_xi_t}

    def start(self, xi):
        return {"u_xi": xi}

    problem = heat(
        coords=Box(xi=(0, 1), t=(0, 1)), residual=residual, conditions=[Condition(start, on="t=0")]
    )()
    assert problem.residual_signature.channels.orders == ((), (0,), (1,), (0, 0), (0, 1))
    assert split(("xi", "t"), "u_t_xi") == ("u", (0, 1)) and spelled(("xi", "t"), "u", (0, 1)) == "u_xi_t"
    assert split(("x", "t"), "u_x_x") == split(("x", "t"), "u_xx") == ("u", (0, 0))
    assert spelled(("x", "t"), "u", (0, 0)) == "u_xx" and split(("xi", "t"), "u_xixi") == ("u_xixi", ())
    with pytest.raises(TypeError, match=r"'u_xixi'.*Did you mean 'u_xi_xi'.*written u_xi_xi"):
        heat(coords=Box(xi=(0, 1), t=(0, 1)), residual=lambda self, u_xixi: {"heat": u_xixi})


@pytest.mark.parametrize(
    ("box", "grid", "counts"),
    [
        ({"x": 1, "t": 1}, {}, (101, 101)),
        ({"x": 1, "y": 1, "t": 1}, {}, (36, 36, 36)),
        ({"x": 1, "y": 1, "t": 1}, {"t": 11}, (67, 67, 11)),
        ({"x": 1, "y": 1, "t": 1}, {"x": 101, "y": 101, "t": 11}, (101, 101, 11)),
        ({"x": 1, "y": 1, "z": 1, "t": 1}, {}, (14, 14, 14, 14)),
    ],
)
def test_the_default_grid_stays_small(box, grid, counts):
    coords = Box(**{name: (0, end) for name, end in box.items()})
    problem = heat(coords=coords, grid=grid, conditions=[], residual=lambda self, u_x: {"heat": u_x})()
    assert tuple(len(axis) for axis in problem.axes().values()) == counts


def test_tasks_walk_from_the_easy_one_to_themselves():
    problem, values = heat()(), {"alpha": torch.tensor([0.25, 1.0]), "f": torch.ones(2, 3)}
    halfway = problem.ease(values, {"alpha": 4.0, "f": 0.5}, 0.5)
    assert halfway["alpha"].tolist() == [1.0, 2.0]  # geometric means
    assert halfway["f"].flatten().tolist() == [0.75] * 6
    assert problem.ease(values, {"alpha": -1.0}, 0.5)["alpha"].tolist() == [
        -0.375,
        0.0,
    ]  # not positive: linear
    base = {"alpha": torch.tensor([4.0]), "f": torch.tensor([[0.0, 1.0, 2.0]])}  # a task's own values
    halfway = problem.ease(values, base, 0.5)
    assert halfway["alpha"].tolist() == [1.0, 2.0]
    assert halfway["f"].tolist() == [[0.5, 1.0, 1.5]] * 2
    assert problem.ease(values, {"alpha": 4.0}, 1.0) is values
    with pytest.raises(UserError, match=r"'alfa'.*alpha"):
        problem.ease(values, {"alfa": 1.0}, 0.5)


OWN = """
    from pinnlora import Box, Condition, Problem, Uniform

    class Decay(Problem):
        coords = Box(x=(0, 1), t=(0, 1))
        fields = ("u",)
        task = Uniform(rate=(1, 2))

        def residual(self, u, u_t, rate):
            return {"decay": u_t + rate * u}
"""


def write(tmp_path, text: str):
    path = tmp_path / "own.py"
    path.write_text(textwrap.dedent(text))
    return path


def test_a_problem_is_loaded_by_name_or_from_its_file(tmp_path):
    assert load_problem("kovasznay").name == "kovasznay"
    assert load_problem(f"{write(tmp_path, OWN)}:Decay").name == "decay"


def test_an_own_problem_may_use_dataclasses(tmp_path):
    helper = """
        from __future__ import annotations
        from dataclasses import dataclass

        @dataclass
        class Wave:
            speed: float = 2.0
    """
    path = write(tmp_path, textwrap.dedent(helper) + textwrap.dedent(OWN))
    assert load_problem(f"{path}:Decay").name == "decay"


@pytest.mark.parametrize(
    ("spec", "text", "words"),
    [
        ("kovasnay", "", ["kovasnay", "did you mean 'kovasznay'"]),
        ("{path}", OWN, ["FILE.py:Class"]),
        ("{path}x:Decay", OWN, ["does not exist"]),
        ("{path}:Decoy", OWN, ["no problem 'Decoy'", "Decay"]),
        ("{path}:Box", OWN, ["no problem 'Box'", "Decay"]),
        ("{path}:Decay", "class Decay(:\n    pass", ["invalid syntax"]),
        ("{path}:Decay", "import numpi", ["numpi"]),
        ("{path}:Decay", OWN.replace("u_t, rate", "u_tt_, rate"), ["'u_tt_'", "did you mean"]),
        ("{path}:Decay", OWN.replace("Uniform(rate=(1, 2))", "Uniform(rate=(2, 1))"), ["(2, 1)"]),
        ("{path}:Decay", OWN + "\n    import math\n    math.unknown\n", ["unknown"]),
        ("{path}:Decay", OWN + "\n    1 / 0\n", ["division by zero"]),
    ],
)
def test_what_cannot_be_loaded_is_one_line(tmp_path, spec, text, words):
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_problem(spec.format(path=path))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word.lower() in str(caught.value).lower()


@pytest.mark.parametrize("failing", ["raise ValueError('unfinished')", "raise SystemExit(3)"])
def test_after_a_file_has_failed_its_helpers_are_read_anew(tmp_path, failing):
    folders = [tmp_path / name for name in ("first", "second")]
    for folder, rate in zip(folders, (2, 5), strict=True):
        folder.mkdir()
        (folder / "rates_of_decay.py").write_text(f"HIGHEST = {rate}\n")
    own = "from rates_of_decay import HIGHEST\n" + textwrap.dedent(OWN).replace("(1, 2)", "(1, HIGHEST)")
    write(folders[0], f"import rates_of_decay\n{failing}\n")
    write(folders[1], own)
    with pytest.raises(UserError):
        load_problem(f"{folders[0] / 'own.py'}:Decay")
    assert load_problem(f"{folders[1] / 'own.py'}:Decay").task.ranges == (("rate", 1.0, 5.0),)
