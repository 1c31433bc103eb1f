"""What it takes that a name lasts, and that a directory has one master."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import Refused, Scope

LOCK = "lock"
"""The file by which one process holds a directory."""


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
