"""The site is built from docs/ without a warning, and every page stands in it."""

import re
import subprocess
import sys

import pytest
import yaml
from documentation import LONG, ROOT, pages, text_of


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def linked(entry) -> list[str]:
    """The files in a part of mkdocs' nav."""
    if isinstance(entry, str):
        return [entry]
    return [file for part in (entry.values() if isinstance(entry, dict) else entry) for file in linked(part)]


def test_every_page_stands_in_the_navigation_once():
    nav = linked(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    there = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(nav) == sorted(there)


@pytest.mark.parametrize("page", [p for p in pages() if p.startswith("docs/") and not p.endswith(LONG)])
def test_a_page_is_short(page):
    assert len(text_of(page).splitlines()) < 150


def test_formulas_are_shown_without_a_script(site):
    for name in ("jets", "second-order", "tasks-and-points", "conditions"):
        html = (site / f"how/{name}.html").read_text()
        assert html.count("<math") == text_of(f"docs/how/{name}.md").count("```math") > 1
        assert "merror" not in html and not re.search(r"<mi>\\", html)


def test_the_api_comes_from_the_docstrings(site):
    html = (site / "api.html").read_text()
    for name in (*__import__("pinnlora").__all__, "Surrogate", "explore", "Solved", "UserError"):
        assert re.search(rf'id="pinnlora[\w.]*\.{name}"', html), name
    assert "Fields of one or many tasks" in html  # predict's


def test_pages_from_outside_docs_are_taken_in(site):
    assert "Adding an optimiser" in (site / "contributing.html").read_text()
    assert "The first version" in (site / "changelog.html").read_text()
    assert "tasks_per_step" in (site / "settings.html").read_text()
    assert "snakemake-executor-plugin-slurm" in (site / "clusters.html").read_text()


def test_nothing_is_fetched_from_elsewhere(site):
    html = (site / "how/jets.html").read_text()
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="https?://', html)
