"""`check`: what the package understood of a problem, and whether its exact solution solves it."""

from __future__ import annotations

import numpy as np
import torch

from pinnlora.errors import UserError
from pinnlora.problem.base import Problem
from pinnlora.problem.load import load_problem
from pinnlora.problem.verify import residual_of_exact


def run(spec: str) -> None:
    """Print a summary; a problem that cannot be read is a UserError."""
    problem = load_problem(spec)
    box = problem.coords
    domain = ", ".join(f"{n} in [{a:g}, {b:g}]" for n, a, b in zip(box.names, box.low, box.high, strict=True))
    print(f"{problem.name}: {problem.title}")
    print(f"  domain      {domain}")
    print(f"  fields      {', '.join(problem.fields)}")
    print(f"  task        {problem.task.description}")
    print(f"  residual    needs {', '.join(problem.residual_signature.names)}")
    for condition in problem.bound_conditions:
        faces = ", ".join(f"{box.names[f.axis]}={f.value:g}" for f in condition.faces)
        print(f"  condition   {condition.name} on {faces}")
    _exact(problem)


def _exact(problem: Problem) -> None:
    if problem.exact_signature is None:
        print("  exact       none; errors need exact() or reference()")
        return
    values = problem.task.sample(3, np.random.default_rng(0))
    tensors = {name: torch.as_tensor(value) for name, value in values.items()}
    wrong: list[str] = []
    for name, (residual, size) in residual_of_exact(problem, tensors, points=200).items():
        verdict = "solves" if residual <= 1e-9 * size else "DOES NOT SOLVE"
        print(f"  exact       {verdict} {name}: residual {residual:.1e}, terms of size {size:.1e}")
        wrong = [*wrong, name] if residual > 1e-9 * size else wrong
    if wrong:
        raise UserError(
            f"{problem.name}: exact() does not solve {', '.join(wrong)}; check it against residual()"
        )
