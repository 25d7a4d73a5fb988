"""The benchmark of many dimensions: its ways agree, its truths are true, its page says what the cells say."""

import json
from argparse import Namespace

import numpy as np
import pytest
import torch
from high_dimensions import CELLS, HERE, is_done, read_cells, run_cell
from high_dimensions_figure import draw
from high_dimensions_page import MISSING, publish, table
from high_dimensions_problems import CASES, MANY, fields, fitted, settings_of
from high_dimensions_races import RACES, on_faces, race_of
from high_dimensions_training import NO_EQUATION, loss_of, trained
from high_dimensions_ways import METHODS, bellman, measured, points_of, same_losses
from PIL import Image
from truths.cole_hopf import by_monte_carlo

from pinnlora.nets.adapters import Full
from pinnlora.nets.ansatz import fields_at
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of, parametrisation_of

PAGE = HERE.parent / "docs" / "high-dimensions.md"


def test_monte_carlo_agrees_with_the_closed_form_within_a_small_error():
    problem = bellman(250, 50)
    places = torch.from_numpy(problem.places())
    for mu in (0.5, 1.0, 2.0):
        found, error = by_monte_carlo(places[:, :-1], places[:, -1], mu)
        exact = problem.reference({"mu": np.array([mu])})["u"][0]
        assert error.max() < 1e-4
        assert (np.abs(found.numpy() - exact) < 5 * error.numpy() + 1e-12).all()


def test_the_standard_error_is_that_of_other_noise():
    places = torch.from_numpy(bellman(50, 20).places())
    runs = [by_monte_carlo(places[:, :-1], places[:, -1], 2.0, 500, seed) for seed in range(200)]
    values, errors = (torch.stack(part) for part in zip(*runs, strict=True))
    ratio = values.std(0) / errors.mean(0)  # 200 draws: 5 % of noise
    assert ratio.min() > 0.8 and ratio.max() < 1.3


def test_double_backward_has_the_loss_of_the_forward_laplacian():
    same_losses(7)


@pytest.mark.parametrize("name", RACES)
def test_all_ways_start_from_the_same_network_and_take_their_time(name):
    found = {method: trained(method, name, 2, 0.1) for method in METHODS}
    starts = [cell["start"] for cell in found.values()]
    assert max(starts) - min(starts) < 1e-3 * starts[0]  # one of them is smoothed
    assert found["plain"]["start"] == pytest.approx(found["exact"]["start"], rel=1e-5)
    assert all(cell["steps"] > 0 and cell["used"] >= 0.1 for cell in found.values())
    for cell in found.values():
        seconds, _, _, losses = zip(*cell["curve"], strict=True)
        assert seconds == tuple(sorted(seconds)) and seconds[-1] == cell["used"] and min(losses[1:]) > 0


@pytest.mark.parametrize("name", RACES)
def test_double_backward_trains_on_the_loss_of_the_forward_laplacian(name):
    race = race_of(name, 4)
    network = network_of(race.problem, NetworkSettings(width=16, hidden_layers=2, unadapted=()))
    start = Full(network).initial(1, torch.Generator().manual_seed(1)).float()
    coords, values = points_of(race.problem, 9, torch.Generator().manual_seed(2)), []
    for method in ("plain", "exact"):
        _, loss = loss_of(method, race, network, start, torch.Generator().manual_seed(3))
        values.append(float(loss(coords).detach()))
    assert values[0] == pytest.approx(values[1], rel=1e-4)  # float32, second derivatives


def test_without_an_equation_only_values_on_the_faces_are_learnt():
    race = race_of("bellman", 4)
    network = network_of(race.problem, NetworkSettings(width=16, hidden_layers=2, unadapted=()))
    start = Full(network).initial(1, torch.Generator().manual_seed(1)).float()
    _, loss = loss_of(NO_EQUATION, race, network, start, torch.Generator().manual_seed(3))
    where, wanted = on_faces(race, torch.Generator().manual_seed(3))
    found = fields_at(race.problem, network, network.unflatten(start), where, {"mu": torch.ones(1)})[0, :, 0]
    nowhere = torch.full((1, 9, 5), torch.nan)
    missed = float((found - wanted).detach().square().mean())
    assert float(loss(nowhere).detach()) == pytest.approx(10 * missed, rel=1e-5)


