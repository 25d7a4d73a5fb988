"""Teachers along a tree: its order, and that they follow each other."""

import numpy as np
import torch
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from small import CPU, generator, random_theta, relative, tiny

from pinnlora.chain import fit_chain, spanning_tree
from pinnlora.data import task_set
from pinnlora.geometry import Draw
from pinnlora.per_task import TaskFits
from pinnlora.stage_settings import StageSettings


def test_the_tree_is_a_shortest_one_and_parents_come_first():
    embedding = torch.randn(30, 3, generator=generator(), dtype=torch.float64)
    tree = spanning_tree(embedding)
    distance = cdist(embedding, embedding)
    assert tree[0] == (int(distance.sum(1).argmin()), None)
    assert sorted(task for task, _ in tree) == list(range(30))
    for place, (_, parent) in enumerate(tree[1:], start=1):
        assert parent in [task for task, _ in tree[:place]]
    length = sum(distance[task, parent] for task, parent in tree[1:])
    np.testing.assert_allclose(length, minimum_spanning_tree(distance).sum(), rtol=1e-12)
    assert spanning_tree(torch.zeros(1, 2)) == [(0, None)]


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
    assert len(history.rows) == 3 and history.iterations == 5 * 20 + 2 * 20
    assert [row["step"] for row in history.rows] == [100, 120, 140]
    assert max(row["validation"] for row in history.rows) < 0.05
    apart = relative(theta[1], theta[2])
    assert 0 < apart < 0.5 * relative(theta[2], start[2])
    assert torch.equal(run()[1], theta)


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
