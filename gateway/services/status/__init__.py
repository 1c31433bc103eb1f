"""status: the page, the JSON and the lamps; it shows and never moves.

It reads the board and forward's progress, asks the card service what is about to be signed and hands it the
PIN that was typed.  It opens no other connection, reads no fichier and no book.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gateway.card import memory
from gateway.config import Paths, setting
from gateway.lan.http import Limits, Request, Response, Route, Server, answer_events
from gateway.leds import CLASS, Lamps
from gateway.process.runtime import Runtime
from gateway.services.status.api import Api
from gateway.services.status.keys import renew
from gateway.services.status.pages import Pages
from gateway.services.status.view import View

POLL = 1.0
"""Seconds between two looks at what there is to show."""

REPEAT = 30
"""Looks after which the headline is made anew although nothing changed: its words depend on the time."""

HEARTBEAT = 15.0
"""Seconds of silence after which a listener of ``/events`` is sent a sign of life."""


@dataclass(frozen=True)
class StatusSettings:
    """The section [status]."""

    host: str = setting("127.0.0.1", "adresse des pages de suivi")
    port: int = setting(8781, "port des pages de suivi")
    hosts: tuple[str, ...] = setting((), "noms sous lesquels les pages sont appelées, en plus de localhost")
    leds: Path = setting(CLASS, "dossier des voyants")


class Bell:
    """Wakes whoever waits for something new."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake those who wait now."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def heard(self, seconds: float) -> bool:
        """Whether it rang within ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        return True

    async def events(self, request: Request) -> Response:
        """GET /events: one event ``change`` for each ring."""

        async def pairs() -> AsyncIterator[tuple[str, str]]:
            yield "hello", ""
            while True:
                yield ("change", "") if await self.heard(HEARTBEAT) else ("", "")

        return answer_events(pairs())


async def watch(runtime: Runtime, view: View, lamps: Lamps, bell: Bell) -> None:
    """Light the lamps and ring the bell at each change, until the runtime stops."""
    shown: tuple[object, ...] = ()
    sentence, looks = "", 0
    while not runtime.stop.is_set():
        mark = view.mark()
        if mark != shown or looks % REPEAT == 0:
            told = view.situation().headline
            lamps.show(told.level, told.signature)
            if mark != shown or told.sentence != sentence:
                bell.ring()
            if told.sentence != sentence:
                runtime.tell(told.sentence)
            shown, sentence = mark, told.sentence
        looks += 1
        runtime.alive()
        await runtime.pause(POLL)


async def run(runtime: Runtime, paths: Paths, settings: StatusSettings) -> None:
    """Serve pages and JSON, and keep the lamps, until the runtime stops; no dump of what typed codes pass through."""
    memory.seal()
    view, bell = View(paths), Bell()
    pages = Pages(view)
    routes = [*pages.routes(), *Api(view).routes(), Route("GET", "/events", bell.events)]
    server = Server(routes, settings.hosts, Limits(connections=64), pages.explain)
    listener = runtime.inherited("status") or socket.create_server((settings.host, settings.port))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve([listener], runtime.stop, ready=runtime.ready))
        group.create_task(watch(runtime, view, Lamps(settings.leds), bell))
        group.create_task(renew(runtime, paths))
