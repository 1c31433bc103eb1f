"""Distinguished encoding (ITU-T X.690 §10) by hand: written around content of any size, read strictly.

Rule 1: one reader for all of it, over a binary file, so that content of any size is never held in memory.
Rule 2: one encoding for one value.  Indefinite lengths, lengths and numbers that are longer than needed,
tags above 30, elements out of place and bytes left over are refused by name.
Rule 3: what is held in memory has a limit that the caller states; nesting has a depth and a set a size.

It does not know any structure: that is the part of ``attributes``, ``signed`` and ``seal``.  It takes
sizes and nothing else on trust from its caller.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from gateway.errors import Refused

INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x02, 0x03, 0x04, 0x05, 0x06
ENUMERATED, UTF8_STRING, UTC_TIME, GENERALIZED_TIME = 0x0A, 0x0C, 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31

MAX_DEPTH, MAX_ELEMENTS = 16, 1000
SMALL = 64 * 1024
"""Bytes that one element held in memory may have unless its reader says otherwise."""


class Readable(Protocol):
    """Anything bytes can be read from, in pieces of at most ``size``; empty at the end."""

    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    """Anything that takes all the bytes it is given."""

    def write(self, data: bytes, /) -> object: ...


def context(number: int, *, constructed: bool = True) -> int:
    """The context-specific tag [number]."""
    return (0xA0 if constructed else 0x80) | number


# ---------------------------------------------------------------- writing


def header(tag: int, size: int) -> bytes:
    """Tag and definite length, in the fewest bytes."""
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element made of its parts."""
    content = b"".join(parts)
    return header(tag, len(content)) + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of elements."""
    return tlv(SEQUENCE, *parts)


def set_of(elements: Iterable[bytes], tag: int = SET) -> bytes:
    """SET OF in ascending order of encodings (X.690 §11.6)."""
    return tlv(tag, *sorted(elements))


def integer(value: int, tag: int = INTEGER) -> bytes:
    """INTEGER (or ENUMERATED) in two's complement, in the fewest bytes."""
    bits = (value if value >= 0 else ~value).bit_length()
    return tlv(tag, value.to_bytes(bits // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    """OCTET STRING, primitive."""
    return tlv(OCTET_STRING, value)


def utf8(value: str) -> bytes:
    """UTF8String."""
    return tlv(UTF8_STRING, value.encode())


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER of a dotted string."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return tlv(OID, *(_arc(value) for value in (first * 40 + second, *rest)))


def _arc(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | (value & 0x7F))
    return bytes(reversed(groups))


def time(at: datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime after (RFC 5652 §11.3); whole seconds, ``at`` aware."""
    at = at.astimezone(UTC)
    if 1950 <= at.year < 2050:
        return tlv(UTC_TIME, at.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(GENERALIZED_TIME, f"{at.year:04}{at:%m%d%H%M%SZ}".encode())


@dataclass(frozen=True)
class Frame:
    """The bytes before and after a content of ``size`` bytes that itself is never in memory."""

    size: int
    before: bytes = b""
    after: bytes = b""

    def inside(self, tag: int, before: bytes = b"", after: bytes = b"") -> Frame:
        """This frame as the content of an element, between two siblings."""
        before, after = before + self.before, self.after + after
        return Frame(self.size, header(tag, len(before) + self.size + len(after)) + before, after)

    @property
    def total(self) -> int:
        """Bytes of the whole."""
        return len(self.before) + self.size + len(self.after)


# ---------------------------------------------------------------- reading


class Reader:
    """Reads one element after the other from a binary file; every fault is ``Refused`` CMS-001 … CMS-007."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._ends: list[int] = []
        self._ahead: int | None = None
        self.position = 0

    def peek(self) -> int | None:
        """The tag of the next element; None at the end of the element entered, or of the file."""
        if self._ahead is None and not (self._ends and self.position == self._ends[-1]):
            byte = self._source.read(1)
            if byte:
                self.position += 1
                self._ahead = byte[0]
            elif self._ends:
                raise _truncated(self.position)
        return self._ahead

    def enter(self, tag: int) -> int:
        """Go inside the next element, which must have this tag; its size in bytes."""
        size = self._header(tag)
        if len(self._ends) == MAX_DEPTH:
            raise Refused("CMS-005", f"Enveloppe illisible : plus de {MAX_DEPTH} niveaux imbriqués.")
        self._ends.append(self.position + size)
        return size

    def leave(self) -> None:
        """Come out of the element entered last, of which nothing may be left."""
        if self.peek() is not None:
            raise Refused("CMS-006", f"Enveloppe illisible : élément de trop à l'octet {self.position - 1}.")
        self._ends.pop()

    def finish(self) -> None:
        """The file must end here."""
        if self.peek() is not None:
            raise Refused("CMS-006", f"Des octets suivent la fin de l'enveloppe (octet {self.position - 1}).")

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes of the element entered, fewer only at its end."""
        assert self._ahead is None
        return self._exactly(min(size, self._ends[-1] - self.position))

    def content(self, tag: int, limit: int = SMALL) -> bytes:
        """The content of the next element, which must have this tag."""
        size = self._header(tag)
        if size > limit:
            raise Refused("CMS-005", f"Enveloppe illisible : élément de {size} octets, {limit} au plus.")
        return self._exactly(size)

    def element(self, tag: int | None = None, limit: int = SMALL) -> bytes:
        """The next element whole, of this tag or (None) of any."""
        found = self.peek() if tag is None else tag
        if found is None:
            raise Refused("CMS-004", f"Enveloppe illisible : il manque un élément à l'octet {self.position}.")
        return tlv(found, self.content(found, limit))

    def integer(self, tag: int = INTEGER) -> int:
        """INTEGER (or ENUMERATED) of at most 32 bytes."""
        content = self.content(tag, 32)
        value = int.from_bytes(content, "big", signed=True)
        if integer(value, tag) != tlv(tag, content):
            raise Refused("CMS-003", f"Enveloppe illisible : nombre mal codé à l'octet {self.position}.")
        return value

    def utf8(self, limit: int) -> str:
        """UTF8String of at most ``limit`` bytes."""
        try:
            return self.content(UTF8_STRING, limit).decode()
        except UnicodeDecodeError:
            raise Refused("CMS-007", "Enveloppe illisible : texte qui n'est pas de l'UTF-8.") from None

    def time(self) -> datetime:
        """UTCTime or GeneralizedTime, each only in its years and with seconds and Z."""
        tag = UTC_TIME if self.peek() == UTC_TIME else GENERALIZED_TIME
        text = self.content(tag, 15).decode("ascii", "replace")
        try:
            century = ("19" if text[:2] >= "50" else "20") if tag == UTC_TIME else ""
            at = datetime.strptime(century + text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            at = None
        if at is None or time(at) != tlv(tag, text.encode()):
            raise Refused("CMS-007", f"Enveloppe illisible : date « {text} » mal codée.")
        return at

    def _header(self, tag: int) -> int:
        found = self.peek()
        if found != tag:
            shown = "la fin" if found is None else f"l'étiquette {found:02X}"
            where = self.position - (found is not None)
            raise Refused("CMS-004", f"Enveloppe illisible : {shown} au lieu de {tag:02X} à l'octet {where}.")
        if tag & 0x1F == 0x1F:
            raise Refused("CMS-003", f"Étiquette {tag:02X} à l'octet {self.position - 1} : aucune ne va si haut.")
        self._ahead = None
        size = self._length()
        if self._ends and self.position + size > self._ends[-1]:
            raise Refused("CMS-004", f"Enveloppe illisible : l'élément déborde à l'octet {self.position}.")
        return size

    def _length(self) -> int:
        first = self._exactly(1)[0]
        if first < 0x80:
            return first
        if first == 0x80:
            raise Refused("CMS-002", f"Longueur indéfinie à l'octet {self.position - 1} : DER exigé.")
        if first > 0x88:
            raise Refused("CMS-003", f"Longueur hors de proportion à l'octet {self.position - 1}.")
        content = self._exactly(first & 0x7F)
        size = int.from_bytes(content, "big")
        if size < 0x80 or content[0] == 0:
            raise Refused("CMS-003", f"Longueur non minimale à l'octet {self.position} : DER exigé.")
        return size

    def _exactly(self, size: int) -> bytes:
        content = exactly(self._source, size, self.position)
        self.position += size
        return content


def exactly(source: Readable, size: int, position: int = 0) -> bytes:
    """``size`` bytes of a file that stands at ``position``; Refused CMS-001 where it ends before."""
    parts = []
    while size:
        part = source.read(size)
        if not part:
            raise _truncated(position)
        parts.append(part)
        position += len(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _truncated(position: int) -> Refused:
    return Refused("CMS-001", f"Enveloppe tronquée : elle s'arrête à l'octet {position}.")


def parse(encoded: bytes) -> Reader:
    """A reader over bytes that are in memory already."""
    return Reader(io.BytesIO(encoded))


def read_set_of(encoded: bytes, tag: int = SET) -> list[bytes]:
    """The elements of a SET OF, which must stand in ascending order and differ."""
    reader = parse(encoded)
    reader.enter(tag)
    elements: list[bytes] = []
    while reader.peek() is not None:
        element = reader.element()
        if elements and element <= elements[-1]:
            raise Refused("CMS-003", "Enveloppe illisible : ensemble dans le désordre ou avec un double, DER exigé.")
        if len(elements) == MAX_ELEMENTS:
            raise Refused("CMS-005", f"Enveloppe illisible : plus de {MAX_ELEMENTS} éléments dans un ensemble.")
        elements.append(element)
    reader.leave()
    reader.finish()
    return elements
