"""One PeSIT connection on TCP or TLS: bytes between a transport and a ``Session``.

Rules: everything that waits has a deadline; a deadline that runs out and a line that breaks are ``Deferred``
of the route, an ABORT of the peer is what the diagnostics table says. Memory is bounded both ways: reading
pauses while bytes wait to be heard, writing waits for the transport. A lost line is known at once to whoever waits.
It says nothing of its own on the line but ABORT.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.errors import Deferred, Scope
from gateway.pesit import diagnostics
from gateway.pesit.codec import Fpdu
from gateway.pesit.diagnostics import SUCCESS, Violation
from gateway.pesit.session import Event, Session

ENOUGH = 1 << 19
"""Unheard bytes above which reading pauses; more than one read brings, which would else be a pause for each."""


@dataclass(frozen=True)
class Timers:
    """Seconds of the standard (4.6): ``answer`` is Tp, ``connect`` Tc, ``idle`` Td, ``close`` Tr.

    ``store`` is for the answers that wait for a disk: ACK(TRANS.END), ACK(CRF).  ``life``: no connection, and so no
    session key, gets older; a requester leaves in order then, a server ends what stays ``LEEWAY`` longer.
    """

    answer: float = 30
    connect: float = 30
    idle: float = 300
    close: float = 30
    store: float = 300
    life: float = 23 * 3600


LEEWAY = 3600.0
"""Seconds that a server gives a connection beyond its life, so that the requester ends it and not we."""


Observer = Callable[[str, bytes], None]
"""Sees the bytes of a line as they are: the way ("<" came, ">" went) and what passed."""

USUAL = Timers()
"""The defaults that the standard and the field agree on."""


class Late(Deferred):
    """A deadline ran out."""

    def __init__(self, awaited: str, seconds: float) -> None:
        super().__init__("PES-3.317", f"Pas de {awaited} du correspondant en {seconds:g} s.", Scope.ROUTE)


class Cut(Deferred):
    """The line is gone."""

    def __init__(self, cause: Exception | None) -> None:
        detail = f" ({cause})" if cause else ""
        super().__init__("PES-CUT", f"La liaison avec le correspondant est coupée{detail}.", Scope.ROUTE)


class Line(asyncio.Protocol):
    """A ``Session`` on its transport."""

    def __init__(self, session: Session, timers: Timers, made: Callable[[Line], None] = lambda line: None) -> None:
        """``made`` is called once the connection, TLS included, stands."""
        self._made = made
        self.session = session
        self.timers = timers
        self.observe: Observer | None = None
        self.closed = asyncio.get_running_loop().create_future()
        self._ends = asyncio.get_running_loop().time() + timers.life
        self._lost: Cut | None = None
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    # --- called by asyncio ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # asyncio does this itself only for sockets that it made: not for those accepted from a given one.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._made(self)

    def data_received(self, data: bytes) -> None:
        if self.observe:
            self.observe("<", data)
        self.session.feed(data)
        if self.session.waiting > ENOUGH and not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()
        _wake(self._reader)

    def connection_lost(self, cause: Exception | None) -> None:
        self._lost = Cut(cause)
        if not self.closed.done():
            self.closed.set_result(None)
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        _wake(self._writer)
        self._writer = None

    # --- used by client, server and flow --------------------------------------------------------------

    def certificate(self) -> bytes | None:
        """The peer's certificate in DER, None without TLS or without one."""
        secured = self._transport.get_extra_info("ssl_object") if self._transport else None
        return secured.getpeercert(binary_form=True) if isinstance(secured, ssl.SSLObject) else None

    def version(self) -> str:
        """The version of TLS, "" without TLS."""
        secured = self._transport.get_extra_info("ssl_object") if self._transport else None
        return (secured.version() or "") if isinstance(secured, ssl.SSLObject) else ""

    @property
    def aged(self) -> bool:
        """Whether the connection has lived its life."""
        return asyncio.get_running_loop().time() >= self._ends

    def take(self) -> Event | None:
        """The next event if it is there; ``Violation`` or what an ABORT of the peer says, raised."""
        event = self.session.next()
        if self._paused and self.session.waiting <= ENOUGH and self._transport:
            self._paused = False
            self._transport.resume_reading()
        if isinstance(event, Violation):
            raise event
        if isinstance(event, Fpdu) and event.name == "ABORT":
            raise diagnostics.trouble(_abort_code(event), event.text(29))
        return event

    async def next(self, awaited: str, seconds: float) -> Event:
        """The next event; as ``take``, and ``Cut`` or ``Late`` when there is none."""
        event = self.take() or await self.next_or(None, awaited, seconds)
        assert event is not None
        return event

    async def next_or(self, work: asyncio.Task[None] | None, awaited: str, seconds: float) -> Event | None:
        """As ``next``, but None once ``work`` is done and there is no event yet."""
        if work:
            work.add_done_callback(self._work_done)
        try:
            async with asyncio.timeout(seconds):
                while not (event := self.take()):
                    if self._lost:
                        raise self._lost
                    if work and work.done():
                        break
                    self._reader = asyncio.get_running_loop().create_future()
                    await self._reader
        except TimeoutError:
            raise Late(awaited, seconds) from None
        finally:
            if work:
                work.remove_done_callback(self._work_done)
        return event

    def _work_done(self, _: asyncio.Task[None]) -> None:
        _wake(self._reader)

    def say(self, *fpdus: Fpdu) -> None:
        """Write FPDUs, without waiting."""
        self.write([self.session.send(fpdu) for fpdu in fpdus])

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write bytes that the session gave, without waiting."""
        if self._transport and not self._lost:
            data = b"".join(pieces)
            if self.observe:
                self.observe(">", data)
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the transport has room again; ``Late`` or ``Cut`` when it never will."""
        if self._lost:
            raise self._lost
        if not self._writer:
            return
        try:
            async with asyncio.timeout(self.timers.answer):
                await self._writer
        except TimeoutError:
            raise Late("progrès", self.timers.answer) from None
        if self._lost:
            raise self._lost

    def abort(self, diagnostic: str) -> None:
        """Say ABORT and close; harmless on a line that is over."""
        if not self._lost:
            self.write([self.session.abort(diagnostic)])
        self.close()

    def close(self) -> None:
        """Close the transport; what is written still goes out."""
        if self._transport:
            self._transport.close()

    async def gone(self, seconds: float) -> None:
        """Wait for the end of the line, then end it by force."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self.closed)
        except TimeoutError:
            if self._transport:
                self._transport.abort()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter and not waiter.done():
        waiter.set_result(None)


def _abort_code(event: Fpdu) -> str:
    return event.diagnostic if event.diagnostic != SUCCESS else "3.399"


def abort_code(cause: BaseException) -> str:
    """The diagnostic of the ABORT that a failure calls for."""
    if isinstance(cause, Violation):
        return cause.diagnostic
    if isinstance(cause, asyncio.CancelledError | KeyboardInterrupt):
        return "3.316"
    return "3.317" if isinstance(cause, Late) else "3.399"
