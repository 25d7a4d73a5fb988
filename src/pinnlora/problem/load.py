"""How a problem is named and found: one of the package's by its file's name, or FILE.py:Class for one's own.

NAME@VARIANT is the same problem once more in one study, under other settings and in a directory of its own.

Torch is imported only when a problem is loaded: the workflow reads names.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pinnlora.errors import UserError, did_you_mean
from pinnlora.problem.code import carried, declared

if TYPE_CHECKING:
    from pinnlora.problem.base import Problem

LIBRARY = Path(__file__).parent / "library"


def package_problems() -> list[str]:
    """The names of the problems that the package brings."""
    return sorted(path.stem for path in LIBRARY.glob("[!_]*.py"))


@dataclass(frozen=True)
class Spec:
    """NAME, or FILE.py:Class, and @VARIANT behind either, taken apart; `file` is None for the package's own."""

    file: Path | None
    name: str
    variant: str

    @classmethod
    def of(cls, text: str) -> Spec:
        """Any text can be taken apart; `known_problem` says whether it makes sense."""
        file, colon, last = text.rpartition(":")  # a path may hold @ too
        name, _, variant = last.partition("@")
        return cls(Path(file) if colon else None, name, variant)

    def wrong_variant(self, text: str) -> str:
        """What is wrong with what stands behind @ in `text`, or nothing."""
        if "@" not in text.rpartition(":")[2] or self.variant.isidentifier():
            return ""
        return f"{text}: {self.variant!r} is no name of a variant: letters, digits and _"


def known_problem(text: Any) -> str:
    """The same text, if it names a problem of the package, or a class in a file of one's own; else ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is neither the name of a problem nor FILE.py:Class")
    spec = Spec.of(text)
    if wrong := spec.wrong_variant(text):
        raise ValueError(wrong)
    if spec.file is None:
        if spec.name not in package_problems():
            raise ValueError(
                f"no problem {spec.name!r}{did_you_mean(spec.name, [*package_problems(), 'FILE.py:Class'])}"
            )
        return text
    if not spec.file.is_file():
        raise ValueError(f"{text}: no file {spec.file}")
    try:
        body = ast.parse(spec.file.read_text(encoding="utf-8")).body
        declared(spec.file)
    except UserError as error:
        raise ValueError(f"{text}: {error}") from None
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{text}: {spec.file} is not Python: {error}") from None
    classes = [node.name for node in body if isinstance(node, ast.ClassDef)]
    if spec.name not in classes:
        near = did_you_mean(spec.name, classes or ["no classes"])
        raise ValueError(f"{text}: no class {spec.name!r} in {spec.file}{near}")
    return text


def has_reference(text: str) -> bool:
    """Whether a problem has reference solutions, by its text: true too where a base class elsewhere may bring them."""
    spec = Spec.of(text)
    if spec.file is None:
        return True
    body = ast.parse(spec.file.read_text(encoding="utf-8")).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}

    def found(node: ast.ClassDef) -> bool:
        bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
        return any(getattr(part, "name", None) in ("exact", "reference") for part in node.body) or any(
            found(classes[base]) if base in classes else base != "Problem" for base in bases
        )

    return found(classes[spec.name])


@cache
def field_count(text: str) -> int | None:
    """How many fields a problem has, by its text; None where they are not written out in its own class."""
    body = ast.parse(problem_file(text).read_text(encoding="utf-8")).body
    spec = Spec.of(text)
    for node in body:
        if isinstance(node, ast.ClassDef) and spec.name in (node.name, node.name.lower()):
            for part in node.body:
                if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "fields":
                    return len(part.value.elts) if isinstance(part.value, ast.Tuple | ast.List) else None
    return None


def problem_name(text: str) -> str:
    """The directory of a problem: its own name, or the class of FILE.py:Class in lower case; its variant behind it."""
    spec = Spec.of(text)
    return "-".join(filter(None, (spec.name.lower(), spec.variant)))


def problem_file(text: str) -> Path:
    """The file of a problem."""
    spec = Spec.of(text)
    return spec.file or LIBRARY / f"{spec.name}.py"


def load_problem(text: str) -> Problem:
    """The problem named `text`: one of this package's, or FILE.py:Class; UserError says what is wrong."""
    spec = Spec.of(text)
    if wrong := spec.wrong_variant(text):
        raise UserError(wrong)
    if spec.file is not None:
        return _load_file(spec.file, spec.name)
    if spec.name not in package_problems():
        known = did_you_mean(spec.name, [*package_problems(), "FILE.py:Class"])
        raise UserError(f"problem {spec.name!r} is not known{known}")
    return importlib.import_module(f"pinnlora.problem.library.{spec.name}").PROBLEM()


def _load_file(path: Path, name: str) -> Problem:
    from pinnlora.problem.base import Problem
    from pinnlora.problem.calls import explained

    if not path.is_file():
        raise UserError(f"problem file {path} does not exist: expected FILE.py:Class with an existing file")
    place = zlib.crc32(str(path.resolve()).encode())  # two files of one name are two modules
    module = ModuleType(f"pinnlora_user_{path.stem}_{place:08x}")
    module.__file__ = str(path.resolve())
    sys.modules[module.__name__] = module  # dataclasses and typing look a class's module up
    try:
        carried(path)  # all that it needs is there, and can go into a bundle
        with _beside(path.resolve().parent):
            broken = _run(path, module)
        if name in broken:
            raise broken[name]
        cls = getattr(module, name, None)
        if isinstance(cls, type) and issubclass(cls, Problem) and cls is not Problem:
            return cls()
    except (Exception, SystemExit) as error:  # whatever a user's file may do
        del sys.modules[module.__name__]
        raise UserError(f"{path}: {explained(error)}") from error
    own = [
        n
        for n, v in vars(module).items()
        if isinstance(v, type) and issubclass(v, Problem) and v is not Problem
    ]
    raise UserError(f"{path} has no problem {name!r}: it defines {', '.join([*own, *broken]) or 'none'}")


def _run(path: Path, module: ModuleType) -> dict[str, Exception]:
    """Run a file statement by statement; the classes that could not be made, with what was wrong with each.

    A class that fails blocks neither the others of its file nor their use.
    """
    body = ast.parse(path.read_text(encoding="utf-8"), str(path)).body
    imported = [
        alias.name
        for node in body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    ]
    flags = sum(getattr(__future__, name).compiler_flag for name in imported)
    broken: dict[str, Exception] = {}
    for node in body:
        code = compile(ast.Module([node], []), str(path), "exec", flags, dont_inherit=True)
        try:
            exec(code, vars(module))
        except Exception as error:
            if not isinstance(node, ast.ClassDef):
                raise
            base = broken.get(getattr(error, "name", None) or "")  # a NameError: its base class failed before
            broken[node.name] = base or error
    return broken


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Modules beside a problem's file can be imported by it, also where another folder has some of the same names; of a
    file that fails none stays, so that it can be mended and loaded again."""
    theirs = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    ours = [m.__file__ for name, m in sys.modules.items() if name.startswith("pinnlora_user_")]
    others = {Path(file).parent for file in ours if file} - {folder}
    for name in [name for name in sys.modules if name.partition(".")[0] in theirs]:
        stems = [other.joinpath(*name.split(".")) for other in others]
        places = [
            path for stem in stems for path in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")
        ]
        if Path(getattr(sys.modules[name], "__file__", None) or "/") in places:
            del sys.modules[name]
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    except (Exception, SystemExit):
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in theirs:
                del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(folder))
