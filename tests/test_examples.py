"""Every problem in examples/ passes `check` without a warning, is short, and says how it is trained."""

import ast
from pathlib import Path

import pytest

from pinnlora.problem.load import load_problem
from pinnlora.problem.verify import verify_problem

EXAMPLES = Path(__file__).parents[1] / "examples"


def classes(path: Path) -> list[str]:
    """The problems of a file."""
    nodes = ast.parse(path.read_text()).body
    return [n.name for n in nodes if isinstance(n, ast.ClassDef) and "Problem" in map(ast.unparse, n.bases)]


PROBLEMS = [(path, name) for path in sorted(EXAMPLES.glob("*.py")) for name in classes(path)]


@pytest.mark.parametrize(("path", "name"), PROBLEMS, ids=lambda part: getattr(part, "stem", part))
def test_an_example_is_a_problem_without_fault(path, name):
    found = verify_problem(load_problem(f"{path}:{name}"))
    assert {finding.severity for finding in found} == {"note"}, found
    assert len(path.read_text().splitlines()) <= 40
    assert f"pinnlora train examples/{path.name}:{name} --minutes" in ast.get_docstring(
        ast.parse(path.read_text())
    )


def test_the_benchmark_measures_examples_that_are_there():
    from examples import PROBLEMS as measured

    assert {(name, entry.cls) for name, entry in measured.items()} <= {(p.stem, n) for p, n in PROBLEMS}
    assert len(measured) >= 16


def test_every_example_stands_in_the_table_of_contents():
    text = (EXAMPLES / "README.md").read_text()
    assert all(f"`{path.name}`" in text for path in EXAMPLES.glob("*.py"))
