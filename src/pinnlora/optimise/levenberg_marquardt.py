"""Levenberg-Marquardt for a batch of independent tasks, in parameter or sample space, whichever is smaller."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnlora.errors import UserError
from pinnlora.loss.residuals import Residuals, Terms, Workspace
from pinnlora.optimise.damping import LOWEST, TRIES, adapt, least_damping, shortened, step_length
from pinnlora.optimise.gram import lower_gram, solve_lower
from pinnlora.optimise.memory import out_of_memory


@dataclass
class LevenbergMarquardt:
    """State of the method: a damping per task. `memory` bounds the Jacobian of one chunk of tasks, in bytes;
    the damping never falls below `lowest`, nor, with fewer rows than numbers, below `least_damping` of the share
    `floor`; `relaxation` is the length of the last steps.
    `sound` says of each task whether its last Jacobian was finite."""

    tasks: int
    damping: float = 1e-2
    memory: float = 1e9
    lowest: float = LOWEST
    relaxation: float = 1.0
    floor: float = 0.0
    dampings: Tensor = field(init=False)
    sound: Tensor = field(init=False)
    _first: Tensor = field(init=False)
    _workspace: Workspace = field(init=False, default_factory=Workspace)

    def __post_init__(self) -> None:
        self.dampings = torch.full((self.tasks,), self.damping, dtype=torch.float64)
        self.sound = torch.ones(self.tasks, dtype=torch.bool)
        self._first = torch.full_like(self.dampings, torch.nan)

    def state_dict(self) -> dict[str, Tensor]:
        """Dampings and first losses, for a checkpoint."""
        return {"dampings": self.dampings, "first": self._first}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take them back."""
        self.dampings, self._first = state["dampings"], state["first"]

    def step(self, theta: Tensor, objective, active: Tensor, progress: float = 0.0) -> Terms:
        """Improve theta (task, size) in place for the `active` tasks (indices).

        `objective(indices)` gives the residuals of those tasks, `progress` is the share of the training that is
        done. Returns the losses before the step, (active,).
        """
        self.dampings, self.sound = self.dampings.to(theta.device, theta.dtype), self.sound.to(theta.device)
        self._first = self._first.to(theta.device, theta.dtype)
        rows = objective(active[:1]).count(theta[active[:1]])
        chunk = max(1, int(self.memory / (rows * theta.shape[1] * theta.element_size())))
        parts, todo = [], list(active.split(chunk))
        while todo:
            keep = todo.pop(0)
            try:
                parts.append(self._step(theta, objective(keep), keep, progress))
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                self._shrink(len(keep), rows, theta)
                todo = [part for group in (keep, *todo) for part in group.split(-(-len(keep) // 2))]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _shrink(self, tasks: int, rows: int, theta: Tensor) -> None:
        """From now on half as many tasks at once; UserError where it was one alone."""
        each = rows * theta.shape[1] * theta.element_size()
        size = f"Jacobians of {tasks} tasks ({rows} rows x {theta.shape[1]} numbers, {tasks * each / 1e6:.0f} MB)"
        if tasks == 1:
            raise UserError(f"levenberg_marquardt: {size} are too large for the memory; lower points")
        self.memory, self._workspace = each * (-(-tasks // 2) + 0.5), Workspace()
        print(f"{size} are too large for the memory: {-(-tasks // 2)} at once from now on", flush=True)
        if theta.is_cuda:
            torch.cuda.empty_cache()

    def _step(self, theta: Tensor, residuals: Residuals, keep: Tensor, progress: float) -> Terms:
        """Tasks whose step makes things worse are tried again with more damping, up to `TRIES` times in all."""
        here, damping = theta[keep], self.dampings[keep]
        losses, r, jacobian, frozen = residuals.linearise(here, self._workspace)
        model, before = LinearModel(jacobian, r), r.square().sum(-1)
        self.sound[keep] = model.gram.diagonal(dim1=-2, dim2=-1).isfinite().all(-1)
        first = self._first[keep]
        self._first[keep] = first = torch.where(first.isfinite(), first, before)
        share = 0.0 if model.tall else self.floor
        lowest = least_damping(share, model.gram.diagonal(dim1=-2, dim2=-1).sum(-1), before, first).clamp(
            self.lowest
        )
        left, length = torch.arange(len(keep), device=keep.device), step_length(progress, self.relaxation)
        for _ in range(TRIES):
            move, predicted = model.step(damping[left], left)
            trial = here.index_add(0, left, move, alpha=length)
            with torch.no_grad():
                after = frozen.total(trial)[left]
            predicted = shortened(predicted, length)
            damping[left], accepted = adapt(damping[left], before[left], after, predicted, lowest[left])
            theta[keep[left[accepted]]] = trial[left[accepted]]
            left = left[~accepted & before[left].isfinite()]
            if not len(left):
                break
        self.dampings[keep] = damping
        return losses


class LinearModel:
    """Minimises |r + J d|^2 + mu |d|^2 for any damping mu; jacobian (task, row, size), r (task, row).

    With more rows than columns by (J^T J + mu I) d = -J^T r, else d = -J^T (J J^T + mu I)^-1 r. The Gram matrix is
    made once.
    """

    def __init__(self, jacobian: Tensor, r: Tensor):
        self.jacobian = jacobian
        self.tall = jacobian.shape[1] >= jacobian.shape[2]
        self.gram = lower_gram(jacobian.mT if self.tall else jacobian)
        self.right = (jacobian.mT @ r.unsqueeze(-1)).squeeze(-1) if self.tall else r

    def step(self, damping: Tensor, tasks: Tensor) -> tuple[Tensor, Tensor]:
        """The damped Gauss-Newton step of some tasks, by index, and the decrease it predicts: (task, size), (task,).

        A failed factorisation gives a step of nan, which the damping rule rejects.
        """
        gram, right, mu = self.gram[tasks], self.right[tasks], damping[:, None]
        gram.diagonal(dim1=-2, dim2=-1).add_(mu)
        z = solve_lower(gram, right)
        if self.tall:
            return -z, (mu * z.square()).sum(-1) + (right * z).sum(-1)
        whole = len(tasks) == len(self.jacobian)  # indexing would copy the Jacobian
        jacobian = self.jacobian if whole else self.jacobian[tasks]
        move = -(jacobian.mT @ z.unsqueeze(-1)).squeeze(-1)
        return move, right.square().sum(-1) - (mu * z).square().sum(-1)


def solve(jacobian: Tensor, r: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The step of all tasks, and the decrease it predicts: (task, size), (task,)."""
    return LinearModel(jacobian, r).step(damping, torch.arange(len(r), device=r.device))
