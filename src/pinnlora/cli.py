"""The command line: query and refine bundles, check and train own problems, and the jobs of the workflow."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from pinnlora.errors import UserError
from pinnlora.study.provenance import begin

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
jobs = typer.Typer(no_args_is_help=True, help="The jobs of the workflow, one a rule.")
app.add_typer(jobs, name="job")

Text = Annotated[str, typer.Option("--settings", help="the job's settings, as JSON")]
Out = Annotated[Path, typer.Option("--output", "-o", help="where to write")]
Sets = Annotated[
    list[str], typer.Option("--set", help="NAME=NUMBER, or NAME=FILE.npy|FILE.nc for a function")
]
Bundle = Annotated[Path, typer.Argument(help="directory of a trained hypernetwork")]
Source = Annotated[Path, typer.Option()]
Sources = Annotated[list[Path], typer.Option()]
MaybeSource = Annotated[Path | None, typer.Option()]
Asked = Annotated[
    str | None, typer.Option("--provenance", help="what the output should be made from, or nothing is made")
]


class Where(StrEnum):
    """Devices."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Device = Annotated[Where, typer.Option(help="auto is a GPU where there is one")]


def main() -> None:
    """Run; a UserError is one line on standard error and exit status 1."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _run(job: str, **arguments: Any) -> None:
    """Import the module behind a command and run it; only then is what it needs imported."""
    import_module(f"pinnlora.study.jobs.{job}").run(**arguments)


def _make(
    job: str,
    settings: str | dict,
    inputs: dict[str, Path | Iterable[Path] | None],
    asked: str | None,
    device: Where | None = None,
    **outputs: Path,
) -> None:
    """Run a job of the workflow; its output carries what it was made from."""
    try:
        own = json.loads(settings) if isinstance(settings, str) else settings
    except json.JSONDecodeError as error:
        raise UserError(f"--settings is not JSON ({error}); the workflow writes it") from None
    given = {name: paths for name, paths in inputs.items() if paths is not None}
    files = [path for paths in given.values() for path in ([paths] if isinstance(paths, Path) else paths)]
    module, provenance = begin(job, own, files, asked)
    arguments = (own if job.startswith("report.") else {"settings": own}) | given | outputs
    arguments |= {"provenance": provenance} | ({"device": device.value} if device else {})
    if device in (None, Where.cpu):
        module.run(**arguments)
        return
    from pinnlora.study.cards import own_card

    with own_card(device):
        module.run(**arguments)


@jobs.command("tasks")
def job_tasks(settings: Text, output: Out, asked: Asked = None) -> None:
    """Sample the tasks of every split."""
    _make("study.jobs.tasks", settings, {}, asked, output=output)


@jobs.command("reference")
def job_reference(settings: Text, tasks: Source, output: Out, asked: Asked = None) -> None:
    """Solve all tasks by the exact solution or the reference solver."""
    _make("study.jobs.reference", settings, {"tasks": tasks}, asked, output=output)


@jobs.command("fit")
def job_fit(
    settings: Text,
    tasks: Source,
    output: Out,
    reference: MaybeSource = None,
    base: MaybeSource = None,
    device: Device = Where.auto,
    asked: Asked = None,
) -> None:
    """Train networks of single tasks: the base network, fits of the test tasks, teachers."""
    inputs = {"tasks": tasks, "reference": reference, "base": base}
    _make("study.jobs.fit", settings, inputs, asked, device, output=output)


@jobs.command("hypernetwork")
def job_hypernetwork(
    settings: Text,
    tasks: Source,
    reference: Source,
    base: Source,
    output: Out,
    teachers: MaybeSource = None,
    device: Device = Where.auto,
    asked: Asked = None,
) -> None:
    """Train one hypernetwork."""
    inputs = {"tasks": tasks, "reference": reference, "base": base, "teachers": teachers}
    _make("study.jobs.hypernetwork", settings, inputs, asked, device, output=output)


@jobs.command("evaluate")
def job_evaluate(
    settings: Text,
    tasks: Source,
    reference: Source,
    base: Source,
    output: Out,
    fit: Sources = [],  # noqa: B006
    surrogate: Sources = [],  # noqa: B006
    device: Device = Where.auto,
    asked: Asked = None,
) -> None:
    """Measure the errors of everything that was trained."""
    inputs = {"tasks": tasks, "reference": reference, "base": base, "fit": fit, "surrogate": surrogate}
    _make("study.jobs.evaluate", settings, inputs, asked, device, output=output)


@jobs.command("table")
def job_table(
    number: Annotated[int, typer.Option(min=1, max=3)],
    evaluation: Sources,
    output: Out,
    markdown: Source,
    asked: Asked = None,
) -> None:
    """Write one of the paper's tables."""
    inputs = {"evaluations": evaluation}
    _make("report.jobs.table", {"number": number}, inputs, asked, output=output, markdown=markdown)


@jobs.command("figure")
def job_figure(
    kind: Annotated[str, typer.Option()], evaluation: Sources, output: Out, pdf: Source, asked: Asked = None
) -> None:
    """Draw a figure: fields, rank or time."""
    _make("report.jobs.figure", {"kind": kind}, {"evaluations": evaluation}, asked, output=output, pdf=pdf)


@app.command()
def predict(bundle: Bundle, output: Out, set: Sets, device: Device = Where.auto) -> None:
    """Predict the fields of a new task on the evaluation grid."""
    _run("query", bundle=bundle, output=output, assignments=set, steps=0, device=device)


@app.command()
def refine(
    bundle: Bundle,
    output: Out,
    set: Sets,
    steps: Annotated[int, typer.Option(min=1, help="Levenberg-Marquardt steps")] = 10,
    device: Device = Where.auto,
) -> None:
    """Predict, then improve the prediction by the task's own physics."""
    _run("query", bundle=bundle, output=output, assignments=set, steps=steps, device=device)


@app.command()
def info(bundle: Bundle) -> None:
    """Print a bundle's model card."""
    card = bundle / "README.md"
    if not card.is_file():
        raise UserError(f"{bundle} is no bundle: expected a directory with README.md and config.json")
    typer.echo(card.read_text())


@app.command()
def check(problem: Annotated[str, typer.Argument(help="FILE.py:Class, or a problem of the package")]) -> None:
    """Read an own problem, resolve its names, and say what was understood."""
    _run("check", spec=problem)


@app.command()
def publish(
    study: Annotated[Path, typer.Argument(help="directory of a finished study")],
    docs: Annotated[Path, typer.Option(help="where tables and figures go")] = Path("docs/default"),
    readme: Annotated[Path, typer.Option(help="the file with the marked results")] = Path("README.md"),
) -> None:
    """Make docs and the README's numbers anew from a study that the code of HEAD made."""
    from pinnlora.report.publish import publish as publish_study

    publish_study(study, docs, readme)


@app.command()
def train(
    problem: Annotated[str, typer.Argument(help="FILE.py:Class, or a problem of the package")],
    output: Out,
    rank: Annotated[int, typer.Option(min=1, help="rank of the adapters")] = 4,
    config: Annotated[Path | None, typer.Option(help="YAML with the keys of config/README.md")] = None,
    device: Annotated[Where | None, typer.Option(help="auto, cpu or cuda; else as in the config")] = None,
) -> None:
    """Train a physics hypernetwork for a problem: tasks, references, base, hypernetwork, in one directory."""
    _run("train", spec=problem, output=output, rank=rank, config=config, device=device)
