"""A stream that begins with one header line: the line is read at once, the rest is streamed."""

from __future__ import annotations

from typing import Protocol


class Readable(Protocol):
    """Anything with ``read``."""

    def read(self, size: int, /) -> bytes: ...


class Headed:
    """``line`` is the first line without its newline, None when none ends within ``limit`` bytes."""

    def __init__(self, source: Readable, limit: int) -> None:
        self._source = source
        head = b""
        while b"\n" not in head and len(head) < limit and (block := source.read(limit - len(head))):
            head += block
        line, newline, self._rest = head.partition(b"\n")
        self.line = line if newline else None

    def read(self, size: int, /) -> bytes:
        """The next bytes after the line, empty at the end."""
        if self._rest:
            block, self._rest = self._rest[:size], self._rest[size:]
            return block
        return self._source.read(size)
