"""The server's side: answer whoever connects, and hand files to and fro for an application.

Rules: what the application raises (``Refused``, ``Deferred``) becomes the negative answer of that moment by
the diagnostics table. What is lost with the line keeps its restart context up to the last acknowledged
point. A requester that breaks the protocol gets ABORT; the others go on. Anything else that is raised is a
bug and ends ``serve``.
It knows no directory, no partner list and no password: those are the application's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from gateway.errors import Deferred, Trouble
from gateway.link import tls
from gateway.link.flow import (
    OK,
    GoBack,
    Interrupted,
    Receiving,
    Source,
    begin_sending,
    collect,
    hear,
    may_restart,
    named,
    refusal,
    stopped,
    transmit,
)
from gateway.link.line import LEEWAY, USUAL, Cut, Late, Line, Observer, Timers, abort_code
from gateway.pesit import diagnostics, messages, states, transfer
from gateway.pesit.codec import Fpdu
from gateway.pesit.compression import Compression
from gateway.pesit.diagnostics import Violation
from gateway.pesit.framing import Framing, Preconnection
from gateway.pesit.packing import CONSERVATIVE, Sending
from gateway.pesit.parameters import Value
from gateway.pesit.session import Session
from gateway.pesit.transfer import Identity, Sync, SyncPoint

VERSION_E = 2
_BACKLOG = 1024
"""Callers that the kernel keeps until we come to them: all of a practice's software may call at one moment."""
_WRITE, _READ, _MIXED = 0, 1, 2


def _named_pesit(request: Preconnection) -> bool:
    """The usual policy: the real check is made on CONNECT, only another service is turned away (F-12, F-13)."""
    return request.protocol.startswith("PESIT")


@dataclass(frozen=True)
class Settings:
    """What this server offers at most; a requester may always want less.

    ``tls12``: whether a caller that was let in may have come by TLS 1.2, where the context lets that in at all.
    ``password`` is our own, told in ACONNECT (PI 5) when there is one. ``welcome`` decides on a pre-connection.
    ``sending`` is how we send, ``compression`` what we take and give, ``crc`` whether check bytes are welcome.
    Of more than ``connections`` at a time, each further one is told so (3.303), up to as many again.
    """

    framing: Framing = Framing.AUTO
    password: str = ""
    welcome: Callable[[Preconnection], bool] = _named_pesit
    resync: bool = True
    sync_kb: int = 1024
    window: int = 16
    entity: int = 65535
    connections: int = 64
    sending: Sending = CONSERVATIVE
    compression: Compression = Compression.BOTH
    crc: bool = True
    bare_abort: bool = False
    timers: Timers = USUAL
    tls12: Callable[[str], bool] = lambda requester: True


class Offering(Protocol):
    """A file that the server has for a requester. May block shortly."""

    @property
    def identity(self) -> Identity:
        """What ACK(SELECT) says of it; ``transfer_id`` not 0."""

    def position(self, number: int) -> SyncPoint | None:
        """The point at which a restart of this read may begin, None when it is not known (2.214)."""

    def articles(self, start: SyncPoint) -> Iterator[bytes]:
        """The articles from ``start`` on, none longer than the identity says; see ``pesit.records``."""

    def marked(self, point: SyncPoint) -> None:
        """A point was set: a restart may ask for it, whether the requester acknowledged it or not."""

    def acknowledged(self, point: SyncPoint) -> None:
        """The requester has it up to ``point`` (also called with the point at which sending starts)."""

    def delivered(self) -> None:
        """The requester says that all of it is on its disk (F-113)."""


A = TypeVar("A")
"""What the application wants to remember of a requester."""


class Application(Protocol[A]):
    """What stands behind the server. All may block shortly and may raise ``Refused`` or ``Deferred``."""

    def connect(self, requester: str, server: str, password: str, certificate: bytes | None) -> A:
        """Who is there; ``certificate`` in DER."""

    def create(self, access: A, identity: Identity, restart: bool) -> Receiving:
        """Take a file in. The same transfer may still be open on a line that nobody knows to be dead:

        fence that one off, or raise 2.207.
        """

    def select(self, access: A, identity: Identity, restart: bool) -> Offering | None:
        """The file that is asked for, None when there is none (2.205)."""

    def message(self, access: A, identity: Identity, text: str) -> str | None:
        """Take a message; the text of the answer, up to 4096 characters: it goes only to who asked for one."""

    def leave(self, access: A) -> None:
        """A connection that ``connect`` let in is over."""


