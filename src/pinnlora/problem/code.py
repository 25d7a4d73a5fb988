"""A hash of the code that a job runs, so that an edit redoes what depends on it and nothing else.

The hash covers the job's module and all that it imports from this package, also inside functions. Modules
are parsed, comments and docstrings dropped: rewording, reformatting and `touch` change nothing. Imports by
computed name are not seen, but for the package's public names; what is loaded that way (a problem's file) is passed as
one more root.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from os.path import relpath
from pathlib import Path

from pinnlora.errors import UserError
from pinnlora.problem.canonical import canonical_text, running_code

PACKAGE = Path(__file__).resolve().parents[1]


def fingerprint(*roots: str | Path, files: tuple[Path, ...] = ()) -> str:
    """16 hexadecimal digits for the closure of `roots`, and for `files` byte by byte.

    A root is a module of this package ("pinnlora.study.jobs.base") or the path of a Python file.
    """
    digest = hashlib.sha256()
    for label, path in _labelled(*roots).items():
        digest.update(f"{label}\n{_module(path)[0]}\n".encode())
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def sum_of_file(path: str | Path) -> str:
    """16 hexadecimal digits for what stands in a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def closure(*roots: str | Path) -> list[Path]:
    """The files that the roots consist of and import, in a fixed order."""
    return list(_labelled(*roots).values())


def _labelled(*roots: str | Path) -> dict[str, Path]:
    """The same by where they are, which is the same in every checkout and for no two files: inside the package, or
    seen from where the imports of the first file outside of it start."""
    todo = [_root(root) for root in roots]
    base = next((_folder(path) for path in todo if not _ours(path)), PACKAGE)
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(_module(path)[1])
    labels = {_place(path) if _ours(path) else f"own {relpath(path, base)}": path for path in seen}
    return dict(sorted(labels.items()))


def beside(path: Path) -> dict[Path, str]:
    """A user's problem file and the modules beside it that it imports: each with its place relative to the file."""
    path = path.resolve()
    own = [file for file in closure(path) if not _ours(file)]
    return {
        file: file.relative_to(path.parent).as_posix() for file in own if file.is_relative_to(path.parent)
    }


MARKER = ".pinnlora"
"""As in files.py, which planning does without."""
TAKEN = ("problem.py", "config.json", "model.safetensors", "README.md", "history.nc", MARKER)
"""What a bundle has files of its own for."""


def carried(path: Path) -> dict[Path, str]:
    """A user's problem file, the modules beside it that it imports, and the data that it declares: all that travels
    with it, each with its place relative to the file. UserError where a place is taken by a bundle's own files."""
    path = path.resolve()
    found = beside(path) | declared(path)
    for file, place in found.items():
        if place in TAKEN and file != path:
            raise UserError(f"bundles have a {place} of their own: rename the one beside it, which it needs")
    return found


def declared(path: Path) -> dict[Path, str]:
    """The data that a user's problem file, and the modules beside it that it imports, declare: `files = ("soil.csv",
    "wells")` in their classes, beside the file where it stands, of a folder all that is in it. Each file with its place
    relative to the problem's. UserError where one is missing or lies elsewhere.
    """
    path = path.resolve()
    try:
        sources = dict.fromkeys([path, *beside(path)])
        trees = {file: ast.parse(file.read_text(encoding="utf-8"), str(file)) for file in sources}
    except (SyntaxError, ValueError) as error:
        raise UserError(f"not Python: {error}") from None
    found: dict[Path, str] = {}
    for file, tree in trees.items():
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for name in (name for node in classes for name in _file_names(node)):
            given = (file.parent / name).resolve()
            if not given.is_relative_to(path.parent) or given == path.parent:
                raise UserError(f"files: {name!r} is not below the problem's folder, where data has to lie")
            inside = [given] if given.is_file() else sorted(given.rglob("*"))
            inside = [each for each in inside if each.is_file() and "__pycache__" not in each.parts]
            if not inside:
                raise UserError(f"files: there is no {name!r} beside {'it' if file == path else file.name}")
            found |= {each: each.relative_to(path.parent).as_posix() for each in inside}
    return found


