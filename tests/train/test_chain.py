"""Teachers along a tree: its order, and that they follow each other."""

import numpy as np
import torch
from scipy.spatial.distance import cdist
from small import CPU, generator, random_theta, relative, tiny

from pinnlora.loss.draw import Draw
from pinnlora.train.chain import fit_chain, levels
from pinnlora.train.data import task_set
from pinnlora.train.settings import StageSettings
from pinnlora.train.single import TaskFits


def test_the_tree_is_a_shortest_one_and_parents_come_first():
    embedding = torch.randn(30, 3, generator=generator(), dtype=torch.float64)
    distance = cdist(embedding, embedding)
    (root, none), *rest = levels(embedding)
    assert root.tolist() == [int(distance.sum(1).argmin())] and none is None
    done, length = set(root.tolist()), 0.0
    for tasks, parents in rest:
        assert set(parents.tolist()) <= done
        length += distance[tasks, parents].sum()
        done |= set(tasks.tolist())
    assert done == set(range(30)) and 1 + sum(len(tasks) for tasks, _ in rest) == 30
    # the shortest tree of n points: Prim's algorithm, written out
    inside, shortest = {0}, 0.0
    while len(inside) < 30:
        step, new = min((distance[a, b], b) for a in inside for b in set(range(30)) - inside)
        inside, shortest = inside | {new}, shortest + step
    np.testing.assert_allclose(length, shortest, rtol=1e-9)


def test_equal_tasks_and_one_task_alone_have_a_tree():
    assert [tasks.tolist() for tasks, _ in levels(torch.zeros(1, 2))] == [[0]]
    assert sum(len(tasks) for tasks, _ in levels(torch.zeros(3, 2))) == 3


def test_a_task_is_fitted_alike_alone_and_in_a_level():
    problem, lora = tiny("burgers2d", "lora")
    tasks = task_set(problem, {"nu": np.array([1e-3, 2e-3, 5e-4])}, False, CPU, torch.float64)
    stage = StageSettings(optimiser="levenberg_marquardt", points=20, condition_points=8, steps=8, chain=True)
    start, draw = random_theta(lora, 1), Draw(generator(), CPU, torch.float64)
    together, _ = fit_chain(problem, lora, tasks, start.repeat(3, 1), stage, draw)
    pair = tasks.take(torch.tensor([0, 1]))
    alone, _ = fit_chain(problem, lora, pair, start.repeat(2, 1), stage, draw)
    assert relative(together[:2], alone) < 1e-6


def test_teachers_solve_their_tasks_and_neighbours_resemble_each_other():
    problem, lora = tiny("kovasznay", "lora", width=8)
    tasks = task_set(problem, {"re": np.array([60.0, 20.0, 40.0])}, False, CPU, torch.float64)
    stage = StageSettings(
        optimiser="levenberg_marquardt", dtype="float64", steps=20, points=40, condition_points=16, chain=True
    )

    def run():
        start = random_theta(lora, 1).repeat(3, 1)
        return start, *fit_chain(problem, lora, tasks, start, stage, Draw(generator(), CPU, torch.float64))

    start, theta, history = run()
    assert [row["step"] for row in history.rows] == [100, 120]  # Re 40, then both its neighbours
    assert max(row["validation"] for row in history.rows) < 0.05
    apart = relative(theta[1], theta[2])
    assert 0 < apart < 0.5 * relative(theta[2], start[2])
    assert torch.equal(run()[1], theta)


def test_iterations_of_the_second_phase_count_too():
    problem, lora = tiny("kovasznay", "lora")
    tasks = task_set(problem, {"re": np.array([40.0])}, False, CPU, torch.float64)
    stage = StageSettings(
        optimiser="adam+lbfgs", steps=4, lbfgs_steps=3, points=20, condition_points=8, chain=True
    )
    draw = Draw(generator(), CPU, torch.float64)
    _, history = fit_chain(problem, lora, tasks, random_theta(lora, 1), stage, draw)
    assert history.iterations == 5 * 4 + 3


def test_on_a_chain_the_damping_does_not_fall_below_its_start():
    problem, lora = tiny("kovasznay", "lora")
    tasks = task_set(problem, {"re": np.array([40.0])}, False, CPU, torch.float64)
    for chain, falls in ((True, False), (False, True)):
        stage = StageSettings(optimiser="levenberg_marquardt", points=20, condition_points=8, chain=chain)
        draw = Draw(generator(), CPU, torch.float64)
        learner = TaskFits(problem, lora, tasks, random_theta(lora, 1), stage, draw)
        for step in range(10):
            learner.step(step)
        assert (learner._marquardt.dampings.item() < stage.damping * 0.99) == falls
