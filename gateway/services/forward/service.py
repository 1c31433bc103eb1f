"""forward: takes sealed parts from ``outgoing/`` to the OCT by PeSIT, and brings back what the OCT has.

It sees only sealed bytes.  An entry is unlinked after ACK(TRANS.END) *and* its fact in ``arrived/``; a return
is acknowledged by MSG after it passed ``arrived/``.  A line that is down is said as the state of the route; it
uses up no attempt of any fichier, and the next attempt comes by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gateway.book.doors import Door, blocks
from gateway.config import Paths, setting
from gateway.errors import Trouble
from gateway.link.client import Connection, Outcome, Partner, RestartRefused, connect
from gateway.pesit.transfer import Identity
from gateway.process.runtime import Runtime
from gateway.services.forward.transfers import Fetching, Pull, Transfers, Write

RETURNS = "RETOURS"
PROGRESS_EVERY_S = 0.2


@dataclass(frozen=True)
class ForwardSettings:
    """The section [forward]."""

    host: str = setting("127.0.0.1", "adresse du concentrateur (OCT)")
    port: int = setting(8790, "port du concentrateur")
    requester: str = setting("CABINET1", "notre identifiant PeSIT (PI 3)")
    server: str = setting("OCT1", "identifiant PeSIT du concentrateur (PI 4)")
    flow: str = setting("FICHIERS", "nom PeSIT (PI 12) des fichiers envoyés")
    tls: bool = setting(True, "TLS avec certificat client")
    sync_kb: int = setting(128, "intervalle des points de synchronisation, en Kio")
    window: int = setting(4, "points de synchronisation non acquittés au plus")
    article: int = setting(16384, "longueur d'article, en octets")
    retry_s: float = setting(5.0, "premier délai après une coupure, en secondes")
    retry_max_s: float = setting(300.0, "délai maximal entre deux essais, en secondes")
    pull_s: float = setting(300.0, "secondes entre deux relèves des retours")
    pull_soon_s: float = setting(10.0, "secondes entre deux relèves dans les minutes qui suivent un envoi")
    poll_s: float = setting(0.5, "secondes entre deux regards sur la porte")


ROUTE_WORDS = {
    "PES-UNREACHABLE": "Le concentrateur ne répond pas",
    "PES-LATE": "Le concentrateur ne répond plus",
    "PES-CUT": "La liaison avec le concentrateur est coupée",
    "PES-TLS": "La liaison chiffrée avec le concentrateur ne s'établit pas",
}
"""What the practice reads for troubles of the line; the address of an OCT is confidential (requirement 210)."""

SOON_FOR_S = 300.0
"""How long after a send returns are looked for often."""


class Forward:
    """The service's parts."""

    def __init__(self, runtime: Runtime, paths: Paths, settings: ForwardSettings) -> None:
        self.runtime, self.settings = runtime, settings
        self.outgoing, self.arrived = Door(paths.door("outgoing")), Door(paths.door("arrived"))
        self.arrived.sweep()
        self.transfers = Transfers(paths.transfers)
        self._progress = Progress(runtime, paths.progress)
        password = paths.key("forward", "oct-password").read_text(encoding="ascii").strip()
        self._partner = Partner(
            settings.host, settings.port, settings.requester, settings.server, password,
            sync_kb=settings.sync_kb, window=settings.window,
        )  # fmt: skip
        self._tls = client_context(paths) if settings.tls else None
        self._failures, self._next_try, self._next_pull, self._soon_until = 0, 0.0, 0.0, 0.0
        self._told = ""

    # -- when

    async def turn(self) -> None:
        """Connect if anything is due, and say how the route is."""
        now = time.monotonic()
        due = self._unsent() or self.transfers.pulls() or now >= self._next_pull
        if not due or now < self._next_try:
            return
        try:
            async with connect(self._partner, self._tls) as connection:
                await self._exchange(connection)
        except Trouble as trouble:
            self._failures += 1
            delay = min(self.settings.retry_s * 2.0 ** (self._failures - 1), self.settings.retry_max_s)
            delay *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads boxes over time, hides nothing
            self._next_try = time.monotonic() + delay
            self._tell_route(trouble.code, ROUTE_WORDS.get(trouble.code, trouble.text), delay)
        else:
            self._failures = 0
            self._tell_route("", "", 0.0)
        finally:
            self._progress.clear()

    async def _exchange(self, connection: Connection) -> None:
        """Everything that is due, on one connection: what was half done first."""
        await self._settle_pulls(connection)
        for name in self.outgoing.names():
            if self.runtime.stop.is_set():
                return
            await self.send(connection, name)
        while not self.runtime.stop.is_set() and await self._pull(connection):
            pass
        now = time.monotonic()
        self._next_pull = now + (self.settings.pull_soon_s if now < self._soon_until else self.settings.pull_s)

    def _unsent(self) -> bool:
        return bool(self.outgoing.names())

    def _tell_route(self, code: str, text: str, delay: float) -> None:
        if not code and self._told == "":
            return
        self._told = code
        at = datetime.fromtimestamp(time.time() + delay, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        fact = {"name": "oct", "code": code, "text": text, "next": at if code else ""}
        self.arrived.put(f"route.{time.time_ns()}", json.dumps(fact, ensure_ascii=False).encode())

    # -- writes

    async def send(self, connection: Connection, entry: str) -> None:
        """Send one entry, or go on with it; then its fact, then its end."""
        known = self.transfers.write(entry)
        if known is None or not known.done:
            try:
                outcome = await self._transfer(connection, entry, known)
            except FileNotFoundError:
                return  # the keeper withdrew it
            except RestartRefused:
                outcome = await self._transfer(connection, entry, None)
            fact = {"size": outcome.size, "moved": outcome.moved, "restarted_from": outcome.restarted_from,
                    "transfer_id": outcome.identity.transfer_id}  # fmt: skip
            self.transfers.finish_write(entry, json.dumps(fact))
        self._conclude(entry)

    async def _transfer(self, connection: Connection, entry: str, known: Write | None) -> Outcome:
        """A new transfer, or the restart of a known one: at its last point, or wherever the other side has got to."""
        with self.outgoing.open(entry) as source:
            write = known or self.transfers.begin_write(entry, self._new_identity(entry))
            self._progress.begin(entry, source.seek(0, 2), write.point.offset)
            return await connection.send(
                write.identity, source, known.point if known else None,
                progress=self._progress.show,
                acknowledged=lambda reached: self.transfers.acknowledge(entry, reached),
            )  # fmt: skip

    def _conclude(self, entry: str) -> None:
        known = self.transfers.write(entry)
        assert known is not None
        self.arrived.put(f"sent.{entry}", known.done.encode())
        self.outgoing.remove(entry)
        self._soon_until = time.monotonic() + SOON_FOR_S
        self._next_pull = 0.0

    def _new_identity(self, entry: str) -> Identity:
        return Identity(
            self.settings.flow, created=datetime.now(UTC).strftime("%y%m%d%H%M%S"), free_text=entry,
            initial_sender=self.settings.requester, final_receiver=self.settings.server,
            article_length=self.settings.article,
        )  # fmt: skip

    # -- pulls

    async def _settle_pulls(self, connection: Connection) -> None:
        """Reads that a cut or a crash left: whole ones are passed on, the others go on or begin again."""
        for pull in self.transfers.pulls():
            if not pull.whole:
                try:
                    await connection.pull(pull.identity, partial(self._go_on, pull), restart=True)
                except RestartRefused:
                    self.transfers.end_pull(pull)
                    continue
            await self._pass_on(connection, pull)

    def _go_on(self, pull: Pull, identity: Identity) -> Fetching:
        return self.transfers.fetching(pull)

    async def _pull(self, connection: Connection) -> bool:
        """Fetch the oldest return that the OCT has for us; False when there is none."""
        fetched: list[Pull] = []

        def selected(identity: Identity) -> Fetching:
            fetching = self.transfers.begin_pull(identity)
            fetched.append(fetching.pull)
            return fetching

        request = Identity(RETURNS, initial_sender=self.settings.server, final_receiver=self.settings.requester)
        if await connection.pull(request, selected) is None:
            return False
        await self._pass_on(connection, fetched[0])
        return True

    async def _pass_on(self, connection: Connection, pull: Pull) -> None:
        """Through ``arrived/`` first, then MSG, then forgotten; each step may be done again."""
        digest = hashlib.sha256()
        with self.transfers.file(pull).open("rb") as source, self.arrived.begin() as entry:
            for block in blocks(source):
                digest.update(block)
                entry.write(block)
            entry.finish(f"return.{digest.hexdigest()}")
        await connection.message(pull.identity.answering(), pull.identity.label)
        self.transfers.end_pull(pull)


class Progress:
    """How far the transfer under way is: a small file for the page, never the truth."""

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
        if now - self._last < PROGRESS_EVERY_S:
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


def client_context(paths: Paths) -> ssl.SSLContext:
    """TLS towards the OCT: our root only, revocation lists of the whole chain, our own certificate."""
    context = ssl.create_default_context(cafile=str(paths.trust / "root.pem"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=str(paths.trust / "crl" / "all.pem"))
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    context.load_cert_chain(paths.trust / "box-transport.pem", paths.key("forward", "box-transport.key"))
    return context


async def run(runtime: Runtime, paths: Paths, settings: ForwardSettings) -> None:
    """Serve until the runtime stops; a transfer under way is left at its last point."""
    forward = Forward(runtime, paths, settings)
    runtime.ready()
    stopped = asyncio.create_task(runtime.stop.wait())
    try:
        while not runtime.stop.is_set():
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
        forward.transfers.close()
