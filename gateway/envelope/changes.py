"""What a revocation list says otherwise than one before it; what both say is named by its place in the other.

The lists of an authority are megabytes and nearly the same from one day to the next, but each is signed: it must come
out again byte for byte.  So both are cut at the entries of ``revokedCertificates`` (RFC 5280 §5.1.2.6), whatever
their order, and of an entry nothing is understood.

The writing is ours and private, one step after the other: how far the next copy begins behind the end of the last one
in the list before (zigzag, since it may lie ahead of it), how many bytes are copied, how many new bytes follow, and
these.  Numbers are groups of seven bits, the lowest first.  It is not deflated, and nothing in it is trusted to be
right: the digest of the list says whether it came out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from gateway.envelope import der
from gateway.errors import Refused


def changes(before: bytes, after: bytes) -> bytes:
    """The steps by which ``after`` is made of ``before``, both DER; Refused CMS-001 … CMS-006 where one is no list."""
    places: dict[bytes, int] = {}
    out, new = bytearray(), bytearray()
    last = begin = end = 0  # the end of the copy that is written; the copy that is being made
    for start, stop in pairwise(_cuts(after)):
        piece, place = after[start:stop], end
        if not before.startswith(piece, end):
            places = places or {before[one:other]: one for one, other in pairwise(_cuts(before))}
            place = places.get(piece, -1)
        if place < 0:
            new += piece
            continue
        if new or place != end:
            out += _step(begin - last, end - begin, new)
            last, begin, new = end, place, bytearray()
        end = place + len(piece)
    return bytes(out + _step(begin - last, end - begin, new))


def changed(before: bytes, steps: bytes) -> bytes:
    """``after``, made of ``before`` by its steps; anything at all, or IndexError, by the steps of another."""
    out, at, last = bytearray(), 0, 0
    while at < len(steps):
        skip, at = _read(steps, at)
        size, at = _read(steps, at)
        fresh, at = _read(steps, at)
        begin = last + (skip >> 1 ^ -(skip & 1))
        last = begin + size
        out += before[begin:last]
        out += steps[at : at + fresh]
        at += fresh
    return bytes(out)


def _step(skip: int, size: int, new: bytes | bytearray) -> bytes:
    return b"".join((_number(skip << 1 if skip >= 0 else ~(skip << 1)), _number(size), _number(len(new)), new))


def _number(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(0x80 | value & 0x7F)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _read(steps: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while (group := steps[at]) > 0x7F:
        value |= (group & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | group << shift, at + 1


def _cuts(encoded: bytes) -> Iterator[int]:
    """Where a list is cut: its two ends, and before and behind each entry; Refused CMS-001 … CMS-006 for no list."""
    reader = der.parse(encoded)
    reader.enter(der.SEQUENCE)
    reader.enter(der.SEQUENCE)
    if reader.peek() == der.INTEGER:
        reader.integer()
    reader.element(der.SEQUENCE)  # the algorithm
    reader.element(der.SEQUENCE)  # the issuer
    while reader.peek() in (der.UTC_TIME, der.GENERALIZED_TIME):
        reader.element()
    yield 0
    if reader.peek() == der.SEQUENCE:
        size = reader.enter(der.SEQUENCE)
        yield from _entries(encoded, reader.position, reader.position + size)
    yield len(encoded)


def _entries(encoded: bytes, at: int, end: int) -> Iterator[int]:
    """Where each entry begins, and where the last one ends.  By hand: there are a hundred thousand."""
    if end >= len(encoded):  # its signature follows
        raise Refused("CMS-001", f"Liste de révocation tronquée : elle s'arrête à l'octet {len(encoded)}.")
    while at < end:
        yield at
        size, at = encoded[at + 1], at + 2
        if size > 0x7F:
            size, at = int.from_bytes(encoded[at : at + (size & 0x7F)], "big"), at + (size & 0x7F)
        at += size
    if at != end:
        raise Refused("CMS-004", f"Liste de révocation illisible : une entrée déborde à l'octet {end}.")
    yield end
