"""Bundles: what is saved is what is loaded; predictions, their metadata, refinement, an own problem."""

import json
import shutil
import textwrap

import numpy as np
import pytest
import torch
from small import CPU, dense, generator, plain

import pinnlora
from pinnlora.cli import main
from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.terms import physics
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.problem.load import load_problem
from pinnlora.query.refine import improved, refining
from pinnlora.query.surrogate import Surrogate
from pinnlora.study.bundle import save_bundle
from pinnlora.train.progress import History
from pinnlora.train.settings import NetworkSettings, StageSettings
from pinnlora.train.setup import base_weights, dtype_of, embedding_of, network_of, parametrisation_of

PERIODIC = {"input_map": "periodic", "modes": 2, "symmetry": True, "lift": True}
KINDS = {
    "kovasznay, rank 2": ("kovasznay", 2, "float32", {}),
    "kovasznay, full": ("kovasznay", "full", "float64", {}),
    "burgers1d": ("burgers1d", 2, "float32", PERIODIC),
    "burgers1d, potential": ("burgers1d", 2, "float64", PERIODIC | {"formulation": "potential"}),
    "burgers1d, plain": ("burgers1d", 2, "float64", {}),
}


def bundle(path, spec="kovasznay", rank=2, dtype="float32", network=None, calibration=None) -> Surrogate:
    """Save an untrained surrogate, and return what was saved."""
    problem, kind = load_problem(spec), dtype_of(dtype)
    settings = NetworkSettings(**{"width": 8, "hidden_layers": 3, "conditions": "soft"} | (network or {}))
    problem = problem.formulated(settings.formulation)
    layout = network_of(problem, settings)
    base = layout.initial(1, generator(1)).flat().to(kind)
    parametrisation = parametrisation_of(layout, rank, base_weights(layout, base, CPU, kind), settings)
    embed = embedding_of(problem, "default")
    inputs = embed(
        {k: torch.from_numpy(v) for k, v in problem.task.sample(1, np.random.default_rng(0)).items()}
    )
    start = 0.3 * torch.randn(parametrisation.size, generator=generator(2))
    body = Hypernetwork(inputs.shape[1], (6, 5), start, "tanh", generator(3), spread=1.0).to(kind)
    config = {
        "problem": spec,
        "mode": "physics",
        "rank": rank,
        "seed": 1,
        "network": settings.model_dump(mode="json"),
        "hypernetwork": {"body": [6, 5], "activation": "tanh", "embedding": "default"},
        "stage": StageSettings(dtype=dtype).model_dump(mode="json"),
    }
    surrogate = Surrogate(problem, parametrisation, body, embed, base, settings.symmetry, config, calibration)
    row = {"seconds": 1.0, "step": 3, "loss": 0.1, "loss_heat": 0.1, "validation": 0.2, "mse": 0.3}
    save_bundle(surrogate, path, config, History([row], iterations=3, seconds=1.0))
    return surrogate


def task_of(name: str) -> dict:
    if name.startswith("kovasznay"):
        return {"re": 42.0}
    return {"u0": load_problem("burgers1d").task.sample(1, np.random.default_rng(5))["u0"][0]}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_what_is_loaded(tmp_path, kind):
    saved = bundle(tmp_path / "bundle", *KINDS[kind])
    files = {path.name for path in (tmp_path / "bundle").iterdir()}
    assert files == {
        ".pinnlora",
        "config.json",
        "model.safetensors",
        "README.md",
        "history.nc",
    }  # and nothing pickled
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    loaded = pinnlora.load(tmp_path / "bundle")
    before, after = saved.predict(**task_of(kind)), loaded.predict(**task_of(kind))
    assert before.identical(after)
    assert loaded.dtype == saved.dtype == dtype_of(KINDS[kind][2])
    assert all(after[name].dtype == KINDS[kind][2] for name in loaded.problem.fields)
    config = json.loads((tmp_path / "bundle" / "config.json").read_text())
    assert config["outputs"] == saved.parametrisation.size and config["version"]


