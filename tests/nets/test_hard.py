"""Trial functions G + D N: derivatives against torch.func, conditions on every face, what stays soft and why."""

import math

import pytest
import torch
from declared import (
    Dispersion,
    Heat,
    Jerk,
    Plate,
    Poisson,
    Released,
    Ripples,
    Rod,
    Schroedinger,
    Torus,
    Wave,
)
from small import CPU, dense, function_jet, generator, plain, plain_rows, random_theta, relative, task_values
from torch.func import jacfwd, jacrev

from pinnlora import Box, Condition, Problem, Uniform
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.terms import physics
from pinnlora.nets.adapters import Full
from pinnlora.nets.ansatz import fields_at, lifted
from pinnlora.nets.hard import hard_conditions
from pinnlora.problem.channels import Channels
from pinnlora.problem.load import load_problem
from pinnlora.problem.signature import lookup, parse
from pinnlora.query.derivatives import plain_fields
from pinnlora.train.data import TaskSet
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of

PROBLEMS = {
    "heat": Heat(),
    "poisson": Poisson(),
    "wave": Wave(),
    "schroedinger": Schroedinger(),
    "released": Released(),
    "rod": Rod(),
    "plate": Plate(),
    "dispersion": Dispersion(),
    "jerk": Jerk(),
    "ripples": Ripples(),
    "kovasznay": load_problem("kovasznay"),
    "burgers1d": load_problem("burgers1d"),
    "burgers2d": load_problem("burgers2d"),
}
TASKS = 2


def setting(problem, conditions: str = "hard", **more):
    """A small random network with its trial function, and some tasks (2D Burgers at larger nu)."""
    settings = NetworkSettings(width=5, hidden_layers=3, conditions=conditions, **more)
    full = Full(network_of(problem, settings))
    values = task_values(problem, TASKS)
    if problem.name == "burgers2d":
        values = {"nu": 100 * values["nu"]}
    return full, random_theta(full, TASKS), values


def interior(problem, count: int = 7) -> torch.Tensor:
    unit = torch.rand(TASKS, count, len(problem.coords.names), generator=generator(3), dtype=torch.float64)
    return problem.coords.scale(unit)


def by_hand(problem, network, values, task):
    """The trial function of one task at one point, as its formula says, for torch.func."""
    numbers = {name: value[task] for name, value in values.items()}

    def heat(p, n):
        x, t = p
        return (torch.sin(math.pi * x / 2) + x + 4 * x / 2 * (1 - x / 2) * t * n).view(1)

    def poisson(p, n):
        x, y = p
        return 16 * x * (1 - x) * y * (1 - y) * n

    def wave(p, n):
        x, t = p
        start = torch.sin(math.pi * x) + t * (numbers["c"] * x * (1 - x) + 3 * x)
        ends = x * (torch.sin(3 * t) - 3 * t)  # what the start does not say at x = 1
        return start + ends + (t / 2) ** 2 * 4 * x * (1 - x) * n

    def kovasznay(p, n):
        def at(x, y):
            exact = problem.exact(torch.as_tensor(x), torch.as_tensor(y), numbers["re"])
            return torch.stack([exact["u"], exact["v"]])

        x, y = p
        one, zero = torch.ones_like(x), torch.zeros_like(x)
        sides = (1 - x) * at(zero, y) + x * at(one, y) + (1 - y) * at(x, zero) + y * at(x, one)
        corners = sum(
            (x if i else 1 - x) * (y if j else 1 - y) * at(i * one, j * one) for i in (0, 1) for j in (0, 1)
        )
        velocity = sides - corners + 16 * x * (1 - x) * y * (1 - y) * n[:2]
        pressure = problem.exact(one, y, numbers["re"])["p"] + (1 - x) * n[2]
        return torch.cat((velocity, pressure.view(1)))

    def plate(p, n):
        """w on the walls, where the polynomials of `hermite` take its value and slope: P_x w + P_y w - P_x P_y w."""

        def w(x, y):
            return torch.sin(numbers["a"] * x + 2 * y)

        def in_x(f):
            return lambda x, y: hermite(x, lambda s: f(s, y), 0.0, 1.0)

        def in_y(f):
            return lambda x, y: hermite(y, lambda s: f(x, s), -1.0, 2.0)

        x, y = p
        walls = in_x(w)(x, y) + in_y(w)(x, y) - in_x(in_y(w))(x, y)
        return walls + (4 * x * (1 - x) * (1 + y) * (1 - y)) ** 2 * n

    def dispersion(p, n):
        x, t = p
        c, end = numbers["c"], torch.tensor(3.0)
        s = x / 3

        def ends(t):  # a parabola by both values and one slope
            left, right, slope = torch.sin(c * t), torch.sin(end + c * t), torch.cos(end + c * t)
            return left * (1 - s) ** 2 + right * s * (2 - s) - 3 * slope * s * (1 - s)

        start = torch.sin(x) + ends(t) - ends(torch.zeros_like(t))
        return (start + t * 27 / 4 * s * (1 - s) ** 2 * n).view(1)

    def jerk(p, n):
        k, t = numbers["k"], p[0]
        return 1 + k * t + (k * t) ** 2 / 2 + (t / 2) ** 3 * n

    return locals()[problem.name]


