"""Numbers of trained weights, as the paper prints them, for the default network."""

from importlib.resources import files

import pandas as pd
import pytest

from pinnlora.nets.adapters import Full
from pinnlora.nets.mlp import MLP, Weights
from pinnlora.problem.load import load_problem
from pinnlora.train.settings import NetworkSettings
from pinnlora.train.setup import network_of, parametrisation_of

RANKS = (1, 2, 4, 8, 16, 32, 64)
COUNTS = {"burgers1d": (643, 21057), "kovasznay": (645, 21187), "burgers2d": (645, 21186)}


def count(name: str, rank: int | str) -> int:
    settings = NetworkSettings(conditions="soft")
    network = network_of(load_problem(name), settings)
    return parametrisation_of(network, rank, Weights((), ()), settings).size


@pytest.mark.parametrize("name", COUNTS)
def test_the_default_network_has_the_papers_counts(name):
    per_rank, full = COUNTS[name]
    assert count(name, "full") == full
    assert [count(name, rank) for rank in RANKS] == [per_rank * rank for rank in RANKS]


@pytest.mark.parametrize("table", ["table1", "table2"])
@pytest.mark.parametrize("name", ["burgers1d", "kovasznay"])
def test_every_row_of_the_papers_tables_has_our_count(name, table):
    rows = printed(table, name)
    assert len(rows) >= 9
    for rank, parameters in rows:
        assert parameters == count(name, rank), rank


def test_the_papers_counts_of_2d_burgers_contradict_each_other():
    """Table 1 has our 645 r of three inputs, but Kovasznay's 21,187; table 2 has the counts of two inputs."""
    first, second = (dict(printed(table, "burgers2d")) for table in ("table1", "table2"))
    assert first == {rank: 645 * rank for rank in RANKS} | {"full": 21187}
    assert second == {rank: 644 * rank for rank in (1, 2, 4, 8)} | {"full": 21122}
    assert Full(MLP(2, 2)).size == 21122
    assert count("burgers2d", "full") == 21186


def test_the_counts_hold_with_one_hidden_map_unadapted_only():
    settings = NetworkSettings(unadapted=(), conditions="soft")
    network = network_of(load_problem("kovasznay"), settings)
    assert parametrisation_of(network, 1, Weights((), ()), settings).size == 645 + 128


def printed(table: str, name: str) -> list[tuple[int | str, int]]:
    """(rank, parameters) of a problem's rows; networks without adapter are of rank 'full'."""
    rows = pd.read_csv(files("pinnlora") / "report" / "paper" / f"{table}.csv").query("problem == @name")
    ranks = ["full" if pd.isna(rank) or rank == "full" else int(rank) for rank in rows["rank"]]
    return list(zip(ranks, rows["parameters"], strict=True))
