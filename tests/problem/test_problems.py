"""The three problems: exact solutions, residuals by hand, conditions, points."""

import math

import pytest
import torch
from small import CPU, generator, task_values, tiny

from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.terms import physics
from pinnlora.problem.domain.box import Box
from pinnlora.problem.exact import residual_of_exact
from pinnlora.problem.library.burgers2d import Burgers2D
from pinnlora.problem.library.kovasznay import Kovasznay
from pinnlora.problem.load import load_problem
from pinnlora.problem.signature import lookup

EXTREMES = {"kovasznay": {"re": [20.0, 42.0, 100.0]}, "burgers2d": {"nu": [1e-4, 4e-4, 1e-3]}}


class Printed2D(Burgers2D):
    """The signs as the paper prints them."""

    def exact(self, x, y, t, nu):
        s = torch.sigmoid((4 * x - 4 * y + t) / (32 * nu))
        return {"u": 0.75 + s / 4, "v": 0.75 - s / 4}


class PrintedKovasznay(Kovasznay):
    """The root closes early, as the paper prints it; near x = 0, for the fields grow like exp(40 x)."""

    coords = Box(x=(0, 0.01), y=(0, 1))
    conditions = []

    def exact(self, x, y, re):
        lam = re / 2 - torch.sqrt(re**2 / 4) + 4 * math.pi**2
        wave, decay = 2 * math.pi * y, torch.exp(lam * x)
        u, v = 1 - decay * torch.cos(wave), lam / (2 * math.pi) * decay * torch.sin(wave)
        return {"u": u, "v": v, "p": (1 - torch.exp(2 * lam * x)) / 2}


def tensors(values: dict) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(numbers, dtype=torch.float64) for name, numbers in values.items()}


@pytest.mark.parametrize("name", EXTREMES)
def test_exact_solutions_solve_the_equations(name):
    found = residual_of_exact(load_problem(name), tensors(EXTREMES[name]))
    assert set(found) >= {"momentum_x", "momentum_y"}
    for equation, (residual, size) in found.items():
        assert size > 1e-2
        assert residual < 1e-10 * size, equation


@pytest.mark.parametrize(
    ("problem", "values", "equations"),
    [
        (Printed2D(), EXTREMES["burgers2d"], ["momentum_x", "momentum_y"]),
        (PrintedKovasznay(), EXTREMES["kovasznay"], ["momentum_x", "momentum_y"]),
    ],
    ids=["2D Burgers, signs", "Kovasznay, root"],
)
def test_exact_solutions_as_printed_do_not(problem, values, equations):
    found = residual_of_exact(problem, tensors(values))
    for equation in equations:
        residual, size = found[equation]
        assert residual > 0.1 * size, equation


BY_HAND = {
    # u = x^2 t at (1/2, 1/5): u_t + u u_x - 0.01 u_xx
    "burgers1d": (
        {"x": 0.5, "t": 0.2},
        {("u", ()): 0.05, ("u", (0,)): 0.2, ("u", (1,)): 0.25, ("u", (0, 0)): 0.4},
        {"burgers": 0.25 + 0.05 * 0.2 - 0.01 * 0.4},
    ),
    # u = x^2 t + y, v = x y^2 - t, nu = 1/8 at (2, 3, 5): u = 23, v = 13
    "burgers2d": (
        {"x": 2.0, "y": 3.0, "t": 5.0, "nu": 0.125},
        {("u", ()): 23.0, ("u", (0,)): 20.0, ("u", (1,)): 1.0, ("u", (2,)): 4.0, ("u", (0, 0)): 10.0}
        | {("v", ()): 13.0, ("v", (0,)): 9.0, ("v", (1,)): 12.0, ("v", (2,)): -1.0, ("v", (1, 1)): 4.0},
        {"momentum_x": 4 + 23 * 20 + 13 * 1 - 10 / 8, "momentum_y": -1 + 23 * 9 + 13 * 12 - 4 / 8},
    ),
    # u = x^2 y, v = x y^3, p = x + 2 y, re = 4 at (2, 3): u = 12, v = 54
    "kovasznay": (
        {"x": 2.0, "y": 3.0, "re": 4.0},
        {("u", ()): 12.0, ("u", (0,)): 12.0, ("u", (1,)): 4.0, ("u", (0, 0)): 6.0}
        | {("v", ()): 54.0, ("v", (0,)): 27.0, ("v", (1,)): 54.0, ("v", (1, 1)): 36.0}
        | {("p", (0,)): 1.0, ("p", (1,)): 2.0},
        {
            "momentum_x": 12 * 12 + 54 * 4 + 1 - 6 / 4,
            "momentum_y": 12 * 27 + 54 * 54 + 2 - 36 / 4,
            "continuity": 12 + 54,
        },
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_residuals_by_hand(name):
    """The derivatives are put in by their place in the jet, so that names and places are checked too."""
    numbers, derivatives, expected = BY_HAND[name]
    problem, channels = load_problem(name), load_problem(name).residual_signature.channels
    coords = torch.tensor([[[numbers[axis] for axis in problem.coords.names]]])
    values = tensors({key: [value] for key, value in numbers.items() if key not in problem.coords.names})
    jet = torch.zeros(1, len(channels), 1, len(problem.fields), dtype=torch.float64)
    for (field, order), value in derivatives.items():
        jet[:, channels.orders.index(order), :, problem.fields.index(field)] = value
    rows = problem.residual_signature(problem, lookup(problem, coords.double(), values, jet, channels))
    assert {key: float(row) for key, row in rows.items()} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["kovasznay", "burgers2d", "burgers1d"])
def test_condition_points_lie_on_their_faces_and_the_solution_meets_the_conditions(name):
    problem, parametrisation = tiny(name, "full")
    values, box = task_values(problem, 2), problem.coords
    points = draw_points(problem, Draw(generator(), CPU, torch.float64), values, 5, 8)
    objective = physics(problem, parametrisation, values, points)
    low, high = torch.tensor(box.low), torch.tensor(box.high)
    assert all(((at >= low) & (at <= high)).all() for at in points.values())
    for condition, block in zip(problem.bound_conditions, objective.blocks[1:], strict=True):
        on = torch.stack([block.coords[..., face.axis] == face.value for face in condition.faces])
        assert on.any(0).all()
        assert (on.sum((1, 2)) >= 2 * (8 // len(condition.faces))).all()
        jet = torch.zeros(
            2, len(block.channels), block.coords.shape[1], len(problem.fields), dtype=torch.float64
        )
        if condition.periodic is not None:
            jet += torch.sin(block.coords[..., 1])[:, None, :, None]  # the same at both ends
        else:
            known = (
                problem.exact_at(block.coords, values)
                if problem.exact_signature
                else {"u": problem.function_values("u0", values["u0"], block.coords)}
            )
            jet[:, 0] = torch.stack([known[field] for field in problem.fields], -1)
        assert all(float(row.abs().max()) < 1e-12 for row in block.terms(jet).values())
