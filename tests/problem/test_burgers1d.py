"""1D Burgers: its initial functions and its symmetries."""

import math

import numpy as np
import torch
from small import generator, relative, task_values

from pinnlora.problem.channels import Channels
from pinnlora.problem.library.burgers1d import PIECE, by_modes, flow_at, heat_flow, waves
from pinnlora.problem.load import load_problem
from pinnlora.problem.spectral import solve_burgers


def test_an_initial_function_is_interpolated_by_its_fourier_series():
    problem, values = load_problem("burgers1d"), task_values(load_problem("burgers1d"), 3)["u0"]
    at_grid = torch.zeros(3, 128, 2, dtype=torch.float64)
    at_grid[..., 0] = torch.arange(128) / 128
    assert relative(problem.function_values("u0", values, at_grid), values) < 1e-12

    def known(x):
        return 0.7 + torch.sin(2 * math.pi * x) - 0.4 * torch.cos(2 * math.pi * 5 * x + 1)

    between = torch.rand(1, 50, 2, generator=generator(), dtype=torch.float64)
    found = problem.function_values("u0", known(at_grid[:1, :, 0]), between)
    assert relative(found, known(between[..., 0])) < 1e-12


def smooth() -> torch.Tensor:
    """Two gentle initial conditions with a mean; their solutions stay band-limited for a while."""
    x = torch.arange(128, dtype=torch.float64) / 128
    amplitude = 0.1 * torch.randn(2, 3, 2, generator=generator(3), dtype=torch.float64)
    angle = 2 * math.pi * torch.arange(1, 4)[:, None] * x
    waves = amplitude[..., :1] * torch.cos(angle) + amplitude[..., 1:] * torch.sin(angle)
    return waves.sum(1) + torch.tensor([[0.3], [-0.2]])


def test_the_solution_of_the_canonical_task_is_the_solution_moved():
    problem, u0, times = load_problem("burgers1d"), smooth(), np.array([0.0, 0.1, 0.4])
    values, move = problem.canonical({"u0": u0})
    assert {-1.0, 1.0} == set(move["sign"].tolist())  # both the plain and the mirrored case
    direct, canonical = (
        torch.from_numpy(solve_burgers(start.numpy(), 0.01, times, modes=512, step=1e-3))
        for start in (u0, values["u0"])
    )
    for k, t in enumerate(times):
        coords = torch.stack((torch.arange(128) / 128, torch.full((128,), t)), -1).double().unsqueeze(0)
        moved = problem.move(coords, move)
        fields = problem.function_values("u0", canonical[:, k], moved).unsqueeze(-1)
        assert relative(problem.restore(fields, move)[..., 0], direct[:, k]) < 1e-8


def test_shifted_mirrored_and_faster_copies_of_a_task_have_one_canonical_form():
    problem, u0 = load_problem("burgers1d"), task_values(load_problem("burgers1d"), 4)["u0"]
    canonical = problem.canonical({"u0": u0})[0]["u0"]
    mirrored = -torch.roll(u0.flip(-1), 1, -1)  # -u0(-x)
    for copy in (canonical, torch.roll(u0, 37, -1), u0 + 0.8, mirrored, torch.roll(mirrored, 5, -1) - 2):
        assert relative(problem.canonical({"u0": copy})[0]["u0"], canonical) < 1e-10
    first = torch.fft.rfft(canonical)[:, :2]
    assert float(first[:, 0].abs().max()) < 1e-10
    assert float(first[:, 1].real.abs().max()) < 1e-10 and float(first[:, 1].imag.max()) < 0


def test_waves_by_adding_angles_are_those_of_their_angles():
    """In single precision better than cos of the largest angle, whose rounding alone is 3e-5."""
    for dtype, largest in ((torch.float64, 3e-13), (torch.float32, 1e-5)):
        x = torch.linspace(0, 1, 1001, dtype=dtype).repeat(2, 1)
        angle = 2 * torch.pi * torch.arange(100, dtype=torch.float64)[:, None] * x.double()[:, None]
        for found, exact in zip(waves(x, 100), (angle.cos(), angle.sin()), strict=True):
            assert found.shape == (2, 100, 1001) and found.dtype == dtype
            assert float((found.double() - exact).abs().max()) < largest


def test_a_heat_flow_at_many_points_is_that_of_all_modes():
    """Though late points go without the modes that have died, in every channel, and t = 0 keeps them all."""
    channels = Channels.of([(0, 0), (1,)])
    spectra = torch.randn(2, 3, 128, 2, generator=generator(1), dtype=torch.float64)
    coords = torch.rand(1, 4 * PIECE + 7, 2, generator=generator(2), dtype=torch.float64)
    coords[0, :90, 1] = 0
    groups = list(by_modes(coords[0, :, 1], 128))
    assert {count for count, _ in groups} == {16, 32, 64, 128}
    assert torch.equal(torch.cat([some for _, some in groups]).sort()[0], torch.arange(4 * PIECE + 7))
    found = heat_flow(spectra, coords, channels)
    assert found.shape == (2, len(channels), 4 * PIECE + 7, 3)
    assert relative(found, flow_at(spectra, coords, channels)) < 1e-14
    split = torch.vmap(lambda at: heat_flow(spectra[:1], at, channels))(coords)
    assert relative(split[0], found[:1]) < 1e-14
    late = int(coords[0, :, 1].argmax())  # dead modes would show here, beside nothing larger
    assert relative(found[:, :, late], flow_at(spectra, coords[:, [late]], channels)[:, :, 0]) < 1e-12
