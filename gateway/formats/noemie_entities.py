"""Cut a NOEMIE return into its entities.

Rule 1: a known entity is cut by its length, so that a ``@`` in a label does no harm; any other goes to the
next ``@`` and is kept raw with its offset.
Rule 2: what a transport or another writer adds is tolerated: gzip around it, line ends between entities,
four digits of length in front of each (flux facts 3).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.formats.noemie_tables import END_LENGTH, LAYOUTS

MOST_BYTES = 64 * 1024 * 1024
"""Bytes of the largest return, unpacked."""

_GZIP = b"\x1f\x8b"
_PREFIX = 4


@dataclass(frozen=True)
class Entity:
    """One entity: its number, where it starts (byte offset), its text, and its zones when it is known and
    has its length (None otherwise)."""

    code: str
    offset: int
    raw: str
    values: Mapping[str, str] | None


def unpack(data: bytes | memoryview) -> bytes:
    """The plain bytes of a return that may be gzip; at most one byte more than MOST_BYTES.  ValueError when
    gzip is broken or cut."""
    plain = bytes(data)
    if not plain.startswith(_GZIP):
        return plain
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(plain, MOST_BYTES + 1)
    except zlib.error as trouble:
        raise ValueError("broken gzip") from trouble
    if not unpacker.eof and len(unpacked) <= MOST_BYTES:
        raise ValueError("gzip is cut")
    return unpacked


def entities(data: bytes) -> Iterator[Entity]:
    """The entities of an unpacked return, up to the end of the bytes; garbage is an entity of its own."""
    prefixed = data[:_PREFIX].isdigit() and data[_PREFIX : _PREFIX + 3] == b"000"
    offset = 0
    while (offset := _past_line_ends(data, offset)) < len(data):
        if prefixed and data[offset : offset + _PREFIX].isdigit():
            offset += _PREFIX
        end = _end(data, offset)
        yield _entity(data[offset:end].decode("latin-1"), offset)
        offset = end


def _past_line_ends(data: bytes, offset: int) -> int:
    while data[offset : offset + 1] in (b"\r", b"\n"):
        offset += 1
    return offset


def _end(data: bytes, offset: int) -> int:
    """Where the entity that starts at ``offset`` ends."""
    layout = LAYOUTS.get(data[offset : offset + 3].decode("latin-1"))
    if layout is not None:
        end = offset + layout.length
        if layout.length == END_LENGTH or data[end - 1 : end] == b"@":
            return min(end, len(data))
    mark = data.find(b"@", offset)
    return len(data) if mark < 0 else mark + 1


def _entity(raw: str, offset: int) -> Entity:
    layout = LAYOUTS.get(raw[:3])
    fits = layout is not None and len(raw) == layout.length
    return Entity(raw[:3], offset, raw, layout.read(raw) if layout is not None and fits else None)
