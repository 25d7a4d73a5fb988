"""A batch too large for the memory is halved; a fake runs out of it where the real thing would."""

import numpy as np
import pytest
import torch

from pinnlora.errors import UserError
from pinnlora.loss.residuals import Residuals
from pinnlora.loss.terms import physics
from pinnlora.nets.adapters import Full
from pinnlora.nets.mlp import MLP
from pinnlora.optimise.levenberg_marquardt import LevenbergMarquardt
from pinnlora.optimise.memory import Batch
from pinnlora.problem.load import load_problem

ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
]


class Small(Residuals):
    """Residuals that no memory holds for more than `most` tasks."""

    most, error, seen = 2, MemoryError(), []

    def linearise(self, theta, workspace=None):
        Small.seen.append(len(theta))
        if len(theta) > Small.most:
            raise Small.error
        return super().linearise(theta, workspace)


def trained(kind: type[Residuals], tasks: int = 5) -> torch.Tensor:
    problem, full = load_problem("kovasznay"), Full(MLP(2, 3, 6, 2))
    theta = full.initial(tasks, torch.Generator().manual_seed(0))
    values = {"re": torch.linspace(20, 100, tasks, dtype=torch.float64)}
    unit = torch.from_numpy(np.random.default_rng(0).random((1, 12, 2)))
    points = {c.name: problem.coords.scale(unit) for c in problem.bound_conditions}
    points["interior"] = problem.coords.scale(unit)

    def objective(keep):
        own = {name: value[keep] for name, value in values.items()}
        whole = physics(problem, full, own, {name: p.expand(len(keep), -1, -1) for name, p in points.items()})
        return kind(whole.blocks, whole.parametrisation)

    method = LevenbergMarquardt(tasks)
    for _ in range(2):
        method.step(theta, objective, torch.arange(tasks))
    return theta


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_tasks_are_solved_fewer_at_once_until_they_fit(error, capsys):
    Small.most, Small.error, Small.seen = 2, error, []
    found, said = trained(Small), capsys.readouterr().out.splitlines()
    assert Small.seen == [5, 3, 2, 1, 2, 2, 2, 1]  # once told, the next step begins with what fits
    assert len(said) == 2 and "Jacobians of 5 tasks (" in said[0] and "3 at once from now on" in said[0]
    assert "2 at once from now on" in said[1]
    torch.testing.assert_close(found, trained(Residuals), rtol=1e-9, atol=1e-12)


def test_one_task_that_does_not_fit_is_one_line():
    Small.most, Small.error = 0, MemoryError()
    with pytest.raises(UserError, match=r"Jacobians of 1 tasks .* too large for the memory; lower points"):
        trained(Small)


def test_other_errors_are_not_taken_for_it():
    Small.most, Small.error = 2, RuntimeError("shapes do not fit")
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        trained(Small)


def test_a_step_takes_fewer_tasks_where_memory_ends(capsys):
    def take(tasks: int, most: int) -> int:
        if tasks > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tasks

    batch = Batch(12)
    assert [batch.step(lambda tasks: take(tasks, 3), on_gpu=False) for _ in range(2)] == [3, 3]
    assert capsys.readouterr().out.splitlines() == [
        "12 tasks a step are too large for the memory: 6 from now on",
        "6 tasks a step are too large for the memory: 3 from now on",
    ]
    with pytest.raises(UserError, match="a step of a single task is too large for the memory; lower points"):
        batch.step(lambda tasks: take(tasks, 0), on_gpu=False)
