"""Every part that a problem can have has its block in docs/own-problem.md; tests/docs runs it."""

from documentation import blocks

BLOCKS = [block.text for block in blocks("docs/own-problem.md") if block.kind == "python"]


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
