"""How methods are named and drawn in every table and figure."""

from pathlib import Path

from pinnlora.files import atomic

METHOD_LABELS = {
    "pinn": "PINN",
    "finetuned": "fine-tuned PINN",
    "lora": "LoRA",
    "data": "data",
    "weights": "weights",
    "distilled": "distilled",
    "physics": "physics",
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
MARKERS = {
    "pinn": "P",
    "finetuned": "X",
    "lora": "o",
    "data": "s",
    "weights": "v",
    "distilled": "D",
    "physics": "^",
}


def method_label(method: str) -> str:
    """The name in print; an unknown method keeps its own."""
    return METHOD_LABELS.get(method, method)


def problem_label(name: str) -> str:
    """The name in print; a problem of the user's keeps its own."""
    return PROBLEM_LABELS.get(name, name)


def rc() -> dict:
    """Matplotlib settings of every figure: 8 to 9 pt type, thin lines, TrueType fonts in the PDF."""
    return {
        "font.size": 8.0,
        "axes.titlesize": 9.0,
        "axes.labelsize": 8.0,
        "xtick.labelsize": 8.0,
        "ytick.labelsize": 8.0,
        "legend.fontsize": 8.0,
        "figure.titlesize": 9.0,
        "axes.linewidth": 0.6,
        "lines.linewidth": 1.2,
        "lines.markersize": 4.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "pdf.fonttype": 42,
        "savefig.dpi": 200,
    }


def save(figure, output: Path, pdf: Path, provenance: str = "") -> None:
    """Write a figure as PDF and PNG (200 dpi), each under a temporary name first, with its provenance inside."""
    from matplotlib import rc_context

    with rc_context(rc()):
        with atomic(pdf) as temporary:
            # No date inside: the same numbers give the same bytes.
            about = {"CreationDate": None, "Keywords": f"provenance {provenance}"}
            figure.savefig(temporary, format="pdf", dpi=200, metadata=about)
        with atomic(output) as temporary:
            figure.savefig(temporary, format="png", dpi=200, metadata={"provenance": provenance})
