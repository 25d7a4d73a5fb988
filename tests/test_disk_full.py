"""A full disk, for real: one line that says so, and nothing half written."""

import json
import shlex
import subprocess
import textwrap

import pytest
from test_surrogate import OWN, bundle
from test_train_command import CONFIG

from pinnlora.files import MARKER, load_weights, read_netcdf


@pytest.fixture
def disk(tmp_path):
    """A function that makes a disk with so many kB left."""
    mounted = []

    def make(kilobytes: int):
        where = tmp_path / f"disk{kilobytes}"
        where.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(where)]
        try:
            done = subprocess.run(command, capture_output=True)
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if done.returncode:
            pytest.skip("mounting is not allowed here")
        mounted.append(where)
        return where

    yield make
    for where in mounted:
        subprocess.run(["umount", "-l", where], check=True)


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "flow"
    bundle(path)
    return path


def says_so(answer: tuple[int, str, str]) -> None:
    status, _, error = answer
    assert (
        status == 2 and error.startswith("error: no space left on the disk of ") and error.count("\n") == 1
    ), answer


@pytest.mark.parametrize("ending", ["nc", "csv", "npz"])
@pytest.mark.parametrize("room", [4, 40])
def test_a_prediction(run, flow, disk, ending, room):
    where = disk(room)
    says_so(run("predict", flow, "--set", "re=42", "-o", where / f"out.{ending}"))
    assert not list(where.iterdir())


def test_refined_networks_and_fields(run, flow, disk, tmp_path):
    where = disk(8)
    asked = ("refine", flow, "--set", "re=42", "--steps", 1)
    says_so(run(*asked, "-o", where / "out.nc"))
    says_so(run(*asked, "-o", tmp_path / "out.nc", "--save", where / "networks"))
    assert not list(where.iterdir()) and not (tmp_path / "out.nc").exists()


def test_what_stood_there_stays(run, flow, disk):
    where = disk(600)
    asked = ("predict", flow, "--set", "re=42", "-o", where / "out.nc")
    assert run(*asked)[0] == 0
    before = (where / "out.nc").read_bytes()
    (where / "filler").write_bytes(bytes(4096 * ((600 * 1024 - len(before)) // 4096 - 3)))
    says_so(run(*asked))
    assert (where / "out.nc").read_bytes() == before and len(list(where.iterdir())) == 2


@pytest.mark.parametrize("room", [8, 24, 60, 100])
def test_a_training(run, disk, tmp_path, room):
    """Whatever it has come to: what is there is whole."""
    where = disk(room)
    (tmp_path / "heat.py").write_text(textwrap.dedent(OWN))
    (tmp_path / "tiny.yaml").write_text(f"{CONFIG}\ncheckpoint_minutes: 1.0e-9\n")
    spec, out = f"{tmp_path / 'heat.py'}:Heat", where / "heat"
    says_so(run("train", spec, "-o", out, "--config", tmp_path / "tiny.yaml"))
    for path in out.iterdir():
        match path.suffix:
            case ".nc":
                read_netcdf(path)
            case ".safetensors":
                load_weights(path)
            case _:
                assert path.name == ".lock" or (path.name == "base" and (path / MARKER).exists()), path


def test_a_job_of_a_study(run, disk):
    where = disk(4)
    settings = {"problem": "kovasznay", "seed": 1, "tasks": {"train": 1000, "validation": 100, "test": 100}}
    words = f"job study.jobs.tasks --output {where / 'tasks.nc'} --settings"
    says_so(run(*shlex.split(words), json.dumps(settings)))
    assert not list(where.iterdir())
