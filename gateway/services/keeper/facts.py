"""What ``forward`` tells of its work: small JSON documents, believed as far as they are read.

``forward`` speaks with strangers, and the keeper must outlive it: what is no fact is refused by name, is said and
stays at the door.  What a fact means is for who asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gateway.book.doors import Door
from gateway.errors import Refused, Scope

LIMIT = 1 << 20
"""Bytes of a fact, and of a time stamp's answer."""


def read_entry(door: Door, name: str) -> bytes:
    """A small entry whole; Refused RET-004 (scope box) where it is large."""
    try:
        return door.read(name, LIMIT)
    except ValueError:
        raise refused(name) from None


def read_fact(door: Door, name: str, texts: Iterable[str] = ()) -> dict[str, Any]:
    """An object in which the values of ``texts`` are strings; Refused RET-004 (scope box) for anything else."""
    try:
        told = json.loads(read_entry(door, name))
        json.dumps(told, ensure_ascii=False).encode()  # or the journal could not write it
        sound = isinstance(told, dict) and all(isinstance(told.get(text), str) for text in texts)
    except (ValueError, RecursionError):
        sound = False
    if not sound:
        raise refused(name)
    return dict(told)


def refused(name: str) -> Refused:
    """For an entry that is nothing that forward writes."""
    return Refused("RET-004", f"Ce que la liaison a remis n'est pas lisible et reste à la porte ({name}).", Scope.BOX)
