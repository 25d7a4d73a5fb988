"""Python code as text for hashing: the same under every version of Python, and however it is worded or laid out."""

import ast
from typing import Any

TYPING_ONLY = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
UNUSED = ("ctx", "kind", "type_comment")
"""Fields of nodes that say nothing more about what runs."""


def running_code(text: str, name: str) -> ast.Module:
    """The tree of what does something when run: no docstrings, and nothing that only type checkers look at."""
    return _Running().visit(ast.parse(text, name))


class _Running(ast.NodeTransformer):
    """Drops the rest. An `else` of what is for type checkers stays: it is what runs."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test) in TYPING_ONLY else node


def canonical_text(node: Any) -> str:
    """A tree as text. `ast.unparse` and `ast.dump` change with Python's version: quotes, empty fields, and how the text
    of f-strings is cut into pieces."""
    if isinstance(node, list):
        return f"[{', '.join(map(canonical_text, node))}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    if isinstance(node, ast.JoinedStr):
        node = ast.JoinedStr(_joined(node.values))
    said = [
        f"{name}={canonical_text(value)}"
        for name, value in ast.iter_fields(node)
        if name not in UNUSED and value is not None and value != []
    ]
    return f"{type(node).__name__}({', '.join(said)})"


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string: neighbouring pieces of text as one, without empty ones."""
    parts: list[ast.expr] = []
    for value in values:
        last = parts[-1] if parts else None
        if isinstance(value, ast.Constant) and isinstance(last, ast.Constant):
            parts[-1] = ast.Constant(str(last.value) + str(value.value))
        elif not (isinstance(value, ast.Constant) and value.value == ""):
            parts.append(value)
    return parts
