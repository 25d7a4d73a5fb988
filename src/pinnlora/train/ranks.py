"""`rank: auto`: ranks of the adapters found by one training, which begins with more than are needed."""

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
from pinnlora.nets.hypernetwork import Hypernetwork
from pinnlora.nets.truncation import ranked_directions, truncated, with_head
from pinnlora.train.budget import train_within
from pinnlora.train.checkpoint import Checkpoint
from pinnlora.train.hyperlearner import Hyperlearner
from pinnlora.train.progress import History
from pinnlora.train.settings import StageSettings

SHARE, LEAST = 0.1, 10
"""Of the steps and seconds, with all directions, before the cut; and steps that it should be, up to half of all."""
POINTS, SEED = 100, 4
"""Where fields are compared, of each validation task; the points are a fixed set of their own."""

LearnerOf = Callable[[Parametrisation, Hypernetwork, StageSettings], Hyperlearner]


@dataclass(frozen=True)
class Cut:
    """What the first part of a training leaves to the second."""

    ranks: tuple[int, ...]
    weights: list[Tensor]
    history: History

    def state_dict(self) -> dict:
        """For a checkpoint."""
        return vars(self) | {"history": vars(self.history)}

    @classmethod
    def of(cls, state: dict, device: torch.device) -> Cut:
        """From `state_dict`."""
        weights = [part.to(device) for part in state["weights"]]
        return cls(tuple(state["ranks"]), weights, History(**state["history"]))


def train_cutting(
    stage: StageSettings,
    learner_of: LearnerOf,
    start: tuple[Parametrisation, Hypernetwork],
    tolerance: float | None,
    title: str,
    checkpoint: Checkpoint | None = None,
) -> tuple[Hyperlearner, History]:
    """As `train_within`: a share of the stage with all directions of the adapters, the rest of it with those that are
    left when a share of at most `tolerance` of what adapters change in the fields is cut; None: nothing is.

    UserError for a smoothed network, whose fields have no exact derivatives.
    """
    if tolerance is None:
        return train_within(stage, partial(learner_of, *start), title, checkpoint)
    if start[0].network.smoothing:
        raise UserError("rank: auto needs exact derivatives, which a smoothed network has not: give a number")
    checkpoint = checkpoint or Checkpoint()
    known, share = checkpoint.found("cut"), max(SHARE, min(0.5, LEAST / stage.steps))
    if known is None:
        learner, history = train_within(_part(stage, share), partial(learner_of, *start), title, checkpoint)
        if learner.failed(history.best):
            return learner, history
        cut = _cut(learner, history, tolerance)
    else:
        cut = Cut.of(known, next(start[1].parameters()).device)
    checkpoint.part("cut", cut.state_dict)
    rest = _part(stage, 1 - share)
    learner, history = train_within(rest, partial(learner_of, *_smaller(start, cut)), title, checkpoint)
    return learner, _joined(cut.history, history)


def _part(stage: StageSettings, share: float) -> StageSettings:
    """A share of a stage, with its own way of tasks and time: a cut goes back almost to the beginning."""
    counts = {"steps": max(1, round(share * stage.steps)), "seconds": share * stage.seconds}
    if stage.continuation:
        eased = min(round(share * stage.continuation_steps), counts["steps"] - 1)
        counts["continuation_steps"] = max(1, eased)
    return stage.model_copy(update=counts)


def _cut(learner: Hyperlearner, history: History, tolerance: float) -> Cut:
    parametrisation, hypernetwork = learner.parametrisation, learner.hypernetwork
    assert isinstance(parametrisation, LowRank)
    directions = ranked_directions(parametrisation, _sensitivities(learner, parametrisation))
    ranks = directions.kept(parametrisation, tolerance)
    smaller, cut = truncated(hypernetwork, parametrisation, directions, ranks)
    found = ", ".join(f"{rank} of map {k}" for k, rank in zip(cut.adapted, ranks, strict=True))
    print(f"ranks found: {found}; {cut.size} of {parametrisation.size} outputs", flush=True)
    return Cut(ranks, [p.detach() for p in smaller.parameters()], history)


def _sensitivities(learner: Hyperlearner, parametrisation: LowRank) -> Iterator[tuple[Tensor, Tensor]]:
    """theta (1, size) of each validation task, and the Jacobian of its fields at some points."""
    values, problem = learner.validation.tasks.values, learner.problem
    theta = learner.hypernetwork(learner.embed(values)).detach()
    draw = Draw(torch.Generator(theta.device), theta.device, theta.dtype).frozen(SEED)
    for k in range(len(theta)):  # task by task, in bounded memory
        one = {name: value[k : k + 1] for name, value in values.items()}
        coords = problem.coords.scale(inside(draw, 1, POINTS, one, problem.coords))
        nothing = coords.new_zeros(1, POINTS, len(problem.fields))  # rows are the fields themselves
        objective = supervised(problem, parametrisation, one, coords, nothing)
        yield theta[k : k + 1], objective.linearise(theta[k : k + 1])[2]


def _smaller(start: tuple[Parametrisation, Hypernetwork], cut: Cut) -> tuple[LowRank, Hypernetwork]:
    parametrisation, hypernetwork = start
    assert isinstance(parametrisation, LowRank)
    *_, weight, bias = cut.weights
    hypernetwork = with_head(hypernetwork, torch.cat((weight, bias.unsqueeze(1)), 1))
    with torch.no_grad():
        for p, kept in zip(hypernetwork.parameters(), cut.weights, strict=True):
            p.copy_(kept)
    return replace(parametrisation, rank=cut.ranks), hypernetwork


def _joined(first: History, then: History) -> History:
    """One after the other."""
    later = [
        row | {"seconds": row["seconds"] + first.seconds, "step": row["step"] + first.iterations}
        for row in then.rows
    ]
    iterations, seconds = first.iterations + then.iterations, first.seconds + then.seconds
    return History(first.rows + later, iterations, seconds, then.best, then.taken)
