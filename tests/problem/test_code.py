"""The hash of a job's code: what changes it, and what does not."""

import ast
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pinnlora
from pinnlora.problem import code as module
from pinnlora.problem.canonical import canonical_text
from pinnlora.problem.load import problem_file

EXAMPLES = Path(__file__).parents[2] / "examples"
JOBS = sorted(
    f"pinnlora.{path.parent.parent.name}.jobs.{path.stem}" for path in module.PACKAGE.glob("*/jobs/[!_]*.py")
)
PROBLEM_JOBS = [job for job in JOBS if ".report." not in job]


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A small package in place of the real one."""
    folder = tmp_path / "pinnlora"
    files = {
        "__init__.py": "from .everything import load",
        "everything.py": "x = 1",
        "leaf.py": '"""A leaf."""\n\nx = 1  # one\n\n\ndef f():\n    """Do."""\n    return "# kept"\n',
        "typed.py": "x = 1",
        "jobs/__init__.py": "",
        "jobs/base.py": (
            "from typing import TYPE_CHECKING\nimport torch\nfrom ..deep import inner\n"
            "if TYPE_CHECKING:\n    from ..typed import x\n"
            "def run():\n    from ..leaf import x, f\n    import pinnlora.other\n"
        ),
        "jobs/figure.py": "from .. import other\n",
        "deep/__init__.py": "y = 2",
        "deep/inner.py": "from . import sibling",
        "deep/sibling.py": "",
        "other.py": "",
        "problems/__init__.py": "",
        "problems/heat.py": "from pinnlora.leaf import x",
        "problems/wave.py": "from .heat import x",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(module, "PACKAGE", folder)
    module._parsed.cache_clear()  # the tests' packages have the same paths and texts, in different places
    yield folder
    module._parsed.cache_clear()


def names(package: Path, *roots) -> set[str]:
    return {path.relative_to(package).as_posix() for path in module.closure(*roots)}


def test_imports_are_followed_wherever_they_stand(package):
    expected = {"jobs/base.py", "leaf.py", "other.py", "deep/__init__.py", "deep/inner.py", "deep/sibling.py"}
    assert names(package, "pinnlora.jobs.base") == expected
    assert names(package, "pinnlora.jobs.figure") == {"jobs/figure.py", "other.py"}


def test_a_problem_brings_its_own_file_only(package):
    assert names(package, package / "problems/heat.py") == {"problems/heat.py", "leaf.py"}
    wave = names(package, package / "problems/wave.py")
    assert wave == {"problems/__init__.py", "problems/wave.py", "problems/heat.py", "leaf.py"}


def test_public_names_bring_what_they_name(package):
    (package / "jobs/figure.py").write_text("from pinnlora import load")
    assert names(package, "pinnlora.jobs.figure") == {"jobs/figure.py", "__init__.py", "everything.py"}


def test_a_problem_of_ones_own_holds_the_code_behind_the_names_that_it_imports(tmp_path):
    """The package's own public names, which are imported when they are first used."""
    for name in pinnlora.__all__:
        (tmp_path / "mine.py").write_text(f"from pinnlora import {name}\n")
        home = Path(inspect.getsourcefile(getattr(pinnlora, name)))
        assert home in module.closure(tmp_path / "mine.py"), name
    shape = module.closure(EXAMPLES / "l_shape.py")
    assert {"polygon.py", "scalars.py"} <= {path.name for path in shape}
    assert not {"query", "study"} & {path.parent.name for path in shape}
    (tmp_path / "mine.py").write_text("import pinnlora as p\n")
    assert {"gaussian_field.py", "round.py"} <= {path.name for path in module.closure(tmp_path / "mine.py")}


def test_a_file_of_ones_own_and_its_neighbour(package, tmp_path):
    mine, helper = tmp_path / "mine.py", tmp_path / "helper.py"
    mine.write_text("import helper\nimport numpy\nfrom pinnlora.leaf import x\nclass Heat: pass\n")
    helper.write_text("x = 1")
    assert problem_file(f"{mine}:Heat") == mine
    assert [path.name for path in module.closure(mine)] == ["leaf.py", "helper.py", "mine.py"]
    before = module.fingerprint(mine)
    helper.write_text("x = 2")
    assert module.fingerprint(mine) != before


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('"""A leaf."""', '"""Another."""', True),
        ('    """Do."""\n', "", True),
        ("  # one", "", True),
        ("\n\n\ndef", "\n# here\ndef", True),
        ("x = 1", "x = 2", False),
        ('"# kept"', '"# changed"', False),
    ],
)
def test_words_do_not_count_and_code_does(package, old, new, same):
    before, leaf = module.fingerprint("pinnlora.jobs.base"), package / "leaf.py"
    assert old in leaf.read_text()
    leaf.write_text(leaf.read_text().replace(old, new))
    assert (module.fingerprint("pinnlora.jobs.base") == before) is same


@pytest.mark.parametrize(
    ("condition", "first", "second"),
    [
        ("TYPE_CHECKING", False, True),
        ("typing.TYPE_CHECKING", False, True),
        ("not TYPE_CHECKING", True, True),
        ("MY_TYPE_CHECKING", True, True),
    ],
)
def test_only_what_type_checkers_alone_look_at_is_left_out(package, condition, first, second):
    """Which branches of an `if` are hashed, and have their imports followed."""
    text = "if {}:\n    from .deep import sibling\n    x = {}\nelse:\n    from . import other\n    x = {}\n"
    leaf = package / "leaf.py"
    leaf.write_text(text.format(condition, 1, 2))
    before, followed = module.fingerprint("pinnlora.leaf"), names(package, "pinnlora.leaf")
    assert ("deep/sibling.py" in followed, "other.py" in followed) == (first, second)
    for numbers, hashed in (((3, 2), first), ((1, 3), second)):
        leaf.write_text(text.format(condition, *numbers))
        assert (module.fingerprint("pinnlora.leaf") != before) is hashed