def test_a_prediction_is_the_network_at_the_grid_points(tmp_path):
    surrogate = bundle(tmp_path / "bundle", "kovasznay", 2, "float64")
    fields = surrogate.predict(re=42.0)
    embedding = torch.tensor([[2 * (42.0 - 20) / 80 - 1]], dtype=torch.float64)
    matrices, biases = dense(surrogate.parametrisation, surrogate.hypernetwork(embedding)[0].detach())
    for i, j in ((0, 0), (30, 70), (100, 5)):
        point = torch.tensor([fields.x.values[i], fields.y.values[j]])
        expected = plain(surrogate.parametrisation.network, matrices, biases, point)
        assert [float(fields[name][i, j]) for name in ("u", "v", "p")] == pytest.approx(expected.tolist())


def test_with_symmetry_copies_of_a_task_have_copies_of_its_prediction(tmp_path):
    """u0 moved by 16 points, u0 mirrored, u0 with a mean 1/2, which moves the solution by 1/2 until t = 1."""
    surrogate = bundle(tmp_path / "bundle", "burgers1d", 2, "float64", PERIODIC)
    u0 = task_of("burgers1d")["u0"]
    plainly = surrogate.predict(u0=u0)["u"].values
    for copy, expected in (
        (np.roll(u0, 16), np.roll(plainly, 16, 0)),
        (-np.roll(u0[::-1], 1), -np.roll(plainly[::-1], 1, 0)),
    ):
        np.testing.assert_allclose(surrogate.predict(u0=copy)["u"], expected, atol=1e-9)
    faster = surrogate.predict(u0=u0 + 0.5)["u"].values
    np.testing.assert_allclose(faster[:, 0], plainly[:, 0] + 0.5, atol=1e-9)
    np.testing.assert_allclose(faster[:, 100], np.roll(plainly[:, 100], 64) + 0.5, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "dims"),
    [("kovasznay, rank 2", {"x": 101, "y": 101}), ("burgers1d", {"x": 128, "t": 101})],
)
def test_a_prediction_describes_itself(tmp_path, kind, dims):
    surrogate = bundle(tmp_path / "bundle", *KINDS[kind])
    fields = surrogate.predict(**task_of(kind))
    assert {name: fields.sizes[name] for name in dims} == dims
    assert list(fields.data_vars)[: len(surrogate.problem.fields)] == list(surrogate.problem.fields)
    assert fields["u"].dims == tuple(dims)
    for variable in fields.variables.values():
        assert variable.attrs["long_name"] and variable.attrs["units"] == "1"
    assert fields.attrs["problem"] == surrogate.problem.name and fields.in_range == 1
    for name, value in task_of(kind).items():
        np.testing.assert_array_equal(fields[name], value)
    np.testing.assert_array_equal(fields["x"], surrogate.problem.axes()["x"])


def test_a_task_out_of_range_is_marked(tmp_path):
    surrogate = bundle(tmp_path / "bundle")
    assert surrogate.predict(re=100).in_range == 1
    assert surrogate.predict(re=101).in_range == 0
    surrogate = bundle(tmp_path / "bundle", *KINDS["burgers1d"])
    assert surrogate.predict(u0=10 * task_of("burgers1d")["u0"]).in_range == 0


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"rey": 42}, "'rey'.*did you mean 're'"),
        ({}, "'re' is missing"),
        ({"re": "fast"}, "re = 'fast'; expected numbers"),
        ({"re": np.nan}, "re holds 1 NaN"),
        ({"re": [[30, 40]]}, r"re has shape \(1, 2\)"),
    ],
)
def test_a_wrong_task_is_one_line(tmp_path, task, words):
    surrogate = bundle(tmp_path / "bundle")
    with pytest.raises(UserError, match=words) as caught:
        surrogate.predict(**task)
    assert "\n" not in str(caught.value)


