"""Queries of bundles that cannot be meant: tasks, points, fields, outputs, measurements."""

import gzip

import numpy as np
import pytest
import torch
import xarray as xr
from refused import LONG, refuses_command, written
from test_surrogate import KINDS, bundle, task_of

import pinnlora


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with untrained bundles and with files of all sorts."""
    folder = tmp_path_factory.mktemp("wrong")
    bundle(folder / "flow")
    bundle(folder / "burgers", *KINDS["burgers1d"])
    pinnlora.load(folder / "flow").refine(re=42.0, steps=1, points=20, save=folder / "solved")
    (folder / "heat.py").write_text("")
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter.tex").write_text("years")
    (folder / "project").mkdir()
    (folder / "project" / "README.md").write_text("# Mine")
    tables(folder)
    arrays(folder)
    return folder


def tables(folder):
    written(
        folder,
        "csv",
        {
            "text": "re\nfast\n",
            "empty": "",
            "header": "re\n",
            "other": "rey\n42\n",
            "twice": "re,re\n30,40\n",
            "ragged": "re\n30\n40,50\n",
            "wide": "re\n30,50\n",
            "counted": "re\n30,50\n31,60\n",
            "truths": "re\nTrue\nFalse\n",
            "spaced": "re, re\n30,40\n",
            "nan": "re\n30\n\n  \nnan\n",
            "infinite": "re\ninf\n",
            "negative": "re\n42\n-5\n",
            "good": "re\n30\n42\n",
            "far": "x,y\n0.5,0.5\n1.5,0.5\n",
            "line": "x\n0.5\n",
            "depth": "x,y,z\n0.5,0.5,0.5\n",
            "hole": "x,y\n0.5,\n",
            "words": "x,y\n0.5,half\n",
            "points": "x,y\n0.5,0.5\n",
            "measured": "x,y,u\n0.5,0.5,1.0\n0.2,0.5,1.1\n",
            "nothing": "x,y,u\n0.5,0.5,\n",
            "endless": "x,y,u\n0.5,0.5,inf\n",
            "unknown": "x,y,w\n0.5,0.5,1.0\n",
            "outside": "x,y,u\n5,0.5,1.0\n",
        },
    )
    for name in ("text.zip", "text.csv.xz", "text.csv.tar", "text.csv.zst"):
        (folder / name).write_text("re\nfast\n")
    packed = bytearray(gzip.compress(b"re\n" + b"".join(b"%d\n" % (k * k) for k in range(100))))
    packed[20:40] = b"\xff" * 20
    (folder / "damaged.csv.gz").write_bytes(packed)
    (folder / "binary.csv").write_bytes(bytes(range(256)))
    (folder / "folder.csv").mkdir()
    (folder / "folder.csv" / "mine").write_text("mine")


def arrays(folder):
    good = task_of("burgers1d")["u0"]
    for name, array in {
        "short": good[:5],
        "deep": np.stack([[good, good]]),
        "complex": good + 1j,
        "boolean": good > 0,
        "dates": np.full(128, np.datetime64("2024-01-01")),
        "letters": np.full(128, "a"),
        "records": np.zeros(128, dtype=[("a", float)]),
        "nan": np.where(good > 0, good, np.nan),
        "infinite": np.where(good > 0, good, np.inf),
        "nothing": np.zeros(0),
    }.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "objects.npy", np.array([{"a": 1}] * 128), allow_pickle=True)
    (folder / "text.npy").write_text("1 2 3")
    (folder / "folder.npy").mkdir()
    (folder / "cut.npy").write_bytes((folder / "short.npy").read_bytes()[:100])
    xr.Dataset({"w": ("x", good)}).to_netcdf(folder / "other.nc")
    xr.Dataset({"u0": ("x", good)}, {"x": np.linspace(1, 2, 128)}).to_netcdf(folder / "moved.nc")
    xr.Dataset({"u0": ("x", good[:7])}).to_netcdf(folder / "short.nc")
    xr.Dataset({"u0": ("x", np.full(128, "a"))}).to_netcdf(folder / "letters.nc")
    xr.Dataset(coords={"x": ("x", [0.1, 0.2])}).to_netcdf(folder / "line.nc")
    (folder / "damaged.nc").write_bytes((folder / "other.nc").read_bytes()[:300])
    (folder / "folder.nc").mkdir()


FLOW, BURGERS = "predict flow -o out.nc", "predict burgers -o out.nc"
COMMANDS = {
    "predct flow": "No such command 'predct'",
    "predict": "Missing argument 'bundle'",
    "predict flow --set re=42": "Missing option '--output'",
    f"{FLOW} --rey 42": "No such option: --rey",
    f"{FLOW} --set": "requires an argument",
    f"{FLOW} re=42": "unexpected extra argument",
    "predict absent -o out.nc --set re=42": "absent is no bundle",
    "predict heat.py -o out.nc --set re=42": "heat.py is no bundle",
    "predict '' -o out.nc --set re=42": "an argument is empty",
    f"predict {LONG} -o out.nc --set re=42": "",
    "predict thesis -o out.nc --set re=42": "thesis is no bundle",
    # tasks
    FLOW: "task parameter 're' is missing",
    f"{FLOW} --set re": "--set re: expected NAME=NUMBER",
    f"{FLOW} --set =42": "expected NAME=NUMBER",
    f"{FLOW} --set re=": "expected NAME=NUMBER",
    f"{FLOW} --set ''": "an argument is empty",
    f"{FLOW} --set re=fast": "'fast' is neither a number nor",
    f"{FLOW} --set re=42,43": "'42,43' is neither a number nor",
    f"{FLOW} --set re=1+2j": "'1+2j' is neither a number nor",
    f"{FLOW} --set re=True": "'True' is neither a number nor",
    f"{FLOW} --set re=nan": "re holds 1 NaN or infinite",
    f"{FLOW} --set re=inf": "re holds 1 NaN or infinite",
    f"{FLOW} --set re=1e400": "re holds 1 NaN or infinite",
    f"{FLOW} --set re=-5": "re = -5",
    f"{FLOW} --set re=0": "re = 0",
    f"{FLOW} --set re=42 --set re=43": "re is given twice",
    f"{FLOW} --set rey=42": "'rey'...did you mean 're'",
    f"{FLOW} --set re=42 --set alpha=1": "unknown task parameter 'alpha'",
    f"{FLOW} --tasks good.csv --set re=42": "re is given twice",
    f"{FLOW} --tasks absent.csv": "there is no file absent.csv",
    f"{FLOW} --tasks folder.csv": "there is no file folder.csv",
    f"{FLOW} --tasks text.csv": "column 're' holds no numbers",
    f"{FLOW} --tasks empty.csv": "empty.csv is not a readable CSV",
    f"{FLOW} --tasks header.csv": "header.csv: no rows",
    f"{FLOW} --tasks other.csv": "unknown task parameter 'rey'",
    f"{FLOW} --tasks twice.csv": "unknown task parameter 're.1'",
    f"{FLOW} --tasks ragged.csv": "ragged.csv is not a readable CSV",
    f"{FLOW} --tasks wide.csv": "wide.csv: its rows have more numbers than its first line has names",
    f"{FLOW} --tasks counted.csv": "counted.csv: its rows have more numbers than its first line has names",
    f"{FLOW} --tasks truths.csv": "column 're' holds no numbers",
    f"{FLOW} --tasks spaced.csv": "column 're' is there twice",
    f"{FLOW} --tasks text.zip": "text.zip is not a readable CSV file",
    f"{FLOW} --tasks text.csv.xz": "text.csv.xz is not a readable CSV file",
    f"{FLOW} --tasks text.csv.tar": "text.csv.tar is not a readable CSV file",
    f"{FLOW} --tasks text.csv.zst": "text.csv.zst is not a readable CSV file",
    f"{FLOW} --tasks damaged.csv.gz": "damaged.csv.gz is not a readable CSV file (Error -3 while decompressing",
    f"{FLOW} --tasks nan.csv": "re holds 1 NaN",
    f"{FLOW} --tasks infinite.csv": "re holds 1 NaN or infinite",
    f"{FLOW} --tasks negative.csv": "re = -5",
    f"{FLOW} --tasks binary.csv": "binary.csv is not a readable CSV",
    # functions
    f"{BURGERS} --set u0=3": "u0 has shape ()...(128,)",
    f"{BURGERS} --set u0=absent.npy": "no file absent.npy",
    f"{BURGERS} --set u0=absent.nc": "no file absent.nc",
    f"{BURGERS} --set u0=short.npy": "u0 has shape (5,)...(128,)",
    f"{BURGERS} --set u0=deep.npy": "u0 has shape (1, 2, 128)",
    f"{BURGERS} --set u0=complex.npy": "u0...complex",
    f"{BURGERS} --set u0=boolean.npy": "u0...bool",
    f"{BURGERS} --set u0=dates.npy": "u0...datetime64",
    f"{BURGERS} --set u0=letters.npy": "u0",
    f"{BURGERS} --set u0=records.npy": "u0",
    f"{BURGERS} --set u0=nan.npy": "NaN or infinite",
    f"{BURGERS} --set u0=infinite.npy": "NaN or infinite",
    f"{BURGERS} --set u0=nothing.npy": "u0 has shape (0,)",
    f"{BURGERS} --set u0=objects.npy": "objects.npy holds no array",
    f"{BURGERS} --set u0=text.npy": "text.npy holds no array",
    f"{BURGERS} --set u0=cut.npy": "cut.npy holds no array",
    f"{BURGERS} --set u0=folder.npy": "no file folder.npy",
    f"{BURGERS} --set u0=other.nc": "no variable 'u0'; it has: w",
    f"{BURGERS} --set u0=short.nc": "u0 has shape (7,)",
    f"{BURGERS} --set u0=moved.nc": "u0 is given at other x than expected, 1 to 2; interpolate it to u0_x",
    f"{BURGERS} --set u0=letters.nc": "u0",
    f"{BURGERS} --set u0=damaged.nc": "damaged.nc is not a readable NetCDF",
    f"{BURGERS} --set u0=folder.nc": "no file folder.nc",
    f"{BURGERS} --tasks good.csv": "unknown task parameter 're'",
    # points and fields
    f"{FLOW} --set re=42 --at absent.csv": "there is no file absent.csv",
    f"{FLOW} --set re=42 --at empty.csv": "empty.csv",
    f"{FLOW} --set re=42 --at far.csv": "1 of 2 points lie outside the domain, x = 1.5",
    f"{FLOW} --set re=42 --at line.csv": "no coordinate 'y'",
    f"{FLOW} --set re=42 --at depth.csv": "no coordinate 'z'",
    f"{FLOW} --set re=42 --at hole.csv": "y holds NaN",
    f"{FLOW} --set re=42 --at words.csv": "column 'y' holds no numbers",
    f"{FLOW} --set re=42 --at line.nc": "no coordinate 'y'",
    f"{FLOW} --set re=42 --at damaged.nc": "damaged.nc is not a readable NetCDF",
    f"{FLOW} --set re=42 --fields w": "'w' is no field",
    f"{FLOW} --set re=42 --fields u,": "'' is no field",
    f"{FLOW} --set re=42 --fields ''": "an argument is empty",
    f"{FLOW} --set re=42 --fields u_z": "'u_z' is no field",
    f"{FLOW} --set re=42 --fields u,u": "u is asked for twice",
    f"{FLOW} --set re=42 --estimate best": "estimate = 'best'",
    f"{FLOW} --set re=42 --device gpu": "'gpu' is not one of",
    # outputs
    "predict flow --set re=42 -o out.txt": "the ending says the format",
    "predict flow --set re=42 -o out": "the ending says the format",
    "predict flow --set re=42 -o ''": "an argument is empty",
    "predict flow --set re=42 -o .": "is a directory",
    "predict flow --set re=42 -o ..": "is a directory",
    "predict flow --set re=42 -o thesis": "thesis is a directory",
    "predict flow --set re=42 -o folder.nc": "folder.nc is a directory",
    "predict flow --set re=42 -o heat.py/out.nc": "heat.py",
    f"predict flow --set re=42 -o {LONG}.nc": "File name too long",
    "predict flow --set re=42 -o /proc/none/out.nc": "/proc",
    # solved networks
    "predict solved --set re=42 -o out.nc": "refined networks of given tasks",
    "refine solved -o out.nc": "refined networks of given tasks",
    "invert solved measured.csv -o out.nc": "refined networks of given tasks",
    # refinement
    "refine flow --set re=42 -o out.nc --steps 0": "--steps",
    "refine flow --set re=42 -o out.nc --steps -3": "--steps",
    "refine flow --set re=42 -o out.nc --steps many": "--steps",
    "refine flow --set re=42 -o out.nc --tolerance 0": "tolerance = 0",
    "refine flow --set re=42 -o out.nc --tolerance -1": "tolerance = -1",
    "refine flow --set re=42 -o out.nc --tolerance nan": "tolerance = nan",
    "refine flow --set re=42 -o out.nc --tolerance 1e-3": "never calibrated",
    "refine flow --set re=42 -o out.nc --steps 1 --save thesis": "thesis holds chapter.tex",
    "refine flow --set re=42 -o out.nc --steps 1 --save flow": "flow holds something else than saved networks",
    "refine flow --set re=42 -o same.nc --steps 1 --save same.nc": "same.nc and --save same.nc are one place",
    "refine flow --set re=42 -o same/out.nc --steps 1 --save same": "same/out.nc and --save same are one place",
    "refine flow --set re=42 -o same.nc --steps 1 --save ./same.nc/deep": "same.nc and --save same.nc/deep are one",
    "refine flow --set re=42 -o out.nc --steps 1 --save heat.py": "heat.py is a file",
    "refine flow --set re=42 -o out.nc --steps 1 --save ''": "an argument is empty",
    "refine flow --set re=42 -o out.nc --steps 1 --save .": "",
    f"refine flow --set re=42 -o out.nc --steps 1 --save {LONG}": "File name too long",
    "refine flow --set re=42 -o out.nc --steps 1 --fields w": "'w' is no field",
    "refine flow --set re=42 -o out.nc --steps 1 --at far.csv": "outside the domain",
    "refine flow --set re=42 -o thesis": "thesis is a directory",
    # inversion
    "invert flow absent.csv -o out.nc": "there is no file absent.csv",
    "invert flow folder.csv -o out.nc": "there is no file folder.csv",
    "invert flow points.csv -o out.nc": "no field; expected one or more of u, v, p",
    "invert flow unknown.csv -o out.nc": "'w' is neither a field",
    "invert flow nothing.csv -o out.nc": "no value at all",
    "invert flow endless.csv -o out.nc": "infinite values",
    "invert flow outside.csv -o out.nc": "observations: 1 of 1 points lie outside the domain",
    "invert flow line.nc -o out.nc": "observations: no field",
    "invert flow measured.csv -o out.txt": "the ending says the format",
    "invert flow measured.csv -o measured.csv": "measured.csv: is read too",
    "predict flow --set re=42 --at points.csv -o ./points.csv": "points.csv: is read too",
    "predict flow --tasks good.csv -o good.csv": "good.csv: is read too",
    "invert flow measured.csv -o out.nc --noise little": "--noise little",
    "invert flow measured.csv -o out.nc --noise ''": "an argument is empty",
    "invert flow measured.csv -o out.nc --noise 0": "noise",
    "invert flow measured.csv -o out.nc --noise -1": "noise",
    "invert flow measured.csv -o out.nc --noise nan": "noise",
    "invert flow measured.csv -o out.nc --noise u=": "--noise u=",
    "invert flow measured.csv -o out.nc --noise w=0.1": "noise",
    "invert flow measured.csv -o out.nc --noise u=0.1,u=0.2": "a field is given twice",
    # exports, plots, cards
    "export flow -o out.txt": "expected .onnx",
    "export flow -o thesis": "thesis is a directory",
    "export absent -o out.onnx": "absent is no bundle",
    "export flow -o out.onnx --set re=fast": "'fast' is neither",
    "plot flow --set re=42 -o out.gif": "expected .png or .pdf",
    "plot flow -o out.png": "'re' is missing",
    "plot absent --set re=42 -o out.png": "absent is no bundle",
    "plot solved --set re=42 -o out.png": "refined networks of given tasks",
    "export solved --set re=42 -o out.onnx": "refined networks of given tasks",
    "export flow --output=": "an argument is empty",
    "predict 'flow\nflow' -o out.nc": "an argument of several lines: 'flow\\nflow'",
    "info absent": "absent is no bundle",
    "info heat.py": "heat.py is no bundle",
    "info thesis": "thesis is no bundle",
    "info project": "project is no bundle: expected a directory with README.md and config.json",
}  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS)
def test_a_wrong_query_is_one_line_and_writes_nothing(place, monkeypatch, capsys, line):
    refuses_command(line, COMMANDS[line], place, monkeypatch, capsys)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a graphics card is there")
@pytest.mark.parametrize("line", [f"{FLOW} --set re=42", "refine flow --set re=42 -o o.nc"])
def test_no_graphics_card_is_one_line(place, monkeypatch, capsys, line):
    refuses_command(f"{line} --device cuda", "torch sees no GPU here", place, monkeypatch, capsys)
