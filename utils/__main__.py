"""`python -m utils`: each module of utils with its public functions, in a line each, without importing them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path


def overview(folder: Path) -> Iterator[str]:
    """Lines of text: a module and its sentence, then its public functions and theirs."""
    for path in sorted([*folder.glob("[!_]*.py"), *folder.glob("[!_]*/[!_]*.py")]):
        module = ast.parse(path.read_text(encoding="utf-8"))
        name = ".".join(path.relative_to(folder).with_suffix("").parts)
        yield f"utils.{name}: {_sentence(module)}"
        for node in module.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                yield f"    {node.name}({', '.join(_names(node.args))}): {_sentence(node)}"


def _sentence(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _names(arguments: ast.arguments) -> list[str]:
    return [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


if __name__ == "__main__":
    sys.stdout.write("\n".join(overview(Path(__file__).parent)) + "\n")
