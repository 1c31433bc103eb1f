"""No function over 60 lines (its docstring apart), no file over 500; tables of a standard excepted."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
ROOMS = ("gateway", "firmware-tools", "certs-dev", "tests", "bench", "docs")
LONGEST_FUNCTION, LONGEST_FILE = 60, 500
TABLES = ("_tables.py", "pesit/parameters.py", "pesit/states.py", "pesit/fpdus.py", "pesit/diagnostics.py")


def sources() -> Iterator[Path]:
    for room in ROOMS:
        for path in sorted((REPO / room).rglob("*")):
            if path.is_file() and (path.suffix == ".py" or path.read_bytes().startswith(b"#!/usr/bin/env python3")):
                yield path


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function with its lines, without its docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            prose = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - prose


def main() -> int:
    wrong, lengths = [], []
    for path in sources():
        name = path.relative_to(REPO)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_FILE and not str(name).endswith(TABLES):
            wrong.append(f"{name}: {lines} lines")
        for function, length in functions(path):
            if str(name).startswith("gateway/"):
                lengths.append(length)
            if length > LONGEST_FUNCTION:
                wrong.append(f"{name}: {function} has {length} lines")
    lengths.sort()
    print(f"functions of the product: {len(lengths)}, median {statistics.median(lengths):.0f} lines, "
          f"nine in ten under {lengths[len(lengths) * 9 // 10] + 1}")  # fmt: skip
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
