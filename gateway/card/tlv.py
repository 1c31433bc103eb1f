"""Data objects on the card: BER-TLV as ISO 7816-4 §5.2.2 has it, tag and length of one or more bytes.

It deliberately reads only: what this side sends is short and written where it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator


def find(data: bytes, *tags: int) -> bytes:
    """The value under the nested ``tags`` (the tag's bytes as one number, 0xBF8101); empty where one is missing."""
    for tag in tags:
        data = next((value for found, value in objects(data) if found == tag), b"")
    return data


def objects(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each object in ``data``, up to its end or to the first that is cut short."""
    rest = data
    while len(rest) >= 2:
        head = _tag_length(rest)
        tag, rest = int.from_bytes(rest[:head], "big"), rest[head:]
        if not rest:
            return
        length, rest = _length(rest)
        if len(rest) < length:
            return
        yield tag, rest[:length]
        rest = rest[length:]


def _tag_length(data: bytes) -> int:
    if data[0] & 0x1F != 0x1F:
        return 1
    continued = 1
    while continued < len(data) and data[continued] & 0x80:
        continued += 1
    return continued + 1


def _length(data: bytes) -> tuple[int, bytes]:
    """The length that ``data`` begins with, and what follows it."""
    if data[0] < 0x80:
        return data[0], data[1:]
    count = data[0] & 0x7F
    return int.from_bytes(data[1 : 1 + count], "big"), data[1 + count :]