def test_helper_modules_beside_a_problem_travel_with_it(tmp_path):
    home = tmp_path / "home"
    (home / "tools").mkdir(parents=True)
    (home / "tools" / "__init__.py").write_text("from . import flux\n")
    (home / "tools" / "flux.py").write_text("def flux(u_x):\n    return -u_x\n")
    (home / "rates.py").write_text("RATE = 2.0\n")
    (home / "unrelated.py").write_text("")
    (home / "own.py").write_text(
        "from rates import RATE\nfrom tools.flux import flux\n" + textwrap.dedent(OWN)
    )
    saved = bundle(tmp_path / "bundle", f"{home / 'own.py'}:Heat")
    shutil.rmtree(home)
    assert (tmp_path / "bundle" / "tools" / "flux.py").exists()
    assert not (tmp_path / "bundle" / "unrelated.py").exists()
    assert pinnlora.load(tmp_path / "bundle").predict(alpha=0.5).identical(saved.predict(alpha=0.5))


@pytest.mark.parametrize("network", [{}, {"hidden_layers": 8, "unadapted": (7,)}])
@pytest.mark.parametrize("rank", [2, "full"])
def test_refinement_lowers_the_physics_loss(tmp_path, rank, network):
    surrogate = bundle(tmp_path / "bundle", "kovasznay", rank, "float32", network)
    tasks, better = surrogate.tasks(re=42.0), improved(surrogate.networks(re=42.0), steps=10, points=60)
    parametrisation, theta = better.parametrisation, better.theta
    assert theta.dtype == torch.float64
    values = {"re": torch.tensor([42.0], dtype=torch.float64)}
    points = draw_points(surrogate.problem, Draw(generator(9), CPU, torch.float64), values, 300, 60)
    loss = physics(surrogate.problem, parametrisation, values, points).total
    assert float(loss(theta)) < 0.6 * float(loss(surrogate.numbers(tasks).double()))
    fields = surrogate.refine(steps=10, points=60, re=42.0)
    assert fields.refinement_steps == 10 and fields["u"].dtype == np.float64
    assert fields.identical(surrogate.refine(steps=10, points=60, re=42.0))


def test_no_bundle_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no bundle: expected a directory with config\.json"):
        pinnlora.load(tmp_path)


OWN = '''
    """A problem that is not of the package."""
    import torch

    from pinnlora import Box, Condition, Problem, Uniform


    class Heat(Problem):
        """Heat equation with a sine arch at the start."""

        coords = Box(x=(0, 1), t=(0, 1))
        fields = ("u",)
        task = Uniform(alpha=(0.1, 1))
        grid = {"x": 11, "t": 6}

        def residual(self, u_t, u_xx, alpha):
            return {"heat": u_t - alpha * u_xx}

        def start(self, x):
            return {"u": torch.sin(torch.pi * x)}

        def ends(self):
            return {"u": 0.0}

        conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1"))]
'''


def test_an_own_problem_travels_with_its_bundle(tmp_path, monkeypatch):
    file = tmp_path / "heat.py"
    file.write_text(textwrap.dedent(OWN))
    saved = bundle(tmp_path / "bundle", f"{file}:Heat")
    expected = saved.predict(alpha=0.5)
    assert (tmp_path / "bundle" / "problem.py").read_text() == file.read_text()
    file.unlink()
    (tmp_path / "bundle").rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    loaded = pinnlora.load("../moved")
    assert loaded.problem.title == "Heat equation with a sine arch at the start."
    assert loaded.predict(alpha=0.5).identical(expected)
    monkeypatch.setattr("sys.argv", ["pinnlora", "predict", "../moved", "--set", "alpha=0.5", "-o", "out.nc"])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 0


@pytest.mark.parametrize(
    ("mode", "trained", "points", "weight", "adaptive"),
    [
        ("physics", {"condition_points": 20}, 60, 10.0, True),
        (
            "physics",
            {"condition_points": {"walls": 30, "outflow": 1}},
            {"walls": 90, "outflow": 3},
            10.0,
            True,
        ),
        ("data", {"condition_points": 20}, 50, 1.0, False),
    ],
)
def test_refinement_weighs_conditions_as_training_by_physics_did(mode, trained, points, weight, adaptive):
    stage = StageSettings(points=50, condition_weight=10, adaptive=True, **trained)
    found = refining({"mode": mode, "stage": stage.model_dump(mode="json")}, 7, 150)
    assert (found.steps, found.points, found.optimiser) == (7, 150, "levenberg_marquardt")
    assert (found.condition_points, found.condition_weight, found.adaptive) == (points, weight, adaptive)
