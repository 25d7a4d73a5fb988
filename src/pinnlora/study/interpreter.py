"""The workflow's jobs run the Python and the package that the workflow itself was read with."""

import os
import shutil
import sys
from pathlib import Path


def share_interpreter(package: Path) -> None:
    """Put this interpreter first on PATH, and a package that lies in a source tree first on PYTHONPATH.

    `snakemake` may be started from an environment that is not activated, and beside another checkout that is
    installed. An activated conda environment of a job still comes before PATH.
    """
    here = os.path.dirname(sys.executable)
    if os.path.dirname(shutil.which("python") or "") != here:
        os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])
    if package.parent.name not in ("site-packages", "dist-packages"):
        others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(package.parent), *others]))
