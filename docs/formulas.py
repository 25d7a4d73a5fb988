"""A ```math block becomes MathML, which browsers show by themselves and offline."""

import re
from typing import Any

from latex2mathml.converter import convert

BLOCK = re.compile(r"^```math\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """mkdocs calls this with the text of each page."""
    return BLOCK.sub(lambda block: convert(" ".join(block[1].split()), display="block"), markdown)
