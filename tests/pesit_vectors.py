"""The vectors of ``tests/vectors/pesit``: a header of ``key: value`` lines, an empty line, bytes in hexadecimal.

The directory says how a vector is played; a new vector is a new file, and no code. Header ``fact`` names the
facts that it shows (see ``tests/conformity``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.pesit.codec import Fpdu, decode

ROOM = Path(__file__).parent / "vectors" / "pesit"


@dataclass(frozen=True)
class Vector:
    """One file; ``name`` with its directory."""

    name: str
    head: dict[str, str]
    data: bytes


def read(path: Path) -> Vector:
    """The vector in ``path``."""
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    pairs = dict(line.split(": ", 1) for line in head.splitlines())
    return Vector(f"{path.parent.name}/{path.stem}", pairs, bytes.fromhex("".join(body.split())))


def vectors(kind: str) -> list[Vector]:
    """All vectors of one directory."""
    return [read(path) for path in sorted((ROOM / kind).glob("*.txt"))]


def marked(name: str, facts: str, *values: Any) -> Any:
    """A case named ``name`` that shows ``facts``."""
    return pytest.param(*values, id=name, marks=[pytest.mark.fact(*facts.split())] if facts else [])


def cases(kind: str) -> list[Any]:
    """The vectors of one directory as the cases of a test."""
    return [marked(vector.name, vector.head["fact"], vector) for vector in vectors(kind)]


def frames(*kinds: str) -> list[bytes]:
    """The bytes of the vectors of some directories, for whoever wants something to spoil."""
    return [vector.data for kind in kinds for vector in vectors(kind)]


def samples() -> dict[str, Fpdu]:
    """One sound FPDU of each name, positive where it is an answer."""
    found = (decode(vector.data) for vector in vectors("fpdu") if vector.head.get("sent") == "yes")
    return {fpdu.name: fpdu for fpdu in found if fpdu.diagnostic == "0.000" or not fpdu.name.startswith("ACK(")}
