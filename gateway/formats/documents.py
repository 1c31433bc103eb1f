"""Structure of a scanned document (SCOR): is the file whole, as far as its two ends can tell?

Rule 1: nothing is unpacked, decoded or rendered; a few places of the file are looked at, whatever its size, all
of them in its two ends: no more need be kept (``Ends``).
Rule 2: the envelope of a SCOR lot is not established; the file is carried unchanged and no lot is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.formats.findings import Findings, Report, Rule

_HEAD, _BLOCK = 4096, 256 * 1024
_TAIL = 1024
_ZIP_END = b"PK\x05\x06"
_ZIP_END_LENGTH = 22
_ZIP_MOST_COMMENT = 65535
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_IHDR = b"\x00\x00\x00\x0dIHDR"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


class Ends:
    """The two ends of a file that is read once; length and slices are those of the whole."""

    def __init__(self, head: bytes, rest: Iterable[bytes]) -> None:
        self._head, self._tail, self._size = head, head, len(head)
        for block in rest:
            self._size += len(block)
            self._tail = (self._tail + block)[-_ZIP_END_LENGTH - _ZIP_MOST_COMMENT :]

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice) -> bytes:
        start, stop, _ = place.indices(self._size)
        if stop <= len(self._head):
            return self._head[start:stop]
        before = self._size - len(self._tail)
        if start < before:
            raise IndexError("the middle is not kept")
        return self._tail[start - before : stop - before]


Data = bytes | memoryview | Ends

RULES = {
    "DOC-001": Rule("blocks", "Le document {name} est incomplet : {lack}."),
    "DOC-002": Rule("says", "Document {name} transporté tel quel, {size} octets."),
}


@dataclass(frozen=True)
class Document:
    """A kind of document: how it starts, and what shows that it is whole ('' or what lacks, in French)."""

    name: str
    starts: tuple[bytes, ...]
    lack: Callable[[Data], str]


def _tail(data: Data, length: int) -> bytes:
    return bytes(data[max(0, len(data) - length) :])


def _pdf_lack(data: Data) -> str:
    return "" if b"%%EOF" in _tail(data, _TAIL) else "la marque de fin %%EOF manque"


def _tiff_lack(data: Data) -> str:
    directory = int.from_bytes(data[4:8], "little" if bytes(data[:2]) == b"II" else "big")
    return "" if 8 <= directory <= len(data) - 2 else "son répertoire d'images est hors du fichier"


def _jpeg_lack(data: Data) -> str:
    return "" if b"\xff\xd9" in _tail(data, _TAIL) else "la marque de fin d'image manque"


def _png_lack(data: Data) -> str:
    if bytes(data[8:16]) != _PNG_IHDR:
        return "son en-tête d'image manque"
    return "" if _PNG_END in _tail(data, _TAIL) else "la marque de fin d'image manque"


def _zip_lack(data: Data) -> str:
    tail = _tail(data, _ZIP_END_LENGTH + _ZIP_MOST_COMMENT)
    at = tail.rfind(_ZIP_END)
    if at < 0 or len(tail) - at < _ZIP_END_LENGTH:
        return "le répertoire de fin d'archive manque"
    size = int.from_bytes(tail[at + 12 : at + 16], "little")
    offset = int.from_bytes(tail[at + 16 : at + 20], "little")
    whole = offset + size <= len(data) - len(tail) + at
    return "" if whole else "son répertoire est hors du fichier"


DOCUMENTS = (
    Document("PDF", (b"%PDF-",), _pdf_lack),
    Document("TIFF", (b"II*\x00", b"MM\x00*"), _tiff_lack),
    Document("JPEG", (b"\xff\xd8\xff",), _jpeg_lack),
    Document("PNG", (_PNG_START,), _png_lack),
    Document("ZIP", (b"PK\x03\x04",), _zip_lack),
)


def recognise(data: Data) -> Document | None:
    """The kind of document that ``data`` starts like, or None."""
    head = bytes(data[:16])
    return next((found for found in DOCUMENTS if head.startswith(found.starts)), None)


def begin(read: Callable[[int], bytes]) -> bytes | Ends:
    """Read a file by ``read`` (at most so many bytes, none at its end): a document to its end, of which the two
    ends are left; of anything else the first bytes, the rest being still to be read."""
    head = b""
    while len(head) < _HEAD and (block := read(_HEAD - len(head))):
        head += block
    return head if recognise(head) is None else Ends(head, iter(lambda: read(_BLOCK), b""))


def check(data: Data, document: Document) -> Report:
    """The report on one document: whole or not; no lots."""
    findings = Findings(RULES)
    findings.add("DOC-002", 1, name=document.name, size=len(data))
    lack = document.lack(data)
    if lack:
        findings.add("DOC-001", 1, len(data), name=document.name, lack=lack)
    return Report("documents", findings.close())