CUT = "y = [f'a' 'b' f'{x}', f'{x:}', f'{x:{w}}', f'{x:{w}.{p}}' '', f'{x=}', '\\U0001fae8', None]"
"""What versions of Python cut or print differently."""


def test_what_differs_has_another_text():
    text = "[0, False, '', b'', None, ..., 0.0, (), [], [0], [None], f'', f'{x}', f'{x!r}', {**x}, x.y]"
    parts = ast.parse(text, mode="eval").body.elts
    assert len({canonical_text(part) for part in parts}) == len(parts)


def interpreters() -> list[Path]:
    """One of each version of Python that is installed here."""
    folders = [*os.environ["PATH"].split(os.pathsep), *Path.home().glob(".pyenv/versions/*/bin")]
    found = {}
    for path in (path for folder in folders for path in Path(folder).glob("python3.[0-9][0-9]")):
        ask = [path, "-c", "import sys; print(sys.version_info[:2])"]
        done = subprocess.run(ask, capture_output=True, text=True)
        if done.returncode == 0 and path.name >= "python3.11":
            found.setdefault(done.stdout, path)
    return list(found.values())


def test_it_is_the_same_under_every_python(tmp_path):
    """Of all code of the package, and of what ast.unparse and ast.dump are known to print otherwise."""
    (tmp_path / "cut.py").write_text(CUT)
    ask = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from pinnlora.problem.code import fingerprint; "
        "print(fingerprint(*Path(sys.argv[1]).rglob('*.py'), Path(sys.argv[2])))"
    )
    pythons = interpreters()
    if len(pythons) < 2:
        pytest.skip("there is one version of Python here")
    words = ("-IB", "-c", ask, module.PACKAGE.parent, tmp_path / "cut.py")
    done = [
        subprocess.run([python, *words], capture_output=True, text=True, check=True) for python in pythons
    ]
    assert len({each.stdout for each in done}) == 1


def test_it_is_the_same_in_every_checkout(package, tmp_path, monkeypatch):
    before = module.fingerprint("pinnlora.jobs.base", package / "problems/heat.py")
    moved = tmp_path / "elsewhere" / "pinnlora"
    shutil.copytree(package, moved)
    monkeypatch.setattr(module, "PACKAGE", moved)
    assert module.fingerprint("pinnlora.jobs.base", moved / "problems/heat.py") == before


def test_files_count_byte_by_byte(package, tmp_path):
    data = tmp_path / "table.csv"
    data.write_text("a")
    before = module.fingerprint("pinnlora.jobs.figure", files=(data,))
    data.write_text("b")
    assert module.fingerprint("pinnlora.jobs.figure", files=(data,)) != before


def test_a_missing_module_is_named(package):
    with pytest.raises(FileNotFoundError, match=r"no module pinnlora\.jobs\.bake"):
        module.fingerprint("pinnlora.jobs.bake")


def test_files_of_the_package_can_be_imported_by_name(package, tmp_path):
    assert module.module_name(package / "deep/inner.py") == "pinnlora.deep.inner"
    assert module.module_name(tmp_path / "heat.py") is None


@pytest.mark.parametrize("job", PROBLEM_JOBS)
def test_no_job_holds_a_problem(job):
    held = [path for path in module.closure(job) if path.parent.name == "library"]
    assert not held


@pytest.mark.parametrize("job", JOBS)
def test_no_job_holds_the_command_line_or_the_report(job):
    found = {path.name for path in module.closure(job)}
    tables, figures = {"tables.py", "pages.py"}, {"curves.py", "fields.py"}
    other = {"table": figures, "figure": tables}.get(job.rpartition(".")[2], tables | figures)
    assert not found & ({"cli.py", "__main__.py"} | other)


def test_a_problem_does_not_hold_another():
    for spec in ("kovasznay", "burgers2d", "burgers1d"):
        files = module.closure(problem_file(spec))
        held = [path.stem for path in files if path.parent.name == "library" and path.stem != "__init__"]
        assert held == [spec]


def test_files_of_one_name_have_the_same_hash_in_every_process(tmp_path):
    """Sets of paths come out in another order where hashes of text have another seed."""
    for folder in ("mine", "a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(f"x = '{folder}'")
        (tmp_path / folder / "util.py").write_text(f"y = '{folder}'")
    lines = [f"from {folder}.util import y as {folder}" for folder in ("mine", "a", "b")]
    (tmp_path / "problem.py").write_text("\n".join(["from pinnlora import Box", *lines]))
    ask = (
        "import sys; from pathlib import Path; from pinnlora.problem.code import fingerprint; "
        "print(fingerprint(Path(sys.argv[1])))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", ask, str(tmp_path / "problem.py")],
            env=os.environ | {"PYTHONHASHSEED": str(seed)}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in range(6)
    }  # fmt: skip
    assert len(found) == 1
    before = module.fingerprint(tmp_path / "problem.py")
    (tmp_path / "a" / "util.py").write_text("y = 'b'")
    (tmp_path / "b" / "util.py").write_text("y = 'a'")
    assert module.fingerprint(tmp_path / "problem.py") != before
