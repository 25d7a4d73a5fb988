"""What jobs ask for in memory, against the peaks of the default study's jobs as they were measured."""

import csv
from pathlib import Path
from statistics import median

import pytest
import torch

from pinnlora.nets.adapters import LowRank
from pinnlora.nets.mlp import MLP
from pinnlora.study.memory import MEBIBYTE, mem_mb, parameters
from pinnlora.study.settings import load_settings

ROOT = Path(__file__).parents[2]
MEASURED = {
    row["job"]: float(row["MiB"]) for row in csv.DictReader((ROOT / "benchmarks/results/memory.csv").open())
}
STAGES = {"fits": "fit", "surrogate": "hypernetwork", "evaluation": "evaluate"}


def asked(job: str) -> float:
    """MiB that the default study's job asks for."""
    name, part, *rest = job.split("/")
    problem = load_settings(ROOT / "config/config.yaml").problem(name.replace("-", "@"))
    rank = rest[-1].removeprefix("rank") if rest else "full"
    rank = rank if rank == "full" else int(rank)
    megabytes = mem_mb(problem, STAGES.get(part, part), rank, rest[0] if len(rest) > 1 else "")
    return megabytes * 1e6 / MEBIBYTE


def test_a_job_asks_for_twice_what_it_needs():
    ratios = {job: asked(job) / peak for job, peak in MEASURED.items()}
    assert len(ratios) > 80
    assert min(ratios.values()) > 1.2 and max(ratios.values()) < 4.5, ratios
    assert median(ratios.values()) == pytest.approx(2.2, abs=0.4)


@pytest.mark.parametrize("rank", [1, 4])
def test_parameters_are_nearly_those_of_the_network(rank):
    problem = load_settings({"problems": ["kovasznay"]}).problem("kovasznay")
    network = MLP(2, 3)
    adapters = LowRank(network, network.initial(1, torch.Generator()), rank)
    assert parameters(problem, rank) == pytest.approx(adapters.size, rel=0.01)
    assert parameters(problem, "full") == pytest.approx(network.size, rel=0.01)


def test_a_smaller_jacobian_asks_for_less():
    def pinn(**more) -> int:
        stage = {"optimiser": "levenberg_marquardt", "dtype": "float64", "points": 500, **more}
        return mem_mb(
            load_settings({"training": {"pinn": stage}}).problem("kovasznay"), "fit", "full", "pinn"
        )

    assert pinn(jacobian=300) < 0.6 * pinn(jacobian=1000) < 0.6 * pinn(jacobian=4000)