async def serve(
    sockets: Sequence[socket.socket],
    application: Application[A],
    settings: Settings,
    ssl_context: ssl.SSLContext | None = None,
    stop: asyncio.Event | None = None,
    watch: Callable[[], Observer | None] = lambda: None,
) -> None:
    """Answer on listening ``sockets`` until ``stop``; then the connections that stand get ABORT 3.316.

    ``watch`` gives each connection its observer.
    """
    talks: set[asyncio.Task[None]] = set()
    over = False
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:

        def made(line: Line) -> None:
            line.observe = watch()
            if over or len(talks) >= 2 * settings.connections:  # a TLS handshake may end after us
                line.close()
                return
            full = len(talks) >= settings.connections
            talk = group.create_task(Talk(line, application, settings, full=full).run())
            talks.add(talk)
            talk.add_done_callback(talks.discard)

        def answer() -> Line:
            session = Session(states.SERVER, settings.framing, bare_abort=settings.bare_abort, sending=settings.sending)
            return Line(session, settings.timers, made)

        within = settings.timers.connect if ssl_context else None
        listeners = [
            await loop.create_server(answer, sock=sock, ssl=ssl_context, ssl_handshake_timeout=within, backlog=_BACKLOG)
            for sock in sockets
        ]
        try:
            await (stop or asyncio.Event()).wait()
        finally:
            over = True
            for listener in listeners:
                listener.close()
            for talk in talks:
                talk.cancel()


