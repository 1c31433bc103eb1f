"""Store and forward: files and messages for others are taken in, kept, and handed to the next node.

Rules: PI 62 decides (F-131): our own name or none is for the application behind us, another name needs a route.
What identifies a file, and each of its articles, goes on unchanged (F-130); acknowledging by MSG goes back the
way the file came (F-132). Every hop answers for itself: ACK(TRANS.END) says that the file is in our spool.
A file is known by whom it came from and its identity; one that comes again is taken and thrown away, one that
may have been handed on already is handed on as a restart: so it passes once.  A message may pass twice.
It reads no file's content, and of what the next node refuses for good it only keeps the reason.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, NoReturn, TypeVar

from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.link.client import Connection, Partner, RestartRefused, connect
from gateway.link.flow import Receiving
from gateway.link.relay_spool import Note, Spool, Stored
from gateway.link.server import Application, Offering
from gateway.pesit import diagnostics
from gateway.pesit.transfer import Identity

A = TypeVar("A")


@dataclass(frozen=True)
class Route:
    """The next node towards a name."""

    partner: Partner
    ssl_context: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Neighbour(Generic[A]):
    """Who is connected: its PI 3, and what the application behind us remembers of it."""

    name: str
    access: A


class Relay(Generic[A]):
    """``link.server.Application`` before another one, and what carries on the rest by ``routes`` (PI 62 to route)."""

    def __init__(
        self,
        inner: Application[A],
        names: frozenset[str],
        routes: Mapping[str, Route],
        spool: Spool,
        *,
        retry_s: float = 30,
        retry_max_s: float = 900,
        said: Callable[[str, Trouble], None] = lambda hop, cause: None,
    ) -> None:
        """``names`` are ours. A route that fails is tried again after ``retry_s``, then twice as long and so on.

        ``said`` hears of every trouble with a route or with something on it.
        """
        self._inner = inner
        self._names = names
        self._routes = routes
        self._spool = spool
        self._retry = retry_s, retry_max_s
        self._said = said
        self._work = {name: asyncio.Event() for name in routes}

    # --- taken in -----------------------------------------------------------------------------------------------------

    def connect(self, requester: str, server: str, password: str, certificate: bytes | None) -> Neighbour[A]:
        """As the application says."""
        return Neighbour(requester, self._inner.connect(requester, server, password, certificate))

    def leave(self, access: Neighbour[A]) -> None:
        """As the application does."""
        self._inner.leave(access.access)

    def create(self, access: Neighbour[A], identity: Identity, restart: bool) -> Receiving:
        """A file for us or for the spool; 2.226 where no route leads, 2.236 without the length of its articles."""
        if self._ours(identity):
            return self._inner.create(access.access, identity, restart)
        if not identity.article_length:
            raise diagnostics.trouble("2.236")
        hop = identity.final_receiver
        if hop not in self._routes or self._routes[hop].partner.server == access.name:
            _no_route(identity)
        return self._spool.incoming(access.name, hop, identity, restart, self._work[hop].set)

    def select(self, access: Neighbour[A], identity: Identity, restart: bool) -> Offering | None:
        """Reads are not relayed (F-130)."""
        return self._inner.select(access.access, identity, restart)

    def message(self, access: Neighbour[A], identity: Identity, text: str) -> str | None:
        """A message for us, or kept for the way to PI 62; a far node's text cannot answer it."""
        if self._ours(identity):
            return self._inner.message(access.access, identity, text)
        hop = identity.final_receiver
        if hop not in self._routes:
            hop = self._spool.came_from(identity.answering())
        if hop not in self._routes:
            _no_route(identity)
        self._spool.keep_message(hop, identity, text)
        self._work[hop].set()
        return None

    def _ours(self, identity: Identity) -> bool:
        return identity.final_receiver in self._names | {""}

    # --- handed on ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Hand on what is kept, each route by itself, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for hop in self._routes:
                group.create_task(self._follow(hop))

    async def _follow(self, hop: str) -> None:
        work, (least, most) = self._work[hop], self._retry
        delay = least
        while True:
            work.clear()
            try:
                await self._hand_on(hop)
            except Trouble as cause:
                self._said(hop, cause)
                await asyncio.sleep(delay)
                delay = min(2 * delay, most)
            else:
                delay = least
                await work.wait()

    async def _hand_on(self, hop: str) -> None:
        """All that waits for ``hop``; the last trouble that may pass, raised once the others had their turn."""
        waiting = self._spool.waiting(hop)
        if not waiting:
            return
        postponed: Trouble | None = None
        async with connect(self._routes[hop].partner, self._routes[hop].ssl_context) as connection:
            for thing in waiting:
                try:
                    await self._pass(connection, thing)
                except Trouble as cause:
                    if cause.scope is not Scope.FICHIER:
                        raise
                    postponed = self._settle(hop, thing, cause) or postponed
        if postponed:
            raise postponed

    async def _pass(self, connection: Connection, thing: Stored | Note) -> None:
        if isinstance(thing, Note):
            await connection.message(thing.identity, thing.text)
        else:
            # Entity sizes are agreed hop by hop.
            identity = replace(thing.identity, entity=Identity.entity)
            with thing.path.open("rb") as source:
                await connection.send(
                    identity, source, thing.reached, acknowledged=thing.acknowledged,
                    form=thing.form, points=thing.points, marked=thing.marked,
                )  # fmt: skip
        self._spool.passed(thing)

    def _settle(self, hop: str, thing: Stored | Note, cause: Trouble) -> Trouble | None:
        """What a trouble with one thing leads to: from the start, never again, or later (returned then)."""
        if isinstance(cause, RestartRefused) and isinstance(thing, Stored):
            thing.start_again()
            return cause
        if isinstance(cause, Deferred):
            return cause
        self._said(hop, cause)
        self._spool.refused(thing, cause)
        return None


def _no_route(identity: Identity) -> NoReturn:
    cause = diagnostics.trouble("2.226", f"aucune route vers {identity.final_receiver}")
    raise Refused(cause.code, cause.text, cause.scope)
