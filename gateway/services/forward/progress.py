"""How far the transfer under way is: a small file for the page, never the truth."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

from gateway.process.runtime import Runtime

EVERY_S = 0.2


class Progress:
    """The file, written a few times a second while something moves."""

    def __init__(self, runtime: Runtime, path: Path) -> None:
        self._runtime, self._path = runtime, path
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._entry, self._size, self._from, self._last = "", 0, 0, 0.0

    def begin(self, entry: str, size: int, offset: int) -> None:
        """A transfer of ``size`` bytes starts at ``offset``."""
        self._entry, self._size, self._from, self._last = entry, size, offset, 0.0

    def show(self, offset: int) -> None:
        """Called for each piece; writes a few times a second, and feeds the watchdog."""
        now = time.monotonic()
        if now - self._last < EVERY_S:
            return
        self._last = now
        self._runtime.alive()
        told = {"entry": self._entry, "fichier": self._entry.split(".")[0], "sent": offset, "size": self._size,
                "restarted_at": self._from}  # fmt: skip
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(told))
        temporary.rename(self._path)

    def clear(self) -> None:
        """No transfer is under way."""
        with suppress(FileNotFoundError):
            self._path.unlink()
