"""Hypernetworks that predict low-rank corrections to physics-informed neural networks."""

from __future__ import annotations

__all__ = [
    "Ball", "Box", "Condition", "Cycle", "Disk", "GaussianField", "LogUniform", "Periodic", "Polygon", "Problem",
    "Uniform", "Vector", "load",
]  # fmt: skip
__version__ = "0.1.0"

_HOMES = {
    "Ball": "problem.domain.round",
    "Box": "problem.domain.box",
    "Cycle": "problem.domain.box",
    "Disk": "problem.domain.round",
    "Polygon": "problem.domain.polygon",
    "Vector": "problem.domain.vector",
    "Condition": "problem.signature",
    "Periodic": "problem.signature",
    "Problem": "problem.base",
    "Uniform": "problem.scalars",
    "LogUniform": "problem.scalars",
    "GaussianField": "problem.gaussian_field",
    "load": "query.load",
}


def __getattr__(name: str):
    """Import the public names when they are first used, so that `import pinnlora` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pinnlora' has no attribute {name!r}: it offers {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
