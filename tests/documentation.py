"""The pages of the documentation: where they are, and the blocks in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
GENERATED = ("results", "examples.md")
"""Below docs/, written by programs."""
BESIDE = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "config/README.md",
    "examples/README.md",
    "profiles/slurm/README.md",
)
"""Pages outside docs/, of which the site shows some."""
LONG = "own-problem.md"
"""Every part of a problem: the one page that may be long."""

FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
CHANGE = re.compile(r'<!-- in (\S+) "(.*)" is "(.*)" -->\n\Z')
COMMAND = re.compile(r"^    (?=(?:pinnlora|snakemake|make|pip|python) )(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block. `change`: what is put in place of what in which file for this block alone (file, old, new)."""

    kind: str
    title: str
    text: str
    change: tuple[str, str, str] | None = None


def pages() -> list[str]:
    """All pages that people write, from the root."""
    written = (
        path
        for path in (ROOT / "docs").rglob("*.md")
        if path.relative_to(ROOT / "docs").parts[0] not in GENERATED
    )
    return sorted(path.relative_to(ROOT).as_posix() for path in written) + list(BESIDE)


def text_of(page: str) -> str:
    """A page as it is written."""
    return (ROOT / page).read_text()


def blocks(page: str) -> list[Block]:
    """A page's blocks in order, one without a kind being commands; and its commands that stand indented."""
    text, found = text_of(page), []
    for match in FENCE.finditer(text):
        change = CHANGE.search(text[: match.start()])
        found.append(
            (match.start(), Block(match[1] or "bash", match[2] or "", match[3], change and change.groups()))
        )
    without = FENCE.sub(lambda match: " " * len(match[0]), text)
    found += [(match.start(), Block("bash", "", match[1] + "\n")) for match in COMMAND.finditer(without)]
    return [block for _, block in sorted(found, key=lambda pair: pair[0])]
