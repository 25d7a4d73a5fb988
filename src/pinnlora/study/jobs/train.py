"""`train`: from a problem to a bundle without a workflow, for people who bring their own equation."""

from __future__ import annotations

from pathlib import Path

from pinnlora.files import refuse_foreign
from pinnlora.study.job_settings import job_settings
from pinnlora.study.jobs import check, fit, hypernetwork, reference, tasks
from pinnlora.study.settings import load_settings, problem_name


def run(spec: str, output: Path, rank: int, config: Path | None) -> None:
    """Write tasks.nc, reference.nc, base/ and bundle/ under `output`."""
    check.run(spec)
    name = problem_name(spec)
    sources = ([config] if config else []) + [{"problems": [spec]}]
    settings = load_settings(*sources)

    def part(job: str, **which) -> dict:
        return job_settings(settings, name, job, **which)

    files = {key: output / f"{key}.nc" for key in ("tasks", "reference")}
    for path in files.values():
        refuse_foreign(path, directory=False)
    for part_of in ("base", "bundle"):
        refuse_foreign(output / part_of, directory=True)  # before the training, not after it
    tasks.run(part("tasks"), files["tasks"])
    reference.run(part("reference"), files["tasks"], files["reference"])
    fit.run(part("base"), files["tasks"], output / "base")
    hypernetwork.run(
        part("hypernetwork", mode="physics", rank=rank), files["tasks"], files["reference"], output / "base",
        output / "bundle",
    )  # fmt: skip
    print(
        f"the bundle is {output / 'bundle'}: try `pinnlora predict {output / 'bundle'} --set ... -o out.nc`"
    )
