"""Writing and reading back: nothing half-written, everything described, nothing pickled."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from pinnlora import files as records
from pinnlora.checksums import sum_of_dataset
from pinnlora.errors import UserError
from pinnlora.temporary import remove_leftovers


def dataset() -> xr.Dataset:
    """Seconds, a string coordinate and a float, as in evaluation.nc."""
    described = lambda name, units: {"long_name": name, "units": units}  # noqa: E731
    return xr.Dataset(
        {
            "mse": (
                ("method", "x"),
                np.array([[1.0, np.nan], [3.0, 4.0]]),
                described("mean squared error", "1"),
            ),
            "seconds": (("method",), np.array([1.5, 2.5]), described("training time", "seconds")),
        },
        coords={
            "method": ("method", ["lora", "pinn"], {"long_name": "method"}),
            "x": ("x", [0.0, 0.5], described("position", "1")),
        },
        attrs={"problem": "kovasznay", "seed": 2023},
    )


def test_netcdf_round_trip_with_attributes(tmp_path):
    path = tmp_path / "deep" / "evaluation.nc"
    records.write_netcdf(dataset(), path, title="A test")
    back = records.read_netcdf(path, required=("mse", "seconds", "method"))
    xr.testing.assert_equal(back, dataset())
    assert back.seconds.dtype == float  # seconds stay numbers
    assert list(back.method.values) == ["lora", "pinn"]
    assert back.attrs["Conventions"] == "CF-1.11" and back.attrs["title"] == "A test"
    assert back.attrs["source"].startswith("pinnlora ") and "commit" in back.attrs["source"]
    assert "2308.09290" in back.attrs["references"] and back.attrs["seed"] == 2023
    assert back.attrs["history"][:2] == "20" and back.mse.attrs["units"] == "1"
    raw = xr.open_dataset(path, mask_and_scale=False)
    assert raw.mse.encoding["zlib"] and "_FillValue" not in raw.x.attrs
    raw.close()
    assert "history" not in dataset().attrs
    assert [file.name for file in path.parent.iterdir()] == ["evaluation.nc"]


def test_a_checksum_is_the_same_under_every_numpy():
    """numpy 1.26 prints its strings as Python does; what numpy 2 wrote is read there, and the other way round."""
    attributes = {"text": "it's\n", "texts": ["a", 'b"'], "number": 1.5, "count": 3, "many": [1, 2.5]}
    described = dataset().assign_attrs(attributes, flag=np.bool_(True), array=np.arange(3), none=[])
    expected = "6e089188"  # of numpy 2, by which files were written so far
    assert sum_of_dataset(described).startswith(expected)
    with np.printoptions(legacy="1.25"):
        assert sum_of_dataset(described).startswith(expected)


def test_history_grows(tmp_path):
    records.write_netcdf(dataset(), tmp_path / "a.nc", title="A")
    records.write_netcdf(records.read_netcdf(tmp_path / "a.nc"), tmp_path / "b.nc", title="B")
    again = records.read_netcdf(tmp_path / "b.nc").attrs
    assert len(again["history"].splitlines()) == 2 and again["title"] == "B"


@pytest.mark.parametrize(
    ("variable", "attribute"), [("mse", "units"), ("x", "long_name"), ("method", "long_name")]
)
def test_undescribed_variables_are_refused(tmp_path, variable, attribute):
    bad = dataset()
    del bad[variable].attrs[attribute]
    with pytest.raises(UserError, match=f"{variable}.*{attribute}"):
        records.write_netcdf(bad, tmp_path / "a.nc", title="A")
    assert not any(tmp_path.iterdir())


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.nc"
    records.write_netcdf(dataset(), path, title="old")
    bad = dataset().assign_attrs(settings={"not": "storable"})
    with pytest.raises(TypeError):
        records.write_netcdf(bad, path, title="new")
    assert records.read_netcdf(path).attrs["title"] == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.nc"]


def test_reading_says_what_is_wrong(tmp_path):
    path = tmp_path / "a.nc"
    with pytest.raises(UserError, match=r"there is no file .*a\.nc"):
        records.read_netcdf(path)
    path.write_bytes(b"not a netcdf file")
    with pytest.raises(UserError, match="not a readable NetCDF file") as caught:
        records.read_netcdf(path)
    assert "\n" not in str(caught.value)
    records.write_netcdf(dataset(), path, title="A")
    with pytest.raises(UserError, match=r"no variable 'u'; it has: .*mse"):
        records.read_netcdf(path, required=("mse", "u"))


def test_atomic_shows_nothing_until_done(tmp_path):
    target = tmp_path / "out.txt"
    with records.atomic(target) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path and temporary.suffix == ".txt" and not target.exists()
    assert target.read_text() == "new"
    for failure in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(failure), records.atomic(target) as temporary:
            temporary.write_text("half")
            raise failure
    assert target.read_text() == "new" and list(tmp_path.iterdir()) == [target]
    with pytest.raises(UserError, match="nothing was written"), records.atomic(target):
        pass
    assert target.read_text() == "new"


def test_a_directory_is_replaced_whole(tmp_path):
    target = tmp_path / "rank4"
    for content in ("first", "second"):
        with records.atomic_directory(target) as temporary:
            (temporary / content).write_text(content)
        assert {file.name for file in target.iterdir()} == {content, records.MARKER}
    with pytest.raises(RuntimeError), records.atomic_directory(target) as temporary:
        (temporary / "third").write_text("half")
        raise RuntimeError
    assert (target / "second").exists() and list(tmp_path.iterdir()) == [target]


def test_a_link_to_a_directory_stays_one(tmp_path):
    """To an empty one, to one of ours, and to none that is there."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk/bundle")
    for text in ("first", "second"):
        with records.atomic_directory(tmp_path / "link") as temporary:
            (temporary / "a").write_text(text)
        assert (tmp_path / "disk" / "bundle" / "a").read_text() == text
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").symlink_to("empty")
    with records.atomic_directory(tmp_path / "other") as temporary:
        (temporary / "a").write_text("third")
    assert (tmp_path / "empty" / "a").read_text() == "third"
    assert {path.name for path in tmp_path.iterdir() if path.is_symlink()} == {"link", "other"}
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "link", "empty", "other"}
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["bundle"]


