"""Compression of articles (PI 21, annex A of the standard): what is agreed, and articles to strings and back.

Rules: an article is a row of strings: a header byte, whose low six bits count 1 to 63 bytes, and what its high
two bits say (F-92): 00 that many bytes follow, 80 one byte follows that stands for so many, C0 so many bytes
are those of the article before at the same places. Nothing refers to an article on the other side of a
synchronisation point (F-93): who sets or hears one says ``forget``.
What we send is never longer than the article and one byte in 63, and refers to no place behind the end of
the article before, where the standard and the field disagree on what stands there (F-93).
It knows no FPDU and counts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum

from gateway.pesit.diagnostics import Violation

LONGEST_STRING = 63
LONGEST_ARTICLE = 65535
"""PI 32 has two bytes."""

_LITERAL, _ILLEGAL, _REPEATED, _ABOVE = 0x00, 0x40, 0x80, 0xC0
_BLANK = b"\x40"
"""What stands behind the end of a shorter article before, by the standard."""

_SAME = re.compile(rb"\0\0\0+")
"""In a difference of bytes: a stretch in which both sides agree, long enough to be worth its string."""


class Compression(IntEnum):
    """The second byte of PI 21; ``NONE`` stands for a first byte of 0."""

    NONE = 0
    HORIZONTAL = 1
    VERTICAL = 2
    BOTH = 3

    @classmethod
    def of(cls, value: object) -> Compression:
        """What a PI 21 says; none when it is absent or says nothing known."""
        known = isinstance(value, bytes) and value[0] == 1 and value[1] in range(1, 4)
        return cls(value[1]) if isinstance(value, bytes) and known else cls.NONE

    def coded(self) -> bytes:
        """The two bytes of PI 21."""
        return bytes((bool(self), self))

    def agreed(self, allowed: Compression) -> Compression:
        """What a server that allows so much answers to this proposal: as much of it as both can (F-91)."""
        return Compression(self & allowed)


def longest(size: int) -> int:
    """The bytes that an article of ``size`` may have when we compress it, at most."""
    return size + -(-size // LONGEST_STRING)


class Compressor:
    """The sender's side."""

    def __init__(self, compression: Compression) -> None:
        self._horizontal = bool(compression & Compression.HORIZONTAL)
        self._vertical = bool(compression & Compression.VERTICAL)
        self._previous = b""

    def forget(self) -> None:
        """A synchronisation point: the next article refers to none before it."""
        self._previous = b""

    def article(self, data: bytes) -> bytes:
        """The strings of one whole article."""
        strings: list[bytes] = []
        at = 0
        for begin, end, kind in self._stretches(data):
            if at < begin:
                strings.append(_literals(data[at:begin]))
            strings.append(_strings(kind, end - begin, data[begin : begin + 1] if kind == _REPEATED else b""))
            at = end
        strings.append(_literals(data[at:]))
        self._previous = data if self._vertical else b""
        return b"".join(strings)

    def _stretches(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        """(begin, end, kind) of what need not be said in full: first what is as above, between it what repeats."""
        number = int.from_bytes(data, "big")
        beside = (number ^ number >> 8).to_bytes(len(data), "big") if self._horizontal else b""
        at = 0
        for begin, end in (*self._as_above(number, len(data)), (len(data), len(data))):
            # Each byte of ``beside`` is the difference to the byte before, which thus belongs to the stretch.
            for same in _SAME.finditer(beside, at + 1, begin):
                yield same.start() - 1, same.end(), _REPEATED
            if begin < end:
                yield begin, end, _ABOVE
            at = end

    def _as_above(self, number: int, length: int) -> Iterator[tuple[int, int]]:
        common = min(length, len(self._previous))
        if common:
            above = int.from_bytes(self._previous[:common], "big")
            difference = (number >> 8 * (length - common) ^ above).to_bytes(common, "big")
            yield from (same.span() for same in _SAME.finditer(difference))


class Expander:
    """The receiver's side: takes the articles as they came, in fragments too; memory for one article at most."""

    def __init__(self, compression: Compression) -> None:
        self._vertical = bool(compression & Compression.VERTICAL)
        self._previous: bytes | None = None
        self._article = bytearray()
        self._rest = b""

    def forget(self) -> None:
        """A synchronisation point: the next article refers to none before it."""
        self._previous = None

    def feed(self, coded: bytes, *, ends: bool) -> bytes:
        """The bytes that ``coded``, a fragment of an article or its end, stands for; ``Violation`` for nonsense."""
        coded = self._rest + coded
        data, used = self._expand(coded)
        self._rest = coded[used:]
        if ends and self._rest:
            raise Violation("3.311", "Un article PeSIT compressé s'arrête au milieu d'une chaîne.")
        if self._vertical:
            self._keep(data, ends)
        return data

    def _expand(self, coded: bytes) -> tuple[bytes, int]:
        """What the whole strings in ``coded`` stand for, and where they end."""
        pieces: list[bytes] = []
        place = len(self._article)
        at, end = 0, len(coded)
        while at < end:
            count, kind = coded[at] & LONGEST_STRING, coded[at] & 0xC0
            following = count if kind == _LITERAL else int(kind == _REPEATED)
            behind = at + 1 + following
            if not count or kind == _ILLEGAL:
                raise Violation("3.311", f"Chaîne de compression PeSIT {coded[at]:02x} : elle n'existe pas.")
            if behind > end:
                break
            if kind == _ABOVE:
                pieces.append(self._above(place, count))
            else:
                pieces.append(coded[at + 1 : behind] * (1 if kind == _LITERAL else count))
            place += count
            at = behind
        return b"".join(pieces), at

    def _above(self, place: int, count: int) -> bytes:
        if self._previous is None:
            raise Violation("3.311", "Compression verticale PeSIT sans article précédent.")
        return self._previous[place : place + count].ljust(count, _BLANK)

    def _keep(self, data: bytes, ends: bool) -> None:
        self._article += data
        if len(self._article) > LONGEST_ARTICLE:
            raise Violation("3.311", f"Article PeSIT compressé de plus de {LONGEST_ARTICLE} octets.")
        if ends:
            self._previous = bytes(self._article)
            self._article.clear()


_HEADERS = [bytes((header,)) for header in range(256)]


def _literals(data: bytes) -> bytes:
    """The strings that say ``data`` in full."""
    if 0 < len(data) <= LONGEST_STRING:
        return _HEADERS[len(data)] + data
    pieces = (data[at : at + LONGEST_STRING] for at in range(0, len(data), LONGEST_STRING))
    return b"".join([part for piece in pieces for part in (_HEADERS[len(piece)], piece)])


def _strings(kind: int, count: int, unit: bytes) -> bytes:
    """The strings of ``kind`` that stand for ``count`` bytes; ``unit`` is what follows each header."""
    if count <= LONGEST_STRING:
        return _HEADERS[kind | count] + unit
    whole, rest = divmod(count, LONGEST_STRING)
    return (_HEADERS[kind | LONGEST_STRING] + unit) * whole + (_HEADERS[kind | rest] + unit if rest else b"")