def hermite(x, f, low, length):
    """The cubic through value and slope of f at both ends of [low, low + length], at x."""
    s = (x - low) / length
    ends = [torch.full_like(x, end) for end in (low, low + length)]
    (a, b), (c, d) = ([f(e) for e in ends], [length * jacfwd(f)(e) for e in ends])
    return (1 + 2 * s) * (1 - s) ** 2 * a + s**2 * (3 - 2 * s) * b + s * (1 - s) ** 2 * c - s**2 * (1 - s) * d


@pytest.mark.parametrize(
    ("name", "orders"),
    [
        ("heat", [(0, 0), (0, 1), (1, 1)]),
        ("poisson", [(0, 0), (0, 1), (1, 1)]),
        ("wave", [(0, 0), (0, 1), (1, 1)]),
        ("kovasznay", [(0, 0), (0, 1), (1, 1)]),
        ("plate", [(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 1), (1, 1, 1, 1)]),
        ("dispersion", [(0, 0, 0), (0, 0, 1, 1)]),
        ("jerk", [(0, 0, 0, 0)]),
    ],
)
def test_values_and_derivatives_are_those_of_the_formula(name, orders):
    problem = PROBLEMS[name]
    full, theta, values = setting(problem)
    channels, coords = Channels.of(orders), interior(problem)
    jet = full.network.forward(full.weights(theta), coords, channels)
    found = lifted(problem, full.network, coords, values, channels)(jet)
    for task in range(TASKS):
        matrices, biases = dense(full, theta[task])
        trial = by_hand(problem, full.network, values, task)
        expected = function_jet(
            lambda p: trial(p, plain(full.network, matrices, biases, p)),  # noqa: B023
            coords[task],
            channels.orders,
        )
        assert relative(found[task], expected) < 1e-10


@pytest.mark.parametrize("name", PROBLEMS)
def test_derivatives_are_those_of_the_values(name):
    """Against central differences of the trial function itself: every channel, every problem."""
    problem = PROBLEMS[name]
    full, theta, values = setting(problem)
    axes = range(len(problem.coords.names))
    seconds = [(i, j) for i in axes for j in axes if i <= j]
    channels = Channels.of([*seconds, *problem.residual_signature.channels.orders])
    if name == "burgers1d":  # its Fourier series knows what its residual asks for
        channels = problem.residual_signature.channels
    coords = interior(problem, 3)
    jet = full.network.forward(full.weights(theta), coords, channels)
    found = lifted(problem, full.network, coords, values, channels)(jet)
    step = 1e-5
    for k, order in enumerate(channels.orders[1:], start=1):
        shift = torch.zeros(len(axes), dtype=torch.float64)
        shift[order[-1]] = step

        def below(where, order=order):
            lower = Channels.of([order[:-1]])
            jets = full.network.forward(full.weights(theta), where, lower)
            return lifted(problem, full.network, where, values, lower)(jets)[:, lower.position(order[:-1])]

        numeric = (below(coords + shift) - below(coords - shift)) / (2 * step)
        assert relative(found[:, k], numeric) < 1e-5, order


@pytest.mark.parametrize("name", PROBLEMS)
def test_conditions_hold_on_every_face_whatever_the_network(name):
    problem = PROBLEMS[name]
    full, theta, values = setting(problem)
    draw = Draw(generator(1), CPU, torch.float64)
    points = draw_points(problem, draw, values, 4, 40)
    for condition in problem.bound_conditions:
        coords = points[condition.name].clone()
        if condition.periodic is None:  # edges and corners too
            coords[:, ::5] = problem.coords.scale(((coords[:, ::5] - low(problem)) / side(problem)).round())
        jet = full.network.forward(full.weights(theta), coords, condition.channels)
        jet = lifted(problem, full.network, coords, values, condition.channels)(jet)
        if condition.periodic is not None:
            half = jet.shape[2] // 2
            assert float((jet[:, :, :half] - jet[:, :, half:]).abs().max()) < 1e-10
            continue
        for target, wanted in condition.signature(problem, lookup(problem, coords, values)).items():
            field, order = parse(problem, target)
            found = jet[:, condition.channels.position(order), :, field]
            assert float((found - torch.as_tensor(wanted)).abs().max()) < 1e-12, (condition.name, target)
    objective = physics(problem, full, values, points)
    assert len(objective.blocks) == 1  # the equation alone


