"""The command line: query and refine bundles, check and train own problems, and the jobs of the workflow."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from pinnlora.errors import UserError

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


def main() -> None:
    """Run; a UserError is one line on standard error and exit status 1."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _run(job: str, settings: str | None = None, **arguments: Any) -> None:
    """Import the job's module and run it; only then is what it needs imported."""
    if settings is not None:
        try:
            arguments["settings"] = json.loads(settings)
        except json.JSONDecodeError as error:
            raise UserError(f"--settings is not JSON ({error}); the workflow writes it") from None
    package = "report" if job in ("table", "figure") else "study"
    import_module(f"pinnlora.{package}.jobs.{job}").run(**arguments)


@jobs.command("tasks")
def job_tasks(settings: Text, output: Out) -> None:
    """Sample the tasks of every split."""
    _run("tasks", settings, output=output)


@jobs.command("reference")
def job_reference(settings: Text, tasks: Source, output: Out) -> None:
    """Solve all tasks by the exact solution or the reference solver."""
    _run("reference", settings, tasks=tasks, output=output)


@jobs.command("fit")
def job_fit(
    settings: Text,
    tasks: Source,
    output: Out,
    reference: Annotated[Path | None, typer.Option()] = None,
    base: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Train networks of single tasks: the base network, fits of the test tasks, teachers."""
    _run("fit", settings, tasks=tasks, reference=reference, base=base, output=output)


@jobs.command("hypernetwork")
def job_hypernetwork(
    settings: Text,
    tasks: Source,
    reference: Source,
    base: Source,
    output: Out,
    teachers: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Train one hypernetwork."""
    _run(
        "hypernetwork",
        settings,
        tasks=tasks,
        reference=reference,
        base=base,
        output=output,
        teachers=teachers,
    )


@jobs.command("evaluate")
def job_evaluate(
    settings: Text,
    tasks: Source,
    reference: Source,
    base: Source,
    output: Out,
    fit: Annotated[list[Path], typer.Option()] = [],  # noqa: B006
    surrogate: Annotated[list[Path], typer.Option()] = [],  # noqa: B006
) -> None:
    """Measure the errors of everything that was trained."""
    files = {"tasks": tasks, "reference": reference, "base": base, "output": output}
    _run("evaluate", settings, **files, fit=fit, surrogate=surrogate)


@jobs.command("table")
def job_table(
    evaluations: list[Path], number: Annotated[int, typer.Option(min=1, max=3)], output: Out, markdown: Source
) -> None:
    """Write one of the paper's tables."""
    _run("table", number=number, output=output, markdown=markdown, evaluations=evaluations)


@jobs.command("figure")
def job_figure(
    evaluations: list[Path], kind: Annotated[str, typer.Option()], output: Out, pdf: Source
) -> None:
    """Draw a figure: fields, rank or time."""
    _run("figure", kind=kind, output=output, pdf=pdf, evaluations=evaluations)


@app.command()
def predict(bundle: Bundle, output: Out, set: Sets) -> None:
    """Predict the fields of a new task on the evaluation grid."""
    _run("query", bundle=bundle, output=output, assignments=set, steps=0)


@app.command()
def refine(
    bundle: Bundle,
    output: Out,
    set: Sets,
    steps: Annotated[int, typer.Option(min=1, help="Levenberg-Marquardt steps")] = 10,
) -> None:
    """Predict, then improve the prediction by the task's own physics."""
    _run("query", bundle=bundle, output=output, assignments=set, steps=steps)


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
) -> None:
    """Train a physics hypernetwork for a problem: tasks, references, base, hypernetwork, in one directory."""
    _run("train", spec=problem, output=output, rank=rank, config=config)
