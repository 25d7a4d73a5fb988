"""A surrogate as a plain torch module, and in ONNX: for other programs, without this package."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pinnlora.errors import UserError
from pinnlora.files import atomic
from pinnlora.nets.adapters import Parametrisation
from pinnlora.problem.base import EDGE, Problem
from pinnlora.query.derivatives import fields_of_tasks, plain_fields, task_directions
from pinnlora.query.double import LACKING, in_double, scalars_in_double
from pinnlora.query.networks import Networks
from pinnlora.query.places import closed_axes
from pinnlora.train.data import TaskSet

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
        self.problem, self.parametrisation = merged.problem, merged.parametrisation
        self.theta = nn.Parameter(merged.theta.detach().clone())
        for part in ("values", "move"):
            for name, value in (getattr(merged.tasks, part) or {}).items():
                self.register_buffer(f"{part}_{name}", value)

    @property
    def tasks(self) -> TaskSet:
        """The task, on the device and in the precision that the module has been brought to."""
        found = dict(self.named_buffers())
        values, move = (
            {name.removeprefix(part): value for name, value in found.items() if name.startswith(part)}
            for part in ("values_", "move_")
        )
        return TaskSet(self.problem, values, move or None)

    def forward(self, coords: Tensor) -> Tensor:
        """(point, dim) -> (point, field)."""
        places = turned(self.problem, coords).unsqueeze(0)
        return plain_fields(self.problem, self.parametrisation, self.theta, self.tasks, places)[0]


class FamilyModule(nn.Module):
    """Fields of any task: coordinates (point, dim), the task's numbers (number,) if it has any, and its functions, each
    (points,), -> (point, field)."""

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__()
        self.problem: Problem = surrogate.problem
        self.names = task_directions(surrogate.problem)
        self.parametrisation: Parametrisation = surrogate.parametrisation
        self.body, self.embed = copy.deepcopy(surrogate.hypernetwork), surrogate.embed
        self.symmetry = surrogate.symmetry

    @property
    def inputs(self) -> list[str]:
        """The names of what `forward` takes after the coordinates."""
        return [*(["task"] if self.names else []), *self.problem.task.functions]

    def forward(self, coords: Tensor, task: list[Tensor]) -> Tensor:
        """(point, dim), [(number,), (points,) ...] -> (point, field)."""
        given, asked = {}, dict(zip(self.inputs, task, strict=True))
        for name in self.problem.task.names:
            number = self.names.index(name) if name in self.names else None
            given[name] = asked[name].unsqueeze(0) if number is None else asked["task"][number : number + 1]
        return fields_of_tasks(
            self.problem, self.parametrisation, lambda values: self.body(self.embed(values)), self.symmetry, given,
            turned(self.problem, coords).unsqueeze(0),
        )[0]  # fmt: skip

    def example(self) -> dict[str, Tensor]:
        """The inputs after the coordinates, of the task in the middle."""
        dtype, task = next(self.parameters()).dtype, self.problem.task
        middle = task.decode(torch.zeros(1, len(task.bounded), dtype=dtype))
        out = {"task": torch.cat([middle[name] for name in self.names])} if self.names else {}
        return out | {name: middle[name][0] for name in task.functions}


def turned(problem: Problem, coords: Tensor) -> Tensor:
    """Points (point, dim) moved by whole turns where they lie beyond the ends of a coordinate that closes on itself, as
    `predict` moves them."""
    if not (closed := closed_axes(problem)):
        return coords
    box, columns = problem.coords, list(coords.unbind(-1))
    for axis in closed:
        x, low, size = columns[axis], box.low[axis], box.high[axis] - box.low[axis]
        beyond = torch.abs(x - low - size / 2) > (0.5 + EDGE) * size
        columns[axis] = torch.where(beyond, x - torch.floor((x - low) / size) * size, x)
    return torch.stack(columns, -1)


def write_onnx(module: SolutionModule | FamilyModule, output: Path) -> None:
    """The module as ONNX: inputs `coords` and, of a family, `task` and its functions by name, output `fields`.

    The number of points is free. UserError where onnx is not installed, or the problem uses what ONNX does not have.
    """
    coords = some_coords(module.problem, next(module.parameters()).dtype, 7)
    inputs: list[Any] = [coords]
    names, free = ["coords"], [{0: torch.export.Dim("point", min=2)}]
    if isinstance(module, FamilyModule):
        task = module.example()
        inputs, names = [coords, list(task.values())], [*names, *task]
        model = traced(module, inputs, names, ["fields"], module.problem.name, (*free, [None] * len(task)))
    else:
        model = traced(module, inputs, names, ["fields"], module.problem.name, tuple(free))
    with atomic(output) as temporary:
        temporary.write_bytes(model.SerializeToString())


def some_coords(problem: Problem, dtype: torch.dtype, count: int) -> Tensor:
    """Points of the domain's bounding box, (count, dim)."""
    low, high = (torch.tensor(end, dtype=dtype) for end in (problem.coords.low, problem.coords.high))
    return low + (high - low) * torch.rand(
        count, len(low), dtype=dtype, generator=torch.Generator().manual_seed(1)
    )


def traced(
    module: nn.Module,
    inputs: Sequence[Any],
    names: Sequence[str],
    outputs: Sequence[str],
    problem: str,
    free: Any = None,
) -> Any:
    """The ONNX model of a module, with the names of its inputs and outputs; `free` dimensions as torch has them.

    UserError where onnx is not installed, or the `problem` uses what ONNX does not have.
    """
    for package in ("onnx", "onnxscript"):
        try:
            __import__(package)
        except ImportError:
            raise UserError(f"export: {package} is not installed; pip install -e '.[onnx]'") from None
    with torch.no_grad(), warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            module.eval()(*inputs)  # what is computed once and kept must be numbers, not what stands for them
            exported = in_double(
                torch.export.export(module, tuple(inputs), dynamic_shapes=free, strict=False)
            )
            program = torch.onnx.export(
                exported, input_names=list(names), output_names=list(outputs), dynamo=True, verbose=False,
                custom_translation_table=scalars_in_double(),
            )  # fmt: skip
        except Exception as error:  # whatever the exporter meets in a problem's own functions
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            text = str(cause).splitlines()[0][:200]
            raise UserError(f"export: {problem} uses what ONNX does not have ({text})") from None
    assert program is not None  # as dynamo=True says
    model = program.model_proto
    used = {node.op_type for part in (model.graph, *model.functions) for node in part.node}
    if inputs[0].dtype == torch.float64 and (lacking := sorted(used & LACKING)):
        raise UserError(
            f"export: {problem} uses {lacking[0]}, which onnxruntime has in float32 only: train in float32, or write "
            "the problem without it"
        )
    return model
