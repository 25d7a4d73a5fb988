"""Settings: defaults, overrides, and errors of one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from pinnlora.errors import UserError
from pinnlora.problem.load import load_problem
from pinnlora.study.job_settings import job_settings
from pinnlora.study.settings import load_settings, load_study, problem_name
from pinnlora.train.settings import HypernetworkStage, Training

CONFIG = Path(__file__).parents[2] / "config"


def messages(*sources) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_settings(*sources)
    return str(caught.value).splitlines()


def stage(name: str, **keys) -> dict:
    return {"training": {name: keys}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (stage("physics", stpes=3), "training.physics.stpes: unknown key, did you mean 'steps'?"),
        ({"netwrk": {}}, "netwrk: unknown key, did you mean 'network'?"),
        ({"tasks": {"qqq": 1}}, "tasks.qqq: unknown key; there are train, validation, test"),
        ({"lora_ranks": [1, 2, -4]}, "lora_ranks[2]: -4 is not a positive rank"),
        ({"lora_ranks": [True]}, "lora_ranks[0]: True is not a positive rank"),
        ({"lora_ranks": [1, 1]}, "lora_ranks: 1 stands there twice"),
        (
            {"hypernetwork_ranks": ["ful"]},
            "hypernetwork_ranks[0]: 'ful' is not a positive rank, 'auto' or 'full'",
        ),
        (stage("pinn", steps="many"), "training.pinn.steps: 'many' is not a whole number"),
        (stage("pinn", steps=1.5), "training.pinn.steps: 1.5 is not a whole number"),
        (stage("pinn", steps=0), "training.pinn.steps: 0 is not greater than 0"),
        (stage("pinn", steps=True), "training.pinn.steps: true is not a number"),
        (stage("data", resample=3), "training.data.resample: 3 is greater than 1"),
        (stage("data", momentum=1), "training.data.momentum: 1 is not less than 1"),
        (
            stage("data", learning_rate=float("nan")),
            "training.data.learning_rate: nan is not a finite number",
        ),
        ({"training": None}, "training: nothing is not a mapping of keys to values"),
        ({"problems": "kovasznay"}, "problems: 'kovasznay' is not a list"),
        ({"problems": []}, "problems: is empty, give at least one"),
        ({"problems": ["kovaszny"]}, "problems[0]: no problem 'kovaszny', did you mean 'kovasznay'?"),
        ({"problems": ["gone.py:Heat"]}, "problems[0]: gone.py:Heat: no file gone.py"),
        ({"modes": ["phyiscs"]}, "modes[0]: 'phyiscs' is not one of data, weights, distilled, physics; "),
        (
            {"methods": ["pin"]},
            "methods[0]: 'pin' is not one of pinn, finetuned, lora; did you mean 'pinn'?",
        ),
        ({"methods": ["lora", "lora"]}, "methods: lora stands there twice"),
        ({"device": "gpu"}, "device: 'gpu' is not one of auto, cpu, cuda; did you mean 'cpu'?"),
        ({"study": "a/b"}, "study: 'a/b' may only hold letters"),
        (
            {"network": {"unadapted": [7]}},
            "network: unadapted: there is no map 7; 6 hidden layers have maps 0",
        ),
        (
            stage("pinn", optimiser="gauss_newton"),
            "training.pinn.optimiser: 'gauss_newton' is not one of adam, ",
        ),
        (
            stage("weights", optimiser="gauss_newton"),
            "training.weights.optimiser: 'gauss_newton' is not one of ",
        ),
        (
            stage("physics", optimiser="levenberg_marquardt"),
            "training.physics.optimiser: 'levenberg_marquardt' ",
        ),
        (stage("pinn", clip=2), "training.pinn: clip, normalise and average are for hypernetworks"),
        (stage("lora", average=0.9), "training.lora: clip, normalise and average are for hypernetworks"),
        (
            stage("physics", optimiser="gauss_newton", average=0.9),
            "training.physics: average is for optimiser: adam or soap",
        ),
        (stage("physics", average=1), "training.physics.average"),
        (
            stage("physics", optimiser="gauss_newton", clip=2),
            "training.physics: clip is for optimiser: adam or soap",
        ),
        (stage("pinn", lbfgs_steps=3), "training.pinn: optimiser adam with lbfgs_steps 3: "),
        (stage("pinn", optimiser="adam+lbfgs"), "training.pinn: optimiser adam+lbfgs with lbfgs_steps 0: "),
        (stage("pinn", continuation={"nu": 0.1}), "training.pinn: continuation and continuation_steps "),
        (
            stage("pinn", continuation={"nu": "bsae"}, continuation_steps=3),
            "training.pinn.continuation.nu: 'bsae' is neither a number nor base (T0's own value)",
        ),
        (
            stage("teachers", chain=True, continuation={"nu": 1}, continuation_steps=3),
            "training.teachers: continuation with chain: true: tasks walk from their neighbours, ",
        ),
        (stage("pinn", adaptive=True, resample=0), "training.pinn: adaptive: true draws new points in the "),
        (stage("physics", adaptive=True, points_on="grid"), "training.physics: adaptive: true draws new "),
        (
            stage("pinn", points_on="girds"),
            "training.pinn.points_on: 'girds' is not one of domain, grid; did",
        ),
        (stage("physics", margin=-0.1), "training.physics.margin: -0.1 is less than 0"),
        (
            stage("data", ranks={4: {"stps": 1}}),
            "training.data.ranks.4.stps: unknown key, did you mean 'steps'?",
        ),
        (
            stage("data", ranks={"x": {}}),
            "training.data.ranks.x: 'x' is not a positive rank, 'auto' or 'full'",
        ),
        (
            stage("data", ranks={4: {"lbfgs_steps": 1}}),
            "training.data.ranks.4: optimiser adam with lbfgs_steps 1",
        ),
        (
            {"overrides": {"burger1d": {}}},
            "overrides.burger1d: not among problems, did you mean 'burgers1d'?",
        ),
        (
            {"overrides": {"burgers1d": stage("pinn", stpes=3)}},
            "overrides.burgers1d.training.pinn.stpes: unknown key, did you mean 'steps'?",
        ),
        (
            {"overrides": {"burgers1d": stage("pinn", lbfgs_steps=3)}},
            "overrides.burgers1d.training.pinn: optimiser adam with lbfgs_steps 3: ",
        ),
        ({"overrides": {"burgers1d": {"seed": 3}}}, "overrides.burgers1d.seed: unknown key"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(given, expected):
    (line,) = messages(given)
    assert line.startswith(f"config: {expected}"), line


def test_several_problems_are_a_line_each():
    given = stage("physics", stpes=3, steps="many") | {"lora_ranks": [-4, "full"], "problems": ["a", 3]}
    found = messages(given)
    assert len(found) == 6
    assert all(line.startswith("config: ") for line in found)
    assert any("'full' has no adapter" in line for line in found)


def test_ranks_are_found_where_no_teacher_has_one():
    settings = load_settings({"problems": ["kovasznay"], "hypernetwork_ranks": [4, "auto"]})
    problem = settings.problem("kovasznay")
    assert [mode for mode, rank in problem.surrogates() if rank == "auto"] == ["data", "physics"]
    assert len(problem.surrogates()) == 6
    (line,) = messages({"lora_ranks": ["auto"]})
    assert line.startswith("config: lora_ranks[0]: 'auto' finds ranks over many tasks")
    (line,) = messages({"hypernetwork": {"tolerance": 1}})
    assert line == "config: hypernetwork.tolerance: 1 is not less than 1"
    small = {"network": {"width": 6}, "hypernetwork_ranks": ["auto"], "problems": ["kovasznay"]}
    with pytest.raises(UserError, match="rank 8 of kovasznay is above the width of its network, 6"):
        load_study(small)


def test_lora_has_no_full_rank():
    (line,) = messages({"lora_ranks": ["full"]})
    assert line.startswith("config: lora_ranks[0]: 'full' has no adapter")


def test_files_that_cannot_be_read(tmp_path):
    (line,) = messages(tmp_path / "gone.yaml")
    assert "cannot read" in line
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    (line,) = messages(broken)
    assert "is not YAML" in line
    broken.write_text("- 1")
    (line,) = messages(str(broken))
    assert "holds a list" in line


def test_later_sources_lie_over_earlier_ones(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("study: one\ntraining: {pinn: {steps: 7, learning_rate: 1e-4}}\n")
    settings = load_settings(path, {"seed": 5, "training": {"pinn": {"steps": "8"}}})
    assert (settings.study, settings.seed) == ("one", 5)
    assert settings.training.pinn.steps == 8
    assert settings.training.pinn.learning_rate == 1e-4  # which YAML 1.1 takes for text


def test_overrides_and_ranks_have_the_last_word():
    settings = load_settings(
        {
            "tasks": {"train": 9},
            "training": {
                "physics": {"steps": 10, "points": 11, "ranks": {4: {"steps": 40}, "full": {"rows": 1}}}
            },
            "overrides": {
                "burgers1d": {
                    "tasks": {"test": 3},
                    "training": {"physics": {"steps": 20, "ranks": {4: {"points": 5}}}},
                }
            },
        }
    )
    plain, special = settings.problem("kovasznay"), settings.problem("burgers1d")
    assert plain.stage("physics").steps == 10
    assert (plain.stage("physics", 4).steps, plain.stage("physics", 4).points) == (40, 11)
    assert plain.stage("physics", "full").rows == 1
    assert special.stage("physics", 8).steps == 20
    assert (special.stage("physics", 4).steps, special.stage("physics", 4).points) == (40, 5)
    assert (plain.tasks.train, plain.tasks.test) == (9, 20)
    assert (special.tasks.train, special.tasks.test) == (9, 3)
    assert type(plain.stage("physics")) is HypernetworkStage


def test_the_papers_points_and_weights_are_the_papers():
    """Neither adaptive points nor a weight on the residual; Kovasznay's 2,601 points are of the 101 x 101 grid."""
    settings = load_settings(CONFIG / "paper.yaml")
    for problem in settings.problems:
        chosen = settings.problem(problem)
        for name in Training.model_fields:
            stage = chosen.stage(name, 4)
            assert not stage.adaptive and not stage.residual_weight and not stage.continuation
            assert stage.points_on == ("grid" if problem == "kovasznay" else "domain")
            assert stage.points == (2601 if problem == "kovasznay" else 10000)


