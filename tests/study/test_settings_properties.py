"""Settings, whatever they are: read, written and read again they are the same; what does not fit is one line."""

import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnlora.errors import UserError
from pinnlora.study.settings import Evaluation, Settings, Tasks, load_settings
from pinnlora.train.settings import HypernetworkSettings, NetworkSettings, StageSettings

QUICK = settings(max_examples=60, deadline=None, derandomize=True)

counts = st.integers(1, 10**6)
shares = st.floats(0, 1, exclude_max=True)
positive = st.floats(1e-12, 1e12)
stages = st.fixed_dictionaries(
    {},
    optional={
        "steps": counts,
        "points": counts,
        "seconds": st.floats(0, 1e6),
        "learning_rate": positive,
        "condition_weight": positive,
        "condition_points": counts | st.dictionaries(st.sampled_from(["start", "ends"]), counts, min_size=1),
        "dtype": st.sampled_from(["float32", "float64"]),
        "schedule": st.sampled_from(["cosine", "steps", "constant"]),
        "damping": positive,
        "momentum": shares,
        "report_every": counts,
        "balance": st.booleans(),
    },
)
studies = st.fixed_dictionaries(
    {},
    optional={
        "study": st.from_regex(r"[A-Za-z0-9][\w.-]{0,20}\Z", fullmatch=True).filter(str.isascii),
        "seed": st.integers(0, 2**63),
        "device": st.sampled_from(["auto", "cpu", "cuda"]),
        "lora_ranks": st.lists(st.integers(1, 64), unique=True),
        "hypernetwork_ranks": st.lists(st.integers(1, 64) | st.just("full"), unique=True),
        "tasks": st.fixed_dictionaries({}, optional={"train": counts, "test": counts}),
        "training": st.dictionaries(st.sampled_from(["base", "pinn", "lora"]), stages),
        "overrides": st.dictionaries(st.sampled_from(["kovasznay", "burgers1d"]), st.just({"reference": "none"})),
    },
)  # fmt: skip


@QUICK
@given(studies)
def test_written_and_read_again_they_are_the_same(tmp_path_factory, study):
    found = load_settings(study)
    text = yaml.safe_dump(found.model_dump(mode="json", exclude_unset=True))
    path = tmp_path_factory.getbasetemp() / "study.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_settings(path) == load_settings(found.model_dump(mode="json", exclude_unset=True)) == found
    for name, value in study.items():
        if name not in ("training", "overrides", "tasks"):
            assert found.model_dump(mode="json")[name] == value


MODELS = {(): Settings, ("tasks",): Tasks, ("evaluation",): Evaluation, ("network",): NetworkSettings,
          ("hypernetwork",): HypernetworkSettings, ("training", "base"): StageSettings}  # fmt: skip


@QUICK
@given(st.data())
def test_a_misspelt_key_is_told_what_was_meant(data):
    """One letter left out, doubled or replaced, in any key of five letters or more."""
    path = data.draw(st.sampled_from(list(MODELS)))
    known = sorted(MODELS[path].model_fields)
    key = data.draw(st.sampled_from([name for name in known if len(name) > 4]))
    place = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from([*string.ascii_lowercase, ""]))
    wrong = key[:place] + letter + key[place + data.draw(st.integers(0, 1)) :]
    if wrong in known:
        return
    content: dict = {wrong: 1}
    for name in reversed(path):
        content = {name: content}
    with pytest.raises(UserError) as caught:
        load_settings(content)
    line = str(caught.value)
    assert line == f"config: {'.'.join((*path, wrong))}: unknown key, did you mean {key!r}?"


LIMITS = {
    "steps": (1, None, int), "lbfgs_steps": (0, None, int), "points": (1, None, int), "report_every": (1, None, int),
    "seconds": (0, None, float), "margin": (0, 1, float), "causal": (0, None, float), "decay_factor": (0, 1, float),
    "momentum": (0, 1, float),
}  # fmt: skip


@QUICK
@given(st.sampled_from(list(LIMITS)), st.integers(-(10**9), 10**9) | st.floats())
def test_numbers_are_taken_within_their_limits_and_told_beyond(name, value):
    low, high, kind = LIMITS[name]
    good = value == value and abs(value) != float("inf") and value >= low and (high is None or value <= high)
    if kind is int:
        good = good and value == int(value)
    if (name == "decay_factor" and value == 0) or (name == "momentum" and value == 1):
        good = False  # the limits themselves are out
    more = {"optimiser": "adam+lbfgs"} if name == "lbfgs_steps" and value > 0 else {}
    try:
        found = load_settings({"training": {"base": {name: value} | more}})
    except UserError as error:
        assert not good, error
        assert str(error).startswith(f"config: training.base.{name}: ") and "\n" not in str(error)
    else:
        assert good and getattr(found.training.base, name) == value
