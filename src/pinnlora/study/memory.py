"""How much memory each job of a study needs, from its settings alone: rows x parameters, and what it holds besides.

A problem is taken to have as many equations as fields, and three coordinates, as nothing is loaded to plan. The factors
are fitted to the peaks of the default study's jobs (benchmarks/results/memory.csv). No torch.
"""

from itertools import pairwise

from pinnlora.problem.load import field_count
from pinnlora.study.settings import ProblemSettings
from pinnlora.train.settings import HypernetworkSettings, NetworkSettings, StageSettings

MARGIN = 2
COORDINATES, FIELDS, GRID = 3, 3, 50_000
"""Of a problem: its coordinates and points of its grid at most, and its fields where its text does not say."""
CHANNELS = 6
"""Values and derivatives that travel together."""
IMPORTS, CALIBRATION = 330, 150
"""MiB of a job that does nothing but import torch and xarray, and of what follows a hypernetwork's training."""
JACOBIANS, GRAMS, WEIGHTS, ACTIVATIONS = 2, 4, 20, 3
"""Times that each is held at the peak: by the method, in copies, and between two operations."""
MEBIBYTE = 2**20


def mem_mb(problem: ProblemSettings, stage: str, rank: int | str = "full", which: str = "") -> int:
    """Megabytes to ask for one job, MARGIN times what it is expected to need; `which` is a fit's method or a mode."""
    match stage:
        case "tasks":
            need = 0.0
        case "reference":
            refined = problem.reference == "refined"
            need = _fields(problem) + (_fits(problem, "base", "full", 1) if refined else 0)
        case "base":
            need = _fits(problem, "base", "full", 1)
        case "fit":
            need = _fits(problem, which, rank, problem.tasks.test)
        case "teachers":
            need = _fits(problem, "teachers", rank, problem.tasks.train)
        case "hypernetwork":
            need = _hypernetwork(problem, which, rank) + _fields(problem)
        case _:  # evaluation: the largest hypernetwork, and one more task fitted by each method
            outputs = [parameters(problem, rank) for rank in problem.hypernetwork_ranks if problem.modes]
            bodies = [_body(problem.hypernetwork, size) for size in outputs]
            alone = [_fits(problem, method, rank, 1) for method, rank in problem.fits()]
            need = max(alone) + WEIGHTS * max(bodies, default=0) * 8 / MEBIBYTE + 2 * _fields(problem)
    return round(MARGIN * (IMPORTS + need) * MEBIBYTE / 1e6)


def parameters(problem: ProblemSettings, rank: int | str) -> int:
    """Trained numbers of one task: all weights of the network, or its adapters' of this rank; the most that there are
    while ranks are being found."""
    rank = problem.hypernetwork.largest_rank if rank == "auto" else rank
    network = problem.network
    sides = [COORDINATES, *[network.width] * network.hidden_layers, _count(problem)]
    if rank == "full":
        return sum((into + 1) * out for into, out in pairwise(sides))
    maps = [pair for k, pair in enumerate(pairwise(sides)) if k not in network.unadapted]
    return int(rank) * sum(map(sum, maps))


def _count(problem: ProblemSettings) -> int:
    return field_count(problem.spec) or FIELDS


def _fits(problem: ProblemSettings, name: str, rank: int | str, tasks: int) -> float:
    """MiB of networks of single tasks, so many of them trained side by side."""
    stage, size = problem.stage(name, rank), parameters(problem, rank)
    number, points = _bytes(stage), stage.points + _on_faces(stage)
    held = WEIGHTS * tasks * size
    if stage.optimiser not in ("levenberg_marquardt", "auto"):
        return number * (held + ACTIVATIONS * _activations(problem.network, tasks * points)) / MEBIBYTE
    rows = _count(problem) * points
    together = max(1, min(tasks, int(stage.jacobian * 1e6 / (rows * size * number))))
    each = JACOBIANS * rows * size + GRAMS * min(rows, size) ** 2 + _activations(problem.network, points)
    return number * (held + together * each) / MEBIBYTE


def _hypernetwork(problem: ProblemSettings, mode: str, rank: int | str) -> float:
    """MiB of a hypernetwork's training."""
    stage, size = problem.stage(mode, rank), parameters(problem, rank)
    points = {"weights": 0, "physics": stage.points + _on_faces(stage)}.get(mode, stage.points)
    tasks = stage.tasks_per_step
    need = WEIGHTS * (_body(problem.hypernetwork, size) + tasks * parameters(problem, "full"))
    need += ACTIVATIONS * _activations(problem.network, tasks * points)
    if stage.optimiser in ("gauss_newton", "auto"):
        rows = min(stage.rows, tasks * _count(problem) * points)
        need += JACOBIANS * rows * size + GRAMS * rows**2
    return _bytes(stage) * need / MEBIBYTE + CALIBRATION


def _bytes(stage: StageSettings) -> int:
    """Of a number."""
    return 4 if stage.dtype == "float32" and stage.optimiser != "auto" else 8


def _on_faces(stage: StageSettings) -> int:
    """Points of all conditions, taken to be two where their number is not known."""
    given = stage.condition_points
    return 2 * given if isinstance(given, int) else sum(given.values())


def _activations(network: NetworkSettings, points: int) -> int:
    """Numbers of the jets of all hidden layers."""
    return CHANNELS * points * network.width * network.hidden_layers


def _body(shape: HypernetworkSettings, outputs: int) -> int:
    """Weights of a hypernetwork."""
    return sum((into + 1) * out for into, out in pairwise((16, *shape.body, outputs)))


def _fields(problem: ProblemSettings) -> float:
    """MiB of the reference solutions of all tasks, as they are read and compared."""
    counts = problem.tasks
    return 8 * (counts.train + counts.validation + counts.test) * GRID * _count(problem) / MEBIBYTE
