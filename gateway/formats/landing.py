"""The names of the reserve channel: how a sealed fichier and the returns lie in a sender's landing directory.

A landing directory has two rooms.  In ``depot/`` a sender puts ``<fichier>.<transmission>.<seal>.<SHA-256>``,
whole when it has that name; until then it is hidden and named as partial.  In ``retours/`` an empty ``demande``
asks for what is undelivered, and an empty ``<return>.remis`` says that a return has passed the box's own door.
Names only: nothing here touches a disk or a line.  These names are ours, not a standard's.
"""

from __future__ import annotations

import re

DEPOT, RETURNS = "depot", "retours"
DEMAND, HAD = "demande", ".remis"

_LANDED = re.compile(r"(.+)\.([0-9a-f]{64})")


def landing_name(entry: str, digest: str) -> str:
    """The name of a whole sealed part: its entry in ``outgoing/`` and its SHA-256 (hex)."""
    return f"{entry}.{digest}"


def partial_name(name: str) -> str:
    """The name of the same file while it is not whole: only the same bytes may go on with it."""
    return f".{name}.part"


def read_landing_name(name: str) -> tuple[str, str] | None:
    """(entry, SHA-256) of a whole file's name; None for any other name."""
    found = _LANDED.fullmatch(name)
    return None if found is None else (found[1], found[2])


def had_name(name: str) -> str:
    """The mark that says that a return was had."""
    return name + HAD