def test_points_of_a_ball_are_uniform_inside():
    radius = points_of(race_of("sine_gordon", 3).problem, 4000, torch.Generator().manual_seed(4)).norm(dim=-1)
    assert radius.max() < 1 + 1e-6
    assert (radius**3).mean() == pytest.approx(0.5, abs=0.02)  # four standard errors of a uniform number


def test_a_step_is_measured_by_every_way():
    cell = measured(3, 2)
    assert set(cell["milliseconds"]) == set(METHODS) and min(cell["milliseconds"].values()) > 0
    assert min(cell["mebibytes"].values()) >= 0


def test_a_task_is_trained_for_its_time():
    problem, (settings, stage) = bellman(3, 200), settings_of(CASES["bellman"].spec, MANY)
    assert (stage.optimiser, stage.derivatives, settings.network.width) == ("adam", "random", 128)
    theta, steps, used, curve = fitted(problem, {"mu": 1.0}, stage, settings.network, 0.0)
    assert steps == 1 and used > 0 and len(curve) == 1 and min(curve[0][1:]) > 0
    full = parametrisation_of(network_of(problem, settings.network), "full", None, settings.network)
    assert fields(problem, full, theta, {"mu": 1.0}).shape == (200,)


def test_a_cell_is_kept_until_its_code_or_time_changes(tmp_path):
    options = Namespace(results=tmp_path, seconds=0.01, rounds=1)
    run_cell("errors-bellman-2-exact", options)
    path = tmp_path / "errors-bellman-2-exact.json"
    assert is_done(path, "errors", 0.01) and not is_done(path, "errors", 1.0)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": "other"}))
    assert not is_done(path, "errors", 0.01)
    assert set(read_cells(tmp_path)) == {"errors-bellman-2-exact"}


def test_the_page_has_every_number_from_the_cells(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    publish(page, {})
    assert page.read_text().count(MISSING) >= 5
    where = {"machine": "m", "python": "3", "torch": "2", "commit": "a" * 40, "load": 1.0}
    kept = {
        "seconds": 60.0,
        "steps": 7,
        "used": 59.0,
        "l2": 1.21e-3,
        "l1": 2.5e-3,
        "start": 0.5,
        "where": where,
        "curve": [[1, 0.9, 0.7], [2, 0.8, 0.66], [3, 0.7, 0.55], [7, 0.1, 1.21e-3]],
    }
    by_way = dict.fromkeys(METHODS, 4.0)
    step = {"d": 10, "milliseconds": by_way, "times_faster": by_way, "mebibytes": by_way, "times": {}}
    race = {"kind": "errors", "problem": "bellman", "d": 100, "method": "random"}
    curve = [[0.0, 0.5, 0.5, None], [30.0, 4e-3, 3e-3, 0.2], [59.0, 1.21e-3, 2.5e-3, 0.1]]
    case = {"file": "heat_ball", "task": {"mu": 1.0}, "d": 250, "setting": "3 x 128", "points": 9}
    sure = {"standard_error": 3.1e-5, "off": 4.2, "l2_monte_carlo": 1.26e-3}
    family = {"which": "all", "base_steps": 3, "rank": 4, "errors": {"0.5": 3.4e-4, "2": 5e-4}}
    cells = {
        "steps-10": kept | step | {"kind": "steps"},
        "errors-bellman-100-random": kept | race | {"curve": curve},
        "problems-bellman": kept | case | sure | {"kind": "problems"},
        "family-all": kept | family | {"kind": "family"},
        "family-0.5": kept | {"kind": "family", "which": "0.5", "errors": {"0.5": 6.1e-4}},
    }
    publish(page, cells)
    text = page.read_text()
    assert MISSING not in text
    for number in (
        "1.2e-03",
        "3.1e-05",
        "4.2 of",
        "1.3e-03",
        "3.4e-04",
        "6.1e-04",
        "6.6e-01",
        "5.5e-01",
        "not run",
        "aaaaaaaaa",
    ):
        assert number in text, number
    publish(page, cells)
    assert page.read_text() == text  # writing it again changes nothing
    draw(cells, tmp_path / "page.png")
    assert Image.open(tmp_path / "page.png").size[0] > 600
    rows = table(cells).set_index(["cell", "quantity"])["value"]
    assert rows["family-all", "errors.0.5"] == 3.4e-4 and rows["steps-10", "mebibytes.exact"] == 4.0


def test_every_cell_has_a_kind_that_is_known():
    assert {name.split("-")[0] for name in CELLS} == {"steps", "errors", "problems", "family"}
    assert {f"problems-{name}" for name in CASES} <= set(CELLS)