def test_continuation_starts_at_a_number_or_at_the_base_task():
    settings = load_settings(stage("lora", continuation={"nu": "1e-2", "re": "base"}, continuation_steps=3))
    assert settings.training.lora.continuation == {"nu": 0.01, "re": "base"}


def test_an_unknown_problem_is_named():
    with pytest.raises(UserError, match=r"no problem 'burgers' in this study, did you mean 'burgers"):
        load_settings({}).problem("burgers")


def test_overrides_of_a_problem_left_out_are_no_error():
    assert load_settings({"problems": ["kovasznay"], "overrides": {"burgers1d": {"tasks": {"train": 3}}}})


def test_a_problem_of_ones_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("class Heat: pass\n")
    settings = load_settings({"problems": [f"{file}:Heat"], "overrides": {"heat": {"tasks": {"train": 3}}}})
    assert settings.problem("heat").spec == f"{file}:Heat"
    assert settings.problem(f"{file}:Heat").tasks.train == 3
    assert problem_name(f"{file}:Heat") == "heat"
    (line,) = messages({"problems": [f"{file}:Haet"]})
    assert line.endswith("did you mean 'Heat'?")
    (line,) = messages({"problems": [f"{file}:Heat", f"./{file}:Heat"[2:]]})
    assert line == "config: problems: heat stands there twice"