def test_the_old_directory_is_put_back_if_renaming_fails(tmp_path, monkeypatch):
    target = tmp_path / "rank4"
    with records.atomic_directory(target) as temporary:
        (temporary / "old").write_text("old")
    rename = records.os.replace

    def fails_on_the_new(source, destination):
        if destination == target and not str(source).endswith("-old"):
            raise OSError("disk on fire")
        rename(source, destination)

    monkeypatch.setattr(records.os, "replace", fails_on_the_new)
    with pytest.raises(OSError, match="on fire"), records.atomic_directory(target):
        pass
    assert (target / "old").read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_what_is_not_ours_is_never_replaced(tmp_path):
    target, file = tmp_path / "rank4", tmp_path / "notes.txt"
    target.mkdir()
    (target / "inner").mkdir()
    (target / "inner" / "thesis.tex").write_text("years of work")
    file.write_text("kept")
    with (
        pytest.raises(UserError, match="is a directory, expected the name of a file"),
        records.atomic(target),
    ):
        raise AssertionError("the body must not run")
    with pytest.raises(UserError, match="is a file, expected the name"), records.atomic_directory(file):
        raise AssertionError("the body must not run")
    with pytest.raises(UserError, match=r"inner/thesis\.tex"), records.atomic_directory(target):
        raise AssertionError("the body must not run")
    assert (target / "inner" / "thesis.tex").read_text() == "years of work" and file.read_text() == "kept"
    ours = tmp_path / "ours"
    with records.atomic_directory(ours) as temporary:
        (temporary / "model").write_text("1")
    (ours / "remarks.md").write_text("mine")
    with pytest.raises(UserError, match="remarks"), records.atomic_directory(ours):
        raise AssertionError("the body must not run")
    assert (ours / "remarks.md").read_text() == "mine" and (ours / "model").read_text() == "1"


