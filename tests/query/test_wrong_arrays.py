"""Arrays and numbers that a trained surrogate cannot be asked with, from Python: a UserError of one line each."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch
import xarray as xr
from refused import refuses
from test_surrogate import KINDS, bundle, task_of

import pinnlora
from pinnlora.nets.mlp import Weights


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("wrong") / "flow")


@pytest.fixture(scope="module")
def burgers(tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("wrong") / "burgers", *KINDS["burgers1d"])


GOOD = np.linspace(0, 1, 128)
AT = {"x": 0.5, "y": 0.5}
DATES = np.full(128, np.datetime64("2024-01-01"))
NUMBERS = {
    "complex": (1 + 2j, "re = (1+2j)"),
    "complex array": (np.array([1 + 2j]), "re is an array of complex128"),
    "complex tensor": (torch.tensor([1 + 2j]), "re is an array of complex64"),
    "truth": (True, "re = True; expected numbers"),
    "truths": (np.array([True, False]), "re is an array of bool"),
    "date": (date(2024, 1, 1), "re = datetime.date(2024, 1, 1)"),
    "dates": (DATES, "re is an array of datetime64"),
    "durations": (DATES - DATES, "re is an array of timedelta64"),
    "text": ("42", "re = '42'; expected numbers"),
    "labelled text": (xr.DataArray("42"), "re = <xarray.DataArray"),
    "texts": (np.array(["42"]), "re is an array of <U2"),
    "bytes": (b"42", "re = b'42'"),
    "nothing": (None, "re = None; expected numbers"),
    "dict": ({"a": 1}, "re = {'a': 1}"),
    "set": ({42.0}, "re = {42.0}"),
    "ragged": ([[1, 2], [3]], "re = [[1, 2], [3]]"),
    "empty": ([], "re"),
    "matrix": ([[30.0, 40.0]], "re has shape (1, 2)"),
    "nan": (np.nan, "re holds 1 NaN"),
    "infinite": ([30.0, np.inf], "re holds 1 NaN or infinite"),
    "below zero": (-5.0, "re = -5, of another sign"),
    "zero": ([42.0, 0.0], "re = 0, of another sign"),
}
FUNCTIONS = {
    "complex": (GOOD + 0j, "u0 is an array of complex128"),
    "truths": (GOOD > 0.5, "u0 is an array of bool"),
    "dates": (DATES, "u0 is an array of datetime64"),
    "texts": (GOOD.astype(str), "u0 is an array of"),
    "objects": (np.array([{}] * 128), "u0"),
    "a number": (0.5, "u0 has shape ()"),
    "short": (GOOD[:100], "u0 has shape (100,)"),
    "deep": (np.zeros((2, 2, 128)), "u0 has shape (2, 2, 128)"),
    "across": (np.zeros((128, 2)), "u0 has shape (128, 2)"),
    "nan": (np.full(128, np.nan), "u0 holds 128 NaN"),
    "a function": (np.sin, "u0"),
    "elsewhere": (
        xr.DataArray(GOOD, {"x": GOOD}),
        "u0 is given at other x than expected, 0 to 1; interpolate it",
    ),
    "many elsewhere": (
        xr.DataArray([GOOD], {"x": GOOD[::-1]}, ("task", "x")),
        "u0 is given at other x than expected",
    ),
}
PLACES = {
    "a number": (0.5, "at: a float; expected a dict"),
    "an array": (np.zeros((3, 2)), "at: a ndarray; expected a dict"),
    "a list": ([0.5, 0.5], "at: a list"),
    "a text": ("x=0.5", "at: a str"),
    "nothing in it": ({}, "no coordinate 'x'"),
    "one coordinate": ({"x": 0.5}, "no coordinate 'y'"),
    "one too many": (AT | {"z": 0.5}, "no coordinate 'z'"),
    "complex": (AT | {"x": 0.5j}, "at: x = 0.5j"),
    "truth": (AT | {"x": np.array([True])}, "at: x is an array of bool"),
    "dates": (AT | {"x": DATES}, "at: x is an array of datetime64"),
    "text": (AT | {"x": "half"}, "at: x = 'half'"),
    "nan": (AT | {"x": np.nan}, "x holds NaN"),
    "a matrix": (AT | {"x": np.zeros((2, 2))}, "x has shape (2, 2)"),
    "two lengths": ({"x": [0.1, 0.2], "y": [0.1, 0.2, 0.3]}, "different lengths"),
    "other labels": (
        {"x": xr.DataArray([0.1, 0.2], {"point": ["a", "b"]}), "y": xr.DataArray([0.1, 0.2], {"point": ["b", "a"]})},
        "y has other labels along 'point'",
    ),
    "along a number": (AT | {"x": xr.DataArray([0.1, 0.2], dims="y")}, "called 'y', which is one number: rename it"),
    "outside": (AT | {"x": 7.0}, "1 of 1 points lie outside"),
    "complex dataset": (xr.Dataset({"x": ("point", [0.5j]), "y": ("point", [0.5])}), "at: x is an array of complex"),
    "text dataset": (xr.Dataset({"x": ("point", ["a"]), "y": ("point", [0.5])}), "at: x is an array of"),
    "other tasks": (xr.Dataset({"x": (("task", "point"), np.zeros((3, 2))), "y": 0.5}), "points for 3 tasks"),
}  # fmt: skip
NAMED = {
    "u": "called 'u', a name of the answer: rename it",
    "re": "called 're', a name of the answer",
    "residual": "called 'residual', a name of the answer",
    "u_x": "called 'u_x', a name of the answer",
}
FIELDS = {
    "one number": (5, "fields = 5; expected names"),
    "none": ([], "none are asked for"),
    "unknown": (["w"], "'w' is no field"),
    "twice": (["u", "v", "u"], "u is asked for twice"),
    "a number": ([3], "'3' is no field"),
    "a text": ("u,w", "'w' is no field"),
    "an underscore": (["u_"], "'u_' is no field"),
}
REFINED = {
    "saved in a number": ({"save": 3}, "save = 3; expected the name of a directory"),
    "no steps": ({"steps": 0}, "steps = 0; expected"),
    "steps below zero": ({"steps": -3}, "steps = -3; expected"),
    "half a step": ({"steps": 1.5}, "steps = 1.5; expected"),
    "steps of text": ({"steps": "3"}, "steps = '3'; expected"),
    "steps of truth": ({"steps": True}, "steps = True; expected"),
    "no points": ({"points": 0}, "points = 0; expected"),
    "half a point": ({"points": 2.5}, "points = 2.5; expected"),
    "a seed below zero": ({"seed": -1}, "seed = -1; expected"),
    "no tolerance": ({"tolerance": 0.0}, "tolerance = 0.0"),
    "a tolerance of NaN": ({"tolerance": np.nan}, "tolerance = nan"),
    "a tolerance of text": ({"tolerance": "1e-3"}, "tolerance = '1e-3'"),
    "no calibration": ({"tolerance": 1e-3}, "never calibrated"),
}
MEASURED = {"x": [0.2, 0.5], "y": [0.5, 0.5], "u": [1.0, 1.1]}
INVERTED = {
    "a list": ([1.0], {}, "observations: a list"),
    "a number": (1.0, {}, "observations: a float"),
    "no field": ({"x": [0.5], "y": [0.5]}, {}, "no field; expected"),
    "no place": ({"u": [0.5]}, {}, "observations: no coordinate 'x'"),
    "an unknown field": (MEASURED | {"w": [1.0, 1.0]}, {}, "'w' is neither a field"),
    "two lengths": (
        MEASURED | {"u": [1.0, 1.1, 1.2]},
        {},
        "observations: expected numbers, arrays of one length",
    ),
    "complex": (MEASURED | {"u": [1j, 1.0]}, {}, "observations: u"),
    "text": (MEASURED | {"u": ["a", "b"]}, {}, "observations: u"),
    **{
        f"{what} in a dataset": (
            xr.Dataset({n: ("point", v) for n, v in (MEASURED | {"u": u}).items()}),
            {},
            words,
        )
        for what, u, words in (
            ("complex", [1j, 1.0], "observations: u is an array of complex128"),
            ("truths", [True, False], "observations: u is an array of bool"),
            ("dates", DATES[:2], "observations: u is an array of datetime64"),
            ("texts", ["a", "b"], "observations: u is an array of"),
        )
    },
    "other labels": (
        {
            name: xr.DataArray(value, {"point": ["b", "a"] if name == "u" else ["a", "b"]})
            for name, value in MEASURED.items()
        },
        {},
        "observations: u has other labels along 'point'",
    ),
    "nothing measured": (MEASURED | {"u": [np.nan, np.nan]}, {}, "no value at all"),
    "infinite": (MEASURED | {"u": [np.inf, 1.0]}, {}, "infinite values"),
    "no noise": (MEASURED, {"noise": 0.0}, "noise"),
    "noise below zero": (MEASURED, {"noise": -1.0}, "noise"),
    "noise of text": (MEASURED, {"noise": "little"}, "noise"),
    "noise of nothing": (MEASURED, {"noise": None}, "noise"),
    "noise of another field": (MEASURED, {"noise": {"w": 0.1}}, "noise"),
    "noise of NaN": (MEASURED, {"noise": np.nan}, "noise"),
}


@pytest.mark.parametrize("what", NUMBERS)
def test_numbers_of_tasks(flow, what):
    value, words = NUMBERS[what]
    refuses(lambda: flow.predict(re=value, at=AT), words)


@pytest.mark.parametrize("what", FUNCTIONS)
def test_functions_as_tasks(burgers, what):
    value, words = FUNCTIONS[what]
    refuses(lambda: burgers.predict(u0=value, at={"x": 0.5, "t": 0.5}), words)


def test_a_function_where_it_is_expected_may_say_so(burgers):
    at = {"x": 0.5, "t": 0.5}
    plain = burgers.predict(at=at, **task_of("burgers1d"))
    for given in (
        plain["u0"],
        plain["u0"].drop_vars("x").rename(u0_x="x").astype("f4"),
        plain["u0"].drop_vars("u0_x"),
    ):
        assert float(burgers.predict(at=at, u0=given)["u"]) == pytest.approx(float(plain["u"]), rel=1e-4)


def test_names_of_tasks(flow, burgers):
    refuses(lambda: flow.predict(at=AT), "'re' is missing")
    refuses(lambda: flow.predict(at=AT, Re=42.0), "'Re'...did you mean 're'")
    refuses(lambda: flow.predict(at=AT, re=42.0, nu=1.0), "unknown task parameter 'nu'")
    refuses(lambda: burgers.predict(at={"x": 0.5, "t": 0.5}, u=task_of("burgers1d")["u0"]), "'u'")


@pytest.mark.parametrize("what", PLACES)
def test_places(flow, what):
    at, words = PLACES[what]
    refuses(lambda: flow.predict(at=at, re=42.0), words)


@pytest.mark.parametrize("dim", NAMED)
def test_dimensions_called_like_a_part_of_the_answer(flow, dim):
    at = xr.Dataset({"x": (dim, [0.2, 0.4]), "y": 0.5})
    for ask in (flow.predict, flow.refine):
        refuses(lambda ask=ask: ask(re=42.0, at=at, fields=["u", "u_x"]), NAMED[dim])


def test_points_along_the_dimension_of_a_function(burgers):
    """Those of the function itself may lie there, and no others."""
    own = burgers.predict(at={"x": 0.5, "t": 0.5}, **task_of("burgers1d"))["u0_x"]
    assert burgers.predict(at={"x": own, "t": 0.5}, **task_of("burgers1d"))["u"].dims == ("u0_x",)
    at = {"x": own[::4], "t": 0.5}
    refuses(lambda: burgers.predict(at=at, **task_of("burgers1d")), "called 'u0_x', a name of the answer")


@pytest.mark.parametrize("what", FIELDS)
def test_fields(flow, what):
    fields, words = FIELDS[what]
    refuses(lambda: flow.predict(at=AT, fields=fields, re=42.0), words)


def test_names_of_fields_may_have_spaces(flow):
    assert {"u", "v"} <= set(flow.predict(re=42.0, at=AT, fields="u, v"))


@pytest.mark.parametrize("what", REFINED)
def test_refinements(flow, what):
    more, words = REFINED[what]
    refuses(lambda: flow.refine(re=42.0, at=AT, **more), words)


@pytest.mark.parametrize("what", INVERTED)
def test_measurements(flow, what):
    measured, more, words = INVERTED[what]
    refuses(lambda: flow.invert(measured, **more), words)


def test_several_tasks_are_no_module(flow):
    refuses(lambda: flow.module(re=[30.0, 42.0]), "a module holds one task, got 2")


def test_predictions_that_are_not_finite(flow):
    """Weights that are finite numbers, and overflow when they are used."""
    weights = flow.parametrisation.base
    huge = [tuple(part * 0 + 3e38 for part in parts) for parts in (weights.matrices, weights.biases)]
    loud = replace(flow, parametrisation=replace(flow.parametrisation, base=Weights(*huge)))
    refuses(
        lambda: loud.predict(re=42.0, at=AT),
        "the prediction of u is not finite for 1 of 1 tasks, first re=42",
    )


def test_what_is_no_bundle(tmp_path):
    for path in (tmp_path / "gone", tmp_path, tmp_path / ("n" * 300)):
        refuses(lambda path=path: pinnlora.load(path), "is no bundle")
    (tmp_path / "file").write_text("")
    refuses(lambda: pinnlora.load(tmp_path / "file"), "is no bundle")
