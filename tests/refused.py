"""What bad input has to be met with: one line that says what is wrong, exit status 2, and nothing written."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pinnlora.cli import main
from pinnlora.errors import UserError

LONG = "n" * 300
"""A name that is too long for a file."""


def written(folder: Path, ending: str, texts: dict[str, str]) -> None:
    """A file for each text."""
    for name, text in texts.items():
        (folder / f"{name}.{ending}").write_text(text)


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder: bytes of files, None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }


def one_line(text: str, words: str) -> None:
    """`words`, with ... between what has to follow each other, are in a text of one line that is no traceback."""
    assert text and "\n" not in text and "Traceback" not in text, text
    place = 0
    for part in words.split("..."):
        place = text.find(part, place)
        assert place >= 0, f"{part!r} is not in its place in: {text}"
        place += len(part)


def refuses_command(line: str, words: str, folder: Path, monkeypatch, capsys) -> None:
    """`pinnlora LINE`, run in a folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["pinnlora", *shlex.split(line)])
    before = contents(folder)
    with pytest.raises(SystemExit) as done:
        main()
    _, error = capsys.readouterr()
    assert done.value.code == 2 and error.startswith("error: "), (done.value.code, error)
    one_line(error.removesuffix("\n"), words)
    assert contents(folder) == before


def refuses(call: Callable[[], object], words: str) -> None:
    """A call of Python's."""
    with pytest.raises(UserError) as caught:
        call()
    one_line(str(caught.value), words)
