"""A file as articles, and articles as a file.

Rules: binary articles are slices of the file, of which the last may be short (F-89); in fixed format it is
padded if a pad is named, and refused otherwise. In text an article is a line without its terminator, and who
receives adds the local newline. An empty line goes as one blank, for an article that is sent alone is never
empty (F-87). Fixed text is padded with blanks, which a receiver keeps. EBCDIC translates articles and nothing
else (F-90). Both ways work on streams, one article or fragment at a time.
It knows no FPDU: segments, packing and compression come after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import BinaryIO

from gateway.errors import Refused
from gateway.pesit.transfer import BINARY, VARIABLE, Identity, SyncPoint

ASCII, EBCDIC = 0, 1
"""PI 16 of text; ``transfer.BINARY`` is the third."""

FIXED = 0
"""PI 31 of articles that are all as long as PI 32 says."""

NEWLINE = b"\n"
_BLANK = b" "
_WIDEST = 4
"""Bytes that one character may take in a local file."""


@dataclass(frozen=True)
class Form:
    """How the bytes of a local file and the articles of a transfer correspond.

    ``length`` is PI 32. ``code_page`` is that of EBCDIC text, "" where text goes as its bytes are; ``local``
    is the coding of the local file then. ``pad`` completes the last article of fixed binary.
    """

    length: int = 16384
    fixed: bool = False
    text: bool = False
    code_page: str = ""
    local: str = "utf-8"
    pad: bytes = b""

    @property
    def data_code(self) -> int:
        """PI 16."""
        if not self.text:
            return BINARY
        return EBCDIC if self.code_page else ASCII

    @property
    def article_format(self) -> int:
        """PI 31."""
        return FIXED if self.fixed else VARIABLE

    def articles(self, source: BinaryIO, start: SyncPoint) -> Iterator[bytes]:
        """The articles of ``source`` from ``start`` on, in their order.

        The place of a line is found by counting lines, for the bytes of a line are not those of its article.
        ``Refused``: 2.220 for a line longer than an article, 2.232 for one that the code page cannot hold,
        2.236 for fixed binary that does not fill its last article.
        """
        if not self.text:
            return self._slices(source, start.offset)
        source.seek(0)
        return islice(self._lines(source), start.articles, None)

    def landed(self, data: bytes, *, ends: bool) -> bytes:
        """What an article, or a fragment of one, is in the local file; ``ends``: the article is complete."""
        if not self.text:
            return data
        coded = data.decode(self.code_page).encode(self.local, "replace") if self.code_page else data
        return coded + NEWLINE if ends else coded

    def _slices(self, source: BinaryIO, offset: int) -> Iterator[bytes]:
        source.seek(offset)
        while data := source.read(self.length):
            yield self._filled(data) if self.fixed and len(data) < self.length else data

    def _filled(self, data: bytes) -> bytes:
        if self.pad:
            return data.ljust(self.length, self.pad)
        text = f"Le dernier article n'a que {len(data)} octets sur {self.length} : le format fixe n'en admet pas."
        raise Refused("PES-2.236", text)

    def _lines(self, source: BinaryIO) -> Iterator[bytes]:
        longest = self.length * _WIDEST + len(b"\r\n")
        for number in count(1):
            line = source.readline(longest + 1)
            if not line:
                return
            whole = line.endswith(NEWLINE)
            data = self._coded(line.removesuffix(NEWLINE).removesuffix(b"\r") if whole else line, number)
            if len(data) > self.length or (not whole and len(line) > longest):
                text = f"La ligne {number} est plus longue que les {self.length} octets d'un article."
                raise Refused("PES-2.220", text)
            yield self._set(data)

    def _coded(self, line: bytes, number: int) -> bytes:
        if not self.code_page:
            return line
        try:
            return line.decode(self.local).encode(self.code_page)
        except (UnicodeDecodeError, UnicodeEncodeError) as error:
            text = f"La ligne {number} ne peut pas être codée en {self.code_page} ({error.reason})."
            raise Refused("PES-2.232", text) from None

    def _set(self, data: bytes) -> bytes:
        blank = _BLANK.decode("ascii").encode(self.code_page or "ascii")
        if self.fixed:
            return data.ljust(self.length, blank)
        return data or blank


def form_of(identity: Identity, code_page: str, *, as_text: bool = True) -> Form:
    """The form in which the articles of a file described by ``identity`` land here.

    ``code_page`` is that of EBCDIC with this partner. Without ``as_text`` the bytes of the articles are the
    file, whatever PI 16 says.
    """
    text = as_text and identity.data_code in (ASCII, EBCDIC)
    page = code_page if text and identity.data_code == EBCDIC else ""
    return Form(identity.article_length, identity.article_format == FIXED, text, page)