def _file_names(node: ast.ClassDef) -> Iterator[str]:
    """What stands in a class as `files = (...)`, read without running it."""
    for part in node.body:
        targets = getattr(part, "targets", None) or [getattr(part, "target", part)]
        if not (isinstance(part, ast.Assign | ast.AnnAssign) and ast.unparse(targets[0]) == "files"):
            continue
        if part.value is None:  # a type without a value
            continue
        try:
            names = ast.literal_eval(part.value)
            assert isinstance(names, tuple | list) and all(isinstance(name, str) and name for name in names)
        except (ValueError, AssertionError):
            text = ast.unparse(part.value)[:60]
            raise UserError(f"files = {text}: expected names, written out: files = ('soil.csv',)") from None
        yield from names


def module_name(path: Path) -> str | None:
    """The name that a file of this package is imported by; None for any other file."""
    return ".".join(["pinnlora", *_place(path).removesuffix(".py").split("/")]) if _ours(path) else None


def _root(root: str | Path) -> Path:
    path = root if isinstance(root, Path) else _find(root.split(".")[1:])
    if path is None or not path.is_file():
        raise FileNotFoundError(f"no module {root} in {PACKAGE}")
    return path.resolve()


def _place(path: Path) -> str:
    """Where a file is inside the package."""
    return path.relative_to(PACKAGE).as_posix()


def _ours(path: Path) -> bool:
    return path.is_relative_to(PACKAGE)


def _module(path: Path) -> tuple[str, tuple[Path, ...]]:
    """A file's code without comments and docstrings, and the files that it imports, as they are now."""
    return _parsed(path, path.read_text(encoding="utf-8"))


@cache
def _parsed(path: Path, text: str) -> tuple[str, tuple[Path, ...]]:
    tree = running_code(text, str(path))
    imported = [file.resolve() for node in ast.walk(tree) for file in _targets(node, path)]
    return canonical_text(tree), tuple(dict.fromkeys(imported))


def _targets(node: ast.AST, path: Path) -> Iterator[Path]:
    """The first-party files behind one import statement of the file `path`."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _absolute(alias.name.split("."), path)
    elif isinstance(node, ast.ImportFrom):
        parts, root = node.module.split(".") if node.module else [], None
        if node.level and _ours(path):
            parts = ["pinnlora", *path.relative_to(PACKAGE).parts[: -node.level], *parts]
        elif node.level:
            root = path.parents[node.level - 1]
        for alias in node.names:
            yield from _absolute([*parts, alias.name], path, root)


def _absolute(parts: list[str], path: Path, root: Path | None = None) -> Iterator[Path]:
    """The files that `import a.b.c` or `from a.b import c` runs.

    The packages on the way count, except this package itself where only something inside it was asked for. A public
    name of it, `from pinnlora import Box`, is that of the module that its `__init__` says it lives in. For a file of
    the user's own, modules and packages beside it are found (below `root`, which a relative import names).
    """
    if parts[0] != "pinnlora" or root is not None:
        if not _ours(path):
            yield from _modules(parts, root or _folder(path))
        return
    inside = parts[1:]
    if inside and _find(inside) is None:
        inside = inside[:-1]
    if not inside:
        yield PACKAGE / "__init__.py"
        for home in _homes(parts[1:]):
            yield from _modules(home.split("."), PACKAGE)
    yield from _modules(inside, PACKAGE)


def _homes(names: list[str]) -> list[str]:
    """Where public names live, from the text of `__init__`, which imports them by computed names; all that there are
    where something else than one of them is asked for."""
    body = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
    texts = [
        node.value
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES"
    ]
    known = ast.literal_eval(texts[0]) if texts else {}
    return [known[name] for name in names if name in known] or list(known.values())


def _folder(path: Path) -> Path:
    """Where the absolute imports of a user's file start: the first folder above it that is no package."""
    folder = path.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _modules(parts: list[str], root: Path) -> Iterator[Path]:
    """The files of a dotted name and of the packages on the way to it, as far as they are there."""
    for depth in range(1, len(parts) + 1):
        found = _find(parts[:depth], root)
        if found is not None:
            yield found


def _find(parts: list[str], root: Path | None = None) -> Path | None:
    """The file of a module, given by its path inside this package (or below `root`)."""
    stem = (root or PACKAGE).joinpath(*parts)
    return next(
        (file for file in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py") if file.is_file()), None
    )
