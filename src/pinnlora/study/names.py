"""The methods, in the order of every table and figure."""

from pinnlora.train.settings import MODES

BASELINES = ("ansatz", "base")
"""What training starts from: the trial function without its network, and the network of T0 for every task."""
PER_TASK = ("pinn", "finetuned", "lora")
METHODS = (*BASELINES, *PER_TASK, *MODES)
