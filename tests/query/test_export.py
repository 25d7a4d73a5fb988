"""Surrogates elsewhere: a plain torch module, and ONNX under onnxruntime, equal to what predict says."""

import textwrap

import numpy as np
import onnxruntime
import pytest
import torch
from test_surrogate import KINDS, OWN, bundle, task_of

from pinnlora.errors import UserError
from pinnlora.query.export import traced

HARD = ("burgers2d", 2, "float32", {"conditions": "hard"})


@pytest.mark.parametrize("kind", ["kovasznay, rank 2", "burgers1d", "burgers1d, potential"])
def test_a_module_is_the_prediction(tmp_path, kind):
    surrogate = bundle(tmp_path / "bundle", *KINDS[kind])
    fields = surrogate.predict(**task_of(kind), estimate="none")
    places = torch.tensor(
        np.stack(np.meshgrid(*surrogate.problem.axes().values(), indexing="ij"), -1).reshape(-1, 2),
        dtype=surrogate.dtype,
    )
    found = surrogate.module(**task_of(kind))(places).detach()
    expected = np.stack([fields[name].values.ravel() for name in surrogate.problem.fields], -1)
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=2e-6 if surrogate.dtype == torch.float32 else 1e-12
    )
    with pytest.raises(UserError, match="a module holds one task, got 2"):
        surrogate.module(**{name: np.stack([value, value]) for name, value in task_of(kind).items()})


@pytest.mark.parametrize("kind", ["kovasznay, rank 2", "burgers1d"])
def test_a_module_moves_as_modules_do(tmp_path, kind):
    """To another precision, another device, and by what it says of its state; with a symmetry too."""
    surrogate = bundle(tmp_path / "bundle", *KINDS[kind])
    module, places = surrogate.module(**task_of(kind)), torch.rand(9, 2)
    before = module(places)
    again = surrogate.module(**{name: 1.1 * value for name, value in task_of(kind).items()})
    again.load_state_dict(module.state_dict())
    torch.testing.assert_close(again(places), before)
    torch.testing.assert_close(module.double()(places.double()).float(), before, rtol=0, atol=1e-4)
    found = module.to("meta")(places.double().to("meta"))
    assert found.device.type == "meta" and found.dtype == torch.float64 and found.shape == before.shape


def predicted_at(surrogate, points, **task):
    at = dict(zip(surrogate.problem.coords.names, points.T, strict=True))
    fields = surrogate.predict(at=at, estimate="none", **task)
    return np.stack([fields[name].values for name in surrogate.problem.fields], -1)


def test_onnx_is_the_prediction(run, tmp_path):
    surrogate = bundle(tmp_path / "bundle", *HARD)
    points = np.random.default_rng(1).random((30, 3)).astype("float32")
    for nu, more in ((3e-4, ["--set", "nu=3e-4"]), (7e-4, [])):
        out = tmp_path / "out.onnx"
        status, said, error = run("export", tmp_path / "bundle", "-o", out, *more)
        assert status == 0 and "output fields (u, v)" in said, error
        inputs = {"coords": points} | ({} if more else {"task": np.array([nu], dtype="float32")})
        (found,) = onnxruntime.InferenceSession(out).run(["fields"], inputs)
        np.testing.assert_allclose(found, predicted_at(surrogate, points, nu=nu), rtol=0, atol=1e-6)


