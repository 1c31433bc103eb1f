"""The worker: what came by SFTP, what is complete, what must be sealed anew, what is announced; in its own thread.

Rules.  It alone writes verdicts and returns, and looks at the landing directories.  Each day begins with a sweep, and
so does what a full disk has cut short: as after a crash, and because it makes room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from gateway.book.moves import utc_now
from gateway.concentrator.announcing import Announcing
from gateway.concentrator.boxes import Members
from gateway.concentrator.disk import Disk, OctDiskFull
from gateway.concentrator.integration import Integration
from gateway.concentrator.keys import Keys, Trust
from gateway.concentrator.landing import Landing
from gateway.concentrator.mailbox import Mailbox
from gateway.concentrator.resealing import Resealing
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.formats.days import iso
from gateway.process.runtime import Runtime

LOOK_S = 1.0
"""Seconds between two looks at what waits, when nothing arrives."""

SWEEP_EVERY = timedelta(days=1)


class Worker:
    """The worker's parts, and its days; ``arrived`` wakes it."""

    def __init__(self, settings: ConcentratorSettings, store: Store, keys: Keys, trust: Callable[[], Trust]) -> None:
        """``store`` is its own; Refused OCT-001, OCT-008 (scope box) where the settings cannot be followed."""
        self.arrived = asyncio.Event()
        self._settings, self._store = settings, store
        members = Members(settings, store)
        mailbox = Mailbox(settings.returns, keys, members.seal_certificate)
        self._landing = Landing(settings, store, members, utc_now)
        self._integration = Integration(settings, store, members, mailbox, keys, trust, utc_now)
        self._resealing = Resealing(settings, store, members, mailbox, self._landing, trust, utc_now)
        self._announcing = Announcing(settings, store, mailbox, keys, trust, utc_now)

    async def run(self, runtime: Runtime, disk: Disk) -> None:
        """Day after day until the runtime stops; a full disk is waited for."""
        while not runtime.stop.is_set():
            async with runtime.outlast(disk.say, OctDiskFull):
                sweep(self._settings, self._store, utc_now())
                self._landing.sweep()
                disk.settle()
                await self._day(runtime, disk)

    async def _day(self, runtime: Runtime, disk: Disk) -> None:
        """Until the next sweep is due, or somebody else met a disk too full to say so."""
        end = utc_now() + SWEEP_EVERY
        while not (runtime.stop.is_set() or disk.owes or utc_now() >= end):
            self.arrived.clear()
            while not runtime.stop.is_set() and await asyncio.to_thread(self._work):
                runtime.alive()
            runtime.alive()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.arrived.wait(), LOOK_S)

    def _work(self) -> bool:
        """One of each that waits; whether there was any."""
        done = (self._landing.look(), self._integration.work(), self._resealing.work(), self._announcing.work())
        return any(done)


def sweep(settings: ConcentratorSettings, store: Store, at: datetime) -> None:
    """Remove files that no row names, and those whose time of keeping is over."""
    since = iso(at - timedelta(days=settings.keep_days))
    received, returns = store.named_files(since)
    _keep(settings.received, received)
    _keep(settings.returns, returns)
    store.expire(since)  # only now: on a full disk it needs the room that was made
    _keep(settings.spool, {str(transfer) for transfer in store.receiving()})


def _keep(directory: Path, named: Collection[str]) -> None:
    for file in directory.iterdir():
        if file.name not in named:
            file.unlink()
