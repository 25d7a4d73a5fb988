"""The command line: query and refine bundles, check and train own problems, and the jobs of the workflow."""

from __future__ import annotations

import sys
from enum import StrEnum
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from pinnlora.errors import UserError, did_you_mean, spoken
from pinnlora.study.cards import own_card
from pinnlora.study.graph import MODULES
from pinnlora.study.job_settings import told_settings
from pinnlora.study.provenance import begin
from pinnlora.temporary import remove_leftovers

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Out = Annotated[Path, typer.Option("--output", "-o", help="where to write")]
Result = Annotated[Path, typer.Option("--output", "-o", help="a .nc, .csv or .npz file")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=NUMBER, or NAME=FILE.npy|FILE.nc for a function")
]
Tasks = Annotated[Path | None, typer.Option(help="CSV, a row a task, a column a parameter")]
Points = Annotated[
    Path | None, typer.Option(help="CSV of points, or NetCDF with coordinates; else the evaluation grid")
]
Fields = Annotated[str | None, typer.Option(help="fields and derivatives: u,u_x,u_re; else all fields")]
Trust = Annotated[
    bool, typer.Option("--trust", help="run the problem's code that a bundle from elsewhere carries")
]
Bundle = Annotated[Path, typer.Argument(help="directory of a trained hypernetwork")]
Source = Annotated[Path | None, typer.Option(help="an input")]
Sources = Annotated[list[Path] | None, typer.Option(help="inputs, one each time")]


class Where(StrEnum):
    """Devices."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Device = Annotated[Where, typer.Option(help="auto is a GPU where there is one")]


def main() -> None:
    """Run; bad input is one line on standard error and exit status 2, or 3 where another process is at work."""
    try:
        for word in sys.argv[1:]:
            if not word or (word.startswith("--") and word.endswith("=")):
                given = f": {word}" * bool(word)
                raise UserError(f"an argument is empty{given}; is a shell variable not set?")
            if word.splitlines() != [word]:
                raise UserError(f"an argument of several lines: {word[:60]!r}")
        sys.exit(app(standalone_mode=False) or 0)
    except Exception as error:
        if (known := spoken(error)) is None:
            raise
        text, status = known
        help_alone = len(sys.argv) == 1
        print(text if help_alone else f"error: {text}", file=sys.stdout if help_alone else sys.stderr)
        sys.exit(status)


def _run(job: str, **arguments: Any) -> None:
    """Import the module behind a command and run it; only then is what it needs imported."""
    import_module(f"pinnlora.study.jobs.{job}").run(**arguments)


@app.command()
def job(
    name: Annotated[str, typer.Argument(help="study.jobs.fit, report.jobs.table, ...")],
    output: Out,
    settings: Annotated[str, typer.Option(help="the job's settings, as JSON")],
    tasks: Source = None,
    reference: Source = None,
    base: Source = None,
    teachers: Source = None,
    fit: Sources = None,
    surrogate: Sources = None,
    evaluation: Sources = None,
    markdown: Annotated[Path | None, typer.Option(help="second output of a table")] = None,
    pdf: Annotated[Path | None, typer.Option(help="second output of a figure")] = None,
    device: Annotated[Where | None, typer.Option(help="for jobs that compute on a device")] = None,
    checkpoint_minutes: Annotated[
        float | None, typer.Option(min=0, help="between two checkpoints of a training")
    ] = None,
    asked: Annotated[str | None, typer.Option("--provenance", help="made from this or not at all")] = None,
) -> None:
    """Run one job of the workflow, which writes these command lines; the output carries what it was made from."""
    if name not in MODULES.values():
        raise UserError(f"no job {name!r}{did_you_mean(name, sorted(set(MODULES.values())))}")
    own = told_settings(settings)
    single = {"tasks": tasks, "reference": reference, "base": base, "teachers": teachers}
    several = {"fit": fit, "surrogate": surrogate, "evaluation": evaluation}
    files = [path for path in single.values() if path]
    files += [path for paths in several.values() for path in paths or []]
    outputs: dict[str, Any] = {"output": output, "markdown": markdown, "pdf": pdf}
    outputs |= {"device": device and device.value, "checkpoint_minutes": checkpoint_minutes}
    given = {option: value for option, value in (single | several | outputs).items() if value is not None}
    with own_card(device):  # before it is found out what will run, for a card can take hours to be free
        module, provenance = begin(name, own, files, asked)
        arguments = {"settings": own, "provenance": provenance} | given
        try:
            signature(module.run).bind(**arguments)
        except TypeError as error:
            raise UserError(f"job {name}: {error}") from None
        for path in filter(None, (output, markdown, pdf)):
            remove_leftovers(path)
        module.run(**arguments)


@app.command()
def predict(
    bundle: Bundle,
    output: Result,
    set: Sets = None,
    tasks: Tasks = None,
    at: Points = None,
    fields: Fields = None,
    estimate: Annotated[str, typer.Option(help="auto, residual, refined (slower, a map) or none")] = "auto",
    until: Annotated[float | None, typer.Option(help="a time beyond the trained one, to march to")] = None,
    device: Device = Where.auto,
    trust: Trust = False,
) -> None:
    """Predict the fields of one or many tasks, with an estimate of their error."""
    _run(
        "query", bundle=bundle, output=output, assignments=set or [], tasks=tasks, at=at, fields=fields,
        estimate=estimate, until=until, device=device, trust=trust,
    )  # fmt: skip


@app.command()
def refine(
    bundle: Bundle,
    output: Result,
    set: Sets = None,
    tasks: Tasks = None,
    at: Points = None,
    fields: Fields = None,
    tolerance: Annotated[float | None, typer.Option(help="estimated error to come below")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="10, or at most 100 to a tolerance")] = None,
    save: Annotated[Path | None, typer.Option(help="directory for the refined networks on their own")] = None,
    device: Device = Where.auto,
    trust: Trust = False,
) -> None:
    """Predict, then improve the prediction by the tasks' own physics."""
    _run(
        "query", bundle=bundle, output=output, assignments=set or [], tasks=tasks, at=at, fields=fields,
        refinement={"tolerance": tolerance, "steps": steps, "save": save}, device=device, trust=trust,
    )  # fmt: skip