def test_a_task_out_of_range_is_a_warning(run, tmp_path):
    bundle(tmp_path / "bundle").refine(re=500.0, steps=1, points=20, save=tmp_path / "solved")
    warning = (
        "warning: the task lies outside the range the hypernetwork was trained on: the error is not known"
    )
    for name, more, told in (
        ("bundle", ["--set", "re=500"], f"{warning}; try `pinnlora refine --save`\n"),
        ("solved", [], f"{warning}\n"),
        ("bundle", ["--set", "re=50"], ""),
    ):
        status, said, error = run("export", tmp_path / name, "-o", tmp_path / "out.onnx", *more)
        assert status == 0 and said.startswith(f"{told}wrote "), error


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["burgers1d", "burgers1d, potential"])
def test_onnx_of_tasks_that_are_functions_and_of_potentials(run, tmp_path, kind, dtype):
    """Fourier transforms, symmetries, derivatives of the network: the family with u0 as an input, and one task."""
    name, rank, _, network = KINDS[kind]
    surrogate, u0 = bundle(tmp_path / "bundle", name, rank, dtype, network), task_of(kind)["u0"]
    np.save(tmp_path / "u0.npy", u0)
    points = np.random.default_rng(1).random((30, 2)).astype(dtype)
    for more in ([], ["--set", f"u0={tmp_path / 'u0.npy'}"]):
        out = tmp_path / "out.onnx"
        status, said, error = run("export", tmp_path / "bundle", "-o", out, *more)
        assert status == 0 and f"inputs coords{'' if more else ', u0'};" in said, error
        inputs = {"coords": points} | ({} if more else {"u0": u0.astype(dtype)})
        (found,) = onnxruntime.InferenceSession(out).run(["fields"], inputs)
        expected = predicted_at(surrogate, points, u0=u0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("kind", ["burgers1d, plain", "burgers1d, potential"])
def test_beyond_ends_that_close_fields_are_those_of_the_prediction(run, tmp_path, kind):
    """Of a network that is periodic by nothing but its training, and of one that is by its waves."""
    surrogate, u0 = bundle(tmp_path / "bundle", *KINDS[kind]), task_of(kind)["u0"]
    points = np.random.default_rng(1).random((30, 2)) * [5, 1] - [2, 0]
    points[0, 0] = 1.0  # the end itself
    expected = predicted_at(surrogate, points, u0=u0)
    found = surrogate.module(u0=u0)(torch.from_numpy(points)).detach()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    status, _, error = run("export", tmp_path / "bundle", "-o", tmp_path / "out.onnx")
    assert status == 0, error
    inputs = {"coords": points, "u0": u0}
    (found,) = onnxruntime.InferenceSession(tmp_path / "out.onnx").run(["fields"], inputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


class Angles(torch.nn.Module):
    """Every function that onnxruntime has in single precision only."""

    def forward(self, x, y):
        inside = x / (1 + x.abs())
        arcs = (torch.atan2(y, x), torch.atan(x), torch.asin(inside), torch.acos(inside))
        areas = (torch.asinh(x), torch.acosh(1 + x.abs()), torch.atanh(inside))
        arcs += (torch.atan(y / x), torch.nn.functional.softplus(x))
        return torch.stack([*arcs, *areas, torch.tan(inside), torch.sinh(inside), torch.cosh(inside)])


def test_functions_of_angles_keep_double_precision(tmp_path):
    """In every quadrant, on the axes, at the origin, and for numbers of any size."""
    some = np.array([0.0, 1.0, -1.0, 1e-9, -1e-200, 1e200, -1e200, 0.3, -2.5])
    x, y = (torch.from_numpy(part.ravel()) for part in np.meshgrid(some, some))
    model = traced(Angles(), [x, y], ["x", "y"], ["out"], "angles")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"x": x.numpy(), "y": y.numpy()})
    np.testing.assert_allclose(found, Angles()(x, y).numpy(), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    "function", [torch.erf, torch.special.erf, torch.nn.functional.elu, torch.nn.functional.gelu]
)
def test_what_onnxruntime_cannot_run_is_not_exported(function):
    class Bell(torch.nn.Module):
        def forward(self, x):
            return function(x)

    x = torch.linspace(-1, 1, 5)
    model = traced(Bell(), [x], ["x"], ["out"], "bell")
    onnxruntime.InferenceSession(model.SerializeToString())
    with pytest.raises(UserError, match="onnxruntime has in float32 only"):
        traced(Bell(), [x.double()], ["x"], ["out"], "bell")


def test_what_cannot_be_exported_is_one_line(run, tmp_path):
    text = textwrap.dedent(OWN).replace(
        "torch.sin(torch.pi * x)", "torch.sin(torch.pi * x) * torch.special.i0(x)"
    )
    (tmp_path / "odd.py").write_text(text)
    network = {"conditions": "hard"}
    bundle(tmp_path / "bundle", f"{tmp_path / 'odd.py'}:Heat", 2, "float32", network)
    out = tmp_path / "out.onnx"
    status, _, error = run("export", tmp_path / "bundle", "-o", out)
    assert status == 2 and "uses what ONNX does not have" in error and error.count("\n") == 1
    assert not out.exists()
    status, _, error = run("export", tmp_path / "bundle", "-o", tmp_path / "out.pt")
    assert status == 2 and "expected .onnx" in error
