"""Gauss-Newton for hypernetworks against an explicit Jacobian through hypernetwork and network."""

import math
from dataclasses import replace

import pytest
import torch
from small import CPU, generator, plain_rows, relative, task_values, tiny
from torch.func import functional_call, jacrev

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import draw_points
from pinnlora.loss.residuals import Residuals
from pinnlora.loss.terms import physics
from pinnlora.nets.hypernetwork import Hypernetwork, Linearised
from pinnlora.optimise.damping import shortened, step_length
from pinnlora.optimise.gauss_newton import GaussNewton, kernel

TASKS = 3


class Setting:
    """A small hypernetwork for Kovasznay flow, the objective of three tasks, and both of them written out."""

    def __init__(self, activation: str = "tanh"):
        problem, self.lora = tiny("kovasznay", "lora", width=4, hidden_layers=2, rank=1)
        values = task_values(problem, TASKS)
        points = draw_points(problem, Draw(generator(1), CPU, torch.float64), values, 5, 4)
        self.embedding = problem.embed(values)
        start = torch.randn(self.lora.size, generator=generator(2), dtype=torch.float64)
        body = Hypernetwork(1, (5, 4), start, activation, generator(3), spread=1.0)
        self.hypernetwork = body.double()
        self.objective = physics(problem, self.lora, values, points)
        theta = self.hypernetwork(self.embedding)
        self.alone = []
        for k in range(TASKS):
            own = ({name: tensor[k : k + 1] for name, tensor in part.items()} for part in (values, points))
            alone = physics(problem, self.lora, *own)
            self.alone.append(
                alone.linearise(theta[k : k + 1])[3]
            )  # weights as numbers: here they are constants

    def explicit(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Residuals (row,) of all tasks over sqrt(tasks), and their Jacobian (row, weights)."""
        names, shapes = zip(*((n, p.shape) for n, p in self.hypernetwork.named_parameters()), strict=True)

        def rows(flat):
            parts = [
                part.view(shape)
                for part, shape in zip(flat.split([*map(math.prod, shapes)]), shapes, strict=True)
            ]
            theta = functional_call(
                self.hypernetwork, dict(zip(names, parts, strict=True)), (self.embedding,)
            )
            own = [
                plain_rows(alone, alone, numbers) for alone, numbers in zip(self.alone, theta, strict=True)
            ]
            return torch.cat(own) / TASKS**0.5

        return rows(self.weights()), jacrev(rows)(self.weights())

    def here(self) -> Linearised:
        return self.hypernetwork.linearise(self.embedding)

    def weights(self) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in self.hypernetwork.parameters()])


@pytest.fixture(params=["tanh", "silu"])
def setting(request):
    return Setting(request.param)


def damped_step(jacobian, rows, mu: float, previous=0.0):
    """SPRING: phi = beta phi' - J^T (J J^T + mu I)^-1 (r + beta J phi'), `previous` being beta phi'."""
    previous = torch.zeros(jacobian.shape[1]).double() + previous
    gram = jacobian @ jacobian.T + mu * torch.eye(len(rows), dtype=torch.float64)
    return previous - jacobian.T @ torch.linalg.solve(gram, rows + jacobian @ previous)


def test_the_kernel_is_the_gram_matrix_of_the_whole_jacobian(setting):
    jacobian = setting.objective.linearise(setting.hypernetwork(setting.embedding))[2]
    found = kernel(setting.here(), jacobian * TASKS**-0.5)
    _, explicit = setting.explicit()
    assert relative(found.tril(), (explicit @ explicit.T).tril()) < 1e-9


def test_a_step_is_the_damped_step_of_the_explicit_jacobian(setting):
    rows, jacobian = setting.explicit()
    before, newton = setting.weights(), GaussNewton(setting.hypernetwork, damping=1e-2)
    losses = newton.step(setting.here(), setting.objective)
    assert relative(setting.weights() - before, damped_step(jacobian, rows, 1e-2)) < 1e-9
    assert float(sum(losses.values()).mean()) == pytest.approx(float(rows.square().sum()), rel=1e-10)
    assert setting.explicit()[0].square().sum() < 0.8 * rows.square().sum()


def test_the_damping_has_a_floor_relative_to_the_trace_that_falls_with_the_loss(setting):
    newton, losses = GaussNewton(setting.hypernetwork, damping=1e-12, floor=1e-3), []
    for _ in range(3):
        (rows, jacobian), before = setting.explicit(), setting.weights()
        losses.append(float(rows.square().sum()))
        newton.step(setting.here(), setting.objective)
        floor = 1e-3 * float(jacobian.square().sum()) * losses[-1] / losses[0]
        assert relative(setting.weights() - before, damped_step(jacobian, rows, floor)) < 1e-9
        newton._damping.zero_()
    assert losses[2] < 0.5 * losses[0]


def test_momentum_is_that_of_spring(setting):
    newton, moves, steps = GaussNewton(setting.hypernetwork, damping=1.0, momentum=0.6), [0.0], 3
    for _ in range(steps):
        rows, jacobian = setting.explicit()
        expected = damped_step(jacobian, rows, float(newton._damping), 0.6 * moves[-1])
        before = setting.weights()
        newton.step(setting.here(), setting.objective)
        moves.append(setting.weights() - before)
        assert moves[-1].any(), "the step was rejected: the test needs another damping"
        assert relative(moves[-1], expected) < 1e-9