def test_how_ranks_are_found_is_no_setting_of_ranks_that_are_given():
    """A tolerance changes rank auto, and trains nothing else anew."""
    both = [load_settings({"problems": ["kovasznay"], "hypernetwork": {"tolerance": t}}) for t in (0.01, 0.1)]
    for rank, same in ((4, True), ("full", True), ("auto", False)):
        first, second = (job_settings(s, "kovasznay", "hypernetwork", rank, "physics") for s in both)
        assert (first == second) == same


def test_planning_imports_nothing_slow():
    code = (
        "import sys, pinnlora.study.graph, pinnlora.study.interpreter\n"
        "sys.exit(bool({'torch', 'xarray', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_variant_is_the_same_problem_under_other_settings():
    settings = load_settings(
        {
            "problems": ["burgers1d", "burgers1d@plain"],
            "network": {"symmetry": True},
            "overrides": {
                "burgers1d@plain": {"network": {"symmetry": False}, "lora_ranks": [4], "modes": []}
            },
        }
    )
    plain = settings.problem("burgers1d@plain")
    assert (plain.name, plain.spec) == ("burgers1d-plain", "burgers1d@plain")
    assert settings.problem("burgers1d").network.symmetry and not plain.network.symmetry
    assert plain.fits() == [("pinn", "full"), ("finetuned", "full"), ("lora", 4)] and plain.surrogates() == []
    assert load_problem("burgers1d@plain").name == "burgers1d"
    load_settings(
        {"problems": ["kovasznay"], "overrides": {"burgers1d@plain": {"modes": []}}}
    )  # left out, ignored
    (line,) = messages({"problems": ["burgers1d@no plan"]})
    assert "'no plan' is no name of a variant" in line


def test_overrides_of_a_mistyped_variant_are_not_ignored():
    """The variant would be trained as the study is, and shown as what its overrides say."""
    given = {"problems": ["burgers1d", "burgers1d@plan"], "overrides": {"burgers1d@plain": {"modes": []}}}
    (line,) = messages(given)
    assert line == "config: overrides.burgers1d@plain: not among problems, did you mean 'burgers1d@plan'?"
    load_settings(given | {"problems": ["burgers1d", "kovasznay"]})  # left out, ignored
    load_settings(given | {"overrides": given["overrides"] | {"burgers1d@plan": {}}})  # meant to have none


@pytest.mark.parametrize("name", ["config", "accurate", "paper", "smoke"])
def test_no_adapter_rank_is_favoured(name):
    """Errors against rank compare like with like: one budget for all adapter ranks of a method."""
    settings = load_settings(CONFIG / f"{name}.yaml")
    for spec in settings.problems:
        problem = settings.problem(spec)
        ranks = {rank for rank in (*problem.lora_ranks, *problem.hypernetwork_ranks) if rank != "full"}
        for stage in ("lora", "teachers", "data", "weights", "distilled", "physics"):
            assert len({problem.stage(stage, rank).model_dump_json() for rank in ranks}) == 1, (spec, stage)


def test_a_continuation_from_a_whole_number_is_no_warning(recwarn):
    keys = {"continuation": {"re": 1}, "continuation_steps": 5}
    stage = load_settings({"training": {"physics": keys}}).problem("kovasznay").stage("physics", 4)
    assert stage.model_dump()["continuation"] == {"re": 1.0} and not len(recwarn)