class Talk(Generic[A]):
    """One connection, from CONNECT to its end: each FPDU heard has its method in ``_TURNS``."""

    def __init__(self, line: Line, application: Application[A], settings: Settings, *, full: bool = False) -> None:
        """``full``: this caller is one too many."""
        self._line = line
        self._full = full
        self._application = application
        self._settings = settings
        self._access: A
        self._receiving: Receiving | None = None
        self._offering: Offering | None = None
        self._restart = False
        self._identity = Identity("")

    async def run(self) -> None:
        """The whole conversation."""
        ending: Trouble = Cut(None)
        try:
            await self._live()
            self._drop(ending, keep=True)
            await self._line.gone(self._settings.timers.close)
        except (Trouble, asyncio.CancelledError) as cause:
            ending = cause if isinstance(cause, Trouble) else diagnostics.trouble("3.316")
            self._line.abort(self._code(cause))
            self._drop(ending, keep=True)
        finally:
            self._line.close()

    async def _live(self) -> None:
        """The conversation; 3.316 when it outlives what a connection may."""
        try:
            async with asyncio.timeout(self._settings.timers.life + LEEWAY) as life:
                await self._converse()
        except TimeoutError:
            if not life.expired():
                raise
            raise diagnostics.trouble("3.316") from None

    async def _converse(self) -> None:
        if not await self._admitted():
            return
        try:
            while self._line.session.state != states.SERVER:
                await self._turn()
        finally:
            self._application.leave(self._access)

    def _code(self, cause: BaseException) -> str:
        if isinstance(cause, Trouble) and cause.code == "PES-3.316":
            return "3.316"
        idle = isinstance(cause, Late) and self._line.session.state == "CN03B"
        return "3.313" if idle else abort_code(cause)

    def _drop(self, cause: Trouble, *, keep: bool) -> None:
        if self._receiving:
            self._receiving.abandon(cause, keep=keep)
        self._receiving = self._offering = None

    async def _admitted(self) -> bool:
        """Pre-connection if there is one, CONNECT, and our answer to it."""
        line, within = self._line, self._settings.timers.connect
        event = await line.next("CONNECT", within)
        if isinstance(event, Preconnection):
            accepted = self._settings.welcome(event)
            line.write([event.answer(accepted=accepted)])
            if not accepted:
                line.close()
                return False
            event = await line.next("CONNECT", within)
        if not isinstance(event, Fpdu):
            raise Violation("3.311", "Une deuxième pré-connexion est venue avant CONNECT.")
        try:
            self._access = self._admit(event)
        except Trouble as cause:
            line.say(Fpdu("RCONNECT", refusal(cause, "3.304")))
            return False
        own = Sync(self._settings.sync_kb, self._settings.window)
        values: dict[int, Value] = {6: VERSION_E, 7: line.session.sync.agreed(own).coded()}
        values |= {5: self._settings.password} if self._settings.password else {}
        values |= {23: int(self._settings.resync and event.number(23) == 1)} if 23 in event.values else {}
        line.say(Fpdu("ACONNECT", values))
        return True

    def _admit(self, event: Fpdu) -> A:
        if self._full:
            raise diagnostics.trouble("3.303")
        if event.number(6) < VERSION_E:
            raise diagnostics.trouble("3.308")
        checked = self._line.session.crc
        if checked > self._settings.crc or event.number(1) > checked:
            raise diagnostics.trouble("3.323")
        requester = event.text(3)
        if self._line.version() not in ("", tls.MODERN) and not self._settings.tls12(requester):
            raise diagnostics.trouble("3.304", "TLS 1.3 est exigé")
        return self._application.connect(requester, event.text(4), event.text(5), self._line.certificate())

    async def _turn(self) -> None:
        timers = self._settings.timers
        at_rest = self._line.session.state == "CN03B"
        event = await self._line.next("message", timers.idle if at_rest else timers.answer)
        turn = _TURNS.get(event.name) if isinstance(event, Fpdu) else None
        if turn is None:
            raise Violation("3.311", f"{named(event)} n'est pas une demande.")
        assert isinstance(event, Fpdu)
        await turn(self, event)

    # --- selecting ------------------------------------------------------------------------------------

    async def _create(self, event: Fpdu) -> None:
        identity = transfer.identity_of(event)
        entity = min(identity.entity, self._settings.entity)
        self._restart = bool(event.number(15))
        try:
            self._allow(_WRITE)
            self._hold(entity)
            self._receiving = self._application.create(self._access, identity, self._restart)
        except Trouble as cause:
            self._line.say(Fpdu("ACK(CREATE)", refusal(cause, "2.226") | {25: entity}))
            return
        self._identity = identity
        self._line.say(Fpdu("ACK(CREATE)", OK | {13: identity.transfer_id, 25: entity}))

    async def _select(self, event: Fpdu) -> None:
        asked = transfer.identity_of(event)
        entity = min(asked.entity, self._settings.entity)
        self._restart = bool(event.number(15))
        try:
            self._allow(_READ)
            self._hold(entity)
            self._offering = self._application.select(self._access, asked, self._restart)
            if self._offering is None:
                raise diagnostics.trouble("2.205")
        except Trouble as cause:
            self._line.say(Fpdu("ACK(SELECT)", refusal(cause, "2.226")))
            return
        self._identity = self._offering.identity
        self._line.say(transfer.found(self._identity, entity))

    def _allow(self, access: int) -> None:
        if self._line.session.access not in (access, _MIXED):
            raise diagnostics.trouble("3.305")

    def _hold(self, entity: int) -> None:
        """Whether an entity of that size can hold anything."""
        least = self._line.session.smallest_entity
        if entity < least:
            raise diagnostics.trouble("2.234", f"{entity} octets, il en faut {least} au moins")

    async def _deselect(self, _: Fpdu) -> None:
        self._drop(diagnostics.trouble("2.216"), keep=True)
        self._line.say(Fpdu("ACK(DESELECT)", OK))

    async def _orf(self, event: Fpdu) -> None:
        proposed = event.values.get(21)
        answer = Compression.of(proposed).agreed(self._settings.compression).coded()
        self._line.say(Fpdu("ACK(ORF)", OK | ({21: answer} if proposed else {})))

    async def _crf(self, _: Fpdu) -> None:
        self._line.say(Fpdu("ACK(CRF)", OK))

    # --- data -----------------------------------------------------------------------------------------

    async def _write(self, _: Fpdu) -> None:
        line, receiving = self._line, self._receiving
        if receiving is None:
            raise Violation("3.311", "WRITE reçu sans fichier à recevoir.")
        try:
            start = receiving.position() if self._restart else SyncPoint()
            receiving.truncate(start)
        except Trouble as cause:
            line.say(Fpdu("ACK(WRITE)", refusal(cause, "2.213")))
            return
        line.session.begin(start)
        line.say(Fpdu("ACK(WRITE)", OK | {18: start.number}))
        try:
            await collect(line, receiving, self._identity.article_length, partial(self._store, receiving))
        except Interrupted as interrupted:
            self._drop(interrupted.cause, keep=interrupted.keep)

    async def _store(self, receiving: Receiving) -> None:
        """TRANS.END of a write: compare the counts, have it all on disk, say so."""
        line, accounts = self._line, self._line.session.transfer
        event = await hear(line, "TRANS.END", line.timers.store)
        try:
            if not accounts.matches(event):
                raise diagnostics.trouble("3.319")
            receiving.end(accounts.offset, accounts.articles)
        except GoBack as cause:
            await stopped(line, cause)
        except Trouble as cause:
            self._drop(cause, keep=isinstance(cause, Deferred) and cause.code != "PES-3.319")
            line.say(Fpdu("ACK(TRANS.END)", refusal(cause, "2.223")))
            return
        self._receiving = None
        line.say(Fpdu("ACK(TRANS.END)", OK | accounts.counts))

    async def _read(self, event: Fpdu) -> None:
        line, offering = self._line, self._offering
        if offering is None:
            raise Violation("3.311", "READ reçu sans fichier à envoyer.")
        try:
            start = offering.position(event.number(18)) if event.number(18) else SyncPoint()
            if start is None:
                raise diagnostics.trouble("2.214")
        except Trouble as cause:
            line.say(Fpdu("ACK(READ)", refusal(cause, "2.213")))
            return
        begin_sending(line, start, self._identity.article_length)
        line.say(Fpdu("ACK(READ)", OK))
        with suppress(Interrupted):
            await self._offer(offering)

    async def _offer(self, offering: Offering) -> None:
        """The data of a read, the counts that the requester ends it with, and our verdict on them."""
        line = self._line
        length, taken = self._identity.article_length, offering.acknowledged
        source = Source(offering.articles, length, taken, offering.marked, lambda offset: None)
        close = partial(hear, line, "TRANS.END", line.timers.store, taken)
        ended = await transmit(line, source, close)
        accounts = line.session.transfer
        fits = accounts.matches(ended, articles=False)
        if fits:
            offering.delivered()
        verdict = OK if fits else refusal(diagnostics.trouble("3.319"), "3.319")
        line.say(Fpdu("ACK(TRANS.END)", verdict | accounts.counts))

    async def _interrupted(self, event: Fpdu) -> None:
        """IDT before any data."""
        self._line.say(Fpdu("ACK(IDT)"))
        self._drop(diagnostics.trouble(event.diagnostic, event.text(29)), keep=may_restart(event))

    # --- messages and the end -------------------------------------------------------------------------

    async def _message(self, event: Fpdu) -> None:
        identity, text, asked = transfer.identity_of(event), event.text(91), event.number(14) == 1
        while event.name in ("MSGDM", "MSGMM"):
            following = await self._line.next("MSGFM", self._settings.timers.answer)
            assert isinstance(following, Fpdu)
            event = following
            text += event.text(91)
            if len(text) > messages.LONGEST:
                raise Violation("3.318", "Message PeSIT trop long.")
        try:
            self._allow(_WRITE)
            reply = self._application.message(self._access, identity, text)
        except Trouble as cause:
            refused = refusal(cause, "2.209")
            values = {2: refused[2], 91: refused[29]}
        else:
            values = OK | ({91: reply} if reply and asked else {})
        self._line.say(Fpdu("ACK(MSG)", values | {13: identity.transfer_id}))

    async def _release(self, _: Fpdu) -> None:
        self._line.say(Fpdu("RELCONF"))


_TURNS: dict[str, Callable[[Talk[A], Fpdu], Awaitable[None]]] = {
    "CREATE": Talk._create,
    "SELECT": Talk._select,
    "DESELECT": Talk._deselect,
    "ORF": Talk._orf,
    "CRF": Talk._crf,
    "WRITE": Talk._write,
    "READ": Talk._read,
    "IDT": Talk._interrupted,
    "MSG": Talk._message,
    "MSGDM": Talk._message,
    "RELEASE": Talk._release,
}
"""What a requester may ask for, to what is done."""
