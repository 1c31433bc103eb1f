"""The verbs of journal rows, read from the program itself: whatever it puts under ``"verb"``.

A verb stands there as a word, as ``Verb.X``, as a constant of a module, or as the parameter ``verb`` of a function,
whose callers say it.  What is none of these is an AssertionError, so that no verb escapes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stage import REPO

from gateway.fichier import Verb

ROOMS = ("book", "follow", "services")
"""Where rows are made; the command line only shows them."""


@dataclass
class Module:
    """One source file: its constants, whence its other names come, and in which place its functions take ``verb``."""

    tree: ast.Module
    constants: dict[str, str] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    takers: dict[str, int] = field(default_factory=dict)


def written_verbs() -> set[str]:
    """All of them."""
    modules = {".".join(path.relative_to(REPO).with_suffix("").parts): _module(path)
               for room in ROOMS for path in (REPO / "gateway" / room).rglob("*.py")}  # fmt: skip
    return {verb for one in modules.values() for value in _values(one, modules) for verb in _read(value, one, modules)}


def _module(path: Path) -> Module:
    made = Module(ast.parse(path.read_text(encoding="utf-8")))
    for node in ast.walk(made.tree):
        if isinstance(node, ast.FunctionDef):
            names = [one.arg for one in node.args.args if one.arg != "self"]
            made.takers |= {node.name: names.index("verb")} if "verb" in names else {}
        elif isinstance(node, ast.ImportFrom):
            made.imported |= {one.asname or one.name: str(node.module) for one in node.names}
    for node in made.tree.body:
        if isinstance(node, ast.Assign):
            made.constants |= dict(_constants(node.targets[0], node.value))
    return made


def _constants(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for name, one in zip(target.elts, value.elts, strict=True):
            yield from _constants(name, one)
    elif isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield target.id, value.value


def _values(one: Module, modules: dict[str, Module]) -> Iterator[ast.expr]:
    """What stands under "verb", and what is given to a function that puts it there."""
    for node in ast.walk(one.tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "verb")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            home = modules.get(one.imported.get(name, ""), one)
            if name in home.takers and any(_writes(home, name)):
                yield node.args[home.takers[name]]


def _writes(home: Module, name: str) -> Iterator[bool]:
    """Whether a function of that name puts its ``verb`` into a row."""
    for node in ast.walk(home.tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Dict):
                    yield any(isinstance(key, ast.Constant) and key.value == "verb" for key in inner.keys)


def _read(value: ast.expr, one: Module, modules: dict[str, Module]) -> set[str]:
    match value:
        case ast.Constant(value=str(word)):
            return {word}
        case ast.Attribute(value=ast.Name(id="Verb"), attr=name):
            return {Verb[name]}
        case ast.Name(id="verb"):  # a parameter: its callers say it; of a move, every arrow's
            return set(Verb)
        case ast.Name(id=name):
            home = modules.get(one.imported.get(name, ""), one)
            return {home.constants[name]}
        case ast.Subscript():  # a row that is read
            return set()
    raise AssertionError(ast.unparse(value))
