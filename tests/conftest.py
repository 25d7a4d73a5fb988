"""One thread: the tensors here are small, and threads that wait for each other cost more than they bring.

And a data directory of their own, for the key that bundles are sealed with.
"""

import os
import tempfile

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="pinnlora-tests-")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `pinnlora ARGUMENTS`: (exit status, standard output, standard error)."""
    from pinnlora.cli import main

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["pinnlora", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            main()
        return done.value.code, *capsys.readouterr()

    return call


def pytest_collection_modifyitems(config, items):
    """A cluster is started where it is asked for, and nowhere else."""
    if "cluster" not in config.option.markexpr:
        for item in items:
            if "cluster" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="make test-cluster"))
