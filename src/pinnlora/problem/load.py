"""How a problem is named and found: one of the package's by its file's name, or FILE.py:Class for one's own.

NAME@VARIANT is the same problem once more in one study, under other settings and in a directory of its own.

Torch is imported only when a problem is loaded: the workflow reads names.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnlora.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from pinnlora.problem.base import Problem

LIBRARY = Path(__file__).parent / "library"


def package_problems() -> list[str]:
    """The names of the problems that the package brings."""
    return sorted(path.stem for path in LIBRARY.glob("[!_]*.py"))


def known_problem(spec: Any) -> str:
    """A problem of the package, or FILE.py:Class where the file holds such a class."""
    if not isinstance(spec, str):
        raise ValueError(f"{spec!r} is neither the name of a problem nor FILE.py:Class")
    plain, at, variant = spec.partition("@")
    if at and not variant.isidentifier():
        raise ValueError(
            f"{spec}: {variant!r} is no name of a variant: letters, digits and _, as in burgers1d@plain"
        )
    file, colon, name = plain.rpartition(":")
    if not colon:
        if plain not in package_problems():
            raise ValueError(
                f"no problem {plain!r}{did_you_mean(plain, [*package_problems(), 'FILE.py:Class'])}"
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
    """The directory of a problem: its own name, or the class of FILE.py:Class in lower case; its variant behind it."""
    return spec.rpartition(":")[2].lower().replace("@", "-")


def problem_file(spec: str) -> Path:
    """The file of a problem, given by its name or as FILE.py:Class."""
    spec = spec.partition("@")[0]
    file, colon, _ = spec.rpartition(":")
    return Path(file) if colon else LIBRARY / f"{spec}.py"


def load_problem(spec: str) -> Problem:
    """The problem named `spec`: one of this package's, or FILE.py:Class; UserError says what is wrong."""
    spec = spec.partition("@")[0]
    path, _, name = spec.rpartition(":")
    if path:
        return _load_file(Path(path), name)
    if spec not in package_problems():
        raise UserError(
            f"problem {spec!r} is not known{did_you_mean(spec, [*package_problems(), 'FILE.py:Class'])}"
        )
    return importlib.import_module(f"pinnlora.problem.library.{spec}").PROBLEM()


def _load_file(path: Path, name: str) -> Problem:
    from pinnlora.problem.base import Problem

    if not path.is_file():
        raise UserError(f"problem file {path} does not exist: expected FILE.py:Class with an existing file")
    place = zlib.crc32(str(path.resolve()).encode())  # two files of one name are two modules
    module_spec = importlib.util.spec_from_file_location(f"pinnlora_user_{path.stem}_{place:08x}", path)
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module.__name__] = module  # dataclasses and typing look a class's module up
    try:
        with _beside(path.resolve().parent):
            module_spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file may do
        del sys.modules[module.__name__]
        raise UserError(f"{path}: {type(error).__name__}: {' '.join(str(error).split())}") from error
    cls = getattr(module, name, None)
    if not (isinstance(cls, type) and issubclass(cls, Problem)):
        found = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Problem)]
        raise UserError(
            f"{path} has no problem {name!r}: it defines {', '.join(n for n in found if n != 'Problem')}"
        )
    return cls()


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Modules beside a problem's file can be imported by it, also where another folder has some of the same names."""
    theirs = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    others = {str(Path(m.__file__).parent) for n, m in sys.modules.items() if n.startswith("pinnlora_user_")}
    for name in theirs & set(sys.modules):
        place = str(Path(getattr(sys.modules[name], "__file__", None) or "/").parent)
        if place in others and place != str(folder):
            del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