def test_what_a_kill_leaves_half_written_is_removed_and_nothing_else(tmp_path):
    for name, how in (("rank4", "atomic_directory"), ("a.nc", "atomic")):
        body = "temporary.touch()" if how == "atomic" else "(temporary / 'half').touch()"
        code = f"with {how}({str(tmp_path / name)!r}) as temporary:\n    {body}\n    os._exit(9)"
        left = subprocess.run([sys.executable, "-c", f"import os\nfrom pinnlora.files import *\n{code}"])
        assert left.returncode == 9
    (tmp_path / ".rank4-0123abcd-old").mkdir()
    kept = (
        "rank4", ".rank4", "rank4-0123abcd", ".rank40-0123abcd", ".rank4-0123abcd.nc", ".rank4-0123abcd-mine",
        ".rank4-seed2024", ".rank4-seed2024-0123abcd", ".rank4-01234567-0123abcd", ".a-0123abcg.nc", ".a-0123abcd.csv",
    )  # fmt: skip
    for name in kept:
        (tmp_path / name).mkdir()
    assert len(list(tmp_path.iterdir())) == len(kept) + 3
    for name in ("rank4", "a.nc"):
        remove_leftovers(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
    remove_leftovers(tmp_path / "gone" / "a.nc")


def test_weights_round_trip(tmp_path):
    path = tmp_path / "model.safetensors"
    shared = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "w": shared,
        "view": shared.T,
        "double": torch.randn(5, dtype=torch.float64, requires_grad=True),
        "scalar": torch.tensor(3),
    }
    metadata = {"rank": 4, "names": ["w"], "nested": {"a": 1.5, "b": None}}
    records.save_weights(path, tensors, metadata)
    back, header = records.load_weights(path)
    assert header == metadata and set(back) == set(tensors)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and not back[name].requires_grad
        assert torch.equal(back[name], tensor.detach())
    first = path.read_bytes()
    records.save_weights(path, tensors, metadata)
    assert path.read_bytes() == first and list(tmp_path.iterdir()) == [path]


def test_weights_are_never_unpickled(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(UserError, match="there is no file"):
        records.load_weights(path)

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    torch.save({"w": Bomb()}, path)
    with pytest.raises(UserError, match="not a readable safetensors file") as caught:
        records.load_weights(path)
    assert "\n" not in str(caught.value)


def test_metadata_that_is_not_json_is_refused(tmp_path):
    with pytest.raises(TypeError):
        records.save_weights(tmp_path / "m.safetensors", {}, {"device": torch.device("cpu")})
    assert not any(tmp_path.iterdir())


def test_commit_only_speaks_for_the_checkout_the_package_is_in(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    file = tmp_path / "records.py"
    file.write_text("# first\n")
    monkeypatch.setattr(records, "__file__", str(file))
    assert records.commit() == "unknown"
    git("init", "-q")
    assert records.commit() == "unknown"  # a checkout, but this file is no part of it
    git("add", "records.py")
    git("commit", "-q", "-m", "first")
    clean = records.commit()
    assert len(clean) == 40
    file.write_text("# second\n")
    assert records.commit() == clean + "-dirty"


def test_machine_and_version_are_plain_words():
    assert "cores" in records.machine("cpu") and "\n" not in records.machine(torch.device("cpu"))
    assert records.version()


def test_texts_are_in_utf8_whatever_the_locale():
    """In a session in Latin-1 a bundle could not be written after its training."""
    for path in sorted(Path(records.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
            if name == "open" or (
                name != "os.open" and name.endswith((".open", ".read_text", ".write_text"))
            ):
                said = ast.unparse(call)
                assert "encoding='utf-8'" in said or re.search(r"'[rw]b'", said), f"{path}: {said}"


def test_records_do_not_import_torch():
    names = (
        "pinnlora.files, pinnlora.problem.gaussian_field, pinnlora.problem.scalars, pinnlora.problem.spectral"
    )
    code = f"import sys, {names}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
