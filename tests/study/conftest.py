"""A problem with neither exact() nor reference()."""

import textwrap

import pytest
from test_surrogate import OWN


@pytest.fixture(scope="module")
def heat(tmp_path_factory) -> str:
    """The heat equation in a file, FILE.py:Heat."""
    path = tmp_path_factory.mktemp("own") / "heat.py"
    text = textwrap.dedent(OWN).replace("(0.1, 1)", "(0.05, 0.1)")
    path.write_text(text.replace('"x": 11, "t": 6', '"x": 21, "t": 11'))
    return f"{path}:Heat"
