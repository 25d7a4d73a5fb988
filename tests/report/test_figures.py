"""The figures: one colour scale for the fields, one for the errors, any problem, files renamed into place."""

import numpy as np
import pytest
from matplotlib import pyplot, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.text import Text
from synthetic import PROBLEMS, evaluation, with_found_ranks, with_three_seeds

from pinnlora.errors import UserError
from pinnlora.report.curves import error_against_rank, error_against_time
from pinnlora.report.fields import error_norm, fields
from pinnlora.report.jobs import figure as job
from pinnlora.report.showcase import cut
from pinnlora.report.style import MARKERS, save


def meshes(figure):
    """The maps of a figure, without those of its colour bars."""
    return [
        item
        for axes in figure.axes
        if axes.get_label() != "<colorbar>"
        for item in axes.collections
        if isinstance(item, QuadMesh)
    ]


@pytest.mark.parametrize(("place", "errors"), [(0, 3), (1, 2), (2, 1)])
def test_two_colour_scales_for_all_panels(full, place, errors):
    dataset = full[place]
    panels = meshes(fields(dataset))
    logarithmic = [mesh for mesh in panels if isinstance(mesh.norm, LogNorm)]
    plain = [mesh for mesh in panels if not isinstance(mesh.norm, LogNorm)]
    assert len(plain) == 7 and len(logarithmic) == 6 * errors
    assert len({id(mesh.norm) for mesh in panels}) == 2
    reference = cut(dataset).reference[0]
    assert (plain[0].norm.vmin, plain[0].norm.vmax) == (reference.min(), reference.max())


def test_outside_of_the_domain_is_blank_and_what_blew_up_inside_is_not(full):
    dataset = full[0].copy(deep=True)
    points = dataset["showcase_reference"].sizes
    outside = np.zeros((points["x"], points["y"]), dtype=bool)
    outside[:5, :7] = True
    dataset["showcase_inside"] = (("x", "y"), (~outside).astype("int8"))
    for name in ("showcase_reference", "showcase_prediction"):
        dataset[name] = dataset[name].where(dataset["showcase_inside"] != 0)
    whole, slices = cut(full[0]), cut(dataset)
    assert (slices.outside == outside.T).all() and np.isfinite(slices.scores).all()
    assert slices.errors.shape == whole.errors.shape
    blanks = [mesh for mesh in meshes(fields(dataset)) if mesh.get_cmap().N == 1]
    assert len(blanks) == len(meshes(fields(full[0])))
    dataset["showcase_prediction"][0, 0, 10, 10] = np.nan
    assert np.isnan(cut(dataset).scores[0]) and np.isfinite(cut(dataset).scores[1:]).all()


def test_a_page_holds_seven_rows(full):
    for dataset in full:
        width, height = fields(dataset).get_size_inches()
        assert width <= 7.3 and height <= 10.01
    figure = fields(full[0])
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "Re = 42.3" in words and "LoRA, rank 4, MSE " in words and "absolute error of p" in words


def test_time_is_cut_at_its_end(full):
    dataset = full[1]
    slices = cut(dataset)
    assert slices.axes == ("x", "y") and slices.where == "t = 1"
    expected = dataset["showcase_reference"].sel(field="v").isel(t=-1).values
    np.testing.assert_array_equal(slices.reference[1], expected.T)
    difference = dataset["showcase_prediction"][2] - dataset["showcase_reference"]
    assert slices.scores[2] == pytest.approx(float((difference**2).mean()))
    assert cut(full[2]).axes == ("t", "x")


def test_the_task_shown_is_the_one_evaluated(full):
    dataset = full[0].copy(deep=True)
    dataset["task_re"].loc[{"split": "test"}] = np.arange(20.0)
    words = " ".join(text.get_text() for text in fields(dataset.assign_attrs(showcase_task=7)).texts)
    assert "Re = 7" in words
    del dataset.attrs["showcase_task"]
    assert "Re" not in fields(dataset).texts[0].get_text()


@pytest.mark.parametrize("name", ["heat", "rod"])
def test_problems_of_the_users(name):
    figure = fields(evaluation(name))
    assert len(meshes(figure)) == (13 if name == "heat" else 0)
    assert "alpha = 0.05" in figure.texts[0].get_text()


def test_a_prediction_that_diverged_does_not_spoil_the_scales(full):
    dataset = full[0].copy(deep=True)
    dataset["showcase_prediction"][3] = np.nan
    dataset["showcase_prediction"][4, 0, 50, 50] = np.inf
    panels = meshes(fields(dataset))
    assert np.isfinite([value for mesh in panels for value in (mesh.norm.vmin, mesh.norm.vmax)]).all()


