"""The schema that editors check a config by, and the config that is saved beside the results."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from pinnlora.study.graph import Job, Plan
from pinnlora.study.settings import load_settings
from pinnlora.study.settings_files import resolved, save_resolved, schema
from pinnlora.train.kinds import _number

CONFIG = Path(__file__).parents[2] / "config"
STUDIES = sorted(CONFIG.glob("*.yaml"))
SCHEMA = json.loads((CONFIG / "schema.json").read_text())


def read(path: Path) -> dict:
    """As an editor reads it: YAML 1.2, where 1e-3 is a number."""

    def numbers(value):
        if isinstance(value, dict):
            return {str(key): numbers(inner) for key, inner in value.items()}
        return (
            list(map(numbers, value)) if isinstance(value, list) else value if value is True else maybe(value)
        )

    def maybe(value):
        return _number(value) if isinstance(value, str) else value

    return numbers(yaml.safe_load(path.read_text()))


def test_the_schema_is_that_of_the_settings():
    assert schema((CONFIG / "README.md").read_text()) == SCHEMA, "make schema"
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_names_the_schema_and_fits_it(path):
    assert path.read_text().splitlines()[0] == "# yaml-language-server: $schema=schema.json"
    Draft202012Validator(SCHEMA).validate(read(path))


@pytest.mark.parametrize(
    "wrong",
    [
        {"stduy": "mine"},
        {"device": "gpu"},
        {"lora_ranks": [1, 0]},
        {"training": {"base": {"stpes": 3}}},
        {"training": {"physics": {"ranks": {"4": {"steps": "many"}}}}},
        {"overrides": {"burgers1d": {"network": {"width": -1}}}},
    ],
)
def test_what_the_settings_refuse_the_schema_refuses(wrong):
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)


def test_every_key_is_described():
    models = [SCHEMA, *SCHEMA["$defs"].values()]
    bare = {
        key for model in models for key, about in model["properties"].items() if "description" not in about
    }
    assert bare <= {
        "ranks",
        "base",
        "pinn",
        "finetuned",
        "lora",
        "teachers",
        "data",
        "weights",
        "distilled",
        "physics",
    }


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_resolved_config_makes_the_same_jobs(path, tmp_path):
    """It says all there is to say, and loads to the same settings of every job."""
    settings = load_settings(path)
    save_resolved(settings, tmp_path / "results" / "x")
    saved = tmp_path / "results" / "x" / "config.yaml"
    again = load_settings(saved)
    assert (
        yaml.safe_load(saved.read_text())["training"]["base"]["final_rate"]
        == settings.training.base.final_rate
    )
    assert resolved(again) == resolved(settings)
    first, second = (Plan(each, tmp_path, lambda job: False) for each in (settings, again))
    todo, seen = [Job("table", which="1")], set()
    while todo:
        job = todo.pop()
        if job not in seen:
            seen.add(job)
            todo += first.read(job)
            assert first.own_settings(job) == second.own_settings(job), job
    assert len(seen) > 10
