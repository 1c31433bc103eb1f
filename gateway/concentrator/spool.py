"""Files on their way in: bytes go to a spool file that is renamed to its own digest when it is complete.

Rules.  A sync point is acknowledged only when the data before it and the row that says so are on disk (F-75);
the end only when the whole file lies under its digest (F-113).  A transfer that is taken up again elsewhere
takes its file with it: two lines never write one file.  The tail of a complete file may come again.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from gateway.book.doors import Copied, blocks
from gateway.concentrator.disk import Disk
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.disk import DiskFull, sync_directory
from gateway.errors import Trouble
from gateway.link.context import Kept
from gateway.link.held import Held
from gateway.pesit import diagnostics
from gateway.pesit.transfer import SyncPoint


def point_of(row: sqlite3.Row) -> SyncPoint:
    """The last durable point of a transfer's row."""
    return SyncPoint(row["point"], row["offset"], row["articles"])


class Incoming(Held):
    """One file that is being received (``link.flow.Receiving``)."""

    def __init__(
        self, store: Store, row: sqlite3.Row, settings: ConcentratorSettings, disk: Disk, done: Callable[[Copied], None]
    ) -> None:  # fmt: skip
        """``done`` records the end durably; it is called when the file lies in its place."""
        super().__init__(settings.spool / str(row["id"]), self._record)
        self._store = store
        self._transfer = int(row["id"])
        self._point = point_of(row)
        self._received = settings.received
        self._room = self._left = settings.limit
        self._disk = disk
        self._done = done
        self._digest = hashlib.sha256()

    def position(self) -> SyncPoint:
        """The last durable point; the start where the file is not what the row says (lost with its disk cache)."""
        size = self._path.stat().st_size if self._path.exists() else 0
        return self._point if size >= self._point.offset else SyncPoint()

    def truncate(self, point: SyncPoint) -> None:
        """Forget what lies behind ``point``, first in the store, then in the file."""
        self._still_ours()
        with self._disk.refusing():
            if point.number != self._point.number:
                self._reach(point)
            file = self._cut(point.offset)
        self._left = self._room - point.offset
        self._digest = hashlib.sha256()
        file.seek(0)
        for block in blocks(file):
            self._digest.update(block)

    def write(self, data: bytes, ends: bool) -> None:
        """Append; 2.224 beyond the limit of the settings."""
        self._left -= len(data)
        if self._left < 0:
            raise diagnostics.trouble("2.224")
        with self._disk.refusing():
            self._own().write(data)
        self._digest.update(data)

    async def sync(self) -> None:
        """Data first, then the row."""
        with self._disk.refusing():
            await super().sync()

    def end(self, size: int, articles: int) -> None:
        """The file under its digest, then its entry on disk, then the row."""
        part = Copied(self._digest.hexdigest(), size)
        with self._disk.refusing():
            self._force()
            self.close()
            self._path.rename(self._received / part.digest)
            sync_directory(self._received)
            sync_directory(self._path.parent)
            self._done(part)

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """Stop; without ``keep`` the transfer is forgotten, on a full disk only its file: its row begins anew, or
        expires."""
        forgotten = not keep and not self._over
        self.close()
        if forgotten:
            self._path.unlink(missing_ok=True)
            with suppress(DiskFull), self._disk.room():
                self._store.drop(self._transfer)

    def _record(self, points: Sequence[Kept]) -> None:
        self._reach(points[-1].point)

    def _reach(self, point: SyncPoint) -> None:
        self._store.reach(self._transfer, point.number, point.offset, point.articles)
        self._point = point


class Repeated:
    """A complete file whose sender did not hear so: what comes again is compared and thrown away."""

    def __init__(self, row: sqlite3.Row, received: Path) -> None:
        self._point = point_of(row)
        self._size = int(row["size"])
        self._path = received / row["sealed"]
        self._file: IO[bytes] | None = None

    def position(self) -> SyncPoint:
        """The last point that was recorded."""
        return self._point

    def truncate(self, point: SyncPoint) -> None:
        """Nothing is truncated: compare from there; a file that was cleared away is compared no more."""
        if self._path.exists():
            self._file = self._path.open("rb")
            self._file.seek(point.offset)

    def write(self, data: bytes, ends: bool) -> None:
        """The same bytes; 2.229 for others."""
        if self._file is not None and self._file.read(len(data)) != data:
            raise diagnostics.trouble("2.229")

    def mark(self, point: SyncPoint) -> None:
        """Known long since."""

    async def sync(self) -> None:
        """On disk long since."""

    def end(self, size: int, articles: int) -> None:
        """Stored long since; 2.229 for another size."""
        self.close()
        if size != self._size:
            raise diagnostics.trouble("2.229")

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """Nothing to give up."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
