"""The studies in config/, their documentation, and what each job is told of them."""

import json
from pathlib import Path

import pytest

from pinnlora.errors import UserError
from pinnlora.study.job_settings import job_settings
from pinnlora.study.settings import Settings, load_settings
from pinnlora.train.settings import PerTaskStage, StageSettings, Training

CONFIG = Path(__file__).parents[2] / "config"


def test_jobs_get_their_own_part_only():
    settings = load_settings({"training": {"lora": {"ranks": {4: {"steps": 40}}}}})
    keys = {
        "tasks": {"tasks"},
        "reference": {"reference"},
        "base": {"method", "split", "rank", "network", "stage"},
        "fit": {"method", "split", "rank", "network", "stage"},
        "teachers": {"method", "split", "rank", "network", "stage"},
        "hypernetwork": {"mode", "rank", "network", "hypernetwork", "stage"},
        "evaluate": {"evaluation"},
    }
    for job, own in keys.items():
        mode = {"fit": "lora", "hypernetwork": "data"}.get(job)
        part = job_settings(settings, "kovasznay", job, "4", mode)
        assert set(part) == {"problem", "seed"} | own
        assert json.loads(json.dumps(part)) == part
    fit = job_settings(settings, "kovasznay", "fit", 4, "lora")
    assert (fit["rank"], fit["stage"]["steps"]) == (4, 40)
    assert StageSettings(**fit["stage"]).steps == 40
    assert job_settings(settings, None, "table", mode="2") == {"number": 2}
    assert job_settings(settings, "kovasznay", "figure", mode="fields") == {"kind": "fields"}
    with pytest.raises(UserError, match="no job 'bake'"):
        job_settings(settings, "kovasznay", "bake")


@pytest.mark.parametrize(
    ("lora", "hypernetworks", "asked", "shown", "of_lora"),
    [
        ([1, 4], [4, "full"], 4, 4, 4),
        ([1, 2], [1, 2, 8], 4, 2, 2),
        ([1], ["full"], 4, "full", 1),
        ([], ["full"], 4, "full", "full"),
        ([1, 16], [4, 8], 4, 4, 1),
        ([4, 16], [2, 8], 4, 8, 4),
    ],
)
def test_figures_show_a_rank_that_is_there(lora, hypernetworks, asked, shown, of_lora):
    settings = load_settings(
        {"lora_ranks": lora, "hypernetwork_ranks": hypernetworks, "evaluation": {"figure_rank": asked}}
    )
    told = job_settings(settings, "kovasznay", "evaluate")["evaluation"]
    assert (told["figure_rank"], told["lora_rank"]) == (shown, of_lora)


def test_figures_show_no_rank_of_a_method_that_is_left_out():
    told = {"methods": ["pinn"], "lora_ranks": [4], "hypernetwork_ranks": [2, 8]}
    assert job_settings(load_settings(told), "kovasznay", "evaluate")["evaluation"]["figure_rank"] == 8


@pytest.mark.parametrize("name", ["config", "smoke", "paper"])
def test_the_studies_are_valid(name):
    settings = load_settings(CONFIG / f"{name}.yaml")
    assert settings.study == {"config": "default"}.get(name, name)
    for problem in settings.problems:
        for each in Training.model_fields:
            settings.problem(problem).stage(each, "full")


def test_the_papers_protocol():
    paper = load_settings(CONFIG / "paper.yaml")
    for problem, points in {"kovasznay": 2601, "burgers2d": 10000, "burgers1d": 10000}.items():
        for name in Training.model_fields:
            chosen = paper.problem(problem).stage(name, 4)
            pinn = issubclass(Training.model_fields[name].annotation, PerTaskStage)
            assert chosen.optimiser == ("adam+lbfgs" if pinn else "adam")
            assert (chosen.steps, chosen.patience) == ((30000, 1000) if pinn else (15000, 0))
            assert (chosen.points, chosen.resample, chosen.schedule) == (points, 0, "steps")
    assert paper.problem("burgers1d").tasks.train == 100
    assert paper.problem("burgers1d").stage("pinn").condition_points == {"initial": 128, "periodic": 128}
    assert paper.problem("burgers1d").network.input_map == "identity"
    assert not paper.training.physics.fresh_tasks


def test_the_slice_has_the_papers_protocol_and_the_default_study_beside_it():
    both = load_settings(CONFIG / "paper.yaml", CONFIG / "slice.yaml")
    faithful, ours = (both.problem(spec) for spec in both.problems)
    paper, default = (
        load_settings(CONFIG / f"{name}.yaml").problem("kovasznay") for name in ("paper", "config")
    )
    for beside, of in ((faithful, paper), (ours, default)):
        assert (beside.network, beside.hypernetwork, beside.tasks) == (of.network, of.hypernetwork, of.tasks)
        for name in ("base", "lora", "physics"):
            unused = {"decay_start", "decay_every"} if beside is ours else set()  # of a cosine
            own, wanted = (each.stage(name, 4).model_dump(exclude=unused) for each in (beside, of))
            assert own == wanted


def keys_of(model) -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        found.add(name)
        if hasattr(field.annotation, "model_fields"):
            found |= keys_of(field.annotation)
    return found


def test_every_key_is_documented():
    text = (CONFIG / "README.md").read_text()
    missing = sorted(key for key in keys_of(Settings) if f"`{key}`" not in text)
    assert not missing


def test_documented_defaults_are_the_defaults():
    rows = [
        line.split(" | ")
        for line in (CONFIG / "README.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    documented = {row[0].strip("| `"): row[1].strip("`") for row in rows}
    for name, field in StageSettings.model_fields.items():
        if documented[name] != "none":
            kind = type(field.default)
            given = kind(documented[name]) if kind in (int, float) else documented[name]
            shown = str(field.default).lower() if kind is bool else field.default
            assert given == shown, name
