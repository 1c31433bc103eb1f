"""forward: takes sealed parts from ``outgoing/`` to the OCT by PeSIT, and brings back what the OCT has.

It sees only sealed bytes.  A line that is down is said as the state of its route; it uses up no attempt of any
fichier, and the next attempt comes by itself.  When PeSIT has carried nothing for a set time and a reserve is
set, the same goes by SFTP meanwhile; which channel carried a fichier is in its fact.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gateway.book.moves import utc_now
from gateway.config import Paths
from gateway.process.keyring import generation
from gateway.process.renewal import OwnKeys
from gateway.process.runtime import Runtime
from gateway.services.forward import stamping
from gateway.services.forward.dock import Dock
from gateway.services.forward.pesit import ByPesit
from gateway.services.forward.reserve import BySftp
from gateway.services.forward.settings import ForwardSettings

DETOUR = "les fichiers passent par la voie de secours."


class Forward:
    """The service's two channels; one of them works at a time."""

    def __init__(self, runtime: Runtime, paths: Paths, settings: ForwardSettings) -> None:
        self.dock = Dock(runtime, paths, settings)
        self._usual = ByPesit(self.dock, paths, settings)
        allowed = settings.reserve.host and settings.reserve_after_s > 0
        self._reserve = BySftp(self.dock, paths, settings) if allowed else None
        self._reserve_after = settings.reserve_after_s
        self._paths, self._own, self._generation = paths, OwnKeys(paths, "forward"), generation(paths)

    async def turn(self) -> None:
        """Do what is due, by PeSIT if it can be had."""
        try:
            if self._usual.due():
                await self._usual.turn()
            if self._reserve is not None:
                await self._stand_in(self._reserve)
        finally:
            self.dock.progress.clear()

    def look_after_keys(self) -> None:
        """Take up new certificates without a restart; ask once a day for those that end."""
        if (now := generation(self._paths)) != self._generation:
            self._generation = now
            self._usual.read_keys()
            self._usual.route.try_anew()
        for wanted in self._own.daily(utc_now()):
            self.dock.arrived.put(wanted.entry, wanted.request)

    async def _stand_in(self, reserve: BySftp) -> None:
        if self._usual.route.down_for() < self._reserve_after:
            self._usual.route.detour = ""
            reserve.route.forget()
        elif reserve.due():
            await reserve.turn(self._usual.due)
            self._usual.route.detour = DETOUR if reserve.route.well else ""


async def run(runtime: Runtime, paths: Paths, settings: ForwardSettings) -> None:
    """Serve until the runtime stops; what a full disk cuts short begins again from the doors and contexts."""
    while not runtime.stop.is_set():
        async with runtime.outlast(), asyncio.TaskGroup() as group:
            group.create_task(stamping.run(runtime, paths, settings))
            group.create_task(_carry(runtime, paths, settings))


async def _carry(runtime: Runtime, paths: Paths, settings: ForwardSettings) -> None:
    """The channels; a transfer under way is left at its last point."""
    forward = Forward(runtime, paths, settings)
    runtime.ready()
    stopped = asyncio.create_task(runtime.stop.wait())
    try:
        while not runtime.stop.is_set():
            forward.look_after_keys()
            turn = asyncio.create_task(forward.turn())
            await asyncio.wait({turn, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not turn.done():
                turn.cancel()
            with suppress(asyncio.CancelledError):
                await turn
            runtime.alive()
            await runtime.pause(settings.poll_s)
    finally:
        stopped.cancel()
        forward.dock.transfers.close()
