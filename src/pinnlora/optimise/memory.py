"""Batches that are too large for the memory: half as many tasks from then on, with a line that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from pinnlora.errors import UserError

Result = TypeVar("Result")


def out_of_memory(error: Exception) -> bool:
    """Whether an exception says so: Python's, CUDA's, or that of torch's allocator on the CPU."""
    words = ("can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(w in str(error) for w in words)


@dataclass
class Batch:
    """How many `tasks` a step of a hypernetwork takes together."""

    tasks: int

    def step(self, take: Callable[[int], Result], on_gpu: bool) -> Result:
        """`take(tasks)`, a step that leaves the weights as they were where its memory ends: then the same of half as
        many. UserError where a single task is too large."""
        while True:
            try:
                return take(self.tasks)
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
            self._halve(on_gpu)

    def _halve(self, on_gpu: bool) -> None:
        if self.tasks == 1:
            raise UserError("a step of a single task is too large for the memory; lower points")
        print(
            f"{self.tasks} tasks a step are too large for the memory: {self.tasks // 2} from now on",
            flush=True,
        )
        self.tasks //= 2
        if on_gpu:
            torch.cuda.empty_cache()