def test_the_last_steps_are_short_ones_in_the_same_direction_and_momentum_carries_whole_ones(setting):
    rows, jacobian = setting.explicit()
    newton = GaussNewton(setting.hypernetwork, damping=1e-2, momentum=0.5, relaxation=0.1)
    before, whole = setting.weights(), damped_step(jacobian, rows, 1e-2)
    newton.step(setting.here(), setting.objective, progress=1.0)
    assert relative(setting.weights() - before, 0.1 * whole) < 1e-9
    assert relative(torch.cat([part.flatten() for part in newton._previous]), whole) < 1e-9


def test_steps_grow_shorter_from_two_fifths_of_the_training_on():
    assert [step_length(share, 0.03) for share in (0, 0.2, 0.4)] == [1, 1, 1]
    lengths = [step_length(share, 0.03) for share in (0.5, 0.7, 0.9, 1.0)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == pytest.approx(0.03) and lengths[1] == pytest.approx(0.515)
    assert step_length(0.9, 1.0) == 1


def test_the_decrease_predicted_for_a_shortened_step_is_that_of_the_linear_model(setting):
    """With no damping to speak of, |r + l J d|^2 for d the step that solves J d = -r in the least squares."""
    rows, jacobian = setting.explicit()
    step = -torch.linalg.pinv(jacobian, rtol=1e-9) @ rows
    left = [float((rows + length * (jacobian @ step)).square().sum()) for length in (0.0, 0.25, 1.0)]
    assert left[0] - left[1] == pytest.approx(shortened(left[0] - left[2], 0.25), rel=1e-8)


def test_too_many_rows_are_refused_and_the_line_says_how_many_tasks_fit():
    setting = Setting()
    rows = setting.objective.linearise(setting.hypernetwork(setting.embedding))[1].shape[1]
    before, newton = setting.weights(), GaussNewton(setting.hypernetwork, rows=2 * rows + 1)
    with pytest.raises(UserError, match=f"3 tasks x {rows} residual rows .* at most 2 tasks fit") as caught:
        newton.step(setting.here(), setting.objective)
    assert "\n" not in str(caught.value)
    assert torch.equal(setting.weights(), before)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_residual_that_is_not_a_number_leaves_the_weights_alone(momentum):
    setting = Setting()
    newton = GaussNewton(setting.hypernetwork, damping=1e-2, momentum=momentum)
    newton.step(setting.here(), setting.objective)
    before, damping = setting.weights(), newton._damping.item()
    block = setting.objective.blocks[0]
    broken = replace(block, terms=lambda jet: {k: row * torch.nan for k, row in block.terms(jet).items()})
    newton.step(setting.here(), replace(setting.objective, blocks=(broken,)))
    assert torch.equal(setting.weights(), before)
    assert newton._damping.item() == pytest.approx(4 * damping)
    newton.step(setting.here(), setting.objective)  # and it goes on
    assert setting.weights().isfinite().all() and not torch.equal(setting.weights(), before)


def test_a_step_that_fails_is_tried_again_with_more_damping_on_the_same_linear_model(setting, monkeypatch):
    rows, jacobian = setting.explicit()
    before, asked = setting.weights(), []

    def twice_wrong(damping, before, after, predicted):
        asked.append(float(damping))
        accepted = torch.tensor([len(asked) == 3])
        return torch.where(accepted, damping / 3, 4 * damping), accepted

    monkeypatch.setattr("pinnlora.optimise.gauss_newton.adapt", twice_wrong)
    newton = GaussNewton(setting.hypernetwork, damping=1e-2)
    newton.step(setting.here(), setting.objective)
    assert asked == pytest.approx([1e-2, 4e-2, 16e-2])
    assert relative(setting.weights() - before, damped_step(jacobian, rows, 16e-2)) < 1e-9
    assert newton._damping.item() == pytest.approx(16e-2 / 3)


def test_a_step_that_always_fails_is_given_up(monkeypatch):
    setting, never = Setting(), torch.tensor([False])
    before = setting.weights()
    monkeypatch.setattr("pinnlora.optimise.gauss_newton.adapt", lambda damping, *_: (4 * damping, never))
    GaussNewton(setting.hypernetwork).step(setting.here(), setting.objective)
    assert torch.equal(setting.weights(), before)


def test_a_move_that_memory_does_not_hold_is_taken_back(monkeypatch):
    setting, kept = Setting(), []

    def ends(residuals, theta):
        kept.append(setting.weights())
        raise torch.OutOfMemoryError("CUDA out of memory")

    start = setting.weights().clone()
    monkeypatch.setattr(Residuals, "total", ends)
    with pytest.raises(torch.OutOfMemoryError):
        GaussNewton(setting.hypernetwork).step(setting.here(), setting.objective)
    assert not torch.equal(kept[0], start)  # it was moved when memory ended
    assert torch.equal(setting.weights(), start)
