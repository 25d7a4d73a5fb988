"""Kinds of values in settings: numbers as YAML writes them, ranks, and any part of a model's keys. Free of torch."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainValidator,
    WithJsonSchema,
    create_model,
)
from pydantic_core import CoreSchema


class Strict(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _number(value: Any) -> Any:
    """Let '1e-3' through, which YAML 1.1 reads as text, and keep true and false out."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def start(value: Any) -> float | str:
    """Where a continuation starts: a number, or 'base', T0's own value."""
    value = _number(value)
    if value == "base":
        return "base"
    if not (isinstance(value, int | float) and math.isfinite(value)):
        raise ValueError(f"{value!r} is neither a number nor base (T0's own value)")
    return float(value)


NAMED_RANKS = ("auto", "full")
"""Those that are no numbers: ranks found by training, and whole networks."""


def rank_or_name(value: Any) -> int | str:
    """A positive whole number, also as text, 'auto' or 'full'."""
    if value in NAMED_RANKS:
        return value
    return positive_rank(value, "a positive rank, 'auto' or 'full'")


def positive_rank(value: Any, expected: str = "a positive rank") -> int:
    """A whole number above 0, also as text; ValueError for anything else, saying what was `expected`."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not {expected}")
    return value


def adapter_rank(value: Any) -> int:
    """A rank of an adapter; 'auto' is refused, for a single task has no other to compare with, and 'full', because it
    has none."""
    if value == "auto":
        raise ValueError("'auto' finds ranks over many tasks: it is for hypernetwork_ranks")
    if value == "full":
        raise ValueError("'full' has no adapter; fits of full rank are the methods pinn and finetuned")
    return positive_rank(value)


A_RANK = {"type": "integer", "minimum": 1}
Rank = Annotated[
    int | str, PlainValidator(rank_or_name), WithJsonSchema({"anyOf": [A_RANK, {"enum": list(NAMED_RANKS)}]})
]
AdapterRank = Annotated[int, PlainValidator(adapter_rank), WithJsonSchema(A_RANK)]
Start = Annotated[
    float | Literal["base"],
    PlainValidator(start),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"const": "base"}]}),
]
Integer = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Integer, Field(gt=0)]
Count = Annotated[Integer, Field(ge=0)]
PositiveReal = Annotated[Real, Field(gt=0)]


@cache
def partial(model: type[BaseModel]) -> type[Strict]:
    """The same keys and types, none required and none filled in: what an override may say."""
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = partial(kind)
        for extra in field.metadata:
            kind = Annotated[kind, extra]
        fields[name] = (kind, None)
    return create_model(f"Partial{model.__name__}", __base__=Strict, **fields)


@dataclass(frozen=True)
class PartOf:
    """Says of a field of type Strict that it holds any of a model's keys (`partial`)."""

    model: type[BaseModel]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler(partial(self.model))
