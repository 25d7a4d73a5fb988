"""`export`: a bundle as ONNX, for one task or with the task as an input."""

from __future__ import annotations

from pathlib import Path

from pinnlora.errors import UserError
from pinnlora.files import refuse_foreign
from pinnlora.query.export import FamilyModule, SolutionModule, write_onnx
from pinnlora.query.load import load
from pinnlora.query.solved import Solved
from pinnlora.study.jobs.query import assigned
from pinnlora.study.told import told_of_range


def run(bundle: Path, output: Path, assignments: list[str], trust: bool = False) -> None:
    """Write the module of the task given, or of all tasks."""
    refuse_foreign(output, directory=False)
    if output.suffix != ".onnx":
        raise UserError(f"{output}: the ending says the format; expected .onnx")
    surrogate, task = load(bundle, "cpu", trust), assigned(assignments)
    module: SolutionModule | FamilyModule
    if isinstance(surrogate, Solved) and task:
        raise UserError(f"{bundle} is refined networks of given tasks: export without --set")
    if isinstance(surrogate, Solved) or task:
        networks = surrogate.networks if isinstance(surrogate, Solved) else surrogate.networks(**task)
        module, inputs = SolutionModule(networks), "coords"
        said = told_of_range(networks.inside, "" if networks.refined else "; try `pinnlora refine --save`")
    else:
        module, said = FamilyModule(surrogate), []
        numbers = f"task ({', '.join(module.names)})"
        inputs = ", ".join(["coords", *(numbers if name == "task" else name for name in module.inputs)])
    write_onnx(module, output)
    for line in said:
        print(line)
    print(f"wrote {output}: inputs {inputs}; output fields ({', '.join(module.problem.fields)})")
