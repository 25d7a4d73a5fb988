"""Surrogates elsewhere: a plain torch module, and ONNX under onnxruntime, equal to what predict says."""

import numpy as np
import onnxruntime
import pytest
import torch
from test_cli import run  # noqa: F401 (a fixture)
from test_surrogate import KINDS, bundle, task_of

from pinnlora.errors import UserError
from pinnlora.query.export import FamilyModule

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
    np.testing.assert_allclose(found, expected, atol=2e-6 if surrogate.dtype == torch.float32 else 1e-12)
    with pytest.raises(UserError, match="a module holds one task, got 2"):
        surrogate.module(**{name: np.stack([value, value]) for name, value in task_of(kind).items()})


def predicted_at(surrogate, points, **task):
    at = dict(zip(surrogate.problem.coords.names, points.T, strict=True))
    fields = surrogate.predict(at=at, estimate="none", **task)
    return np.stack([fields[name].values for name in surrogate.problem.fields], -1)


def test_onnx_is_the_prediction(run, tmp_path):  # noqa: F811
    surrogate = bundle(tmp_path / "bundle", *HARD)
    points = np.random.default_rng(1).random((30, 3)).astype("float32")
    for nu, more in ((3e-4, ["--set", "nu=3e-4"]), (7e-4, [])):
        out = tmp_path / "out.onnx"
        status, said, error = run("export", tmp_path / "bundle", "-o", out, *more)
        assert status == 0 and "output fields (u, v)" in said, error
        inputs = {"coords": points} | ({} if more else {"task": np.array([nu], dtype="float32")})
        (found,) = onnxruntime.InferenceSession(out).run(["fields"], inputs)
        np.testing.assert_allclose(found, predicted_at(surrogate, points, nu=nu), atol=1e-6)


def test_what_cannot_be_exported_is_one_line(run, tmp_path):  # noqa: F811
    surrogate = bundle(tmp_path / "bundle", *KINDS["burgers1d, potential"])
    with pytest.raises(UserError, match="the task holds a function, u0: give it with --set"):
        FamilyModule(surrogate)
    np.save(tmp_path / "u0.npy", task_of("burgers1d")["u0"])
    out = tmp_path / "out.onnx"
    status, _, error = run("export", tmp_path / "bundle", "-o", out, "--set", f"u0={tmp_path / 'u0.npy'}")
    assert status == 2 and "derivatives of potentials" in error and not out.exists()
    status, _, error = run("export", tmp_path / "bundle", "-o", tmp_path / "out.pt")
    assert status == 2 and "expected .onnx" in error
