"""What a row was trained with: its budget, its trial function, and where it differs from its method's other ranks."""

from collections import Counter
from collections.abc import Sequence

from pinnlora.report.style import method_label, problem_label, rank_label, row_label
from pinnlora.report.summaries import Row, is_hypernetwork, problem
from pinnlora.train.settings import PER_TASK

OPTIMISERS = {
    "adam": "Adam",
    "adam+lbfgs": "Adam + L-BFGS",
    "soap": "SOAP",
    "levenberg_marquardt": "LM",
    "gauss_newton": "GN",
}
CONDITIONED = ("base", *PER_TASK, "physics")
"""Methods trained on equations; the others learn from solutions (no conditions) or weights (no points)."""
NO_BUDGET = ("report_every",)


def budget(row: Row) -> str:
    """`GN, float64: 25 x 10 x (40 + 12)`: steps x tasks a step x (points + condition points); "" if unknown."""
    stage = row.trained("stage")
    if not stage:
        return ""
    stage = stage | row.trained("taken")  # a budget of seconds leaves fewer points
    steps = f"{stage['seconds']:g} s" if stage.get("seconds") else f"{stage['steps']:,}"
    if stage.get("lbfgs_steps"):
        steps = f"({steps} + {stage['lbfgs_steps']:,})"
    # Fits of single tasks are trained side by side, all that the job was given at every step.
    fitted = 1 if row.method == "base" else row.tasks()
    tasks = stage.get("tasks_per_step") if is_hypernetwork(row) else fitted
    points = "" if row.method == "weights" else f"{stage['points']:,}"
    if row.method in CONDITIONED:
        conditions = stage["condition_points"]
        conditions = [conditions] if isinstance(conditions, int) else conditions.values()
        points = f"({' + '.join([points, *(f'{count:,}' for count in conditions)])})"
    product = " x ".join(filter(None, [steps, f"{tasks:,}", points]))
    return f"{OPTIMISERS[stage['optimiser']]}, {stage['dtype']}: {product}"


def trial_function(row: Row) -> str:
    """What the network stands for where that is not the paper's plain fields; "" where it is."""
    network = row.trained("network")
    words = [] if network.get("formulation", "default") == "default" else [network["formulation"]]
    words += [word for word in ("symmetry", "lift") if network.get(word)]
    if network.get("conditions", "soft") != "soft":
        words.append("hard conditions")
    if network.get("input_map") == "periodic":
        words.append(f"{network['modes']} Fourier mode{'s' if network['modes'] > 1 else ''}")
    return ", ".join(words)


def exceptions(rows: Sequence[Row]) -> list[str]:
    """A note for each row whose stage is not that of most ranks of its method, or whose ranks were found."""
    notes = _found(rows)
    stages: dict[tuple[str, str], list[tuple[str, dict]]] = {}
    for row in rows:
        if row.trained("stage"):
            stage = {key: value for key, value in row.trained("stage").items() if key not in NO_BUDGET}
            stages.setdefault((problem(row.dataset), row.method), []).append((row.rank, stage))
    for (name, method), ranked in stages.items():
        most = Counter(repr(stage) for _, stage in ranked).most_common(1)[0][0]
        usual = next(stage for _, stage in ranked if repr(stage) == most)
        for rank, stage in ranked:
            if stage != usual:
                other = [
                    f"{k} {stage[k]} instead of {usual.get(k)}" for k in stage if stage[k] != usual.get(k)
                ]
                which = f"{problem_label(name)}, {method_label(method)}, {rank_label(rank)}"
                notes.append(f"Another budget: {which}: {', '.join(other)}.")
    return notes


def _found(rows: Sequence[Row]) -> list[str]:
    return [
        f"{problem_label(problem(row.dataset))}, {row_label(row.method, row.rank)}: "
        f"{', '.join(map(str, row.trained('ranks')))}, a number an adapted map, the input's first"
        f"{', with the first seed' * (row.seeds() > 1)}."
        for row in rows
        if row.trained("ranks")
    ]
