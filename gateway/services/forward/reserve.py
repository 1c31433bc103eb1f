"""The reserve channel: the same sealed parts by SFTP while PeSIT cannot be had, and the returns back.

It is the same fichier by another way: the concentrator's key makes one of both.  PeSIT is tried as before and
goes first as soon as it may be tried.  The line's library blocks and is large: it is loaded when the channel is
first used, and works in a thread of its own; what it does is shown, and ended, from here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from gateway.book.doors import blocks
from gateway.config import Paths
from gateway.errors import Trouble
from gateway.formats.landing import landing_name
from gateway.process.credentials import secret_file
from gateway.services.forward.dock import Dock
from gateway.services.forward.route import Route
from gateway.services.forward.settings import ForwardSettings

if TYPE_CHECKING:
    from gateway.sftp import Put, Session

LOOK_S = 0.1
T = TypeVar("T")


class BySftp:
    """The channel and its route."""

    def __init__(self, dock: Dock, paths: Paths, settings: ForwardSettings) -> None:
        self._dock, self._settings = dock, settings.reserve
        self._key = secret_file(paths, "forward", "reserve.key")
        self.route = Route("reserve", settings, dock.tell_route)
        self._last_pull = -math.inf
        self._reached = 0
        """How far the thread is; read here, so that only the loop writes files and feeds the watchdog."""

    def due(self) -> bool:
        """Something is to be done, and may be tried now."""
        wanted = self._dock.outgoing.names() or self._dock.pull_due(self._last_pull)
        return bool(wanted) and self.route.due()

    async def turn(self, usual_due: Callable[[], bool]) -> None:
        """Everything that is due, in one session, until the usual channel may be tried again."""
        session = await asyncio.to_thread(self._session)
        with self.route.attempt():
            try:
                await self._watch(session, session.open)
                for entry in self._dock.outgoing.names():
                    if self._dock.stopping or usual_due():
                        return
                    await self._send(session, entry)
                await self._fetch(session)
            finally:
                session.close()

    def _session(self) -> Session:
        from gateway.sftp import Account, Session

        reserve = self._settings
        return Session(
            Account(
                reserve.host, reserve.port, reserve.user, self._key, reserve.host_key, reserve.directory,
                reserve.patience_s,
            )
        )  # fmt: skip

    async def _send(self, session: Session, entry: str) -> None:
        known = self._dock.transfers.write(entry)
        if known is None or not known.done:
            try:
                source = self._dock.begin(entry)
            except FileNotFoundError:
                return  # the keeper withdrew it
            with source:
                self._dock.progress.begin(entry, source.seek(0, 2), 0)
                put = await self._watch(session, partial(self._put, session, entry, source))
            fact = {"channel": "sftp", "size": put.size, "moved": put.moved, "resumed_at": put.resumed_at}
            self._dock.transfers.finish_write(entry, json.dumps(fact))
        self._dock.conclude(entry)

    def _put(self, session: Session, entry: str, source: BinaryIO) -> Put:
        digest, size = hashlib.sha256(), source.seek(0, 2)
        source.seek(0)
        for block in blocks(source):
            digest.update(block)
        name = landing_name(entry, digest.hexdigest())

        def reach(offset: int) -> None:
            self._reached = offset

        return session.put(source, size, name, reach)

    async def _fetch(self, session: Session) -> None:
        """Each return through ``arrived/``, then marked; then ask for what is undelivered by now."""
        for name in await self._watch(session, session.returns):
            with self._dock.arriving() as arriving:
                await self._watch(session, partial(session.get, name, arriving.write))
                arriving.finish()
            await self._watch(session, partial(session.mark, name))
        await self._watch(session, session.demand)
        self._last_pull = time.monotonic()

    async def _watch(self, session: Session, work: Callable[[], T]) -> T:
        """Do blocking work in a thread, showing how far it is; stopped, the session is closed and the thread ends."""
        self._reached = 0
        thread = asyncio.create_task(asyncio.to_thread(work))
        try:
            while not thread.done():
                await asyncio.wait({thread}, timeout=LOOK_S)
                self._dock.progress.show(self._reached)
            return thread.result()
        except asyncio.CancelledError:
            session.close()
            with suppress(Trouble):
                await thread
            raise
