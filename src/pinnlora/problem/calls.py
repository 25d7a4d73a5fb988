"""Calling a function that a user wrote, so that whatever goes wrong in it is one line that says what to change."""

from __future__ import annotations

import os
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pinnlora.errors import UserError

MANY = "take one number, but arguments hold many points and tasks at once; use"
ADVICE = {
    "Boolean value of Tensor": f"`if`, `and`, min() and max() {MANY} torch.where(condition, a, b) or torch.maximum",
    "converted to": f"math functions and float() {MANY} those of torch: torch.sin for math.sin",
    "numpy": "numpy does not work on tensors that are differentiated; use the functions of torch: torch.sin for np.sin",
    "must be Tensor, not": "functions of torch take tensors; for a plain number use math",
    "is not defined": "import it at the top of the file, functions such as sin from torch",
}
"""What a piece of an exception's text most often means here."""

ELSEWHERE = (
    f"{Path(__file__).parents[1]}{os.sep}",
    *(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")),
)
"""Where files are that no user wrote; this package first."""


def rows_of(where: str, call: Callable[[], Any], shape: tuple[int, int], full: bool) -> dict[str, Tensor]:
    """The named values, (task, point) each, that `call` returns; UserError "`where`: ..." for anything else.

    With `full` every row has to have a value of its own at each point; otherwise numbers and (task, 1) spread.
    """
    example = "a dict of names and values such as {'heat': u_t - u_xx}"
    found = guarded(where, call)
    if found is None:
        raise UserError(f"{where}: returns nothing; end it with `return`, and {example}")
    if not isinstance(found, Mapping):
        raise UserError(f"{where}: returns a {type(found).__name__}; expected {example}")
    if not found:
        raise UserError(f"{where}: returns an empty dict; expected {example}")
    return {name: tensor_of(f"{where}: {name!r}", value, shape, full) for name, value in found.items()}


def tensor_of(where: str, value: Any, shape: tuple[int, int], full: bool = False) -> Tensor:
    """`value` as (task, point), float64; UserError for what does not fit there."""
    if not isinstance(value, Tensor):
        if full or isinstance(value, bool) or not isinstance(value, int | float):
            kind = f"the number {value}" if isinstance(value, int | float) else f"a {type(value).__name__}"
            raise UserError(
                f"{where} is {kind}; expected a tensor computed from the arguments, one value a point"
            )
        value = torch.tensor(float(value), dtype=torch.float64)
    if value.dtype == torch.bool:
        raise UserError(f"{where} is true or false; expected numbers, such as torch.where(x > 0.5, 1.0, 0.0)")
    if value.shape != shape and (full or not _spreads(value, shape)):
        raise UserError(
            f"{where} has shape {tuple(value.shape)}; expected {shape} for {shape[0]} tasks and {shape[1]} points: "
            "compute it point by point from the arguments, without sums, means or indices"
        )
    return value.expand(shape)


def guarded(where: str, call: Callable[[], Any]) -> Any:
    """What `call` returns; UserError in one line, with advice, for any exception."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is found in the values
            return call()
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's function may do
        raise UserError(f"{where}: {explained(error)}") from error


def explained(error: BaseException) -> str:
    """An exception in one line: where it happened in the user's file, what it most often means, its own words."""
    text = " ".join(str(error).split())
    files = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    theirs = [line for file, line in files if not file.startswith(("<", *ELSEWHERE))]
    line = f"line {theirs[-1]}: " if theirs else ""
    if files and files[-1][0].startswith(ELSEWHERE[0]):
        return line + text  # this package speaks for itself
    advice = next((words for piece, words in ADVICE.items() if piece in text), "")
    own_words = f"{type(error).__name__}: {text}"
    return f"{line}{advice} ({own_words})" if advice else line + own_words


def _spreads(value: Tensor, shape: tuple[int, int]) -> bool:
    try:
        return torch.broadcast_shapes(value.shape, shape) == shape
    except RuntimeError:
        return False
