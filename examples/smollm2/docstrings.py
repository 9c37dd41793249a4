"""Technical prose that comes with every Python: the docstrings of its standard library."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

SHORTEST = 200  # characters: shorter ones are hardly prose
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3", "turtledemo"}


def stdlib_docstrings() -> list[str]:
    """Docstrings of modules, classes and functions, in the order of files and lines, each once."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(file for file in root.rglob("*.py") if not LEFT_OUT & set(file.relative_to(root).parts))
    found: dict[str, None] = {}
    for file in files:
        for text in docstrings_of(file):
            found.setdefault(text)
    return list(found)


def docstrings_of(file: Path) -> list[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    return [text for text in texts if len(text) >= SHORTEST]
