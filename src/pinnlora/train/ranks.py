"""`rank: auto`: ranks of the adapters found by a short training with more than are needed, before the whole one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.draw import Draw
from pinnlora.loss.points import inside
from pinnlora.loss.terms import supervised
from pinnlora.nets.adapters import LowRank, Parametrisation
from pinnlora.nets.truncation import ranked_directions, truncated
from pinnlora.train.budget import train_within
from pinnlora.train.checkpoint import Checkpoint
from pinnlora.train.hyperlearner import Hyperlearner
from pinnlora.train.progress import History
from pinnlora.train.settings import StageSettings

SHARE, LEAST = 0.1, 10
"""Of the steps and seconds, with all directions, before the cut; and steps that it should be, up to half of all."""
POINTS, SEED = 100, 4
"""Where fields are compared, of each validation task; the points are a fixed set of their own."""

LearnerOf = Callable[[Parametrisation, Tensor, StageSettings], Hyperlearner]


@dataclass(frozen=True)
class Cut:
    """What the first part of a training leaves to the second: the ranks of the adapted maps, and `start` (size,), what
    is predicted at first for every task."""

    ranks: tuple[int, ...]
    start: Tensor
    history: History

    def state_dict(self) -> dict:
        """For a checkpoint."""
        return vars(self) | {"history": vars(self.history)}

    @classmethod
    def of(cls, state: dict) -> Cut:
        """From `state_dict`."""
        return cls(tuple(state["ranks"]), state["start"].cpu(), History(**state["history"]))


def train_cutting(
    stage: StageSettings,
    learner_of: LearnerOf,
    parametrisation: Parametrisation,
    start: Tensor,
    tolerance: float | None,
    title: str,
    checkpoint: Checkpoint | None = None,
) -> tuple[Hyperlearner, History]:
    """As `train_within`, from `start` (size,) for every task. With a tolerance a share of the steps comes first, with
    all directions of the adapters, of which those are cut that make up a share of at most `tolerance` of what
    adapters change in the fields; then a new hypernetwork is trained, from the mean of what that one predicts. A
    budget of seconds holds both parts. UserError for a smoothed network, whose fields have no exact derivatives.
    """
    if tolerance is None:
        return train_within(stage, partial(learner_of, parametrisation, start), title, checkpoint)
    if parametrisation.network.smoothing:
        raise UserError("rank: auto needs exact derivatives, which a smoothed network has not: give a number")
    checkpoint = checkpoint or Checkpoint()
    known, share = checkpoint.found("cut"), max(SHARE, min(0.5, LEAST / stage.steps))
    if known is None:
        first = partial(learner_of, parametrisation, start)
        learner, history = train_within(_part(stage, share), first, title, checkpoint)
        if learner.failed(history.best):
            return learner, history
        cut = _cut(learner, history, tolerance)
    else:
        cut = Cut.of(known)
    checkpoint.part("cut", cut.state_dict)
    assert isinstance(parametrisation, LowRank)
    smaller = replace(parametrisation, rank=cut.ranks)
    rest = stage.model_copy(update={"seconds": (1 - share) * stage.seconds})
    learner, history = train_within(rest, partial(learner_of, smaller, cut.start), title, checkpoint)
    return learner, _joined(cut.history, history)


def _part(stage: StageSettings, share: float) -> StageSettings:
    """A share of a stage, with its own way of tasks and time."""
    counts = {"steps": max(1, round(share * stage.steps)), "seconds": share * stage.seconds}
    if stage.continuation:
        eased = min(round(share * stage.continuation_steps), counts["steps"] - 1)
        counts["continuation_steps"] = max(1, eased)
    return stage.model_copy(update=counts)


def _cut(learner: Hyperlearner, history: History, tolerance: float) -> Cut:
    parametrisation, values = learner.parametrisation, learner.validation.tasks.values
    assert isinstance(parametrisation, LowRank)
    theta = learner.hypernetwork(learner.embed(values)).detach()
    directions = ranked_directions(parametrisation, _sensitivities(learner, theta))
    ranks = directions.kept(parametrisation, tolerance)
    start, cut = truncated(theta.double().mean(0, keepdim=True), parametrisation, directions, ranks)
    found = ", ".join(f"{rank} of map {k}" for k, rank in zip(cut.adapted, ranks, strict=True))
    print(f"ranks found: {found}; {cut.size} of {parametrisation.size} outputs", flush=True)
    return Cut(ranks, start[0].cpu(), history)


def _sensitivities(learner: Hyperlearner, theta: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """theta (1, size) of each validation task, and the Jacobian of its fields at some points."""
    values, problem = learner.validation.tasks.values, learner.problem
    draw = Draw(torch.Generator(theta.device), theta.device, theta.dtype).frozen(SEED)
    for k in range(len(theta)):  # task by task, in bounded memory
        one = {name: value[k : k + 1] for name, value in values.items()}
        coords = problem.coords.scale(inside(draw, 1, POINTS, one, problem.coords))
        nothing = coords.new_zeros(1, POINTS, len(problem.fields))  # rows are the fields themselves
        objective = supervised(problem, learner.parametrisation, one, coords, nothing)
        yield theta[k : k + 1], objective.linearise(theta[k : k + 1])[2]


def _joined(first: History, then: History) -> History:
    """One after the other."""
    later = [
        row | {"seconds": row["seconds"] + first.seconds, "step": row["step"] + first.iterations}
        for row in then.rows
    ]
    iterations, seconds = first.iterations + then.iterations, first.seconds + then.seconds
    return History(first.rows + later, iterations, seconds, then.best, then.taken)
