"""The requester's side: connect to a partner, send a file, pull a file, leave a message.

Rules: what the peer refuses becomes ``Refused`` or ``Deferred`` by the diagnostics table; a line that cannot
be had, breaks or stalls is ``Deferred`` of the route. Once ACK(TRANS.END) says 0.000 the transfer has
succeeded, whatever happens to the line after it. A restart repeats the identity; where the peer has no
context for it, ``RestartRefused`` says that a new transfer is due.
It keeps no restart context and retries nothing: that is the caller's.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from gateway.errors import Deferred, Refused, Scope, Trouble, os_words
from gateway.link.flow import (
    OK,
    Interrupted,
    Receiving,
    Source,
    WentBack,
    begin_sending,
    check_age,
    collect,
    guarded,
    hear,
    interrupt,
    said,
    transmit,
)
from gateway.link.line import USUAL, Line, Observer, Timers, abort_code
from gateway.pesit import diagnostics, messages, states, transfer
from gateway.pesit.codec import Fpdu
from gateway.pesit.compression import Compression
from gateway.pesit.diagnostics import SUCCESS, Violation
from gateway.pesit.framing import Framing, Preconnection, Reply
from gateway.pesit.packing import CONSERVATIVE, Sending
from gateway.pesit.parameters import Value
from gateway.pesit.profiles import Alphabet, Profile
from gateway.pesit.records import Form
from gateway.pesit.session import Session
from gateway.pesit.transfer import Identity, Sync, SyncPoint

MIXED = 2
VERSION_E = 2
_NO_POINTS: Mapping[int, SyncPoint] = {}
_LINGER = 1.0
"""Seconds that a failed connection may take to go, before it is cut."""


@dataclass(frozen=True)
class Partner:
    """Whom to call and how: ``requester`` and ``server`` are PI 3 and 4 of CONNECT, ``password`` PI 5.

    ``server_name`` is what its TLS certificate must bear, "" for ``host``.
    ``server_password`` is what PI 5 of ACONNECT must be, "" for anything. ``service`` is the name that a
    pre-connection opens with; it carries the requester and the password too. ``access`` is PI 22; ``resync``
    offers PI 23. ``sending`` is how articles lie in entities, ``compression`` what is proposed in PI 21, ``crc``
    PI 1: check bytes behind each FPDU.
    """

    host: str
    port: int
    requester: str
    server: str
    password: str = ""
    server_password: str = ""
    pre_connection: Alphabet = Alphabet.NONE
    service: str = "PESIT"
    framing: Framing = Framing.PREFIXED
    access: int = MIXED
    resync: bool = False
    sync_kb: int = 128
    window: int = 4
    sending: Sending = CONSERVATIVE
    compression: Compression = Compression.NONE
    crc: bool = False
    bare_abort: bool = False
    timers: Timers = USUAL
    server_name: str = ""

    def like(self, profile: Profile, *, secured: bool = False) -> Partner:
        """This partner, called as ``profile`` says; ``secured``: through TLS."""
        return replace(
            self,
            pre_connection=profile.pre_connection,
            framing=profile.framing_tls if secured else profile.framing,
            sync_kb=profile.sync_kb,
            window=profile.window,
            sending=Sending(profile.multi_article, profile.segment_to_fill, profile.concatenate),
            bare_abort=profile.bare_abort,
        )


@dataclass(frozen=True)
class Outcome:
    """A transfer that succeeded: ``size`` of the file, ``moved`` bytes this time from point ``restarted_from``."""

    identity: Identity
    size: int
    articles: int
    moved: int
    restarted_from: int


class RestartRefused(Deferred):
    """The peer has no context for this restart: make a new transfer, with a new PI 13."""


Inspection = Callable[[bytes], None]
"""Looks at the certificate (DER) that TLS accepted, before a word is said; what it raises ends the connection."""


@asynccontextmanager
async def connect(
    partner: Partner,
    ssl_context: ssl.SSLContext | None = None,
    observe: Observer | None = None,
    inspect: Inspection | None = None,
) -> AsyncIterator[Connection]:
    """A connection in CN03; RELEASE at the end, ABORT when it is left in the middle of something.

    ``Deferred(ROUTE)`` when the partner cannot be joined, by the diagnostics table when it answers RCONNECT.
    """
    line = await _join(partner, ssl_context)
    line.observe = observe
    try:
        if inspect and (certificate := line.certificate()):
            inspect(certificate)
    except Trouble:
        line.close()
        await line.gone(_LINGER)
        raise
    try:
        if partner.pre_connection is not Alphabet.NONE:
            await _preconnect(line, partner)
        await _identify(line, partner)
        yield Connection(line, partner.compression)
    except BaseException as cause:
        await _part(line, cause)
        raise
    await _part(line, None)


async def _join(partner: Partner, ssl_context: ssl.SSLContext | None) -> Line:
    # Who speaks first finds nothing out: the usual framing then.
    framing = Framing.PREFIXED if partner.framing is Framing.AUTO else partner.framing
    session = Session(
        states.REQUESTER, framing, bare_abort=partner.bare_abort, sending=partner.sending, crc=partner.crc
    )
    where = f"{partner.host}:{partner.port}"
    try:
        async with asyncio.timeout(partner.timers.connect):
            _, line = await asyncio.get_running_loop().create_connection(
                lambda: Line(session, partner.timers),
                partner.host,
                partner.port,
                ssl=ssl_context,
                server_hostname=partner.server_name or None if ssl_context else None,
                ssl_shutdown_timeout=_LINGER if ssl_context else None,
            )
    except TimeoutError:
        raise Deferred("PES-UNREACHABLE", f"{where} ne répond pas.", Scope.ROUTE) from None
    except ssl.SSLError as cause:
        text = f"La liaison chiffrée avec {where} ne s'établit pas ({cause.reason})."
        raise Deferred("PES-TLS", text, Scope.ROUTE) from cause
    except OSError as cause:
        text = f"{where} ne peut pas être joint ({os_words(cause)})."
        raise Deferred("PES-UNREACHABLE", text, Scope.ROUTE) from cause
    return line


async def _preconnect(line: Line, partner: Partner) -> None:
    """The 24 bytes before PeSIT and their answer (F-10 to F-15)."""
    ebcdic, prefixed = partner.pre_connection is Alphabet.EBCDIC, partner.framing is not Framing.RAW
    request = Preconnection(partner.service, partner.requester, partner.password, ebcdic, prefixed)
    line.write([line.session.preconnect(request)])
    reply = await line.next("réponse à la pré-connexion", line.timers.answer)
    if isinstance(reply, Reply) and not reply.accepted:
        raise Refused("PES-NAK0", "Le correspondant a refusé la pré-connexion (NAK0).", Scope.ROUTE)


async def _identify(line: Line, partner: Partner) -> None:
    """CONNECT, and whether what answers it is whom we called, in the version that we speak (F-140)."""
    sync = Sync(partner.sync_kb, partner.window)
    values: dict[int, Value] = {3: partner.requester, 4: partner.server, 6: VERSION_E, 7: sync.coded()}
    values |= {22: partner.access} | ({23: 1} if partner.resync else {}) | ({1: 1} if partner.crc else {})
    line.say(Fpdu("CONNECT", values | ({5: partner.password} if partner.password else {})))
    reply = await line.next("réponse à CONNECT", line.timers.answer)
    assert isinstance(reply, Fpdu)
    if reply.name == "RCONNECT":
        raise diagnostics.trouble(reply.diagnostic, reply.text(29) or reply.text(99))
    if reply.number(6) < VERSION_E:
        raise diagnostics.trouble("3.308", "version D")
    told = reply.text(5).encode()
    if partner.server_password and not hmac.compare_digest(told, partner.server_password.strip().encode()):
        raise Refused("PES-3.304", "Le correspondant n'a pas donné le mot de passe attendu.", Scope.ROUTE)


async def _part(line: Line, cause: BaseException | None) -> None:
    """End the connection: politely in CN03, by ABORT elsewhere."""
    at_rest = line.session.state == "CN03A" and (cause is None or isinstance(cause, Trouble))
    if at_rest:
        with suppress(Trouble):
            line.say(Fpdu("RELEASE", OK))
            await hear(line, "RELCONF")
        line.close()
    else:
        line.abort(abort_code(cause) if cause else "3.316")
    await line.gone(_LINGER)


class Connection:
    """A partner that answered: one file or message at a time, any number one after the other.

    Each may raise ``Aged`` instead of beginning or going on: make another connection, and restart on it.
    """

    def __init__(self, line: Line, compression: Compression) -> None:
        self._line = line
        self._opening = Fpdu("ORF", {21: compression.coded()} if compression else {})

    async def send(
        self,
        identity: Identity,
        source: BinaryIO,
        restart: SyncPoint | None = None,
        progress: Callable[[int], None] = lambda offset: None,
        acknowledged: Callable[[SyncPoint], None] = lambda point: None,
        *,
        form: Form | None = None,
        points: Mapping[int, SyncPoint] = _NO_POINTS,
        marked: Callable[[SyncPoint], None] = lambda point: None,
    ) -> Outcome:
        """Send ``source`` (buffered, seekable) as ``identity``.

        ``restart`` is the last point that an earlier attempt gave to ``acknowledged``, which is called with
        the point at which sending starts and with each one that the peer acknowledges; it may block to record
        the point. ``progress`` is called with the offset. ``form`` is how the file is cut, as ``identity`` says it;
        slices if not given. Where articles differ in length, ``points`` by number are those that earlier attempts
        gave to ``marked``, for the peer may be further than we were told. ``RestartRefused``, ``Refused`` or
        ``Deferred``.
        """
        form = form or Form(identity.article_length)
        size = source.seek(0, io.SEEK_END)
        identity = replace(identity, reserved_kb=identity.reserved_kb or -(-size // 1024))
        restarting = restart is not None
        await self._ask(transfer.create(identity, restart=restarting), "ACK(CREATE)", restarting)
        async with self._selection():
            await self._ask(self._opening, "ACK(ORF)", False)
            reply = await self._ask(Fpdu("WRITE"), "ACK(WRITE)", restarting)
            number = reply.number(18)
            start = points.get(number) or (restart or SyncPoint()).later(number, identity.article_length)
            if start is None or (start.offset > size and not form.text):
                await interrupt(self._line, _unknown_point(number), "2.228")
            begin_sending(self._line, start, 0 if form.text else identity.article_length)
            articles = partial(form.articles, source)

            def moved(offset: int) -> None:
                progress(offset)
                if offset < size:
                    check_age(self._line)

            outgoing = Source(articles, identity.article_length, acknowledged, marked, moved)
            await transmit(self._line, outgoing, partial(self._end, acknowledged))
        return self._outcome(identity)

    async def _end(self, acknowledged: Callable[[SyncPoint], None] = lambda point: None) -> None:
        """The exchange of TRANS.END: what the server counted must be what we did."""
        line = self._line
        line.say(Fpdu("TRANS.END", line.session.transfer.counts))
        reply = await hear(line, "ACK(TRANS.END)", line.timers.store, acknowledged)
        if reply.diagnostic != SUCCESS:
            raise said(reply)
        if not line.session.transfer.matches(reply, articles=False):
            raise diagnostics.trouble("3.319")

    async def pull(
        self, request: Identity, selected: Callable[[Identity], Receiving | None], *, restart: bool = False
    ) -> Outcome | None:
        """Fetch the file that ``request`` asks for, None when there is none (2.205) or none that is wanted.

        ``selected`` gets the identity that the server gave, commits it and says where the data go, or None to leave
        it there. For a ``restart`` the request is that identity, and the point is ``Receiving.position``.
        """
        try:
            reply = await self._ask(transfer.select(request, restart=restart), "ACK(SELECT)", restart)
        except Trouble as cause:
            if cause.code == "PES-2.205" and not restart:
                return None
            raise
        identity = _selected(request, reply)
        async with self._selection():
            receiving = selected(identity)
            if receiving is None:
                return None
            try:
                await self._fetch(receiving, restart, identity.article_length)
            except Interrupted as interrupted:
                receiving.abandon(interrupted.cause, keep=interrupted.keep)
                raise
            except Trouble as cause:
                receiving.abandon(cause, keep=not isinstance(cause, RestartRefused))
                raise
        return self._outcome(identity)

    async def message(self, identity: Identity, text: str = "", *, answer: bool = False) -> str | None:
        """Leave a message about the file of ``identity``; the text that answers it, if one was asked for and came.

        For the acknowledgement of a file received, ``identity`` is that file's ``answering()``; for a free message
        see ``messages.free``. A text that does not fit one FPDU goes in several.
        """
        check_age(self._line)
        *before, last = messages.parts(identity, text, self._line.session.entity, answer=answer)
        self._line.say(*before)
        reply = await self._ask(last, "ACK(MSG)", False)
        return reply.text(91) or None

    async def _fetch(self, receiving: Receiving, restart: bool, article_length: int) -> None:
        line = self._line
        await self._ask(self._opening, "ACK(ORF)", False)
        start = receiving.position() if restart else SyncPoint()
        receiving.truncate(start)
        line.session.begin(start)
        await self._ask(Fpdu("READ", {18: start.number}), "ACK(READ)", restart)
        await collect(line, receiving, article_length, partial(self._store, receiving))

    async def _store(self, receiving: Receiving) -> None:
        """The end of a read: it is said once all is on disk, and then it is too late to go back."""
        accounts = self._line.session.transfer
        await guarded(self._line, partial(receiving.end, accounts.offset, accounts.articles))
        try:
            await self._end()
        except WentBack:
            await interrupt(self._line, diagnostics.trouble("2.218"), "2.218")

    async def _ask(self, request: Fpdu, answer: str, restarting: bool) -> Fpdu:
        """Say ``request``, return its positive answer; the trouble that a negative one stands for, raised."""
        if self._line.session.state == "CN03A":
            check_age(self._line)
        self._line.say(request)
        reply = await hear(self._line, answer)
        if reply.diagnostic == SUCCESS:
            return reply
        cause = said(reply)
        if restarting and diagnostics.row_of(reply.diagnostic).forgotten:
            raise RestartRefused(cause.code, cause.text, Scope.FICHIER)
        raise cause

    @asynccontextmanager
    async def _selection(self) -> AsyncIterator[None]:
        """A selected file: left for CN03 whatever became of it, if the line still allows."""
        try:
            yield
        except Interrupted as interrupted:
            await self._leave(diagnostics.code_of(interrupted.cause, "2.299"))
            raise interrupted.cause from None
        except Violation:
            # What breaks the protocol is answered by ABORT, and nothing more is heard.
            raise
        except Trouble as cause:
            await self._leave(diagnostics.code_of(cause, "2.299"))
            raise
        await self._leave(SUCCESS)

    async def _leave(self, code: str) -> None:
        """Go back to CN03 from where the file stands; a line that breaks here changes nothing any more."""
        line, reason = self._line, {2: diagnostics.encode(code)}
        with suppress(Trouble):
            if line.session.state.startswith("OF02"):
                line.say(Fpdu("CRF", reason))
                await hear(line, "ACK(CRF)", line.timers.store)
            if line.session.state.startswith("SF03"):
                line.say(Fpdu("DESELECT", reason))
                await hear(line, "ACK(DESELECT)")

    def _outcome(self, identity: Identity) -> Outcome:
        accounts = self._line.session.transfer
        moved = accounts.offset - accounts.start.offset
        return Outcome(identity, accounts.offset, accounts.articles, moved, accounts.start.number)


def _unknown_point(number: int) -> RestartRefused:
    text = f"Le correspondant reprend au point {number}, que ce transfert ne connaît pas."
    return RestartRefused("PES-2.228", text, Scope.FICHIER)


def _selected(request: Identity, reply: Fpdu) -> Identity:
    """What the server says of the file, with what only the request says (F-100)."""
    given = transfer.identity_of(reply)
    return replace(
        given,
        transfer_id=given.transfer_id or request.transfer_id,
        initial_sender=request.initial_sender,
        final_receiver=request.final_receiver,
        entity=request.entity,
        priority=request.priority,
    )
