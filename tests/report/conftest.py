"""Evaluations of a study that nobody ran, for tables, pages and figures."""

import numpy as np
import pytest
from synthetic import PROBLEMS, evaluation


@pytest.fixture(scope="module")
def full():
    """One a problem of the paper."""
    return [evaluation(name) for name in PROBLEMS]


@pytest.fixture
def pair():
    """Kovasznay with errors simple enough to average by hand: two test tasks, three fields."""
    dataset = evaluation("kovasznay").copy(deep=True)
    for method, rank in (("lora", "4"), ("physics", "4"), ("pinn", "full")):
        place = {"method": method, "rank": rank, "split": "test"}
        dataset["mse"].loc[place] = np.nan
        dataset["mse"].loc[place | {"task": [0, 1]}] = [[1e-9, 2e-9, 3e-9], [4e-9, 6e-9, 8e-9]]
    return dataset