def test_legends_stay_on_the_page(full):
    others = ["data", "weights", "distilled"]  # without them the entries fall into other columns
    few = [each.drop_sel({"method": others}) for each in full]
    for datasets in (full[:1], full[:2], full, few, [*full, evaluation("burgers1d@plain")]):
        for draw in (error_against_rank, error_against_time):
            figure = draw(datasets)
            renderer = FigureCanvasAgg(figure).get_renderer()
            figure.draw(renderer)
            box = figure.legends[0].get_window_extent(renderer)
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0


def test_error_scale():
    wide = error_norm(np.array([0.0, np.nan, np.inf, *np.logspace(-14, -1.5, 100)]))
    assert (wide.vmin, wide.vmax) == (pytest.approx(1e-9), pytest.approx(1e-1))
    narrow = error_norm(np.array([2e-5, 3e-4]))
    assert (narrow.vmin, narrow.vmax) == (pytest.approx(1e-5), pytest.approx(1e-3))
    exact = error_norm(np.zeros(4))
    assert 0 < exact.vmin < exact.vmax


def test_ranks_that_were_found_stand_apart_right_of_the_numbers(full):
    axes = error_against_rank([with_found_ranks(full[0], [1, 2, 3])]).axes[0]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks[-2:] == ["auto", "full"] and "64" in ticks[:-2]
    bars = [bar for bar in axes.containers if bar.get_label() == "kovasznay physics"]
    assert [len(bar.lines[0].get_ydata()) for bar in bars] == [3, 1, 1]  # numbers, found, full


def test_rank_figure_shows_ours_and_the_papers(full):
    figure = error_against_rank(full)
    assert [axes.get_title() for axes in figure.axes] == ["Kovasznay flow", "2D Burgers", "1D Burgers"]
    axes = figure.axes[0]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["1", "2", "4", "8", "16", "32", "64", "full"]
    bars = {bar.get_label(): bar for bar in axes.containers}
    ours = bars["kovasznay lora"].lines[0].get_ydata()
    values = full[0]["mse"].sel({"method": "lora", "split": "test", "seed": 2023}).mean("field")
    np.testing.assert_allclose(ours, values.mean("task").values[:7])
    lowest, highest = np.array(bars["kovasznay lora"].lines[2][0].get_segments())[2, :, 1]
    assert (lowest, highest) == (pytest.approx(float(values[2].min())), pytest.approx(float(values[2].max())))
    papers = [line for line in axes.lines if line.get_linestyle() == "--" and line.get_color() == "#0072B2"]
    np.testing.assert_allclose(papers[0].get_ydata()[[0, 2]], [8.16e-07, 3.85e-07])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "paper, damaged print" in labels


def test_a_rank_that_diverged_breaks_the_line(full):
    dataset = full[0].copy(deep=True)
    where = {"method": "lora", "rank": "4", "split": "test", "seed": 2023, "task": 0}
    dataset["mse"].loc[where] = np.inf
    figure = error_against_rank([dataset])
    (bar,) = [bar for bar in figure.axes[0].containers if bar.get_label() == "kovasznay lora"]
    ours = bar.lines[0].get_ydata()
    assert len(ours) == 7 and np.flatnonzero(np.isnan(ours)).tolist() == [2]


def test_rank_figure_has_a_dot_for_each_seed(full):
    figure = error_against_rank([with_three_seeds(full[0])])
    dots = [line.get_ydata() for line in figure.axes[0].lines if line.get_marker() == "."]
    assert len(dots) == 4 * 5  # modes x ranks
    for means in dots:
        np.testing.assert_allclose(np.array(means) / means[0], [1, 2, 6])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"one seed", "range, tasks and seeds"} <= set(labels)
    alone = error_against_rank(full[:1])
    assert not [line for line in alone.axes[0].lines if line.get_marker() == "."]
    assert "range over the test tasks" in [text.get_text() for text in alone.legends[0].get_texts()]


def test_damaged_cells_are_crosses_that_no_line_joins(full):
    axes = error_against_rank(full).axes[2]
    (line,) = [
        line
        for line in axes.lines
        if line.get_linestyle() == "--"
        and line.get_marker() == MARKERS["physics"]
        and len(line.get_xdata()) == 4
    ]
    np.testing.assert_array_equal(line.get_ydata(), [1.17e-05, np.nan, np.nan, 8.23e-06])
    crosses = [line for line in axes.lines if line.get_marker() == "x" and line.get_color() == "#D55E00"]
    np.testing.assert_array_equal(crosses[0].get_ydata(), [6.04e-06, 4.74e-06])


