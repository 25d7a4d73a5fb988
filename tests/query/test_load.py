"""What is on disk: formats, damage, and code from elsewhere."""

import json
import textwrap

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_surrogate import OWN, bundle

import pinnlora
from pinnlora.errors import UserError


def change(path, **more):
    config = json.loads((path / "config.json").read_text()) | more
    (path / "config.json").write_text(
        json.dumps({name: value for name, value in config.items() if value != "gone"})
    )


def test_bundles_have_a_format_and_older_ones_load(tmp_path):
    bundle(tmp_path / "bundle")
    assert json.loads((tmp_path / "bundle" / "config.json").read_text())["format"] == 2
    change(tmp_path / "bundle", format="gone")
    assert pinnlora.load(tmp_path / "bundle").predict(re=42.0)["u"].shape == (101, 101)
    change(tmp_path / "bundle", format=99, version="7.1")
    with pytest.raises(
        UserError, match=r"format 99, written by pinnlora 7\.1; this version reads formats up to 2"
    ):
        pinnlora.load(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: (path / "config.json").write_text("{"), "config.json is damaged, or another program's"),
        (lambda path: (path / "config.json").write_text('{"model_type": "bert"}'), "or another program's"),
        (lambda path: change(path, rank="gone"), "do not fit together"),
        (lambda path: change(path, rank=3), "do not fit together"),
        (lambda path: (path / "model.safetensors").unlink(), "there is no file"),
        (
            lambda path: (path / "model.safetensors").write_bytes(b"0" * 100),
            "not a readable safetensors file",
        ),
        (lambda path: shorten(path / "model.safetensors"), "not a readable safetensors file"),
        (lambda path: without(path / "model.safetensors", "base"), "without checksums"),
        (lambda path: without(path / "model.safetensors", "hypernetwork.head.bias"), "without checksums"),
    ],
)
def test_damaged_and_foreign_bundles_are_refused_in_one_line(tmp_path, harm, words):
    bundle(tmp_path / "bundle")
    harm(tmp_path / "bundle")
    with pytest.raises(UserError, match=words) as caught:
        pinnlora.load(tmp_path / "bundle").predict(re=42.0)
    assert "\n" not in str(caught.value)


def shorten(path):
    path.write_bytes(path.read_bytes()[:-100])


def without(path, name):
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors, path)


@pytest.mark.parametrize("what", ["another key", "another file", "no seal"])
def test_code_from_elsewhere_runs_with_trust_only(run, tmp_path, monkeypatch, what):
    (tmp_path / "heat.py").write_text(textwrap.dedent(OWN))
    bundle(tmp_path / "bundle", f"{tmp_path / 'heat.py'}:Heat")
    assert pinnlora.load(tmp_path / "bundle").problem.name == "heat"
    if what == "another key":
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    elif what == "another file":
        with (tmp_path / "bundle" / "problem.py").open("a") as file:
            file.write("raise SystemExit('this code ran')\n")
    else:
        change(tmp_path / "bundle", seal="gone")
    asked = ("predict", tmp_path / "bundle", "--set", "alpha=0.5", "-o", tmp_path / "out.nc")
    status, _, error = run(*asked)
    assert (
        status == 2 and "carries code, problem.py" in error and "--trust" in error and error.count("\n") == 1
    )
    if what != "another file":
        assert run(*asked, "--trust")[0] == 0
        assert isinstance(pinnlora.load(tmp_path / "bundle", trust=True).base, torch.Tensor)
