"""`check`: what the package understood of a problem, and what is wrong with it, as far as it shows by itself."""

from __future__ import annotations

from pinnlora.errors import UserError
from pinnlora.nets.hard import hard_conditions
from pinnlora.problem.domain.base import Shape
from pinnlora.problem.load import load_problem
from pinnlora.problem.verify import verify_problem


def run(spec: str) -> None:
    """Print a summary and all findings; UserError for a problem that cannot be read, or with errors."""
    problem = load_problem(spec)
    box = problem.coords
    ends = [(box.names[axis], box.low[axis], box.high[axis]) for axis in box.looked_at]
    domain = ", ".join(f"{n} in [{a:g}, {b:g}]{' (a cycle)' * (n in box.cycles)}" for n, a, b in ends)
    domain += "".join(f", and so on to {box.names[last]}" for _, _, last in box.vectors)
    if isinstance(box, Shape) and not box.vectors:
        domain += f", of which {box.fill:.0%} or more is inside; its boundary: {', '.join(box.parts())}"
    lines = [
        ("domain", domain),
        ("fields", ", ".join(problem.fields)),
        ("task", problem.task.description),
        ("residual", f"needs {', '.join(problem.residual_signature.names)}"),
    ]
    for condition in problem.bound_conditions:
        faces = ", ".join(part.words(box) for part in condition.faces)
        lines.append(("condition", f"{condition.name} on {faces}"))
    findings = verify_problem(problem)
    lines += [(finding.severity, finding.text) for finding in findings]
    if all(finding.severity != "error" for finding in findings):
        lines += [("trial", line) for line in hard_conditions(problem, own=False).describe()]
    print(f"{problem.name}: {problem.title}")
    for kind, text in lines:
        print(f"  {kind:<11} {text}")
    errors = [finding.text for finding in findings if finding.severity == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more, see above)" if len(errors) > 1 else ""
        raise UserError(f"{errors[0]}{more}")
