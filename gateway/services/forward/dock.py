"""Where what goes to the OCT is taken and what comes from it is left, whichever channel carries it.

That a sending begins is said in ``arrived/`` before its entry of ``outgoing/`` is opened; the entry is removed only
after the fact that it was sent is there too; a return is in ``arrived/`` before anybody over there is told.  Each step
may be done again.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from gateway.book.doors import Door, Entry
from gateway.config import Paths
from gateway.process.runtime import Runtime
from gateway.services.forward.progress import Progress
from gateway.services.forward.settings import ForwardSettings
from gateway.services.forward.transfers import Transfers

SOON_FOR_S = 300.0
"""How long after a send returns are looked for often."""


class Arriving:
    """A return, or a thing of another kind, on its way into ``arrived/``, under its SHA-256."""

    def __init__(self, entry: Entry, kind: str) -> None:
        self._entry, self._kind, self._digest = entry, kind, hashlib.sha256()

    def write(self, block: bytes) -> None:
        """Add bytes."""
        self._digest.update(block)
        self._entry.write(block)

    def finish(self) -> None:
        """It is whole: durable, and through the door."""
        self._entry.finish(f"{self._kind}.{self._digest.hexdigest()}")


class Dock:
    """The doors, the restart contexts and the view of what is under way; used by one task at a time."""

    def __init__(self, runtime: Runtime, paths: Paths, settings: ForwardSettings) -> None:
        self.runtime, self._settings = runtime, settings
        self.outgoing, self.arrived = Door(paths.door("outgoing")), Door(paths.door("arrived"))
        self.arrived.sweep()
        self.transfers = Transfers(paths.transfers)
        self.progress = Progress(runtime, paths.progress)
        self._last_send = -math.inf

    @property
    def stopping(self) -> bool:
        """Nothing new is begun."""
        return self.runtime.stop.is_set()

    def begin(self, entry: str) -> BinaryIO:
        """Open an entry to send it; FileNotFoundError if the keeper withdrew it.

        The fact is first: a keeper that withdraws an entry and then finds none knows that no byte of it leaves."""
        self.arrived.put(f"begun.{entry}", b"")
        return self.outgoing.open(entry)

    def conclude(self, entry: str) -> None:
        """The OCT has all of an entry, as its context says: the fact first, then the entry's end."""
        known = self.transfers.write(entry)
        assert known is not None
        self.arrived.put(f"sent.{entry}", known.done.encode())
        self.outgoing.remove(entry)
        self._last_send = time.monotonic()

    def pull_due(self, last: float) -> bool:
        """Whether a channel that looked for returns at ``last`` (monotonic) is to look again: after each send,
        then often, then now and then."""
        now = time.monotonic()
        pause = self._settings.pull_soon_s if now < self._last_send + SOON_FOR_S else self._settings.pull_s
        return last < self._last_send or now >= last + pause

    @contextmanager
    def arriving(self, kind: str = "return") -> Iterator[Arriving]:
        """A return comes; without ``finish`` nothing came."""
        with self.arrived.begin() as entry:
            yield Arriving(entry, kind)

    def tell_route(self, fact: dict[str, Any]) -> None:
        """How a route is, for the keeper."""
        self.arrived.put(f"route.{time.time_ns()}", json.dumps(fact, ensure_ascii=False).encode())
