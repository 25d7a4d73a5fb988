"""Unfinished training on disk: a killed job goes on where it was, on a CPU to the same last bit.

Everything that changes during training gives its `state_dict()` and takes it back by `load_state_dict()`: dicts and
lists of tensors, numbers and text. One file holds them all, tensors in safetensors and the rest in its header as JSON.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pinnlora.errors import UserError
from pinnlora.files import load_weights, save_weights
from pinnlora.temporary import remove_leftovers

MINUTES = 5.0
"""Between two checkpoints, where nothing else is said."""
TENSOR = "$tensor"  # the key in a place that a tensor was taken from
TERMINATED = 128 + signal.SIGTERM


class Checkpoint:
    """The state of a job's training, by parts; without `path` nothing is ever written.

    `identity` is what the state belongs to (the job's provenance, and its device): a file that carries another one
    is left aside.
    """

    def __init__(self, path: Path | None = None, identity: str = "", minutes: float = MINUTES) -> None:
        self.path, self.identity, self.minutes = path, identity, minutes
        self._parts: dict[str, Callable[[], dict]] = {}
        self._found: dict[str, dict] = {}
        self._written, self._asked = time.monotonic(), False
        if path is not None and path.is_file():
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            tensors, header = load_weights(path)
        except UserError as error:
            print(f"{error}: it is ignored", flush=True)
            return
        if header.get("identity") != self.identity:
            print(f"{path} is of other settings, code or inputs: it is ignored", flush=True)
            return
        print(f"training goes on from {path}", flush=True)
        self._found = _joined(header["state"], tensors)

    def part(self, name: str, state: Callable[[], dict]) -> None:
        """What gives the part `name` of the state from now on."""
        self._parts[name] = state

    def found(self, name: str) -> dict | None:
        """The part `name` of the state that was found, once; None where there is none."""
        return self._found.pop(name, None)

    def poll(self) -> None:
        """Write if it is time; after a SIGTERM write and end the process, with status 143."""
        if self.path is None or not (self._asked or time.monotonic() - self._written >= 60 * self.minutes):
            return
        tensors: dict[str, torch.Tensor] = {}
        state = _parted({name: give() for name, give in self._parts.items()}, "", tensors)
        save_weights(self.path, tensors, {"identity": self.identity, "state": state})
        self._written = time.monotonic()
        if self._asked:
            print(f"terminated; {self.path} is where training will go on", flush=True)
            raise SystemExit(TERMINATED)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Meanwhile SIGTERM waits for the next `poll`."""
        if self.path is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_asked", True))
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
        if self._asked:  # after the last poll
            raise SystemExit(TERMINATED)


@contextmanager
def checkpointed(output: Path, provenance: str, device: torch.device, minutes: float) -> Iterator[Checkpoint]:
    """The checkpoint of the job that writes `output` in the body, beside it; removed when the output is in place.

    A job without provenance has none: nobody could tell what it belongs to.
    """
    output = Path(output)
    path = output.with_name(f"{output.name}.checkpoint.safetensors")
    remove_leftovers(path)
    yield Checkpoint(path if provenance else None, f"{provenance} on {device.type}", minutes)
    path.unlink(missing_ok=True)


def numpy_state(random: np.random.Generator) -> dict[str, Any]:
    """The state of a generator, with what its children come from: scipy's samplers are such."""
    seed = random.bit_generator.seed_seq
    names = ("entropy", "spawn_key", "n_children_spawned")
    return {"seed": {name: getattr(seed, name) for name in names}, "stream": random.bit_generator.state}


def numpy_from(state: dict[str, Any]) -> np.random.Generator:
    """A generator in the state of `numpy_state`."""
    random = np.random.default_rng(np.random.SeedSequence(**state["seed"]))
    random.bit_generator.state = state["stream"]
    return random


def _parted(tree: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """The tree with names in the places of its tensors, which go into `tensors`."""
    if torch.is_tensor(tree):
        # in its own order in memory, and without repetitions: products of another layout round otherwise
        once = tree[tuple(slice(0, 1) if step == 0 else slice(None) for step in tree.stride())]
        strides = once.stride()
        order = sorted(range(tree.ndim), key=lambda axis: -strides[axis])
        tensors[name] = once.permute(order)
        return {TENSOR: name, "order": order, "shape": list(tree.shape)}
    if isinstance(tree, dict):
        return {str(key): _parted(value, f"{name}.{key}", tensors) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_parted(value, f"{name}.{k}", tensors) for k, value in enumerate(tree)]
    return tree


def _joined(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The tree with its tensors; copies, for what lies in a mapped file is not aligned and rounds otherwise."""
    if isinstance(tree, dict):
        if TENSOR in tree:
            back = [tree["order"].index(axis) for axis in range(len(tree["order"]))]
            return tensors[tree[TENSOR]].clone().permute(back).expand(tree["shape"])
        return {key: _joined(value, tensors) for key, value in tree.items()}
    return [_joined(value, tensors) for value in tree] if isinstance(tree, list) else tree
