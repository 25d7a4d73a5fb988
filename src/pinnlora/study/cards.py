"""One graphics card a job: jobs side by side on a machine of several cards do not crowd onto the first."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout


@contextmanager
def own_card(device: str) -> Iterator[None]:
    """Make "cuda" mean a card that no other job of this user holds; wait while all are taken.

    A card is held by a locked file in the temporary directory, which the system unlocks when the job ends, however
    it does. On the CPU nothing is held.
    """
    if device == "cpu" or not torch.cuda.is_available():
        yield
        return
    folder = Path(tempfile.gettempdir(), f"pinnlora-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    card, lock = _free_card(folder)
    try:
        torch.cuda.set_device(card)
        yield
    finally:
        lock.release()


def _free_card(folder: Path) -> tuple[int, FileLock]:
    said = False
    while True:
        for card in range(torch.cuda.device_count()):
            # by the card itself: a batch system numbers what it gives each job from 0
            lock = FileLock(folder / f"{torch.cuda.get_device_properties(card).uuid}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            return card, lock
        if not said:
            print("waiting: other jobs hold every graphics card", flush=True)
        said = True
        time.sleep(1.0)
