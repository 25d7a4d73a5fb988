"""Every file, function and link that a page names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from documentation import FENCE, ROOT, pages, text_of

CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#[\w-]*)?\)")
FILE = re.compile(r"[\w./-]+\.(?:py|md|ya?ml|toml|smk)(?::[\w.]+)?")
FOLDER = re.compile(r"(?:src|tests|docs|examples|config|benchmarks|profiles|workflow)/[\w./-]*")
THE_READERS = ("tissue.py", "page.py", "own.py")
"""Files that are the reader's own."""
PLACES = ("", "src/pinnlora/", "src/pinnlora/problem/", "docs/", "config/")


def named(page: str) -> list[str]:
    """What stands in code type and is a path, with or without a name in the file."""
    spans = CODE.findall(FENCE.sub("", text_of(page)))
    whole = [span for span in spans if FILE.fullmatch(span) or FOLDER.fullmatch(span)]
    return [
        span
        for span in whole
        if not span.startswith(("FILE", "results/", "tables/")) and span not in THE_READERS
    ]


@cache
def files() -> dict[str, list[Path]]:
    """All of the project's files by their last name."""
    found: dict[str, list[Path]] = {}
    for folder in ("src", "tests", "docs", "examples", "benchmarks", "config", "workflow", "profiles"):
        for path in (ROOT / folder).rglob("*.*"):
            found.setdefault(path.name, []).append(path)
    return found


def places(path: str) -> list[Path]:
    """Where it may lie: from the root or the package, a lone name anywhere."""
    direct = [ROOT / place / path for place in PLACES if (ROOT / place / path).exists()]
    return direct or ([] if "/" in path else files().get(path, []))


@cache
def names(path: Path) -> set[str]:
    """Classes, functions, constants and methods (Class.method) of a module."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for part in targets for name in ast.walk(part) if isinstance(name, ast.Name)}
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
    return found


@pytest.mark.parametrize("page", pages())
def test_what_a_page_names_exists(page):
    for span in named(page):
        path, _, name = span.partition(":")
        there = places(path)
        assert there, f"{page}: no {path}"
        assert not name or any(name in names(file) for file in there), f"{page}: no {name} in {path}"


@pytest.mark.parametrize("page", pages())
def test_what_a_page_links_to_exists(page):
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if target and not target.startswith("http"):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: no {target}"


def test_the_pages_of_how_it_works_name_what_they_explain():
    """The formulas stand beside the code that computes them."""
    for page in (page for page in pages() if page.startswith("docs/how/")):
        assert len([span for span in named(page) if ":" in span]) >= 5, page
