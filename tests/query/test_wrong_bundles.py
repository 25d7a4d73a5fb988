"""Bundles whose config.json says what cannot be: each is one line when it is loaded, and no traceback."""

import json
import shutil
import textwrap

import pytest
from refused import refuses
from test_surrogate import OWN, bundle

import pinnlora

GONE = object()
NOT_TOGETHER = "do not fit together"
ANOTHER = "a base network of shape (1, 195) came, expected"
DAMAGED = "config.json is damaged, or another program's"
# the place in config.json, what stands there instead, and what has to be said
CONFIGS = [
    ("problem", GONE, DAMAGED),
    ("problem", 3, DAMAGED),
    ("problem", None, DAMAGED),
    ("problem", "", "problem '' is not known"),
    ("problem", "kovaszny", "did you mean 'kovasznay'"),
    ("problem", "burgers2d", ANOTHER),
    ("problem", "problem.py:Heat", "carries code"),
    ("problem", "../heat.py:Heat", DAMAGED),
    ("problem", "/etc/passwd:Heat", DAMAGED),
    ("network", GONE, DAMAGED),
    ("network", [], DAMAGED),
    ("network.width", 9, ANOTHER),
    ("network.width", -1, NOT_TOGETHER),
    ("network.width", "wide", NOT_TOGETHER),
    ("network.hidden_layers", 2, ANOTHER),
    ("network.unadapted", [99], NOT_TOGETHER),
    ("network.formulation", "weak", "formulated as: default"),
    ("network.input_map", "periodic", "has no Periodic condition"),
    ("network.depth", 3, NOT_TOGETHER),
    ("rank", GONE, NOT_TOGETHER),
    ("rank", 3, NOT_TOGETHER),
    ("rank", -1, NOT_TOGETHER),
    ("rank", "two", NOT_TOGETHER),
    ("rank", None, NOT_TOGETHER),
    ("rank", "full", NOT_TOGETHER),
    ("outputs", GONE, NOT_TOGETHER),
    ("outputs", 7, NOT_TOGETHER),
    ("inputs", GONE, NOT_TOGETHER),
    ("inputs", 2, NOT_TOGETHER),
    ("inputs", "one", NOT_TOGETHER),
    ("hypernetwork", GONE, NOT_TOGETHER),
    ("hypernetwork", 3, NOT_TOGETHER),
    ("hypernetwork.body", [6, 6], NOT_TOGETHER),
    ("hypernetwork.body", 6, NOT_TOGETHER),
    ("hypernetwork.body", GONE, NOT_TOGETHER),
    ("hypernetwork.activation", "gelu", NOT_TOGETHER),
    ("hypernetwork.embedding", GONE, NOT_TOGETHER),
    ("calibration", 3, NOT_TOGETHER),
    ("calibration", {"ratio": {}}, NOT_TOGETHER),
    ("format", 99, "this version reads formats up to"),
    ("format", "new", DAMAGED),
    ("format", None, DAMAGED),
    ("provenance", "0" * 16, "of different trainings"),
    ("kind", "networks", NOT_TOGETHER),
]


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "flow"
    bundle(path)
    return path


@pytest.mark.parametrize(("place", "value", "words"), CONFIGS)
def test_a_wrong_config_is_one_line(flow, tmp_path, place, value, words):
    copy = shutil.copytree(flow, tmp_path / "bundle")
    config = json.loads((copy / "config.json").read_text())
    *path, name = place.split(".")
    inside = config[path[0]] if path else config
    inside[name] = value
    if value is GONE:
        del inside[name]
    (copy / "config.json").write_text(json.dumps(config))
    refuses(lambda: pinnlora.load(copy).predict(re=42.0, at={"x": 0.5, "y": 0.5}), words)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"text"', "\0"])
def test_a_config_that_is_none_is_one_line(flow, tmp_path, text):
    copy = shutil.copytree(flow, tmp_path / "bundle")
    (copy / "config.json").write_text(text)
    refuses(lambda: pinnlora.load(copy), DAMAGED)


def test_a_config_of_bytes_is_one_line(flow, tmp_path):
    copy = shutil.copytree(flow, tmp_path / "bundle")
    (copy / "config.json").write_bytes(bytes(range(256)))
    refuses(lambda: pinnlora.load(copy), DAMAGED)


def test_a_sealed_bundle_runs_no_code_from_beside_it(tmp_path):
    """The seal is of the code inside: what config.json points to elsewhere is not covered by it."""
    (tmp_path / "heat.py").write_text(textwrap.dedent(OWN))
    bundle(tmp_path / "bundle", f"{tmp_path / 'heat.py'}:Heat")
    (tmp_path / "evil.py").write_text("raise SystemExit('this code ran')\n")
    config = json.loads((tmp_path / "bundle" / "config.json").read_text())
    for elsewhere in ("../evil.py:Heat", f"{tmp_path / 'evil.py'}:Heat"):
        (tmp_path / "bundle" / "config.json").write_text(json.dumps(config | {"problem": elsewhere}))
        for trust in (False, True):
            refuses(lambda trust=trust: pinnlora.load(tmp_path / "bundle", trust=trust), DAMAGED)


def test_code_that_is_damaged_is_one_line(tmp_path):
    (tmp_path / "heat.py").write_text(textwrap.dedent(OWN))
    bundle(tmp_path / "bundle", f"{tmp_path / 'heat.py'}:Heat")
    (tmp_path / "bundle" / "problem.py").write_text("class Heat(Problem:\n")
    for trust in (False, True):
        refuses(lambda trust=trust: pinnlora.load(tmp_path / "bundle", trust=trust), "")
