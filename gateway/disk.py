"""What it takes that a name lasts, that a directory has one master, that a change is seen, and what a disk without room
is called."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import Deferred, Refused, Scope

LOCK = "lock"
"""The file by which one process holds a directory."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the kernel says when it has no room."""

NO_ROOM_SQLITE = frozenset({13, 4874})
"""What SQLite says then, of a file that it writes (SQLITE_FULL) and of the index of its log (SQLITE_IOERR_SHMSIZE); as
numbers, since not every service that may meet a full disk loads SQLite."""


Marks = tuple[tuple[str, int, int, int], ...]
"""Of files: name, inode, size and time of change; zeros for one that is not there."""


class DiskFull(Deferred):
    """The disk takes no more (scope box).  Nothing has moved, and all goes on once there is room."""

    CODE = "BOX-006"
    TEXT = (
        "Le disque de la passerelle est plein : plus rien n'est reçu ni transmis, rien n'est perdu."
        " Laissez vos fichiers où ils sont : tout reprendra de soi-même dès qu'il y aura de la place."
    )

    def __init__(self) -> None:
        super().__init__(self.CODE, self.TEXT, Scope.BOX)


@contextmanager
def room(full: type[DiskFull] = DiskFull) -> Iterator[None]:
    """DiskFull for whatever fails inside for want of room, and for that alone; ``full`` names whose disk it is, where
    nothing inside has said so already.

    What wrote must be as it is after a crash: a transaction rolled back, a temporary file gone or to be swept."""
    try:
        yield
    except DiskFull:
        raise
    except Exception as trouble:
        causes = _causes(trouble)
        if not all(map(_lacks_room, causes)):
            raise
        raise next((one for one in causes if isinstance(one, DiskFull)), full()) from trouble


def _causes(trouble: Exception) -> list[Exception]:
    """What failed: of several tasks that failed together, each."""
    if isinstance(trouble, ExceptionGroup):
        return [cause for one in trouble.exceptions for cause in _causes(one)]
    return [trouble]


def _lacks_room(trouble: Exception) -> bool:
    if isinstance(trouble, OSError):
        return trouble.errno in NO_ROOM
    return isinstance(trouble, DiskFull) or getattr(trouble, "sqlite_errorcode", None) in NO_ROOM_SQLITE


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def marks(paths: Iterable[Path]) -> Marks:
    """What tells that one of some files was written, put in its place or taken away since."""
    return tuple(map(_mark, paths))


def _mark(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a directory by its lock file until the end of the block or of the process; Refused BOX-005 (scope box)."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"{path.parent} est tenu par un service en marche : arrêtez-le d'abord."
            raise Refused("BOX-005", text, Scope.BOX) from None
        yield