@app.command()
def invert(
    bundle: Bundle,
    data: Annotated[Path, typer.Argument(help="CSV or NetCDF: coordinates, and fields measured there")],
    output: Result,
    noise: Annotated[str, typer.Option(help="standard deviation: 0.01, or by field, u=1,v=1,p=2")] = "0.01",
    device: Device = Where.cpu,
    trust: Trust = False,
) -> None:
    """Find the task that explains measurements, and how well it is known."""
    _run("invert", bundle=bundle, data=data, output=output, noise=noise, device=device, trust=trust)


@app.command()
def export(
    bundle: Bundle,
    output: Annotated[Path, typer.Option("--output", "-o", help="a .onnx file")],
    set: Sets = None,
    trust: Trust = False,
) -> None:
    """Write ONNX: coordinates to fields of the task given, or of any task, which is then an input."""
    _run("export", bundle=bundle, output=output, assignments=set or [], trust=trust)


@app.command()
def explore(
    bundle: Bundle,
    output: Annotated[Path, typer.Option("--output", "-o", help="a .html file")],
    trust: Trust = False,
) -> None:
    """Write a page with sliders for the task; it holds the networks and draws their fields in any browser, offline."""
    _run("explore", bundle=bundle, output=output, trust=trust)


@app.command()
def plot(
    bundle: Bundle,
    output: Annotated[Path, typer.Option("--output", "-o", help="a .png or .pdf file")],
    set: Sets = None,
    trust: Trust = False,
) -> None:
    """Draw one task: fields, residual, estimated error, and the true error where it is known."""
    from pinnlora.report.jobs.plot import draw

    draw(bundle, output, set or [], trust)


@app.command()
def info(bundle: Bundle) -> None:
    """Print a bundle's model card."""
    card = bundle / "README.md"
    if not (card.is_file() and (bundle / "config.json").is_file()):
        raise UserError(f"{bundle} is no bundle: expected a directory with README.md and config.json")
    typer.echo(card.read_text(encoding="utf-8"))


@app.command()
def check(problem: Annotated[str, typer.Argument(help="FILE.py:Class, or a problem of the package")]) -> None:
    """Read an own problem, resolve its names, and say what was understood."""
    _run("check", spec=problem)


@app.command()
def publish(
    study: Annotated[Path, typer.Argument(help="directory of a finished study, or docs of a published one")],
    docs: Annotated[Path, typer.Option(help="where tables and figures go")] = Path("docs/results"),
    readme: Annotated[Path, typer.Option(help="the file with the marked results")] = Path("README.md"),
) -> None:
    """Make docs and the README's numbers anew from a study that the code of HEAD made."""
    from pinnlora.report.publish import publish as publish_study

    publish_study(study, docs, readme)


@app.command()
def train(
    problem: Annotated[str, typer.Argument(help="FILE.py:Class, or a problem of the package")],
    output: Out,
    rank: Annotated[str, typer.Option(help="rank of the adapters, or auto: found by training")] = "4",
    config: Annotated[Path | None, typer.Option(help="YAML with the keys of config/README.md")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="time for everything; 5 where there is no config")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace what was trained there before")] = False,
    device: Annotated[Where | None, typer.Option(help="auto, cpu or cuda; else as in the config")] = None,
) -> None:
    """Train a physics hypernetwork for a problem, and say whether it converged: all in one directory."""
    _run(
        "train", spec=problem, output=output, rank=rank, config=config, minutes=minutes, force=force,
        device=device,
    )  # fmt: skip
