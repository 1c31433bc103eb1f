"""The hash chain of journal rows: pure; the rows themselves are kept in the book.

A row is canonical JSON (sorted keys, no blanks, UTF-8).  Its hash covers the hash of the row before it, so
that a changed, removed or reordered row is found by recomputing.  Two chains exist: ``evidence`` (what
happened to a fichier, no person in it) and ``access`` (who looked at what).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

EVIDENCE = "evidence"
ACCESS = "access"
START = bytes(32)
"""The hash that stands before the first row of a chain."""


@dataclass(frozen=True)
class Row:
    """One stored row: its place, its canonical text and its hash."""

    seq: int
    chain: str
    text: str
    hash: bytes


def row_text(seq: int, chain: str, at: str, fact: Mapping[str, Any]) -> str:
    """The canonical text of a row; ``at`` is ISO 8601 UTC."""
    body = {**fact, "at": at, "chain": chain, "seq": seq}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def row_hash(previous: bytes, text: str) -> bytes:
    """SHA-256 over the previous hash and this row's text."""
    return hashlib.sha256(previous + text.encode()).digest()


def first_break(rows: Iterable[Row]) -> str | None:
    """Name the first row, in chain order, that does not follow from the one before it; None if all do."""
    previous, expected = START, 1
    for row in rows:
        if row.seq != expected:
            return f"ligne {expected} absente (trouvé {row.seq})"
        if row_hash(previous, row.text) != row.hash:
            return f"ligne {row.seq} modifiée"
        if json.loads(row.text)["seq"] != row.seq:
            return f"ligne {row.seq} déplacée"
        previous, expected = row.hash, expected + 1
    return None
