"""How methods are named and drawn in every table and figure."""

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from pinnlora.files import atomic

METHOD_LABELS = {
    "ansatz": "ansatz, N = 0",
    "base": "base network of T0",
    "pinn": "PINN",
    "finetuned": "fine-tuned PINN",
    "lora": "LoRA",
}
PROBLEM_LABELS = {"kovasznay": "Kovasznay flow", "burgers1d": "1D Burgers", "burgers2d": "2D Burgers"}
SYMBOLS = {"re": "Re", "nu": "$\\nu$"}

# Okabe and Ito's colours, which colour-blind readers can tell apart; the markers say it again in grey print.
COLOURS = {
    "pinn": "#000000",
    "finetuned": "#8c8c8c",
    "lora": "#0072B2",
    "data": "#E69F00",
    "weights": "#CC79A7",
    "distilled": "#009E73",
    "physics": "#D55E00",
}
MARKERS = dict(zip(COLOURS, "PXosvD^", strict=True))
RC: dict[Any, float] = {
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "figure.titlesize": 9.0,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,
}
"""Matplotlib settings of every figure: 8 to 9 pt type, thin lines, TrueType fonts in the PDF."""


def method_label(method: str) -> str:
    """The name in print; a mode of hypernetworks keeps its own."""
    return METHOD_LABELS.get(method, method)


def rank_label(rank: str) -> str:
    """`rank 4`, `rank found` or `full rank`."""
    return {"auto": "rank found", "full": "full rank"}.get(rank, f"rank {rank}")


def row_label(method: str, rank: str) -> str:
    """Method and rank; those that are always whole networks go without."""
    whole = method in METHOD_LABELS and method != "lora"
    return method_label(method) if whole else f"{method_label(method)}, {rank_label(rank)}"


def problem_label(name: str) -> str:
    """The name in print, `1D Burgers, plain` for a variant; a problem of the user's keeps its own."""
    family, _, variant = name.partition("-")
    return ", ".join(filter(None, [PROBLEM_LABELS.get(family, family), variant]))


def save(figure: Figure, *paths: Path, provenance: str = "") -> None:
    """Write a figure as PNG (200 dpi) or PDF, as each path's suffix says, whole or not at all, its provenance inside.

    The PNG comes last, because the workflow reads the provenance there.
    """
    with rc_context(RC):
        for path in sorted(paths, key=lambda path: path.suffix):
            # No date inside: the same numbers give the same bytes.
            about = {"CreationDate": None, "Keywords": f"provenance {provenance}"}
            about = about if path.suffix == ".pdf" else {"provenance": provenance}
            with atomic(path) as temporary:
                figure.savefig(temporary, dpi=200, metadata=about)
