"""The page of a surrogate, in a real browser: its numbers are those of predict, and it asks nothing of any network."""

import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import wasmtime
from onnx.reference import ReferenceEvaluator
from playwright.sync_api import sync_playwright
from redraw_time import TIMED, chromium
from test_export import predicted_at
from test_surrogate import KINDS, OWN, bundle

from pinnlora.query import explore
from pinnlora.query.calibration import Calibration
from pinnlora.query.places import in_domain
from pinnlora.query.score import Score
from pinnlora.query.trust import trust

PAGE = Path(explore.__file__).parent / "page"
CALIBRATION = Calibration({"residual": [0.1 * k for k in range(1, 41)]})
ANNULUS = Path(__file__).parents[2] / "examples" / "annulus.py"
CASES = {
    "kovasznay": KINDS["kovasznay, rank 2"],
    "burgers1d, potential": ("burgers1d", 2, "float32", KINDS["burgers1d, potential"][3]),
    "burgers2d, hard": ("burgers2d", 2, "float64", {"conditions": "hard"}),
    "annulus": (f"{ANNULUS}:Annulus", 2, "float64", {"conditions": "auto"}),
}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as started:
        path = chromium(started)
        if path is None:
            pytest.skip("no Chromium here: playwright install chromium, or apt-get install chromium")
        browser = started.chromium.launch(executable_path=str(path), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def surrogates(tmp_path_factory):
    """Untrained surrogates with a calibration, and their pages, made once each."""
    made = {}

    def get(case):
        if case not in made:
            folder = tmp_path_factory.mktemp("page")
            surrogate = replace(bundle(folder / "bundle", *CASES[case]), calibration=CALIBRATION)
            surrogate.explore(folder / "page.html")
            made[case] = surrogate, folder / "page.html"
        return made[case]

    return get


def opened(browser, path):
    """The page, offline; what goes wrong in it is an error here, and so is a request for anything else."""
    page, wrong = browser.new_context(offline=True).new_page(), []
    page.set_default_timeout(300_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
    page.on("request", lambda request: request.url != path.as_uri() and wrong.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("last !== null")
    assert not wrong
    return page


def asked(page, unknowns, points):
    """Fields (point, field), whether inside, and what is estimated."""
    found = page.evaluate(
        """([z, points]) => {
            const found = ask(z, Float32Array.from(points)), plain = (x) => Array.from(x);
            return [about.fields.map((name) => plain(found.fields[name])), plain(found.inside), estimate(z)];
        }""",
        [list(map(float, unknowns)), points.astype(float).ravel().tolist()],
    )
    return np.array(found[0]).T, np.array(found[1]) > 0, found[2]


def task_at(surrogate, unknowns):
    decoded = surrogate.problem.task.decode(torch.as_tensor(unknowns, dtype=torch.float64)[None])
    return {name: value[0].numpy() for name, value in decoded.items()}


def scattered(surrogate, count=1500):
    box = surrogate.problem.coords
    return np.random.default_rng(2).uniform(box.low, box.high, (count, len(box.names))).astype("float32")


@pytest.mark.parametrize("case", CASES)
def test_the_page_is_the_prediction(browser, surrogates, case):
    """Fields to 1e-5, in more points than one chunk and outside of the range too; the score to its rounding."""
    surrogate, path = surrogates(case)
    page, points = opened(browser, path), scattered(surrogate)
    count = len(surrogate.problem.task.bounded)
    for scale in (0.9, 0.3) if count < 9 else (1.0, 1.5):
        unknowns = scale * np.random.default_rng(3).choice([-1.0, 1.0], count)
        task = task_at(surrogate, unknowns)
        fields, inside, estimate = asked(page, unknowns, points)
        expected, where = predicted_at(surrogate, points.astype(float), **task), in_domain(
            surrogate.problem, points[None].astype(float), {k: v[None] for k, v in task.items()}
        )  # fmt: skip
        where = np.ones(len(points), bool) if where is True else where[0]
        assert (inside == where).mean() > 0.999  # but for rounding at the very edge
        both = inside & where
        np.testing.assert_allclose(fields[both], expected[both], atol=1e-5)
        found = trust(surrogate.networks(**task), "residual")
        assert estimate["known"] == bool(found.inside[0])
        rel = (
            1e-3 if page.evaluate("'score' in graphs") else 0.3
        )  # points of a shape are no graph: interpolated
        assert estimate["residual"] == pytest.approx(found.scores.residual[0], rel=rel)
        assert estimate["error"] == pytest.approx(found.estimate[0], rel=rel)
        assert (estimate["low"], estimate["high"]) == pytest.approx((found.low[0], found.high[0]), rel=rel)


def test_a_slider_redraws_the_fields_of_its_task(browser, surrogates):
    surrogate, path = surrogates("burgers2d, hard")
    page = opened(browser, path)
    before = page.evaluate("document.getElementById('field-u').toDataURL()")
    page.evaluate(
        """() => document.querySelectorAll("input").forEach((input, k) => {
            input.value = [0.5, 0.25][k];
            input.dispatchEvent(new Event("input"));
        })"""
    )
    whole = f"last.points.length === {3 * explore.SHOWN**2}"
    page.wait_for_function(f"() => !({whole})")  # at once on a coarser grid
    page.wait_for_function(f"before => {whole} && element('field-u').toDataURL() !== before", arg=before)
    points = np.array(page.evaluate("Array.from(last.points)")).reshape(-1, 3)
    assert len(points) == explore.SHOWN**2 and set(points[:, 2]) == {0.25}
    shown = np.array(page.evaluate("Array.from(last.fields.u)"))
    unknowns = page.evaluate("state.unknowns")
    assert unknowns == pytest.approx([0.5], abs=0.003)  # a slider has steps
    task = task_at(surrogate, unknowns)
    np.testing.assert_allclose(shown, predicted_at(surrogate, points.astype(float), **task)[:, 0], atol=1e-5)
    assert page.inner_text("#value-nu") == f"{float(task['nu']):.2e}".replace("e-0", "e-")
    colours = page.evaluate(
        """() => {
            const canvas = document.getElementById("field-u");
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(Array.from({length: data.length / 4}, (_, k) => data.slice(4 * k, 4 * k + 4).join())).size;
        }"""
    )
    assert colours > 50


def test_the_page_says_when_a_task_is_out_of_range(browser, surrogates):
    page = opened(browser, surrogates("kovasznay")[1])
    assert "in the trained range" in page.inner_text("#trust") and "90 %" in page.inner_text("#trust")
    page.evaluate("() => { const input = document.querySelector('input'); input.value = input.max; "
                  "input.dispatchEvent(new Event('input')); }")  # fmt: skip
    page.wait_for_selector("#trust.unknown")
    text = page.inner_text("#trust")
    assert "outside the trained range: the error is not known" in text and "90 %" not in text


def test_an_operator_that_the_page_lacks_costs_the_score_alone(tmp_path, capsys):
    (tmp_path / "bell.py").write_text(textwrap.dedent(OWN).replace("u_t -", "torch.special.erf(u_t) -"))
    graphs = explore.page_graphs(bundle(tmp_path / "bundle", f"{tmp_path / 'bell.py'}:Heat", 2))
    assert list(graphs["graphs"]) == ["fields"] and "erf" in capsys.readouterr().out.lower()
    plain = bundle(tmp_path / "plain", "kovasznay", 2)
    assert list(explore.page_graphs(plain)["graphs"]) == ["fields", "score"]


def test_a_score_that_is_no_graph_is_interpolated(browser, surrogates, tmp_path, monkeypatch):
    surrogate, _ = surrogates("kovasznay")
    graphs = explore.page_graphs(surrogate)
    graphs["graphs"].pop("score")
    monkeypatch.setattr(explore, "page_graphs", lambda _: graphs)
    surrogate.explore(tmp_path / "page.html")
    page = opened(browser, tmp_path / "page.html")
    for place, tolerance in ((2 / 8, 1e-5), (0.3, 0.05)):  # at a node, and between
        *_, estimate = asked(page, [place], scattered(surrogate, 5))
        found = trust(surrogate.networks(**task_at(surrogate, [place])), "residual")
        assert estimate["error"] == pytest.approx(found.estimate[0], rel=tolerance)
    assert "interpolated between 17 values" in page.inner_text("#how")


def test_scores_of_nothing_and_none_at_all_open_too(browser, surrogates, tmp_path, monkeypatch):
    """Conditions that are held exactly are missed by 0, whose logarithm is infinite; without any there is no number."""
    surrogate, _ = surrogates("kovasznay")
    graphs = explore.page_graphs(surrogate)
    graphs["graphs"].pop("score")
    monkeypatch.setattr(explore, "page_graphs", lambda _: graphs)
    for mismatch, words in ((0.0, "conditions missed by 1.0e-300"), (np.nan, "residual 2.0e+0")):
        monkeypatch.setattr(
            explore, "score", lambda networks, m=mismatch: Score(*np.full((3, 17), [[2.0], [m], [3.0]]))
        )
        surrogate.explore(tmp_path / "page.html")
        page = opened(browser, tmp_path / "page.html")
        assert page.inner_text("#trust").endswith(words)
        *_, estimate = asked(page, [1.05], scattered(surrogate, 5))  # a table has no numbers beyond its ends
        assert estimate == {"known": False}


def test_without_webassembly_the_numbers_are_the_same(browser, surrogates):
    surrogate, path = surrogates("kovasznay")
    page, points = opened(browser, path), scattered(surrogate)
    fast, _, before = asked(page, [0.4], points)
    page.evaluate("() => { kernels.code = null; }")
    slow, _, after = asked(page, [0.4], points)
    np.testing.assert_allclose(fast, slow, atol=2e-6)
    assert before["residual"] == pytest.approx(after["residual"], rel=1e-12)


def test_the_benchmark_of_a_redraw_times_this_page(browser, surrogates):
    page = opened(browser, surrogates("kovasznay")[1])
    times = page.evaluate(TIMED, 2)
    assert set(times) == {"moving", "rested", "fields", "estimate"}
    assert all(len(each) == 2 and min(each) >= 0 for each in times.values()) and min(times["rested"]) > 0


def test_the_kernels_are_those_of_their_source():
    assert wasmtime.wat2wasm((PAGE / "kernels.wat").read_text()) == (PAGE / "kernels.wasm").read_bytes()


def test_a_bundle_becomes_a_page_by_one_command(run, tmp_path):
    bundle(tmp_path / "bundle", *KINDS["kovasznay, rank 2"])
    status, said, error = run("explore", tmp_path / "bundle", "-o", tmp_path / "page.html")
    assert status == 0 and "open it in a browser" in said, error
    assert "never measured" in (tmp_path / "page.html").read_text()
    status, _, error = run("explore", tmp_path / "bundle", "-o", tmp_path / "page.pdf")
    assert status == 2 and "expected .html" in error and error.count("\n") == 1


RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((2, 3, 4)), RNG.standard_normal((3, 1))
OPERATORS = {
    "broadcast": ("Add", [A, B], {}),
    "power": ("Pow", [A, np.array(2.0)], {}),
    "modulo": ("Mod", [A, np.array(0.7)], {"fmod": 1}),
    "choice": ("Where", [A > 0, A, B], {}),
    "clip": ("Clip", [A, np.array(-0.5), np.array(0.5)], {}),
    "product": ("MatMul", [A, RNG.standard_normal((2, 4, 5))], {}),
    "large product": ("MatMul", [RNG.standard_normal((2, 50, 37)), RNG.standard_normal((37, 13))], {}),
    "product with a vector": ("MatMul", [A, RNG.standard_normal(4)], {}),
    "gemm": ("Gemm", [A[0], A[1], RNG.standard_normal(3)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    "turn": ("Transpose", [A], {"perm": [2, 0, 1]}),
    "slice": ("Slice", [A, *map(np.array, ([3, -2], [-9, 9], [2, 1], [-2, 1]))], {}),
    "gather": ("Gather", [A, np.array([[0, -1], [2, 1]])], {"axis": 1}),
    "gather elements": ("GatherElements", [A, RNG.integers(-4, 4, (2, 3, 2))], {"axis": 2}),
    "gather blocks": ("GatherND", [A, np.array([[0, 2], [1, -1]])], {}),
    "gather blocks of a batch": ("GatherND", [A, np.array([[0], [2]])], {"batch_dims": 1}),
    "scatter": ("ScatterElements", [A, np.array([[[2, 0, 1, -1]]]), np.ones((1, 1, 4))], {"axis": 1}),
    "scatter blocks": ("ScatterND", [A, np.array([[0, 2], [1, -1]]), np.ones((2, 4))], {}),
    "join": ("Concat", [A, B[None] * np.ones((2, 1, 4))], {"axis": -2}),
    "repeat": ("Expand", [B, np.array([2, 3, 4])], {}),
    "pad": ("Pad", [A, np.array([1, 3, 0, 2]), np.array(7.0), np.array([0, 2])], {}),
    "sum": ("ReduceSum", [A, np.array([0, -1])], {"keepdims": 0}),
    "mean": ("ReduceMean", [A], {}),
    "largest": ("ReduceMax", [A, np.array([1])], {}),
    "transform": ("DFT", [A[..., None], None, np.array(1)], {}),
    "half a transform": ("DFT", [A[..., None], None, np.array(2)], {"onesided": 1}),
    "transform back": ("DFT", [RNG.standard_normal((3, 8, 2)), None, np.array(1)], {"inverse": 1}),
    "unsqueeze": ("Unsqueeze", [A, np.array([-1, 0])], {}),
    "infinite": ("IsInf", [np.array([1.0, np.inf, -np.inf])], {"detect_negative": 0}),
}


@pytest.fixture(scope="module")
def interpreter(browser):
    page = browser.new_page()
    for name in ("kernels.js", "fuse.js", "graph.js"):
        page.add_script_tag(path=PAGE / name)
    code = list((PAGE / "kernels.wasm").read_bytes())
    page.evaluate("(code) => { kernels.start(Uint8Array.from(code)); }", code)
    return page


@pytest.mark.parametrize("case", OPERATORS)
def test_operators_are_those_of_onnx(interpreter, case):
    name, arrays, attributes = OPERATORS[case]
    given = {f"x{k}": array for k, array in enumerate(arrays) if array is not None}
    names = ["" if array is None else f"x{k}" for k, array in enumerate(arrays)]
    inputs = [
        onnx.helper.make_tensor_value_info(key, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for key, x in given.items()
    ]
    kind = onnx.TensorProto.BOOL if name == "IsInf" else onnx.TensorProto.DOUBLE
    output = onnx.helper.make_tensor_value_info("y", kind, None)
    node = onnx.helper.make_node(name, names, ["y"], **attributes)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "one", inputs, [output]))
    (expected,) = ReferenceEvaluator(model).run(None, given)
    kinds = {"f": "Float64Array", "i": "Int32Array", "b": "Uint8Array"}
    tensors = [x if x is None else [kinds[x.dtype.kind], list(x.shape), x.ravel().tolist()] for x in arrays]
    shape, found = interpreter.evaluate(
        """([name, tensors, attributes]) => {
            const types = {Float64Array, Int32Array, Uint8Array};
            const ins = tensors.map((x) => (x ? tensor(x[1], types[x[0]].from(x[2])) : undefined));
            const {shape, data} = OPS[name](ins, attributes);
            return [shape, Array.from(data)];
        }""",
        [name, tensors, attributes],
    )
    assert tuple(shape) == expected.shape
    np.testing.assert_allclose(np.reshape(found, shape), expected, atol=1e-12)
