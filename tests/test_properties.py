"""Records, parameter packing and the command line's small languages, whatever is put into them."""

import gzip
import json

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from small import dense, random_theta, random_weights, tiny

from pinnlora.errors import UserError
from pinnlora.files import load_weights, read_netcdf, save_weights, write_netcdf
from pinnlora.nets.mlp import MLP
from pinnlora.problem.domain.box import Box
from pinnlora.problem.scalars import LogUniform, Uniform
from pinnlora.study.jobs.invert import _noise
from pinnlora.study.jobs.query import assigned, assignment, read_columns

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True)
shapes = arrays.array_shapes(min_dims=1, max_dims=3, max_side=4)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@QUICK
@given(
    arrays.arrays(np.float64, shapes, elements=st.floats()),
    st.integers(-(2**31), 2**31 - 1),
    st.text("ab é", max_size=5),
)
def test_a_dataset_is_read_as_it_was_written(tmp_path_factory, values, seed, note):
    path = tmp_path_factory.getbasetemp() / "record.nc"
    dims = tuple(f"d{axis}" for axis in range(values.ndim))
    data = xr.Dataset(
        {"u": (dims, values, {"long_name": "u", "units": "1"})}, attrs={"seed": seed, "note": note}
    )
    write_netcdf(data, path, "a test")
    again = read_netcdf(path)
    np.testing.assert_array_equal(again["u"].values, values)
    assert again.attrs["seed"] == seed and again.attrs["note"] == note


KINDS = {np.float32: torch.float32, np.float64: torch.float64, np.int64: torch.int64, np.bool_: torch.bool}


@QUICK
@given(st.data(), st.dictionaries(names, plain, max_size=3))
def test_weights_are_read_as_they_were_written(tmp_path_factory, data, metadata):
    path = tmp_path_factory.getbasetemp() / "model.safetensors"
    kinds = data.draw(st.dictionaries(names, st.sampled_from(list(KINDS)), max_size=3))
    found = {name: data.draw(arrays.arrays(kind, shapes)) for name, kind in kinds.items()}
    metadata.pop("checksum", None)
    save_weights(path, {name: torch.from_numpy(value) for name, value in found.items()}, metadata)
    tensors, about = load_weights(path)
    assert about == json.loads(json.dumps(metadata)) and set(tensors) == set(found)
    for name, value in found.items():
        assert tensors[name].dtype == KINDS[kinds[name]]
        np.testing.assert_array_equal(tensors[name].numpy(), value)


@QUICK
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 3),
    st.booleans(),
)
def test_weights_are_packed_and_unpacked_to_the_same(coords, fields, width, layers, tasks, wave):
    waves = ((0, 0.0, 2.0),) if wave else ()
    network = MLP(coords, fields, width, layers, waves)
    weights = random_weights(network, tasks)
    flat = weights.flat()
    assert flat.shape == (tasks, network.size)
    again = network.unflatten(flat)
    for one, other in zip(
        (*weights.matrices, *weights.biases), (*again.matrices, *again.biases), strict=True
    ):
        assert torch.equal(one, other)
    assert torch.equal(again.flat(), flat)


@QUICK
@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 6), st.integers(1, 3), st.integers(0, 99))
def test_adapters_are_what_is_written_out(width, layers, rank, tasks, seed):
    """W0 + B A of each map but the unadapted, from numbers taken apart by hand."""
    _, lora = tiny("kovasznay", "lora", width, layers, rank)
    theta = random_theta(lora, tasks, seed)
    weights = lora.weights(theta)
    for task in range(tasks):
        matrices, biases = dense(lora, theta[task])
        for found, expected in zip(weights.matrices, matrices, strict=True):
            torch.testing.assert_close(found.expand(tasks, -1, -1)[task], expected, rtol=1e-12, atol=1e-12)
        for found, expected in zip(weights.biases, biases, strict=True):
            assert torch.equal(found.expand(tasks, -1)[task], expected)


