"""One training at a time in one folder."""

import os
import re
import socket
import subprocess
import sys

import pytest

from pinnlora import cli
from pinnlora.errors import InUse, UserError
from pinnlora.study.lock import alone_in

HOLD = "import sys, pathlib; from pinnlora.study.lock import alone_in\n" + (
    "with alone_in(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a folder until it is killed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "out"], **pipes)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_training_is_told_who_is_there(holder, tmp_path, monkeypatch, capsys):
    before = sorted((tmp_path / "out").iterdir())
    told = ["pinnlora", "train", "kovasznay", "-o", str(tmp_path / "out"), "--force"]
    monkeypatch.setattr("sys.argv", told)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    error = capsys.readouterr().err
    assert ended.value.code == 3 and error.count("\n") == 1
    assert f"in use by process {holder.pid} on {socket.gethostname()} since " in error
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", error)
    assert sorted((tmp_path / "out").iterdir()) == before


def test_a_killed_process_holds_nothing(holder, tmp_path):
    with pytest.raises(InUse), alone_in(tmp_path / "out"):
        pass
    holder.kill()
    holder.wait()
    with alone_in(tmp_path / "out"):
        assert f'"process": {os.getpid()}' in (tmp_path / "out" / ".lock.json").read_text()
    assert not (tmp_path / "out" / ".lock.json").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "notes").write_text("mine")
    for path in (tmp_path / "notes", tmp_path / "notes" / "out"):
        with pytest.raises(UserError, match="is a file or lies in one"), alone_in(path):
            pass
    assert (tmp_path / "notes").read_text() == "mine"
