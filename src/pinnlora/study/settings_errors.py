"""From pydantic's findings to one plain line each: which key, what came, what was expected."""

import re
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pinnlora.errors import did_you_mean, nearest
from pinnlora.train.kinds import PartOf

BRANCH = re.compile(r"(function-\w+|dict)\[")
"""What pydantic calls the kinds of which a value may be either."""
EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}


def lines(error: ValidationError, model: type[BaseModel], prefix: tuple = ()) -> list[str]:
    """One line for each finding, in the order of the file. `prefix` stands before every path."""
    found = []
    items = error.errors()
    for item in items:
        if item["type"] == "too_short" and any(other["loc"][:-1] == item["loc"] for other in items):
            continue  # not empty, but nothing in it was right, which is said already
        if any(BRANCH.match(str(part)) for part in item["loc"]) and _of_another_branch(item):
            continue
        path = tuple(part for part in item["loc"] if part != "[key]" and not BRANCH.match(str(part)))
        found.append(f"{_dotted(prefix + path)}{_what(item, model, path)}")
    return list(dict.fromkeys(found))


def _of_another_branch(item: ErrorDetails) -> bool:
    """Of a number or a mapping, whether it is said what is wrong with it as the one that it is not."""
    return item["type"] == "dict_type" or (
        isinstance(item["input"], dict) and item["type"] != "extra_forbidden"
    )


def _dotted(path: tuple) -> str:
    text = ""
    for i, part in enumerate(path):
        if isinstance(part, int) and path[i - 1] != "ranks":
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return f"{text}: " if text else ""


def _what(item: ErrorDetails, model: type[BaseModel], path: tuple) -> str:
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    shown = "nothing" if value is None else repr(value)
    if len(shown) > 60:
        shown = f"{shown[:57]}..."
    match kind:
        case "extra_forbidden":
            return f"unknown key{did_you_mean(path[-1], _keys(model, path[:-1]))}"
        case "invalid_key":
            return "unknown key, it is no name"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            known = [part.strip("'") for part in context["expected"].replace(" or ", ", ").split(", ")]
            near = nearest(value, known)
            return f"{shown} is not one of {', '.join(known)}" + (f"; did you mean {near!r}?" if near else "")
        case "greater_than":
            return f"{shown} is not greater than {context['gt']}"
        case "greater_than_equal":
            return f"{shown} is less than {context['ge']}"
        case "less_than":
            return f"{shown} is not less than {context['lt']}"
        case "less_than_equal":
            return f"{shown} is greater than {context['le']}"
        case "too_short" | "string_too_short":
            return "is empty, give at least one"
        case "string_pattern_mismatch" if path[-1] == "results":
            return f"{shown} would be a folder named ~ here; give the whole path"
        case "string_pattern_mismatch":
            return (
                f"{shown} may only hold letters, digits, '_', '-' and '.', and starts with a letter or digit"
            )
    return f"{shown} is not {EXPECTED[kind]}" if kind in EXPECTED else f"{shown}: {item['msg']}"


def _keys(model: type[BaseModel], path: tuple) -> list[str]:
    """The keys that the mapping at this path may hold."""
    kind: Any = model
    for part in path:
        kind = get_args(kind)[1] if get_origin(kind) is dict else kind.model_fields[part].annotation
        if get_origin(kind) is Annotated:
            kind = next(extra.model for extra in get_args(kind)[1:] if isinstance(extra, PartOf))
    return list(kind.model_fields)
