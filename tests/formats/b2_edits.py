"""Small edits of a B2 sample, for tables of cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "samples" / "flux"
TWO_LOTS = (SAMPLES / "b2_cp_two_batches.b2").read_bytes()

Edit = Callable[[bytes], bytes]


def put(*changes: tuple[int, int, str]) -> Edit:
    """Overwrite at (record, position), both 1-based."""

    def edit(data: bytes) -> bytes:
        changed = bytearray(data)
        for record, position, text in changes:
            at = (record - 1) * 128 + position - 1
            changed[at : at + len(text)] = text.encode("latin-1")
        return bytes(changed)

    return edit


def drop(*numbers: int) -> Edit:
    """Leave out these records."""

    def edit(data: bytes) -> bytes:
        return b"".join(data[n * 128 : n * 128 + 128] for n in range(len(data) // 128) if n + 1 not in numbers)

    return edit


def then(*edits: Edit) -> Edit:
    """One edit after the other."""

    def edit(data: bytes) -> bytes:
        for one in edits:
            data = one(data)
        return data

    return edit
