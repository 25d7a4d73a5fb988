"""The benchmark of long times: its solutions are true, its rows say what happened, its page says what the rows say."""

import json

import long_time
import numpy as np
import pytest
import torch
from long_time import DOCS, HERE, WAVES
from test_surrogate import bundle
from truths import long_wave

from pinnlora.problem.channels import Channels
from pinnlora.problem.load import load_problem
from pinnlora.query.calibration import Calibration


def test_the_long_waves_start_as_they_should_and_keep_what_the_equation_keeps():
    """The mean of u, and that of u^2 + mu u_x^2; and the equation holds, by differences of fourth order in t."""
    x, t = np.arange(128) / 128, np.linspace(0, 5, 2001)
    u0 = 0.4 * np.sin(2 * np.pi * np.arange(32) / 32) + 0.2 * np.cos(6 * np.pi * np.arange(32) / 32)
    found = long_wave.solve(None, {"u0": u0[None]}, [x, t])
    assert found.error < 1e-6
    u = found.fields.reshape(128, 2001)
    np.testing.assert_allclose(u[::4, 0], u0, atol=1e-12)
    wave = 2j * np.pi * np.arange(65)

    def slope(values, order=1):
        return np.fft.irfft(wave[:, None] ** order * np.fft.rfft(values, axis=0), 128, axis=0)

    energy = (u**2 + long_wave.MU * slope(u) ** 2).mean(0)
    np.testing.assert_allclose(u.mean(0), u0.mean(), atol=1e-9)
    np.testing.assert_allclose(energy, energy[0], rtol=1e-7)
    step = t[1]
    u_t = (8 * (u[:, 3:-1] - u[:, 1:-3]) - (u[:, 4:] - u[:, :-4])) / (12 * step)
    inner = u[:, 2:-2]
    left = u_t + slope(inner) + inner * slope(inner) - long_wave.MU * slope(u_t, 2)
    assert np.abs(left).max() < 1e-5 * np.abs(slope(inner)).max()


@pytest.fixture(scope="module")
def march(tmp_path_factory):
    network = {"input_map": "periodic", "modes": 2, "lift": True}
    calibration = Calibration({"residual": [1e3] * 20})
    surrogate = bundle(tmp_path_factory.mktemp("waves") / "bundle", WAVES, 2, "float64", network, calibration)
    return long_time.measured(surrogate, long_time.waves, 2, 3)


def test_rows_say_what_happened(march):
    missed = march.found["u"].values - march.known
    assert np.abs(missed[..., 0]).max() < 1e-9 < np.abs(missed[..., 1]).max()  # the start is held exactly
    first, second = march.rows
    relative = np.sqrt((missed[..., 10] ** 2).sum(1) / (march.known[..., 10] ** 2).sum(1))
    assert first["relative error, mean"] == pytest.approx(relative.mean())
    assert first["worst"] == first["_worst of tasks"][-1] == pytest.approx(relative.max())
    assert second["root mean square error in the window"] == pytest.approx(
        np.sqrt((missed[..., 11:] ** 2).mean((1, 2))).mean()
    )
    assert second["accumulated estimate"] > first["accumulated estimate"]
    assert first["errors below its upper end"] == first["states in range"] == 1
    assert first["_times"] + second["_times"] == march.found["t"].values.tolist()


def test_the_figure_is_drawn(march, tmp_path):
    long_time.draw([march, march], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_page_in_the_documentation_says_what_the_results_say():
    """After a change: python benchmarks/long_time.py --page-only."""
    result = json.loads((HERE / "results" / "long_time.json").read_text())
    assert (DOCS / "long-time.md").read_text() == long_time.page(result)
    assert len(result["rows"]) == 2 * long_time.UNTIL and not result["options"]["quick"]


def test_the_lift_of_the_example_is_the_linear_waves():
    problem, channels = load_problem(WAVES), Channels.of([(0, 0, 1)])
    u0 = torch.from_numpy(problem.task.sample(2, np.random.default_rng(0))["u0"])
    coords = torch.from_numpy(np.random.default_rng(1).uniform(size=(2, 9, 2)))
    offset, factor = problem.lift(coords, {"u0": u0}, channels)
    rows = {order: offset[:, channels.position(order), :, 0] for order in channels.orders}
    left = rows[(1,)] + rows[(0,)] - long_wave.MU * rows[(0, 0, 1)]
    assert left.abs().max() < 1e-10 * rows[(0,)].abs().max()
    start = coords * torch.tensor([1.0, 0.0])
    offset, factor = problem.lift(start, {"u0": u0}, channels)
    torch.testing.assert_close(
        offset[:, 0, :, 0], problem.function_values("u0", u0, start), rtol=0, atol=1e-12
    )
    assert factor[:, 0].abs().max() == 0 and (factor[:, channels.position((1,))] == 1).all()