def test_baselines_are_thin_lines_across_the_panel(full):
    figure = error_against_rank(full)
    for axes, dataset, names in zip(figure.axes, full, (["base"], ["base"], ["ansatz", "base"]), strict=True):
        lines = {line.get_label(): line for line in axes.lines if line.get_label() in ("ansatz", "base")}
        assert sorted(lines) == names
        value = float(dataset["mse"].sel({"method": "base", "rank": "full", "split": "test"}).mean())
        assert lines["base"].get_ydata()[0] == pytest.approx(value) and lines["base"].get_linewidth() < 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "base network of T0" in labels and "ansatz, N = 0" in labels


def test_rank_figure_of_a_smoke_study_of_a_variant_and_of_an_own_problem():
    smoke = error_against_rank([evaluation(name, smoke=True) for name in PROBLEMS])
    labels = [text.get_text() for text in smoke.legends[0].get_texts()]
    assert labels[:2] == ["LoRA", "physics"]
    variant = error_against_rank([evaluation("burgers1d@plain")])
    assert variant.axes[0].get_title() == "1D Burgers, plain"
    assert "paper" in [text.get_text() for text in variant.legends[0].get_texts()]
    own = error_against_rank([evaluation("heat")])
    assert "paper" not in [text.get_text() for text in own.legends[0].get_texts()]


def test_time_figure_counts_what_a_method_builds_on(full):
    figure = error_against_time(full)
    axes = figure.axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert "with base" in axes.get_xlabel() and "best validation loss so far" in " ".join(
        axes.get_ylabel().split()
    )
    assert len(axes.lines) == 2 * 7  # no baselines: they are not trained towards the test tasks
    for method, rank, before in (
        ("pinn", "full", 0),
        ("lora", "4", 20),
        ("data", "4", 23),
        ("weights", "4", 70),
    ):
        history = full[0].sel({"method": method, "rank": rank, "seed": 2023})
        end = next(line for line in axes.lines if line.get_marker() == MARKERS[method])
        assert end.get_xdata()[0] == history["history_seconds"].values[-1] + before
        assert end.get_ydata()[0] == history["history_mse"].values[-1]
    assert "LoRA, rank 4" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert "Example CPU, 2 cores, 1 thread" in figure.legends[0].get_title().get_text()


def test_time_figure_without_histories(full):
    bare = full[0].drop_vars(["history_seconds", "history_mse"])
    assert not error_against_time([bare]).axes[0].lines


@pytest.mark.parametrize("kind", ["fields", "rank", "time"])
def test_the_job_writes_both_files_and_nothing_else(tmp_path, kind):
    before = dict(rcParams)
    evaluation("burgers1d", smoke=True).to_netcdf(tmp_path / "evaluation.nc")
    job.run({"kind": kind}, [tmp_path / "evaluation.nc"], tmp_path / "a.png", tmp_path / "a.pdf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "evaluation.nc"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert dict(rcParams) == before and not pyplot.get_fignums()


def test_an_interrupted_drawing_leaves_the_old_file(tmp_path):
    class Broken:
        def savefig(self, path, **_):
            path.write_text("half a file")
            raise RuntimeError("stopped")

    (tmp_path / "a.png").write_text("old")
    with pytest.raises(RuntimeError):
        save(Broken(), tmp_path / "a.png", tmp_path / "a.pdf")
    assert (tmp_path / "a.png").read_text() == "old"
    assert not (tmp_path / "a.pdf").exists()


def test_errors_are_one_clear_line(tmp_path, full):
    with pytest.raises(UserError, match="no figure `map`; expected fields, rank or time"):
        job.run({"kind": "map"}, [tmp_path / "evaluation.nc"], tmp_path / "a.png", tmp_path / "a.pdf")
    with pytest.raises(UserError, match="got 2 evaluation files; give one"):
        job.run(
            {"kind": "fields"}, [tmp_path / "a.nc", tmp_path / "b.nc"], tmp_path / "a.png", tmp_path / "a.pdf"
        )
    with pytest.raises(UserError, match="no showcase"):
        fields(full[0].drop_vars(["showcase_reference", "showcase_prediction"]))
