"""A clock that tests set for processes that run: Debian's libfaketime and a file that says how far it is from ours.

Time passes for the monotonic clock too, as it does for a box that is left alone, unless a process is started with
``stepped``: then only the wall clock jumps, as when somebody sets it.  What a file system notes of a file stays the
machine's own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), Path())
MEMORY = Path("/dev/shm")


class FakedClock:
    """The clock of all who were started with ``command``; ``file`` is theirs to read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.stepped = False
        self.set(datetime.now(UTC))

    def now(self) -> datetime:
        """What it shows."""
        return datetime.now(UTC) + self._ahead

    def set(self, moment: datetime) -> None:
        """It shows this moment, and goes on from there."""
        self._ahead = moment - datetime.now(UTC)
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{self._ahead.total_seconds():+.3f}\n")
        aside.rename(self._file)

    def pass_(self, time: timedelta) -> None:
        """So much time passes."""
        self.set(self.now() + time)

    def command(self, words: Sequence[str]) -> list[str]:
        """A command that goes by this clock."""
        told = {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": self._file, "FAKETIME_NO_CACHE": 1, "NO_FAKE_STAT": 1}
        told |= {"FAKETIME_DONT_FAKE_MONOTONIC": 1} if self.stepped else {}
        return ["env", *(f"{name}={value}" for name, value in told.items()), *words]


def clear_after(pid: int) -> None:
    """Remove what the library of a process that was killed left in shared memory."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        with suppress(FileNotFoundError):
            (MEMORY / name).unlink()
