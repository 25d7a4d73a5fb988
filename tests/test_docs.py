"""The blocks of docs/own-problem.md are problems in which check finds nothing but notes."""

import re
from pathlib import Path

import pytest

from pinnlora.problem.load import load_problem
from pinnlora.problem.verify import verify_problem

TEXT = (Path(__file__).parents[1] / "docs/own-problem.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
IMPORTS = BLOCKS[0][: BLOCKS[0].index("class ")]
NAMES = [re.search(r"class (\w+)\(Problem\)", block).group(1) for block in BLOCKS]


@pytest.mark.parametrize("name", NAMES)
def test_a_block_is_a_problem_without_fault(tmp_path, name):
    block = BLOCKS[NAMES.index(name)]
    (tmp_path / "own.py").write_text(IMPORTS + block[block.index("class ") :])
    found = verify_problem(load_problem(f"{tmp_path / 'own.py'}:{name}"))
    assert {finding.severity for finding in found} == {"note"}, found


def test_every_subject_has_its_block():
    for word in (
        "reference(",
        "grid = ",
        "Periodic(",
        "-loss * u",
        "GaussianField(",
        " * LogUniform(",
        "def weight",
        '"v"',
        "u_xxxx",
        "Cycle(",
        "Disk(",
        "Polygon(",
        "u_n + k * u",
    ):
        assert any(word in block[block.index("class ") :] for block in BLOCKS), word