def low(problem) -> torch.Tensor:
    return torch.tensor(problem.coords.low, dtype=torch.float64)


def side(problem) -> torch.Tensor:
    return torch.tensor(problem.coords.high, dtype=torch.float64) - low(problem)


@pytest.mark.parametrize("name", ["kovasznay", "wave", "schroedinger", "plate", "dispersion", "ripples"])
def test_jacobian_with_a_trial_function(name):
    problem = PROBLEMS[name]
    full, theta, values = setting(problem)
    points = draw_points(problem, Draw(generator(1), CPU, torch.float64), values, 6, 4)
    _, rows, jacobian, _ = physics(problem, full, values, points).linearise(theta)
    for task in range(TASKS):
        one = {key: value[task : task + 1] for key, value in values.items()}
        alone = physics(problem, full, one, {key: at[task : task + 1] for key, at in points.items()})
        frozen = alone.linearise(theta[task : task + 1])[3]
        assert relative(rows[task], plain_rows(alone, frozen, theta[task])) < 1e-10
        expected = jacrev(lambda flat: plain_rows(alone, frozen, flat))(theta[task])  # noqa: B023
        assert relative(jacobian[task], expected) < 1e-10


def test_two_periodic_axes():
    problem = Torus()
    full, theta, values = setting(problem)
    assert [wave[0] for wave in full.network.periodic] == [0, 1]
    coords = interior(problem)
    there = coords + torch.tensor([1.0, -2.0])
    fields = [fields_at(problem, full.network, full.weights(theta), at, values) for at in (coords, there)]
    assert relative(fields[1], fields[0]) < 1e-12


def test_single_precision_holds_conditions_to_its_rounding():
    problem = PROBLEMS["heat"]
    full, theta, values = setting(problem)
    coords = problem.coords.face("x=2").project(interior(problem, 50)).float()
    values = {name: value.float() for name, value in values.items()}
    fields = fields_at(problem, full.network, full.weights(theta.float()), coords, values)
    assert fields.dtype == torch.float32 and float((fields - 2).abs().max()) < 1e-6


def test_a_random_function_stays_in_the_loss_unless_it_is_insisted_on():
    problem = load_problem("burgers1d")
    left = hard_conditions(problem, own=False)
    assert ("initial", "u") not in left.held and "random function" in dict((n, w) for n, _, w in left.soft)[
        "initial"
    ]
    assert ("initial", "u") in hard_conditions(problem, own=False, insist=True).held


class Stream(Problem):
    """A stream function held on all walls, and the velocities that it makes."""

    coords = Box(x=(0, 1), y=(0, 1))
    fields, potentials = ("u", "v"), ("s",)
    task = Uniform(a=(1, 2))

    def observe(self, s_x, s_y):
        return {"u": s_y, "v": -s_x}

    def residual(self, s_xx, s_yy, a):
        return {"poisson": s_xx + s_yy - a}

    def walls(self, x, y, a):
        return {"s": a * torch.sin(3 * x) * torch.cos(2 * y)}

    conditions = [Condition(walls, on=("x=0", "x=1", "y=0", "y=1"))]


def test_what_is_held_of_a_potential_can_be_differentiated_again():
    """By autograd, as a torch module is, and by torch.func, as derivatives and inversions are; in the task too."""
    problem = Stream()
    full, theta, values = setting(problem)
    coords, step = interior(problem), 1e-5

    def fields(at, a):
        return plain_fields(problem, full, theta, TaskSet(problem, {"a": a}, None), at)

    for axis in range(2):
        move = torch.zeros_like(coords)
        move[..., axis] = 1
        central = fields(coords + step * move, values["a"]) - fields(coords - step * move, values["a"])
        forward = torch.func.jvp(lambda at: fields(at, values["a"]), (coords,), (move,))[1]
        assert relative(forward, central / (2 * step)) < 1e-7
        at = coords.clone().requires_grad_()
        (back,) = torch.autograd.grad(fields(at, values["a"])[..., 0].sum(), at)
        assert relative(back[..., axis], forward[..., 0]) < 1e-12
    central = (fields(coords, values["a"] + step) - fields(coords, values["a"] - step)) / (2 * step)
    ones = torch.ones_like(values["a"])
    assert relative(torch.func.jvp(lambda a: fields(coords, a), (values["a"],), (ones,))[1], central) < 1e-7
