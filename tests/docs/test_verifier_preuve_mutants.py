"""Mutants of each piece, made at the level of ASN.1: what the checker takes says what the sound one says."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from der_mutation import Node, mutant, read
from evidence_bench import EvidenceBench

from gateway.envelope import der

USES = {"signature": "signer", "journal": "journal", "presence": "présence", "recu-1": "OCT", "arl-1": "OCT"}

Files = dict[str, bytes]


@pytest.fixture
def opened(functions: dict[str, Any], bench: EvidenceBench, files: Files) -> Iterator[Any]:
    """What the checker finds in a piece of a changed evidence: who, which attributes, content, names; None: refused."""
    original = bench.content("a.b2")

    def found(name: str, changes: Files) -> tuple[bytes, dict[str, Any], bytes, tuple[str, str]] | None:
        functions.update(files=files | changes, root=bench.root)
        moment = _moment(functions) if name == "presence" else None
        contents = [original] if name == "signature" else ()
        try:
            leaf, said, content, names = _quietly(functions, name, USES[name], moment, contents)
        except (SystemExit, ArithmeticError, LookupError, TypeError, ValueError):
            return None
        return (leaf.data, said, content, names) if content else None  # without one there is no JSON to be read from it

    yield found
    del functions["files"], functions["root"]


def _moment(functions: dict[str, Any]) -> Any:
    return _quietly(functions, "signature", "signer", None, ())[1][functions["TIME"]]


def _quietly(functions: dict[str, Any], *words: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return functions["opened"](*words)
        finally:
            del functions["looked_at"][1:]


def bare(signed: bytes) -> Node:
    """A SignedData without the certificates inside, which the checker does not read: it has them beside."""
    root = read(signed)
    data = root.children[1].children[0]
    data.children = [one for one in data.children if one.tag != der.context(0)]
    return root


def compare(opened: Any, files: Files, count: int) -> Counter[str]:
    names = list(USES)
    trees = {name: bare(files[f"{name}.cms"]) for name in names}
    sound = {name: opened(name, {}) for name in names}
    assert all(sound.values())
    became = Counter[str]()
    for number in range(count):
        name = names[number % len(names)]
        made = mutant(number, trees[name], list(trees.values()))
        told = opened(name, {f"{name}.cms": made})
        became[f"{name} {'refused' if told is None else 'the same'}"] += 1
        assert told in (None, sound[name]), (number, name)
    return became


def test_a_piece_says_what_was_signed_or_nothing(opened: Any, files: Files) -> None:
    """Some of what nobody signed, as the names of algorithms, is not looked at, and changes nothing."""
    became = compare(opened, files, 200)
    assert len(became) == 2 * len(USES) and all(count > 2 for count in became.values()), became


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_piece_says_what_was_signed_or_nothing_among_very_many(opened: Any, files: Files) -> None:
    compare(opened, files, 5_000)
