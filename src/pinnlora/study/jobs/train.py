"""`train`: from a problem to a bundle without a workflow, for people who bring their own equation."""

from __future__ import annotations

from pathlib import Path

from pinnlora.files import refuse_foreign
from pinnlora.study.cards import own_card
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import check
from pinnlora.study.provenance import begin
from pinnlora.study.settings import load_settings, problem_name


def run(spec: str, output: Path, rank: int, config: Path | None, device: str | None = None) -> None:
    """Write tasks.nc, reference.nc, base/ and bundle/ under `output`; `device` goes before the config's."""
    check.run(spec)
    sources = ([config] if config else []) + [{"problems": [spec]}]
    settings = load_settings(*sources)
    where = device or settings.device
    made: dict[str, Path] = {}

    def make(job: str, stage: str, path: Path, **more: str) -> None:
        """One job on all that was made before it."""
        own = job_settings(settings, problem_name(spec), stage, rank, "physics")
        module, provenance = begin(f"study.jobs.{job}", own, made.values())
        module.run(own, **made, output=path, provenance=provenance, **more)

    for name in ("tasks.nc", "reference.nc"):
        refuse_foreign(output / name, directory=False)  # before the training, not after it
    for name in ("base", "bundle"):
        refuse_foreign(output / name, directory=True)
    make("tasks", "tasks", output / "tasks.nc")
    made["tasks"] = output / "tasks.nc"
    with own_card(where):
        make("fit", "base", output / "base", device=where)
        made["base"] = output / "base"
        make("reference", "reference", output / "reference.nc", device=where)
        made = {"tasks": made["tasks"], "reference": output / "reference.nc", "base": made["base"]}
        make("hypernetwork", "hypernetwork", output / "bundle", device=where)
    print(
        f"the bundle is {output / 'bundle'}: try `pinnlora predict {output / 'bundle'} --set ... -o out.nc`"
    )
