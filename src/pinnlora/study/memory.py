"""How much memory each job of a study needs, from its settings alone: rows x parameters, and what it holds besides.

The counts are for a problem of EQUATIONS equations in as many coordinates, as nothing is loaded to plan; the factors are
fitted to peaks of the default study's jobs, `benchmarks/memory.py`. No torch.
"""

from itertools import pairwise

from pinnlora.study.settings import ProblemSettings
from pinnlora.train.settings import HypernetworkSettings, NetworkSettings, StageSettings

MARGIN = 2
EQUATIONS = 3
CHANNELS = 6
"""Values and derivatives that travel together."""
IMPORTS = 420
"""MiB of a job that does nothing: Python, torch, xarray."""
GRID = 50_000
"""Points of the evaluation grid."""
MEBIBYTE = 2**20
JACOBIANS, GRAMS, WEIGHTS, ACTIVATIONS = 2.0, 4.0, 8.0, 3.0
"""Times that each is held at the peak: by the method, its copies, and what lies between two of its operations."""


def mem_mb(problem: ProblemSettings, stage: str, rank: int | str = "full", which: str = "") -> int:
    """Megabytes to ask for one job, MARGIN times what it is expected to need; `which` is a fit's method or a mode."""
    match stage:
        case "tasks" | "settings" | "table" | "figure":
            need = 0.0
        case "reference":
            need = _fields(problem) + (_fits(problem, "base", "full", 1) if problem.reference == "refined" else 0)
        case "base":
            need = _fits(problem, "base", "full", 1)
        case "fit":
            need = _fits(problem, which, rank, problem.tasks.test)
        case "teachers":
            need = _fits(problem, "teachers", rank, problem.tasks.train)
        case "hypernetwork":
            need = _hypernetwork(problem, which, rank) + _fields(problem)
        case _:
            ranks = [(mode, each) for mode, each in problem.surrogates()]
            bodies = (_body(problem.hypernetwork, parameters(problem.network, each)) for _, each in ranks)
            alone = (_fits(problem, method, each, 1) for method, each in problem.fits())
            need = max(alone) + 8 * max(bodies, default=0) / MEBIBYTE + 3 * _fields(problem)
    return round(MARGIN * (IMPORTS + need) * MEBIBYTE / 1e6)


def parameters(network: NetworkSettings, rank: int | str) -> int:
    """Trained numbers of one task's network, as many as `size` of its parametrisation."""
    sides = [EQUATIONS, *[network.width] * network.hidden_layers, EQUATIONS]
    if rank == "full":
        return sum((into + 1) * out for into, out in pairwise(sides))
    maps = [pair for k, pair in enumerate(pairwise(sides)) if k not in network.unadapted]
    return int(rank) * sum(map(sum, maps))


def _fits(problem: ProblemSettings, name: str, rank: int | str, tasks: int) -> float:
    """MiB of networks of `tasks` single tasks, trained side by side."""
    stage, size = problem.stage(name, rank), parameters(problem.network, rank)
    number = 4 if stage.dtype == "float32" and stage.optimiser != "auto" else 8
    if stage.optimiser not in ("levenberg_marquardt", "auto"):
        need = ACTIVATIONS * _activations(problem.network, stage, tasks) + WEIGHTS * tasks * size
        return need * number / MEBIBYTE
    one = _rows(stage) * size  # of the Jacobian
    together = min(tasks, max(1, int(stage.jacobian * MEBIBYTE / (one * number))))
    gram = min(_rows(stage), size) ** 2
    need = together * (JACOBIANS * one + GRAMS * gram + _activations(problem.network, stage, 1))
    return (need + WEIGHTS * tasks * size) * number / MEBIBYTE


def _hypernetwork(problem: ProblemSettings, mode: str, rank: int | str) -> float:
    """MiB of a hypernetwork's training."""
    stage, size = problem.stage(mode, rank), parameters(problem.network, rank)
    number = 4 if stage.dtype == "float32" and stage.optimiser != "auto" else 8
    tasks, weights = stage.tasks_per_step, _body(problem.hypernetwork, size)
    need = WEIGHTS * weights + WEIGHTS * tasks * parameters(problem.network, "full")
    if mode != "weights":
        need += ACTIVATIONS * _activations(problem.network, stage, tasks)
    if stage.optimiser in ("gauss_newton", "auto"):
        rows = min(stage.rows, tasks * _rows(stage))
        need += JACOBIANS * rows * size + GRAMS * rows**2
    return need * number / MEBIBYTE


def _rows(stage: StageSettings) -> int:
    """Residual rows of one task: each equation at each point, and as many conditions."""
    return EQUATIONS * (stage.points + _on_faces(stage))


def _on_faces(stage: StageSettings) -> int:
    given = stage.condition_points
    return 2 * given if isinstance(given, int) else sum(given.values())


def _activations(network: NetworkSettings, stage: StageSettings, tasks: int) -> int:
    """Numbers of the jets of all hidden layers."""
    return tasks * CHANNELS * (stage.points + _on_faces(stage)) * network.width * network.hidden_layers


def _body(shape: HypernetworkSettings, outputs: int) -> int:
    """Weights of a hypernetwork."""
    return sum((into + 1) * out for into, out in pairwise((16, *shape.body, outputs)))


def _fields(problem: ProblemSettings) -> float:
    """MiB of the reference solutions of all tasks, as they are read and compared."""
    counts = problem.tasks
    return 8 * (counts.train + counts.validation + counts.test) * GRID * EQUATIONS / MEBIBYTE
