"""The receiving end's disk when it takes no more: who is told, and how.

Rules.  A partner is told by a diagnostic that lets it try again, and keeps what it has; people by the log at once, and
by an alarm, one a day, as soon as the store has room for it.  All of it happens in the event loop's thread.
It waits for nothing and clears nothing away: that is the worker's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from gateway.concentrator.store import Store
from gateway.disk import DiskFull, room
from gateway.formats.days import iso
from gateway.pesit import diagnostics


class OctDiskFull(DiskFull):
    """The disk of the concentrator: OCT-020."""

    CODE = "OCT-020"
    TEXT = (
        "Le disque du concentrateur est plein : plus rien n'est reçu ni transmis, rien n'est perdu."
        " Tout reprendra de soi-même dès qu'il y aura de la place."
    )


class Disk:
    """What is said of it; ``store`` is the event loop's own, ``log`` writes to the journal of the system."""

    def __init__(self, store: Store, clock: Callable[[], datetime], log: Callable[[DiskFull], None]) -> None:
        self._store, self._clock, self._log = store, clock, log
        self._since = ""

    @property
    def owes(self) -> bool:
        """An alarm waits for room."""
        return bool(self._since)

    def say(self, full: DiskFull) -> None:
        """The disk was met full."""
        self._log(full)
        self._since = self._since or iso(self._clock())
        with suppress(DiskFull):
            self.settle()

    def settle(self) -> None:
        """Write the alarm that waits, if one does; DiskFull while there is no room for it."""
        if self._since:
            with room(OctDiskFull):
                self._store.alarm(f"disque {self._since[:10]}", OctDiskFull.CODE, OctDiskFull.TEXT, self._since)
            self._since = ""

    @contextmanager
    def room(self) -> Iterator[None]:
        """What fails inside for want of room is said, and DiskFull."""
        try:
            with room(OctDiskFull):
                yield
        except DiskFull as full:
            self.say(full)
            raise

    @contextmanager
    def refusing(self, code: str = "2.219") -> Iterator[None]:
        """The same, as the diagnostic that tells a partner at that moment: 2.219 (file space used up) with data."""
        try:
            with self.room():
                yield
        except DiskFull as full:
            raise diagnostics.trouble(code, full.text) from full
