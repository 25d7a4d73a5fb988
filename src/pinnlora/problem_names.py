"""How a study names a problem: one of the package's by its file's name, or FILE.py:Class for one's own."""

import ast
from pathlib import Path
from typing import Any

from .settings_errors import did_you_mean

PROBLEMS = Path(__file__).parent / "problems"


def package_problems() -> list[str]:
    """The names of the problems that the package brings."""
    return sorted(path.stem for path in PROBLEMS.glob("[!_]*.py"))


def known_problem(spec: Any) -> str:
    """A problem of the package, or FILE.py:Class where the file holds such a class."""
    if not isinstance(spec, str):
        raise ValueError(f"{spec!r} is neither the name of a problem nor FILE.py:Class")
    file, colon, name = spec.rpartition(":")
    if not colon:
        if spec not in package_problems():
            raise ValueError(
                f"no problem {spec!r}{did_you_mean(spec, [*package_problems(), 'FILE.py:Class'])}"
            )
        return spec
    if not Path(file).is_file():
        raise ValueError(f"{spec}: no file {file}")
    try:
        body = ast.parse(Path(file).read_text(encoding="utf-8")).body
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ValueError(f"{spec}: {file} is not Python: {error}") from None
    classes = [node.name for node in body if isinstance(node, ast.ClassDef)]
    if name not in classes:
        raise ValueError(
            f"{spec}: no class {name!r} in {file}{did_you_mean(name, classes or ['no classes'])}"
        )
    return spec


def problem_name(spec: str) -> str:
    """The directory of a problem: its own name, or the class of FILE.py:Class in lower case."""
    return spec.rpartition(":")[2].lower()
