"""SOAP against a written-out reference, where it should win, what it shares with Adam, clipping and normalisation."""

import math

import pytest
import torch
from small import generator

from pinnlora.errors import UserError
from pinnlora.optimise.first_order import FirstOrder, Schedule
from pinnlora.optimise.soap import LARGEST, Soap


def written_out(start, gradients, rate: float, beta: float = 0.95):
    """SOAP as its paper has it, in plain loops over the entries of a small matrix."""
    w, rows, columns = start.clone(), *start.shape
    g = gradients[0]
    left, right = (1 - beta) * g @ g.T, (1 - beta) * g.T @ g
    q_left, q_right = (torch.linalg.eigh(m)[1].flip(-1) for m in (left, right))
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for t, g in enumerate(gradients[1:], start=1):
        m = beta * m + (1 - beta) * g
        turned, momentum, move = q_left.T @ g @ q_right, q_left.T @ m @ q_right, torch.zeros_like(w)
        for i in range(rows):
            for j in range(columns):
                v[i, j] = beta * v[i, j] + (1 - beta) * turned[i, j] ** 2
                root = math.sqrt(v[i, j] / (1 - beta**t)) + 1e-8
                move[i, j] = momentum[i, j] / (1 - beta**t) / root
        w = w - rate * q_left @ move @ q_right.T
        left, right = beta * left + (1 - beta) * g @ g.T, beta * right + (1 - beta) * g.T @ g
        if t % 10 == 0:
            q_left, q_right = torch.linalg.qr(left @ q_left)[0], torch.linalg.qr(right @ q_right)[0]
    return w


def test_soap_is_what_its_paper_writes():
    w = torch.randn(3, 4, generator=generator(), dtype=torch.float64)
    gradients = torch.randn(35, 3, 4, generator=generator(1), dtype=torch.float64)
    p = w.clone().requires_grad_()
    method = Soap([p], lr=0.02)
    for gradient in gradients:
        p.grad = gradient.clone()
        method.step()
    torch.testing.assert_close(p.detach(), written_out(w, gradients, 0.02), rtol=1e-9, atol=1e-12)


def test_vectors_are_moved_by_adam():
    vector = torch.randn(7, generator=generator(), dtype=torch.float64)
    ours, theirs = vector.clone().requires_grad_(), vector.clone().requires_grad_()
    methods = Soap([ours], lr=0.1), torch.optim.Adam([theirs], lr=0.1, betas=(0.95, 0.95))
    for k in range(12):
        ours.grad = theirs.grad = torch.randn(7, generator=generator(k + 1), dtype=torch.float64)
        for method in methods:
            method.step()
    torch.testing.assert_close(ours, theirs)


def test_a_long_matrix_is_moved_as_several():
    """As if its parts were matrices of their own, on either side; and none is left without a basis."""
    rows, columns = 2 * LARGEST + 5, LARGEST + 2
    whole = torch.randn(rows, columns, generator=generator()).requires_grad_()
    parts = [
        part.detach().clone().requires_grad_()
        for band in whole.tensor_split(3)
        for part in band.tensor_split(2, 1)
    ]
    methods = Soap([whole], lr=0.1), Soap(parts, lr=0.1)
    for k in range(3):
        whole.grad = torch.randn(rows, columns, generator=generator(k + 1))
        for part, gradient in zip(
            parts, (g for b in whole.grad.tensor_split(3) for g in b.tensor_split(2, 1)), strict=True
        ):
            part.grad = gradient.clone()
        for method in methods:
            method.step()
    joined = torch.cat([torch.cat(parts[k : k + 2], 1) for k in (0, 2, 4)])
    torch.testing.assert_close(joined, whole)
    assert sum(name.startswith("basis") for name in methods[0].state[whole]) == 12


class Quadratic:
    """|L W R - T|^2 with L and R ill-conditioned and turned: no entry of W stands for itself."""

    def __init__(self):
        def turned(seed: int):
            turn = torch.linalg.qr(torch.randn(8, 8, generator=generator(seed), dtype=torch.float64))[0]
            return turn @ torch.diag(torch.logspace(0, -1.5, 8, dtype=torch.float64)) @ turn.T

        self.left, self.right = turned(1), turned(2)
        self.target = self.left @ torch.randn(8, 8, generator=generator(3), dtype=torch.float64) @ self.right

    def losses(self, theta):
        return {"square": (self.left @ theta @ self.right - self.target).square().sum().view(1)}


