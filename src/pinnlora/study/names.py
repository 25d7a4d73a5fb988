"""The methods, in the order of every table and figure."""

from pinnlora.train.kinds import NAMED_RANKS
from pinnlora.train.settings import MODES, PER_TASK

BASELINES = ("ansatz", "base")
"""What training starts from: the trial function without its network, and the network of T0 for every task."""
METHODS = (*BASELINES, *PER_TASK, *MODES)


def rank_value(rank: str) -> float:
    """A rank as a number to sort by: `auto` comes after all numbers, `full` last."""
    return 1e9 * (1 + NAMED_RANKS.index(rank)) if rank in NAMED_RANKS else float(rank)
