"""Doors: directories with one writer and one taker, the only way by which things cross a privilege.

The writer makes a temporary file inside the door, fsyncs it, links it to its name and fsyncs the directory;
EEXIST means that the thing is already there.  The taker never renames what it takes, because the writer
stays the owner of the inode: it copies the bytes into a file of its own while hashing them, commits, and
only then removes the entry.  Modes and owners are made by tmpfiles.d, not here.
"""

from __future__ import annotations

import hashlib
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from gateway.disk import sync_directory

BLOCK = 1 << 20
TEMPORARY = ".tmp-"


@dataclass(frozen=True)
class Copied:
    """What a taker has: the SHA-256 (hex) and the size in bytes of its own copy."""

    digest: str
    size: int


class Entry:
    """A thing on its way into a door: written under a temporary name, whole only when finished."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._path = door.path / f"{TEMPORARY}{os.getpid()}-{uuid.uuid4().hex}"
        self._out = self._path.open("wb")
        os.fchmod(self._out.fileno(), 0o640)

    def write(self, block: bytes, /) -> int:
        """Add bytes."""
        return self._out.write(block)

    def finish(self, name: str) -> bool:
        """Make it durable and link it to its name; False if an entry of that name is there already."""
        self._out.flush()
        os.fsync(self._out.fileno())
        return self._door.place(name, self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._out.close()  # a disk that was too full for the last bytes says so once more
        finally:
            self._path.unlink(missing_ok=True)


class Door:
    """One door; the same class serves its writer and its taker."""

    def __init__(self, path: Path, writer: int | None = None) -> None:
        """``writer`` is the uid whose entries are taken; None takes any (development, one user)."""
        self.path = path
        self._writer = writer

    # -- the writer's side

    def begin(self) -> Entry:
        """Start an entry whose name may only be known once it is written."""
        return Entry(self)

    def put(self, name: str, content: bytes) -> bool:
        """Put a small thing in; False if an entry of that name is there already."""
        with self.begin() as entry:
            entry.write(content)
            return entry.finish(name)

    def link(self, name: str, file: Path) -> bool:
        """Offer one's own, already durable file to the taker; False if an entry of that name is there already.

        Its group becomes the door's, and only now: until it is offered a file is its owner's alone.
        """
        os.chown(file, -1, self.path.stat().st_gid)
        return self.place(name, file)

    def place(self, name: str, file: Path) -> bool:
        """Link a file to its name, durably; False if an entry of that name is there already."""
        try:
            os.link(file, self.path / name)
        except FileExistsError:
            return False
        sync_directory(self.path)
        return True

    def withdraw(self, name: str) -> None:
        """Take one's own entry back, durably, if it is still there and one's own; who has it open already reads on."""
        with suppress(FileNotFoundError, PermissionError):
            (self.path / name).unlink()
            sync_directory(self.path)

    def sweep(self) -> None:
        """Remove temporary files that a killed writer left; what the taker may have made is not touched."""
        for leftover in self.path.glob(f"{TEMPORARY}*"):
            if leftover.stat(follow_symlinks=False).st_uid == os.geteuid():
                leftover.unlink()

    def has(self, name: str) -> bool:
        """Whether an entry of that name is there now."""
        return (self.path / name).exists()

    # -- the taker's side

    def names(self) -> list[str]:
        """Names of whole entries, oldest first; whatever a writer made that is not a plain file is passed over."""
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                with suppress(FileNotFoundError):
                    info = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(info.st_mode) and self._from_writer(info):
                        found.append((info.st_mtime_ns, entry.name))
        return [name for _, name in sorted(found)]

    def _from_writer(self, info: os.stat_result) -> bool:
        return self._writer is None or info.st_uid == self._writer

    def open(self, name: str) -> BinaryIO:
        """Open an entry for reading without following links or blocking on a pipe."""
        descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or not self._from_writer(info):
            os.close(descriptor)
            raise FileNotFoundError(name)
        return os.fdopen(descriptor, "rb")

    def read(self, name: str, limit: int) -> bytes:
        """A small entry whole; ValueError beyond ``limit`` bytes."""
        with self.open(name) as source:
            content = source.read(limit + 1)
        if len(content) > limit:
            raise ValueError(f"{name}: more than {limit} bytes")
        return content

    def copy(self, name: str, out: BinaryIO) -> Copied:
        """Copy an entry into the taker's own file, fsynced, hashing what was really copied."""
        with self.open(name) as source:
            return copy_hashing(source, out)

    def remove(self, name: str) -> None:
        """The taker is done with an entry (after its commit); gone already is as good."""
        with suppress(FileNotFoundError):
            (self.path / name).unlink()


def copy_hashing(source: BinaryIO, out: BinaryIO) -> Copied:
    """Copy to the end in blocks, flush and fsync ``out``; SHA-256 and size of what was copied."""
    digest, size = hashlib.sha256(), 0
    for block in blocks(source):
        digest.update(block)
        out.write(block)
        size += len(block)
    out.flush()
    os.fsync(out.fileno())
    return Copied(digest.hexdigest(), size)


class Readable(Protocol):
    """Anything with ``read``."""

    def read(self, size: int, /) -> bytes: ...


def blocks(source: Readable) -> Iterator[bytes]:
    """The rest of a file in blocks of at most 1 MiB."""
    while block := source.read(BLOCK):
        yield block
