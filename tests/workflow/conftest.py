"""A finished study of stubs, made once."""

import shutil
from pathlib import Path

import pytest
from stub_project import make, run


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A project whose study is done."""
    folder = make(tmp_path_factory.mktemp("finished"))
    run(folder)
    return folder


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """A copy of the finished project to edit, times of files and all."""
    return Path(shutil.copytree(finished, tmp_path / "project"))
