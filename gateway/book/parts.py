"""Parts: the sealed bytes of fichiers and returns, files named by the SHA-256 of what is at rest.

A part is durable before any row names it; a part that no row names is an orphan of a crash and is swept at
start.  Nothing here is readable without a key that another service holds.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from gateway.book.doors import Copied, Door
from gateway.disk import sync_directory

MODE = 0o440
"""Writable by nobody.  The group is the keeper's own until ``Door.link`` gives it that of one door: whoever takes
there may read this part, and no other, since the directory is the keeper's alone."""


class Writable(Protocol):
    """Where a part is written; not a file, so that nothing is written around the hash."""

    def write(self, block: bytes, /) -> int: ...


class _Hashing:
    """A file that knows the SHA-256 of what went through it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, block: bytes, /) -> int:
        self.digest.update(block)
        self.size += len(block)
        return self._out.write(block)


class Parts:
    """The directory of parts; ``keeper`` is its only writer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, write: Callable[[Writable], None]) -> Copied:
        """Store what ``write`` produces; the same bytes twice are one part."""
        with self._temporary() as temporary:
            with temporary.open("wb") as out:
                hashing = _Hashing(out)
                write(hashing)
                out.flush()
                os.fchmod(out.fileno(), MODE)
                os.fsync(out.fileno())
            return self._place(temporary, Copied(hashing.digest.hexdigest(), hashing.size))

    def add_bytes(self, content: bytes) -> Copied:
        """Store a small part."""

        def write(out: Writable) -> None:
            out.write(content)

        return self.add(write)

    def take(self, door: Door, name: str) -> Copied:
        """Copy a door's entry into a part; the entry stays until its taker removes it."""
        with self._temporary() as temporary:
            with temporary.open("wb") as out:
                copied = door.copy(name, out)
                os.fchmod(out.fileno(), MODE)
            return self._place(temporary, copied)

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """Where a part is written until it is whole; what fails on the way leaves its room to others."""
        temporary = self.path / f".tmp-{os.getpid()}"
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _place(self, temporary: Path, copied: Copied) -> Copied:
        temporary.rename(self.path / copied.digest)
        sync_directory(self.path)
        return copied

    def file(self, digest: str) -> Path:
        """Where a part lies."""
        return self.path / digest

    def open(self, digest: str) -> BinaryIO:
        """Open a part for reading."""
        return self.file(digest).open("rb")

    def destroy(self, digests: Collection[str]) -> bool:
        """Remove parts that no row names any more, durably; False, and nothing done, while one of them still lies in a
        door: its bytes would stay."""
        files = [file for file in map(self.file, digests) if file.exists()]
        if any(file.stat().st_nlink > 1 for file in files):
            return False
        for file in files:
            file.unlink()
        sync_directory(self.path)
        return True

    def sweep(self, named: Collection[str]) -> int:
        """Remove what no row names; the number removed."""
        orphans = [file for file in self.path.iterdir() if file.name not in named]
        for orphan in orphans:
            orphan.unlink()
        sync_directory(self.path)
        return len(orphans)
