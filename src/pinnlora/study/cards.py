"""One graphics card a job: jobs side by side on a machine of several cards do not crowd onto the first."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def own_card(device: str | None) -> Iterator[None]:
    """Make "cuda" mean a card that no other job of this user holds; wait while all are taken.

    A card is held by a locked file in the temporary directory, which the system unlocks when the job ends,
    however it does. The file is named by the card itself: a batch system numbers what it gives each job from 0.
    None and "cpu" need no card, nor torch to be imported.
    """
    if device in (None, "cpu"):
        yield
        return
    import torch

    cards = range(torch.cuda.device_count())
    names = [f"pinnlora-{os.getuid()}-{torch.cuda.get_device_properties(card).uuid}.lock" for card in cards]
    locks = [FileLock(Path(tempfile.gettempdir(), name)) for name in names]
    if not locks:
        yield
        return
    card = _first_free(locks)
    if card is None:
        print(f"waiting: other jobs hold all graphics cards, {len(locks)}", flush=True)
    while card is None:
        time.sleep(1.0)
        card = _first_free(locks)
    torch.cuda.set_device(card)
    try:
        yield
    finally:
        locks[card].release()


def _first_free(locks: list[FileLock]) -> int | None:
    return next((card for card, lock in enumerate(locks) if _taken(lock)), None)


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True
