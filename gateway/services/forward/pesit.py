"""The usual channel: sealed parts to the OCT by PeSIT, its returns back.

What was begun is restarted under its identity (F-102); a return is acknowledged by MSG after it passed
``arrived/``.  An entry that the OCT refuses as such is set aside for a while, so that it keeps no other back.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from ssl import SSLContext

from gateway.book.doors import blocks
from gateway.config import Paths
from gateway.envelope import algorithms
from gateway.envelope.box_keys import LINE
from gateway.errors import Deferred, Scope, Trouble
from gateway.formats.days import day_words
from gateway.link import tls
from gateway.link.client import Connection, Outcome, Partner, RestartRefused
from gateway.link.flow import Aged
from gateway.link.partners import Addresses, connect_any
from gateway.pesit.transfer import Identity, SyncPoint
from gateway.process.keyring import key_file, password_file, read_certificate
from gateway.services.forward.authorities import Authorities
from gateway.services.forward.dock import Dock
from gateway.services.forward.lists import Lists
from gateway.services.forward.peer import Peer
from gateway.services.forward.route import Route
from gateway.services.forward.settings import ForwardSettings
from gateway.services.forward.transfers import Fetching, Pull, Write

RETURNS = "RETOURS"

ENDED, HUNG_UP = "KEY-CERT-0", ("PES-CUT", "PES-TLS")
"""Our own certificate has ended; how a line fails by that, in TLS 1.3 and 1.2."""


class ByPesit:
    """The channel and its route."""

    def __init__(self, dock: Dock, paths: Paths, settings: ForwardSettings) -> None:
        self._dock, self._settings = dock, settings
        self.route = Route("oct", settings, dock.tell_route)
        self._paths = paths
        self._addresses = Addresses(settings.every_address)
        self._peer, self._lists = Peer(paths), Lists(dock, paths, settings)
        self._authorities = Authorities(dock, settings, self._addresses)
        self.read_keys()
        self._last_pull = -math.inf
        self._aside: dict[str, float] = {}
        """Until when (monotonic) an entry waits that the OCT refused as such."""

    def read_keys(self) -> None:
        """Password, certificate and key of the generation that is in force."""
        settings = self._settings
        self._partner = Partner(
            settings.host, settings.port, settings.requester, settings.server,
            password_file(self._paths).read_text(encoding="ascii").strip(),
            sync_kb=settings.sync_kb, window=settings.window, server_name=settings.server_name,
        )  # fmt: skip
        self._tls = client_context(self._paths, settings) if settings.tls else None
        self._until = _end_of_line(self._paths) if settings.tls else datetime.max.replace(tzinfo=UTC)

    def due(self) -> bool:
        """Something is to be done, and may be tried now."""
        wanted = self._unsent() or self._dock.transfers.pulls() or self._dock.pull_due(self._last_pull)
        return bool(wanted or self._lists.due()) and self.route.due()

    async def turn(self) -> None:
        """Everything that is due, on one connection: what was half done first."""
        with self.route.attempt(), suppress(Aged):  # the next turn has another connection
            try:
                await self._talk()
            except Trouble as trouble:
                if self._tls:
                    await self._authorities.look(trouble)
                    self._say_ended(trouble)
                raise

    def _say_ended(self, trouble: Trouble) -> None:
        """Deferred KEY-CERT-0 (scope route) where our own certificate has ended: the other side hangs up on it without
        a word."""
        if trouble.code in HUNG_UP and datetime.now(UTC) > self._until:
            text = f"Le certificat de ligne de la passerelle a expiré le {day_words(self._until)}, on ne l'y admet plus"
            raise Deferred(ENDED, text, Scope.ROUTE) from trouble

    async def _talk(self) -> None:
        async with connect_any(self._partner, self._addresses, self._tls, inspect=self._peer.inspect) as connection:
            if self._lists.due() or self._peer.doubt:
                await self._lists.fetch(connection, anew=self._peer.doubt is not None)
            if self._peer.doubt:
                raise self._peer.doubt
            await self._carry(connection)

    async def _carry(self, connection: Connection) -> None:
        await self._settle_pulls(connection)
        for name in self._unsent():
            if self._dock.stopping:
                return
            await self._send(connection, name)
        while not self._dock.stopping and await self._pull(connection):
            pass
        self._last_pull = time.monotonic()

    def _unsent(self) -> list[str]:
        now = time.monotonic()
        return [name for name in self._dock.outgoing.names() if self._aside.get(name, 0.0) <= now]

    # -- writes

    async def _send(self, connection: Connection, entry: str) -> None:
        """Send one entry, or go on with it; then its fact, then its end."""
        known = self._dock.transfers.write(entry)
        if known is None or not known.done:
            try:
                outcome = await self._transfer(connection, entry, known)
            except FileNotFoundError:
                return  # the keeper withdrew it
            except RestartRefused:
                outcome = await self._transfer(connection, entry, None)
            except Trouble as trouble:
                if trouble.scope is Scope.FICHIER and not isinstance(trouble, Aged):
                    # for longer than the route itself may wait now, or no other would ever get its turn
                    self._aside[entry] = time.monotonic() + 2 * self._settings.retry_max_s
                raise
            fact = {"channel": "pesit", "size": outcome.size, "moved": outcome.moved,
                    "restarted_from": outcome.restarted_from, "transfer_id": outcome.identity.transfer_id}  # fmt: skip
            self._dock.transfers.finish_write(entry, json.dumps(fact))
        self._dock.conclude(entry)

    async def _transfer(self, connection: Connection, entry: str, known: Write | None) -> Outcome:
        """A new transfer, or the restart of a known one: at its last point, or wherever the other side has got to."""
        with self._dock.begin(entry) as source:
            write = known or self._dock.transfers.begin_write(entry, self._new_identity(entry))
            self._dock.progress.begin(entry, source.seek(0, 2), write.point.offset)
            return await connection.send(
                write.identity, source, known.point if known else None,
                progress=self._dock.progress.show,
                acknowledged=partial(self._acknowledged, entry),
            )  # fmt: skip

    def _acknowledged(self, entry: str, point: SyncPoint) -> None:
        self._dock.transfers.acknowledge(entry, point)
        self.route.moved()

    def _new_identity(self, entry: str) -> Identity:
        return Identity(
            self._settings.flow, created=datetime.now(UTC).strftime("%y%m%d%H%M%S"), free_text=entry,
            initial_sender=self._settings.requester, final_receiver=self._settings.server,
            article_length=self._settings.article,
        )  # fmt: skip

    # -- pulls

    async def _settle_pulls(self, connection: Connection) -> None:
        """Reads that a cut or a crash left: whole ones are passed on, the others go on or begin again."""
        for pull in self._dock.transfers.pulls():
            if not pull.whole:
                try:
                    await connection.pull(pull.identity, partial(self._go_on, pull), restart=True)
                except RestartRefused:
                    self._dock.transfers.end_pull(pull)
                    continue
            await self._pass_on(connection, pull)

    def _go_on(self, pull: Pull, identity: Identity) -> Fetching:
        return self._dock.transfers.fetching(pull)

    async def _pull(self, connection: Connection) -> bool:
        """Fetch the oldest return that the OCT has for us; False when there is none."""
        fetched: list[Pull] = []

        def selected(identity: Identity) -> Fetching:
            fetching = self._dock.transfers.begin_pull(identity)
            fetched.append(fetching.pull)
            return fetching

        oct_, box = self._settings.server, self._settings.requester
        request = Identity(RETURNS, initial_sender=oct_, final_receiver=box)
        if await connection.pull(request, selected) is None:
            return False
        await self._pass_on(connection, fetched[0])
        return True

    async def _pass_on(self, connection: Connection, pull: Pull) -> None:
        """Through ``arrived/`` first, then MSG, then forgotten."""
        with self._dock.transfers.file(pull).open("rb") as source, self._dock.arriving() as arriving:
            for block in blocks(source):
                arriving.write(block)
            arriving.finish()
        await connection.message(pull.identity.answering(), pull.identity.label)
        self._dock.transfers.end_pull(pull)


def _end_of_line(paths: Paths) -> datetime:
    """When our certificate of the line ends."""
    return algorithms.read_certificate(read_certificate(paths.trust / f"{LINE}.pem"), Scope.BOX).not_valid_after_utc


def client_context(paths: Paths, settings: ForwardSettings) -> SSLContext:
    """TLS towards the OCT: our root only, our own certificate; revocation is for ``Peer`` to look at."""
    certificate, key = paths.trust / "box-transport.pem", key_file(paths, "forward", "box-transport")
    return tls.calling(paths.trust / "root.pem", certificate, key, tls12=settings.tls12)
