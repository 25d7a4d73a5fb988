"""Made-up evaluation files with plausible fields, for the tests of tables and figures; nothing is trained."""

import json

import numpy as np
import xarray as xr

from pinnlora.study.names import BASELINES, METHODS, MODES, PER_TASK

RANKS = ("1", "2", "4", "8", "16", "32", "64", "full")
SPLITS = ("train", "validation", "test")
LEVEL = {
    "ansatz": 2e-2,
    "base": 5e-3,
    "pinn": 4e-9,
    "finetuned": 1e-9,
    "lora": 3e-9,
    "data": 2e-6,
    "weights": 4e-4,
    "distilled": 2e-6,
    "physics": 6e-8,
}
FIELDS = {"kovasznay": ("u", "v", "p"), "burgers2d": ("u", "v"), "burgers1d": ("u",)}
PROBLEMS = tuple(FIELDS)
SIZES = {"kovasznay": (20, 20, 20), "burgers2d": (20, 20, 20), "burgers1d": (100, 20, 20)}


def evaluation(name: str = "kovasznay", smoke: bool = False) -> xr.Dataset:
    """An evaluation of one problem in the format of evaluation.nc; smoke lacks methods, ranks and modes.

    `burgers1d@plain` is the variant of a problem; only burgers1d has an ansatz.
    """
    family = name.partition("@")[0]
    generator = np.random.default_rng(len(family))
    methods = ("lora", "physics") if smoke else METHODS if family == "burgers1d" else METHODS[1:]
    ranks = ("1", "4") if smoke else RANKS
    parts = [
        _numbers(generator, family, methods, ranks),
        _histories(methods, ranks),
        showcase(family, methods),
    ]
    trained = {
        f"{method} {rank}": {"stage": stage(method, rank), "network": network(name)}
        for method in methods
        for rank in ranks
        if present(method, rank) and method != "ansatz"
    }
    settings = {
        "problem": name,
        "seed": 2023,
        "evaluation": {"figure_rank": 4, "refine_steps": 10},
        "trained": trained,
    }
    return xr.merge(parts).assign_attrs(
        problem=name,
        study="default",
        showcase_task=0,
        settings=json.dumps(settings),
        seed=2023,
        machine="Example CPU, 2 cores",
        threads=1,
        source="pinnlora 0.1.0 (commit 0123abc)",
        provenance="0123456789abcdef",
        floor_reference=1e-30 if family != "burgers1d" else 2.5e-21,
        floor_reference_note="analytic" if family != "burgers1d" else "against a doubly refined run",
        floor_grid=3e-18,
        floor_precision=7e-15,
        floor_precision_dtype="float32",
    )


