"""The file that one line writes: two lines never write one file.

Who receives a file holds it from its first ``truncate`` until it lets go of it, on its own account or because another
line took the transfer over.  A point of it is recorded when the data before it and the name of the file are on disk
(F-75); a thread waits for the disk, and whoever lets go of the file waits for that thread.  Where a file begins, how
points are recorded and what letting go brings about is each receiver's own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gateway.disk import DiskFull, room, sync_directory
from gateway.errors import Trouble, os_words
from gateway.link.context import Kept
from gateway.pesit import diagnostics
from gateway.pesit.transfer import SyncPoint

BUFFER = 1 << 18
DISK = ThreadPoolExecutor(4, thread_name_prefix="disk")
"""Threads that wait for a disk; each starts when it is first needed. What is more waits its turn, as it would there."""


@contextmanager
def on_disk() -> Iterator[None]:
    """What the disk refuses, as the diagnostic that tells a partner: 2.219 no room, 2.213 anything else."""
    try:
        with room():
            yield
    except DiskFull as full:
        raise diagnostics.trouble("2.219") from full
    except OSError as error:
        raise diagnostics.trouble("2.213", os_words(error)) from error


class Held:
    """A receiver's hold of its file."""

    def __init__(
        self, path: Path, record: Callable[[Sequence[Kept]], None], *beside: Path, apart: bool = False
    ) -> None:  # fmt: skip
        """The file is ``path``. ``record`` keeps points of it durably, in their order; its own files are ``beside``.

        ``apart``: it may be called in another thread.
        """
        self._path = path
        self._record_points = record
        self._apart = apart
        self._file: IO[bytes] | None = None
        self._over = False
        self._unrooted = frozenset(each.parent for each in (path, *beside))
        self._marked: list[Kept] = []
        self._letting_go = threading.Lock()
        """Held by who forces the file, in a thread, and by who closes it, perhaps for another line."""

    def mark(self, point: SyncPoint) -> None:
        """``point`` stands behind what was written until now."""
        self._marked.append(Kept(point, self._own().tell()))

    async def sync(self) -> None:
        """The data first, then the points that were marked; while the disk is busy more may be written and marked."""
        marked, self._marked = self._marked, []
        self._own().flush()
        await asyncio.get_running_loop().run_in_executor(DISK, self._settle, marked)
        if not self._apart:
            self._own()
            self._record_points(marked)

    def _settle(self, marked: Sequence[Kept]) -> None:
        with self._letting_go:
            os.fsync(self._own().fileno())
            self._root()
            if self._apart:
                self._record_points(marked)

    def close(self) -> None:
        """Let go of the file for good: nothing more is written or recorded by this line.

        What was written and not forced may be lost, since nobody was told that it is here.
        """
        with self._letting_go:
            self._over = True
            if self._file is not None:
                with suppress(OSError):
                    self._file.close()
                self._file = None

    def _still_ours(self) -> None:
        """Trouble 2.207 once the receiver has let go for good."""
        if self._over:
            raise _taken_over()

    def _own(self) -> IO[bytes]:
        """The file, to be written; Trouble 2.207 for who does not hold it."""
        if self._file is None:
            raise _taken_over()
        return self._file

    def _cut(self, place: int) -> IO[bytes]:
        """The file, opened if it was not yet, to go on from ``place`` in bytes; what was marked is void."""
        if self._file is None:
            self._path.touch()
            self._file = self._path.open("r+b", buffering=BUFFER)
        self._marked = []
        self._file.seek(place)
        self._file.truncate()
        return self._file

    def _force(self) -> None:
        """Have on disk all that was written."""
        file = self._own()
        file.flush()
        os.fsync(file.fileno())

    def _root(self) -> None:
        """Have on disk the name under which it is found, and that of what lies beside it."""
        for directory in self._unrooted:
            sync_directory(directory)
        self._unrooted = frozenset()


def _taken_over() -> Trouble:
    return diagnostics.trouble("2.207", "transfert repris sur une autre liaison")
