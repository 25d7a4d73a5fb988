"""Config files that cannot be meant: one line each; with tests/study/test_settings.py, which has what keys may say."""

import pytest
from refused import refuses

from pinnlora.study.settings import load_settings, load_study

FILES = {
    "a list": ("- 1\n", "holds a list, expected keys and values"),
    "a number": ("3\n", "holds a int"),
    "a text": ("just words\n", "holds a str"),
    "an open bracket": ("tasks: {train: 1\n", "is not YAML"),
    "a tab": ("tasks:\n\ttrain: 1\n", "is not YAML"),
    "two documents": ("seed: 1\n---\nseed: 2\n", "is not YAML"),
    "python in it": ("seed: !!python/object/apply:os.getcwd []\n", "is not YAML"),
    "a key twice": ("seed: 1\nseed: 2\n", "line 2: the key seed stands there twice"),
    "a key twice inside": ("training:\n  base: {steps: 1, steps: 2}\n", "line 2: the key steps stands there twice"),
    "a key twice by an anchor": ("a: &a {seed: 1}\n<<: *a\nb: 1\nb: 2\n", "the key b stands there twice"),
    "a number as key": ("3: 4\n", "3]: unknown key"),
    "nothing as key": ("~: 4\n", "unknown key"),
    "a list as key": ("[1, 2]: 4\n", "is not YAML"),
    "no results": ("results: ''\n", "results: is empty"),
    "results that are a number": ("results: 3\n", "results: 3 is not text"),
    "results that are a list": ("results: [a]\n", "results: ['a'] is not text"),
    "results at home": ("results: ~/runs\n", "results: '~/runs' would be a folder named ~ here; give the whole path"),
    "no study": ("study: ''\n", "study: '' may only hold"),
    "a study above": ("study: ..\n", "study: '..' may only hold"),
    "a study with a command": ("study: $(touch pwned)\n", "study: '$(touch pwned)' may only hold"),
    "a study that ends its line": ('study: "a\\n"\n', "study"),
    "a seed below zero": ("seed: -1\n", "seed: -1 is less than 0"),
    "a seed of halves": ("seed: 1.5\n", "seed: 1.5 is not a whole number"),
    "a date": ("seed: 2024-01-01\n", "seed"),
    "true for a number": ("seed: true\n", "seed: true is not a number"),
    "no tasks": ("tasks: {train: 0}\n", "tasks.train: 0 is not greater than 0"),
    "tasks without end": ("tasks: {train: .inf}\n", "tasks.train"),
    "checkpoints all the time": ("checkpoint_minutes: 0\n", "checkpoint_minutes: 0 is not greater than 0"),
    "checkpoints at no number": ("checkpoint_minutes: .nan\n", "checkpoint_minutes: nan is not a finite number"),
    "problems of nothing": ("problems: []\n", "problems: is empty"),
    "problems that are null": ("problems:\n", "problems: nothing is not a list"),
    "problems in a dict": ("problems: {kovasznay: 1}\n", "problems"),
    "a problem twice": ("problems: [kovasznay, kovasznay]\n", "problems: kovasznay stands there twice"),
    "a problem of null": ("problems: [~]\n", "problems[0]: None is neither the name"),
    "a reference of another kind": ("reference: exact\n", "reference: 'exact' is not one of auto, none, refined"),
    "a reference that is not there": ("reference: gone.nc\n", "reference: no file gone.nc"),
    "an activation": ("hypernetwork: {activation: gelu}\n", "hypernetwork.activation: 'gelu' is not one of"),
    "a body of nothing": ("hypernetwork: {body: []}\n", "hypernetwork.body: is empty"),
    "a body of zero": ("hypernetwork: {body: [0]}\n", "hypernetwork.body[0]: 0 is not greater than 0"),
    "a network of zero": ("network: {width: 0}\n", "network.width: 0 is not greater than 0"),
    "conditions of another kind": ("network: {conditions: harder}\n", "'harder' is not one of soft, hard, auto"),
    "an exception of a rank that leaves no steps": (
        "training: {physics: {steps: 9, continuation: {re: 1}, continuation_steps: 5, ranks: {4: {steps: 4}}}}\n",
        "5 of 4 steps: none are left for the tasks themselves",
    ),
    "regressed weights with points of their own": ("training: {weights: {resample: 5}}\n", "weights.resample: 5"),
    "overrides under two keys": (
        "problems: [examples/heat.py:Heat]\noverrides: {examples/heat.py:Heat: {modes: []}, heat: {modes: []}}\n",
        "overrides.heat: heat has overrides under another key already; join them",
    ),
    "an override of null": ("overrides: {burgers1d: }\n", "overrides.burgers1d"),
    "condition points of text": ("training: {base: {condition_points: many}}\n", "training.base.condition_points"),
    "condition points by name": ("training: {base: {condition_points: {start: 0}}}\n", "base.condition_points"),
    "a precision": ("training: {base: {dtype: float16}}\n", "'float16' is not one of float32, float64"),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_wrong_config_is_one_line(tmp_path, what):
    text, words = FILES[what]
    (tmp_path / "study.yaml").write_text(text)
    refuses(lambda: load_settings(tmp_path / "study.yaml"), words)


@pytest.mark.parametrize("content", [bytes(range(256)), "study: für\n".encode("latin-1"), b"a: \0\n"])
def test_what_is_no_text_is_one_line(tmp_path, content):
    (tmp_path / "study.yaml").write_bytes(content)
    refuses(lambda: load_settings(tmp_path / "study.yaml"), "is not YAML")


def test_what_is_no_file_is_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "gone.yaml", tmp_path / ("n" * 300)):
        refuses(lambda path=path: load_settings(path), f"cannot read {path}")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"network": {"hidden_layers": 1, "unadapted": [0, 1]}}, "kovasznay has no map left for adapters of rank 1"),
        ({"lora_ranks": [128]}, "rank 128 of kovasznay is above the width of its network, 64"),
        ({"hypernetwork_ranks": [100000]}, "rank 100000 of kovasznay is above the width"),
        ({"network": {"width": 8}, "lora_ranks": [16]}, "rank 16 of kovasznay is above the width of its network, 8"),
        ({"reference": "none", "modes": ["data"]}, "data learns from reference solutions"),
    ],
)  # fmt: skip
def test_a_study_that_cannot_be_run_is_one_line(given, words):
    refuses(lambda: load_study({"problems": ["kovasznay"]} | given), words)


def test_plain_yaml_is_read_as_ever(tmp_path):
    text = "training:\n  base: &base {steps: 3}\n  pinn: {<<: *base, points: 7}\n"
    (tmp_path / "study.yaml").write_text(text)
    pinn = load_settings(tmp_path / "study.yaml").training.pinn
    assert (pinn.steps, pinn.points) == (3, 7)