def row(frame, **keys):
    """The one row of a table's frame with these values."""
    for key, value in keys.items():
        frame = frame[frame[key] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def with_found_ranks(dataset: xr.Dataset, ranks: list[int]) -> xr.Dataset:
    """The same, its rows of rank 8 now those of a rank that was found."""
    settings = json.loads(dataset.attrs["settings"])
    named = {key: key.replace(" 8", " auto") for key in settings["trained"] if key.endswith(" 8")}
    for key, name in named.items():
        settings["trained"][name] = settings["trained"].pop(key) | {"ranks": ranks}
    order = ["auto" if rank == "8" else rank for rank in dataset["rank"].values]
    return dataset.assign_coords(rank=order).assign_attrs(settings=json.dumps(settings))


def with_three_seeds(dataset: xr.Dataset) -> xr.Dataset:
    """The same, its hypernetworks trained twice more: to errors twice and six times as large."""
    names = [name for name, variable in dataset.data_vars.items() if "seed" in variable.dims]
    own, rest = dataset[names], dataset.drop_vars([*names, "seed"])
    again = own.where(own["method"].isin(MODES))
    more = []
    for place, factor in enumerate((2.0, 6.0), start=1):
        other = again.assign_coords(seed=[2023 + place])
        more.append(other.assign({name: other[name] * factor for name in names if name.startswith("mse")}))
    together = xr.concat([own, *more], "seed").transpose("method", "rank", "seed", ...)
    return xr.merge([together, rest]).assign_attrs(dataset.attrs)


def present(method: str, rank: str) -> bool:
    """Which pairs a full study trains."""
    if method in (*BASELINES, "pinn", "finetuned"):
        return rank == "full"
    return rank != "full" if method == "lora" else rank in ("1", "2", "4", "8", "full")


def stage(method: str, rank: str) -> dict:
    """A stage's settings; hypernetworks of full rank get fewer steps than the other ranks."""
    kind = "adam" if method == "weights" else "gauss_newton" if method in MODES else "levenberg_marquardt"
    steps = 8 if rank == "full" and method in MODES else 25
    counts = {"steps": steps, "lbfgs_steps": 0, "points": 40, "condition_points": 12, "tasks_per_step": 10}
    return {"optimiser": kind, "dtype": "float64", "report_every": 5} | counts


def network(name: str) -> dict:
    """The trial function: the paper's, but for 1D Burgers, unless it is plain."""
    plain = {"formulation": "default", "symmetry": False, "lift": False, "input_map": "identity", "modes": 1}
    special = {
        "formulation": "potential",
        "symmetry": True,
        "lift": True,
        "input_map": "periodic",
        "modes": 4,
    }
    return special if name == "burgers1d" else plain


def _numbers(generator, name: str, methods, ranks) -> xr.Dataset:
    sizes, fields = (SIZES.get(name, (20, 20, 20)), FIELDS.get(name, ("u",)))
    coords = {"method": list(methods), "rank": list(ranks), "split": list(SPLITS), "field": list(fields)}
    dims = ("method", "rank", "split", "task", "field")
    shape = (len(methods), len(ranks), 3, max(sizes), len(fields))
    mse, refined = np.full(shape, np.nan), np.full(shape, np.nan)
    per_pair = {key: np.full(shape[:2], np.nan) for key in NUMBERS}
    for (i, method), (j, rank) in ((m, r) for m in enumerate(methods) for r in enumerate(ranks)):
        if not present(method, rank):
            continue
        for k, size in enumerate(sizes):
            if method in PER_TASK and SPLITS[k] != "test":
                continue
            level = LEVEL[method] * (300 if rank == "full" and method in MODES else 1)
            level *= 1 + 30 / (j + 1) ** 2
            mse[i, j, k, :size] = level * np.exp(generator.normal(0, 1, (size, len(fields))))
        if method == "physics" and rank == "4":
            refined[i, j, 2, : sizes[2]] = mse[i, j, 2, : sizes[2]] * 1e-3
        for key, value in numbers(method, rank).items():
            per_pair[key][i, j] = value
    data = {"mse": (dims, mse), "relative_l2": (dims, np.sqrt(mse)), "mse_refined": (dims, refined)}
    data["mse_front"] = (dims, mse * 20 if name == "burgers2d" else np.full(shape, np.nan))
    data |= {key: (("method", "rank"), value) for key, value in per_pair.items()}
    return _of_one_seed(xr.Dataset(data, coords=coords))


def _of_one_seed(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.map(lambda variable: variable.expand_dims(seed=[2023], axis=2))


NUMBERS = (
    "parameters", "seconds", "iterations", "seconds_base", "seconds_reference", "seconds_teachers",
    "seconds_new_task", "seconds_refine",
)  # fmt: skip


def numbers(method: str, rank: str) -> dict[str, float]:
    """Counts and seconds of one row; what it does not use is left out."""
    if method == "ansatz":
        return {"parameters": 0}
    place = METHODS.index(method)
    found = {"parameters": 21187 if rank == "full" else 645 * int(rank)}
    found |= {"seconds": 40.0 + 7 * place, "iterations": stage(method, rank)["steps"]}
    if method in ("finetuned", "lora", *MODES):
        found["seconds_base"] = 20.0
    if method == "data":
        found["seconds_reference"] = 3.0
    if method in ("weights", "distilled"):
        found["seconds_teachers"] = 50.0
    if method in PER_TASK and (method != "lora" or rank == "4"):
        found["seconds_new_task"] = 30.0 / place
    if method in MODES:
        found["seconds_new_task"] = 0.004
    if method == "physics" and rank == "4":
        found["seconds_refine"] = 0.35
    return found


def _histories(methods, ranks, samples: int = 60) -> xr.Dataset:
    """Errors at the best validation loss so far: they may rise."""
    shape = (len(methods), len(ranks), samples)
    seconds, mse = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, method in enumerate(methods):
        for j, rank in enumerate(ranks):
            if present(method, rank) and method not in BASELINES:
                progress = np.linspace(0, 1, samples)
                seconds[i, j] = (40 + 30 * i) * progress
                wave = 1 + 0.2 * np.sin(40 * progress)
                mse[i, j] = 0.3 * (LEVEL[method] / 0.3) ** np.sqrt(progress) * wave
    dims = ("method", "rank", "sample")
    coords = {"method": list(methods), "rank": list(ranks)}
    data = {"history_seconds": (dims, seconds), "history_mse": (dims, mse)}
    return _of_one_seed(xr.Dataset(data, coords=coords))


def showcase(name: str, methods) -> xr.Dataset:
    """The showcase part: smooth and front-like errors of a size that goes with each method."""
    grid, reference, parameters = fields(name)
    labels = [
        m if m in ("pinn", "finetuned") else f"{m} rank 4" for m in methods if m not in (*BASELINES, "pinn")
    ]
    dims = tuple(grid)
    points = np.meshgrid(*grid.values(), indexing="ij")
    predictions = []
    for number, label in enumerate(labels, start=1):
        wave = np.prod([np.sin((2 + number + k) * np.pi * p + number) for k, p in enumerate(points)], axis=0)
        steep = np.abs(np.gradient(reference[0], axis=0))
        shape = wave * (0.3 + steep / max(steep.max(), 1e-12))
        predictions.append(reference + 3 * np.sqrt(LEVEL[label.split(" ")[0]]) * shape)
    names = FIELDS.get(name, ("u",))[: len(reference)]
    data = {
        "showcase_reference": (("field", *dims), reference),
        "showcase_prediction": (("showcase_method", "field", *dims), np.array(predictions)),
    }
    data |= {f"task_{key}": (("split", "task"), np.full((3, 20), value)) for key, value in parameters.items()}
    coords = {"field": list(names), "showcase_method": labels, "split": list(SPLITS)} | grid
    return xr.Dataset(data, coords=coords)


def fields(name: str) -> tuple[dict, np.ndarray, dict]:
    """Grid, reference (field, grid...) and task parameters of a test problem."""
    if name == "kovasznay":
        x, y = np.linspace(0, 1, 101), np.linspace(0, 1, 101)
        rate = 21.15 - np.sqrt(21.15**2 + 4 * np.pi**2)
        e, a = np.exp(rate * x)[:, None], 2 * np.pi * y
        u, v = 1 - e * np.cos(a), rate / (2 * np.pi) * e * np.sin(a)
        return {"x": x, "y": y}, np.stack([u, v, (1 - e**2) / 2 + 0 * y]), {"re": 42.3}
    if name == "burgers2d":
        x, y, t = np.linspace(0, 1, 101), np.linspace(0, 1, 101), np.linspace(0, 1, 11)
        z = (4 * x[:, None, None] - 4 * y[:, None] + t) / (32 * 5e-4)
        s = 1 / (1 + np.exp(np.clip(-z, -500, 500)))
        return {"x": x, "y": y, "t": t}, np.stack([0.75 - s / 4, 0.75 + s / 4]), {"nu": 5e-4}
    if name == "burgers1d":
        x, t = np.arange(128) / 128, np.linspace(0, 1, 101)
        steep = 2 + 12 * t
        wave = np.sin(2 * np.pi * (x[:, None] - 0.1 * t)) * np.exp(-0.6 * t)
        return {"x": x, "t": t}, np.tanh(steep * wave)[None] * np.exp(-t), {}
    if name == "heat":
        x, t = np.linspace(0, 1, 65), np.linspace(0, 1, 41)
        return {"x": x, "t": t}, (np.sin(np.pi * x)[:, None] * np.exp(-t))[None], {"alpha": 0.05}
    if name == "rod":
        x = np.linspace(0, 1, 65)
        return {"x": x}, np.sin(np.pi * x)[None], {"alpha": 0.05}
    raise ValueError(name)