def test_soap_beats_adam_where_the_curvature_is_turned():
    after, problem = {}, Quadratic()
    for method, rates in {"adam": (0.3, 0.1, 0.03, 0.01), "soap": (0.1, 0.03)}.items():
        for rate in rates:
            w = torch.zeros(8, 8, dtype=torch.float64, requires_grad=True)
            steps = FirstOrder([w], Schedule("cosine", rate, 600), method)
            losses = [float(steps.step(w, problem)["square"]) for _ in range(600)]
            after[method] = min(losses[-1], after.get(method, math.inf))
    assert after["soap"] < after["adam"] / 100


class Bowls:
    """The loss size |theta|^2 of each task."""

    def __init__(self, sizes):
        self.sizes = torch.tensor(sizes, dtype=torch.float64)

    def losses(self, theta):
        return {"bowl": self.sizes * theta.square().sum(-1)}


@pytest.mark.parametrize("factor", [math.nan, 1e6])
def test_soap_has_adams_guard(factor):
    """What is kept is the state of the step that was checked; a blow-up brings it back, bases and all."""
    theta = torch.tensor([[3.0, -2.0], [1.0, 0.5]], dtype=torch.float64, requires_grad=True)
    method = FirstOrder([theta], Schedule("constant", 0.1, 1000), "soap", check_every=5)
    for _ in range(4):
        method.step(theta, Bowls([1.0, 1.0]))
    good = theta.detach().clone()
    method.step(theta, Bowls([1.0, 1.0]))
    for _ in range(5):
        method.step(theta, Bowls([factor, factor]))
    assert method.halvings == 1 and torch.equal(theta, good)
    for _ in range(300):
        method.step(theta, Bowls([1.0, 1.0]))
    assert float(theta.detach().abs().max()) < 0.1


def test_a_start_that_is_not_finite_leaves_nothing_behind():
    theta = torch.tensor([[3.0, -2.0]], dtype=torch.float64, requires_grad=True)
    method = FirstOrder([theta], Schedule("constant", 0.1, 100), "soap", check_every=2)
    for _ in range(2):
        method.step(theta, Bowls([math.nan]))
    assert theta.tolist() == [[3.0, -2.0]] and method.halvings == 1
    for _ in range(200):
        method.step(theta, Bowls([1.0]))
    assert float(theta.detach().abs().max()) < 0.2


def test_a_long_gradient_is_cut_to_the_running_median():
    theta = torch.tensor([[3.0, -2.0]], dtype=torch.float64, requires_grad=True)
    method = FirstOrder([theta], Schedule("constant", 1e-6, 100), clip=2.0)
    for _ in range(20):
        method.step(theta, Bowls([1.0]))
    usual = float(theta.grad.norm())
    method.step(theta, Bowls([1e4]))
    assert float(theta.grad.norm()) == pytest.approx(2 * usual, rel=1e-3)
    before = theta.detach().clone()
    method.step(theta, Bowls([math.nan]))
    assert torch.equal(theta, before)  # a gradient that is not finite moves nothing
    method.step(theta, Bowls([1.0]))
    assert float(theta.grad.norm()) == pytest.approx(usual, rel=1e-3)


def test_normalised_tasks_count_alike():
    """With power 1 each task's pull is that of the logarithm of its loss, whatever its size."""
    for power, ratio in ((0.0, 1e4), (0.5, 1e2), (1.0, 1.0)):
        theta = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
        FirstOrder([theta], Schedule("constant", 1e-3, 10), normalise=power).step(theta, Bowls([1e4, 1.0]))
        assert float(theta.grad[0].norm() / theta.grad[1].norm()) == pytest.approx(ratio)


def test_what_is_no_method_of_first_order_is_refused():
    with pytest.raises(UserError, match="'auto' is no method of first order, expected adam or soap"):
        FirstOrder([torch.zeros(1, 2)], Schedule("constant", 1e-3, 10), "auto")
