"""The hash chain of journal rows: pure; the rows themselves are kept in the book.

A row is canonical JSON (sorted keys, no blanks, UTF-8).  Its hash covers the hash of the row before it, so
that a changed, removed or reordered row is found by recomputing (``verify``).  Two chains exist: ``evidence`` (what
happened to a fichier, no person in it) and ``access`` (who looked at what).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

EVIDENCE = "evidence"
ACCESS = "access"
CHAINS = (EVIDENCE, ACCESS)
START = bytes(32)
"""The hash that stands before the first row of a chain."""


class Row(NamedTuple):  # not a dataclass: ten million of them are made to be verified
    """One stored row: its place (0: only its text says), its chain, its canonical text and its hash; and of which
    fichier the book lists it (None: only its text says)."""

    seq: int
    chain: str
    text: str
    hash: bytes
    fichier: str | None = None


def row_text(seq: int, chain: str, at: str, fact: Mapping[str, Any]) -> str:
    """The canonical text of a row; ``at`` is ISO 8601 UTC."""
    body = {**fact, "at": at, "chain": chain, "seq": seq}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def row_hash(previous: bytes, text: str) -> bytes:
    """SHA-256 over the previous hash and this row's text."""
    return hashlib.sha256(previous + text.encode()).digest()
