"""A surrogate as a plain torch module, and in ONNX: for other programs, without this package."""

from __future__ import annotations

import copy
import logging
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pinnlora.errors import UserError
from pinnlora.files import atomic
from pinnlora.nets.adapters import LowRank, Parametrisation
from pinnlora.problem.base import Problem
from pinnlora.query.derivatives import fields_of_tasks, plain_fields, task_directions
from pinnlora.query.networks import Networks

if TYPE_CHECKING:
    from pinnlora.query.surrogate import Surrogate


class SolutionModule(nn.Module):
    """One task's fields: coordinates (point, dim) -> (point, field). The adapters are merged into the weights."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        if len(networks) != 1:
            raise UserError(
                f"a module holds one task, got {len(networks)}: give one, or export with the task as input"
            )
        merged = networks.full()
        self.problem, self.parametrisation, self.tasks = merged.problem, merged.parametrisation, merged.tasks
        self.theta = nn.Parameter(merged.theta.detach().clone())

    def forward(self, coords: Tensor) -> Tensor:
        """(point, dim) -> (point, field)."""
        return plain_fields(self.problem, self.parametrisation, self.theta, self.tasks, coords.unsqueeze(0))[
            0
        ]


class FamilyModule(nn.Module):
    """Fields of any task of numbers: coordinates (point, dim) and the task's numbers (number,) -> (point, field)."""

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__()
        self.problem: Problem = surrogate.problem
        if surrogate.problem.task.functions:
            name = next(iter(surrogate.problem.task.functions))
            raise UserError(
                f"export: the task holds a function, {name}: give it with --set, which merges one task"
            )
        self.names = task_directions(surrogate.problem)
        self.parametrisation: Parametrisation = surrogate.parametrisation
        self.body, self.embed = copy.deepcopy(surrogate.hypernetwork), surrogate.embed
        self.symmetry = surrogate.symmetry
        if isinstance(self.parametrisation, LowRank):
            self.base = nn.ParameterList(
                [*self.parametrisation.base.matrices, *self.parametrisation.base.biases]
            )

    def forward(self, coords: Tensor, task: Tensor) -> Tensor:
        """(point, dim), (number,) -> (point, field)."""
        given = {name: task[k : k + 1] for k, name in enumerate(self.names)}
        return fields_of_tasks(
            self.problem, self.parametrisation, lambda values: self.body(self.embed(values)), self.symmetry, given,
            coords.unsqueeze(0),
        )[0]  # fmt: skip


def write_onnx(module: SolutionModule | FamilyModule, output: Path) -> None:
    """The module as ONNX, inputs `coords` and, of a family, `task`, output `fields`; the number of points is free.

    UserError where onnx is not installed, or the problem's functions use what ONNX does not have.
    """
    dtype = next(module.parameters()).dtype
    low, high = (
        torch.tensor(end, dtype=dtype) for end in (module.problem.coords.low, module.problem.coords.high)
    )
    inputs = [low + (high - low) * torch.rand(7, len(low), dtype=dtype)]
    if module.problem.observe_signature is not None:
        raise UserError(
            f"export: the fields of {module.problem.name} are derivatives of potentials: not in ONNX"
        )
    names = ["coords"]
    if isinstance(module, FamilyModule):
        sample = module.problem.task.decode(torch.zeros(1, len(module.names), dtype=dtype))
        inputs.append(torch.cat(list(sample.values())))
        names.append("task")
    free = ({0: torch.export.Dim("point", min=2)}, *[None] * (len(inputs) - 1))
    for package in ("onnx", "onnxscript"):
        try:
            __import__(package)
        except ImportError:
            raise UserError(f"export: {package} is not installed; pip install pinnlora[onnx]") from None
    with atomic(output) as temporary, warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            torch.onnx.export(
                module.eval(), tuple(inputs), temporary, input_names=names, output_names=["fields"],
                dynamic_shapes=free, dynamo=True, external_data=False, verbose=False,
            )  # fmt: skip
        except Exception as error:  # whatever the exporter meets in a problem's own functions
            text = str(error).splitlines()[0][:200]
            raise UserError(f"export: {module.problem.name} uses what ONNX does not have ({text})") from None
