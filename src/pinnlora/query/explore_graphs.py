"""What a page computes, as graphs for its interpreter: the fields of a task, and the residual that judges them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pinnlora.errors import UserError
from pinnlora.loss.points import draw_points
from pinnlora.problem.base import EDGE
from pinnlora.problem.domain.base import Shape
from pinnlora.query.derivatives import fields_of_tasks, plain_jet
from pinnlora.query.export import some_coords, traced
from pinnlora.query.score import EACH, FEW, FRESH, INTERIOR, costly, fixed_draw, measured

if TYPE_CHECKING:
    from pinnlora.query.surrogate import Surrogate

CHUNK = 1024
"""Points that the page evaluates at once: what lies between two products stays in the cache."""
LONG = 64
"""Float64 constants of more numbers than these, weights above all, are stored in single precision."""


class PageFields(nn.Module):
    """Points and the unknowns of `decode` -> fields, whether the points lie inside, the task's own values."""

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__()
        self.surrogate, self.body = surrogate, surrogate.hypernetwork

    def forward(self, coords: Tensor, unknowns: Tensor) -> tuple[Tensor, ...]:
        """(point, dim), (unknown,) -> (point, field), (1, point), (1,) or (1, points) of each task parameter."""
        problem, given = self.surrogate.problem, self.surrogate.problem.task.decode(unknowns.unsqueeze(0))
        found = fields_of_tasks(
            problem, self.surrogate.parametrisation, self.surrogate.predict_numbers, self.surrogate.symmetry, given,
            coords.unsqueeze(0),
        )  # fmt: skip
        inside = torch.ones_like(coords[None, :, 0])
        if isinstance(problem.coords, Shape):
            within = problem.coords.contains(coords.unsqueeze(0), given, EDGE * problem.coords.size)
            inside = inside * within.to(inside.dtype)
        return found[0], inside, *(given[name] + 0 for name in problem.task.names)


class PageScore(nn.Module):
    """The unknowns of `decode` -> residual, mismatch and loss (3,), as `score` has them."""

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__()
        self.surrogate, self.body = surrogate, surrogate.hypernetwork

    def forward(self, unknowns: Tensor) -> Tensor:
        """(unknown,) -> (3,)."""
        made = self.surrogate
        given = made.problem.task.decode(unknowns.unsqueeze(0))
        values = made.problem.canonical(given)[0] if made.symmetry else given
        theta = made.predict_numbers(values)
        interior = FEW if costly(made.problem, made.parametrisation.network) else INTERIOR
        points = draw_points(made.problem, fixed_draw(theta, FRESH), values, interior, EACH)
        return measured(
            made.problem, made.parametrisation, theta, values, points, made.config, plain_jet
        )[:, 0]  # fmt: skip


def page_graphs(surrogate: Surrogate) -> dict[str, Any]:
    """The graphs `fields` and, where it can be written as one, `score`, with their constants."""
    problem, single, double = surrogate.problem, surrogate.to(torch.float32), surrogate.to(torch.float64)
    unknowns = torch.zeros(len(problem.task.bounded))
    names = ["fields", "inside", *problem.task.names]
    inputs = [some_coords(problem, torch.float32, CHUNK), unknowns]
    constants: dict[str, list] = {}
    model = traced(PageFields(single), inputs, ["coords", "unknowns"], names, problem.name)
    graphs = {"fields": _graph(model, constants)}
    try:
        more = dict(constants)
        model = traced(PageScore(double), [unknowns.double()], ["unknowns"], ["scores"], problem.name)
        graphs["score"], constants = _graph(model, more), more
    except UserError as error:
        print(f"no estimated error in the page: {error}")
    return {"graphs": graphs, "constants": constants}


def _graph(model: Any, constants: dict[str, list]) -> dict[str, Any]:
    """Inputs, outputs and nodes of an ONNX model with short names; its constants join the others', by content."""
    array_of = import_module("onnx.numpy_helper").to_array
    known, graph = _operators(), model.graph
    short: dict[str, str] = {}

    def called(name: str) -> str:
        return short.setdefault(name, f"v{len(short)}") if name else ""

    kept = {called(each.name): _constant(array_of(each), constants) for each in graph.initializer}
    nodes = []
    for node in graph.node:
        attributes = {each.name: _attribute(each, constants) for each in node.attribute}
        if node.op_type == "Constant":
            kept[called(node.output[0])] = next(iter(attributes.values()))["constant"]
            continue
        if node.op_type not in known:
            raise UserError(
                f"explore: the problem needs the ONNX operator {node.op_type}, which the page lacks"
            )
        ends = [[called(name) for name in part] for part in (node.input, node.output)]
        nodes.append([node.op_type, *ends, *([attributes] if attributes else [])])
    names = {part: [each.name for each in getattr(graph, part)] for part in ("input", "output")}
    return {
        "inputs": {name: called(name) for name in names["input"]},
        "outputs": {name: called(name) for name in names["output"]},
        "constants": kept,
        "nodes": nodes,
    }


def _attribute(attribute: Any, constants: dict[str, list]) -> Any:
    value = import_module("onnx.helper").get_attribute_value(attribute)
    if hasattr(value, "raw_data"):
        array = import_module("onnx.numpy_helper").to_array(value)
        return {"constant": _constant(array, constants)}
    if attribute.name.startswith("value_"):
        return {"constant": _constant(np.asarray(value), constants)}
    if isinstance(value, bytes):
        return value.decode()
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _constant(array: np.ndarray, constants: dict[str, list]) -> list:
    """[type, shape, key of the numbers]; the numbers go to `constants` as [type stored, base64]."""
    kind, stored = str(array.dtype), array
    if array.dtype == np.int64:
        kind, stored = "int32", np.clip(array, -(2**31), 2**31 - 1).astype(np.int32)
    elif array.dtype == bool:
        kind, stored = "uint8", array.astype(np.uint8)
    elif array.dtype == np.float64 and array.size > LONG:
        stored = array.astype(np.float32)
    numbers = np.ascontiguousarray(stored).tobytes()
    key = sha256(str(stored.dtype).encode() + numbers).hexdigest()[:12]
    constants[key] = [str(stored.dtype), base64.b64encode(numbers).decode()]
    return [kind, list(array.shape), key]


def _operators() -> set[str]:
    """What the page's interpreter knows, read from its code."""
    code = files("pinnlora.query").joinpath("page", "graph.js").read_text(encoding="utf-8")
    table = code[code.index("const OPS = {") : code.index("\n};", code.index("const OPS = {"))]
    return set(re.findall(r"\b([A-Z]\w+): ", table))