@QUICK
@given(names, numbers)
def test_an_assignment_of_a_number_is_that_number(name, value):
    assert assignment(f"{name}={value!r}") == (name, value)
    assert assigned([f"{name}={value!r}"]) == {name: value}


@QUICK
@given(st.text(max_size=30).filter(lambda text: text.splitlines() == [text]))
def test_any_other_assignment_is_one_line(text):
    try:
        name, value = assignment(text)
    except UserError as error:
        assert str(error).startswith("--set ") and len(str(error).splitlines()) == 1
    else:
        assert text.startswith(f"{name}=") and isinstance(value, float)


@QUICK
@given(st.lists(st.tuples(names, numbers), min_size=2, max_size=5))
def test_a_name_is_assigned_once(pairs):
    texts = [f"{name}={value!r}" for name, value in pairs]
    if len(dict(pairs)) == len(pairs):
        assert assigned(texts) == dict(pairs)
    else:
        with pytest.raises(UserError, match="is given twice"):
            assigned(texts)


@QUICK
@given(st.dictionaries(names, numbers, min_size=1, max_size=4))
def test_noise_of_fields_is_read_back(noise):
    assert _noise(",".join(f"{name}={value!r}" for name, value in noise.items())) == noise


@QUICK
@given(
    st.lists(names, min_size=1, max_size=4, unique=True).flatmap(
        lambda columns: st.tuples(
            st.just(columns),
            st.lists(st.lists(numbers, min_size=len(columns), max_size=len(columns)), min_size=1, max_size=5),
        )
    )
)
def test_points_of_a_table_are_read_back(tmp_path_factory, table):
    """What `--at` and `--tasks` read; decimal digits in and out cost the last bit at most."""
    columns, rows = table
    path = tmp_path_factory.getbasetemp() / "points.csv"
    lines = [",".join(columns), *(",".join(map(repr, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    found = read_columns(path)
    assert list(found) == columns
    np.testing.assert_allclose(np.stack([*found.values()], 1), rows, rtol=1e-14)


def test_spaces_and_commas_at_the_end_change_no_column(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("x, y ,u\n0,0.5,3,\n1,0.5,4,\n")
    found = {name: column.tolist() for name, column in read_columns(path).items()}
    assert found == {"x": [0, 1], "y": [0.5, 0.5], "u": [3, 4]}


@QUICK
@given(st.binary(max_size=60))
def test_a_table_of_anything_is_numbers_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "anything.csv"
    path.write_bytes(content)
    try:
        assert read_columns(path)
    except UserError as error:
        assert len(str(error).splitlines()) == 1


@QUICK
@given(numbers, numbers)
def test_ranges_are_taken_or_refused(low, high):
    for kind, least in ((Uniform, -np.inf), (LogUniform, 0.0)):
        try:
            family = kind(a=(low, high))
        except UserError as error:
            assert not least < low < high and "\n" not in str(error)
            continue
        assert least < low < high
        if high / max(abs(low), 1e-300) < 1e12 and (high - low) > 1e-6 * max(abs(low), abs(high)):
            values = family.sample(5, np.random.default_rng(0))
            assert family.inside(values).all()
            found = family.decode(torch.from_numpy(family.embed(values)))["a"]
            np.testing.assert_allclose(
                found.numpy(), values["a"], rtol=1e-9, atol=1e-9 * max(abs(low), abs(high))
            )


@QUICK
@given(numbers, numbers)
def test_boxes_are_taken_or_refused(low, high):
    if low < high:
        assert Box(x=(low, high)).boxes() == {"x": (low, high)}
    else:
        with pytest.raises(TypeError, match="coordinate x: expected"):
            Box(x=(low, high))


def test_a_compressed_table_is_read(tmp_path):
    path = tmp_path / "tasks.csv.gz"
    path.write_bytes(gzip.compress(b"re\n30\n42\n"))
    assert read_columns(path)["re"].tolist() == [30, 42]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="is not a readable CSV file"):
        read_columns(path)
