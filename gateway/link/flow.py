"""The data phase, for the sender and for the receiver of a file, in either role.

Rules: the sender sets a point before the article that would overflow the interval (F-73) and waits only when
the window is full. The receiver has a point on disk, durably recorded, before it acknowledges it (F-75), and
hears on meanwhile as far as the window goes; nothing is stated as stored before it is (F-113).
What reads or keeps the file may raise: ``GoBack`` asks for RESYN (F-109), any other ``Trouble`` for IDT (F-110).
An interruption, ours or theirs, is settled here and raised as ``Interrupted``; what follows it, CRF and
DESELECT, is the caller's.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn, Protocol, TypeVar

from gateway.errors import Deferred, Trouble
from gateway.link.line import Line
from gateway.pesit import diagnostics
from gateway.pesit.codec import Fpdu
from gateway.pesit.diagnostics import SUCCESS, Violation
from gateway.pesit.framing import Damaged
from gateway.pesit.parameters import Value
from gateway.pesit.session import Acknowledged, Article, Event, Session
from gateway.pesit.transfer import SyncPoint

BATCH = 1 << 16
"""Bytes that are written to the transport in one go."""

OK: dict[int, Value] = {2: diagnostics.encode(SUCCESS)}
"""PI 2 of a positive ACK."""

T = TypeVar("T")


class Receiving(Protocol):
    """Where the data of one incoming file go. May block shortly; a ``Trouble`` that it raises ends the transfer."""

    def position(self) -> SyncPoint:
        """The last point that is on disk, ``SyncPoint()`` for a new file."""

    def truncate(self, point: SyncPoint) -> None:
        """Forget everything behind ``point``: before the first data, and again whenever both sides go back."""

    def write(self, data: bytes, ends: bool) -> None:
        """Append an article or a fragment of one; ``ends``: the article is complete with it."""

    def mark(self, point: SyncPoint) -> None:
        """``point`` is set behind what was written until now."""

    async def sync(self) -> None:
        """Have on disk what was written, then record durably the points that were marked; they are acknowledged

        after that. More may be written and marked meanwhile: that is for the next ``sync``.
        """

    def end(self, size: int, articles: int) -> None:
        """The file is complete with ``size`` bytes: force and record it durably."""

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """No more data now; ``keep`` the context for a restart."""


class GoBack(Deferred):
    """Raised by what reads or keeps a file: take it up again from the last point that is safe.

    Both sides go back without leaving the data phase where they agreed on RESYN, else it is interrupted.
    """

    def __init__(self, code: str = "1.100", detail: str = "") -> None:
        cause = diagnostics.trouble(code, detail)
        super().__init__(cause.code, cause.text, cause.scope)


class Suspended(Deferred):
    """Raised by what reads or keeps a file: let another file pass first; this one is taken up again later."""

    def __init__(self, detail: str = "suspendu pour un fichier plus urgent") -> None:
        cause = diagnostics.trouble("2.216", detail)
        super().__init__(cause.code, cause.text, cause.scope)


class Aged(Suspended):
    """The connection has lived its life: what was to go goes on, from its last point, on another one."""

    def __init__(self) -> None:
        super().__init__("la liaison a duré assez, une autre la suit")


def check_age(line: Line) -> None:
    """Raise ``Aged`` once a connection has lived its life."""
    if line.aged:
        raise Aged


class Interrupted(Exception):
    """The data phase was left by IDT; ``cause`` says why, ``keep`` whether a restart may follow."""

    def __init__(self, cause: Trouble, *, keep: bool) -> None:
        super().__init__(cause.text)
        self.cause = cause
        self.keep = keep


class WentBack(Exception):
    """The peer asked for RESYN and got its answer: the accounts stand at an earlier point."""


_ERROR, _SUSPENDED, _CANCELLED_BY_SERVER, _CANCELLED_BY_REQUESTER = 4, 8, 12, 16
_NO_RESTART = (_CANCELLED_BY_SERVER, _CANCELLED_BY_REQUESTER)


def may_restart(idt: Fpdu) -> bool:
    """Whether an IDT leaves the restart context as it is (F-110)."""
    return idt.number(19, _ERROR) not in _NO_RESTART


def said(fpdu: Fpdu) -> Trouble:
    """The trouble that the diagnostic of an FPDU stands for."""
    return diagnostics.trouble(fpdu.diagnostic, fpdu.text(29))


# --- leaving the data phase, going back in it ------------------------------------------------------------------------


async def interrupt(line: Line, cause: Trouble, otherwise: str) -> NoReturn:
    """Leave the data phase for a trouble of ours: IDT and its ACK, then ``Interrupted``."""
    code = diagnostics.code_of(cause, otherwise)
    keep = isinstance(cause, Deferred) and not diagnostics.row_of(code).forgotten
    end = _SUSPENDED if isinstance(cause, Suspended) else _ERROR
    if not keep:
        end = _CANCELLED_BY_SERVER if line.session.state.endswith("B") else _CANCELLED_BY_REQUESTER
    line.say(Fpdu("IDT", {2: diagnostics.encode(code), 19: end}))
    await _settled(line, "ACK(IDT)")
    raise Interrupted(cause, keep=keep)


async def _go_back(line: Line, cause: GoBack, number: int) -> None:
    """Ask by RESYN to go on from point ``number``; then the accounts stand where both agreed."""
    line.say(Fpdu("RESYN", {2: diagnostics.encode(diagnostics.code_of(cause, "1.100")), 18: number}))
    await _settled(line, "ACK(RESYN)")


async def _settled(line: Line, awaited: str) -> None:
    """Wait for the answer to an IDT or RESYN of ours; a stronger one of the peer's takes its place (F-59)."""
    while True:
        event = await line.next(awaited, line.timers.answer)
        if not isinstance(event, Fpdu):
            continue
        if event.name == "IDT" and awaited == "ACK(IDT)":
            line.say(Fpdu("ACK(IDT)"))
        elif event.name != awaited:
            with suppress(WentBack):
                _yield(line, event)
        return


def _yield(line: Line, event: Event) -> NoReturn:
    """Answer the IDT or RESYN of the peer, and raise what it means; damage is for a RESYN of ours."""
    if isinstance(event, Damaged):
        raise GoBack
    if not isinstance(event, Fpdu) or event.name not in ("IDT", "RESYN"):
        raise Violation("3.311", f"{named(event)} est venu hors de son tour.")
    if event.name == "IDT":
        line.say(Fpdu("ACK(IDT)"))
        raise Interrupted(said(event), keep=may_restart(event))
    number = event.number(18)
    line.say(Fpdu("ACK(RESYN)", {18: number if line.session.transfer.known(number) else 0}))
    raise WentBack


def named(event: Event) -> str:
    """An event as it is called in a text."""
    return event.name if isinstance(event, Fpdu) else type(event).__name__


async def guarded(line: Line, act: Callable[[], T]) -> T:
    """Do something to the file in the data phase; a trouble that it raises goes back or interrupts."""
    try:
        return act()
    except Trouble as cause:
        await stopped(line, cause)


async def stopped(line: Line, cause: Trouble) -> NoReturn:
    """What a trouble with the file leads to: back to an earlier point, or out of the data phase."""
    if isinstance(cause, GoBack) and line.session.resync:
        raise cause
    await interrupt(line, cause, "2.213")


# --- sending ---------------------------------------------------------------------------------------------------------


def begin_sending(line: Line, start: SyncPoint, article_length: int) -> None:
    """Open the accounts of a sender at ``start``, with the spacing that this connection gives its points.

    ``article_length`` is that of every article but the last, 0 where they differ: points have no spacing then.
    """
    session = line.session
    compressed = bool(session.compression)
    spacing = session.sync.spacing(article_length, compressed=compressed) if article_length else 0
    session.begin(replace(start, spacing=spacing))


@dataclass(frozen=True)
class Source:
    """What is sent, and who is told how far it is. All may block shortly; see ``GoBack`` for what they may raise.

    ``articles`` gives the articles from a point on, none longer than ``longest``. ``acknowledged`` is called for
    the start and for every acknowledged point, ``marked`` with each point before it is said, ``progress`` with
    the offset.
    """

    articles: Callable[[SyncPoint], Iterator[bytes]]
    longest: int
    acknowledged: Callable[[SyncPoint], None]
    marked: Callable[[SyncPoint], None]
    progress: Callable[[int], None]


async def transmit(line: Line, source: Source, close: Callable[[], Awaitable[T]]) -> T:
    """Send the articles from the start point of the accounts on, up to and with DTF.END, then ``close``.

    ``close`` is the exchange of TRANS.END: both sides may go back until it is over. ``Interrupted`` after an IDT.
    """
    await guarded(line, partial(source.acknowledged, line.session.transfer.start))
    while True:
        try:
            await _flow(line, source, source.articles(line.session.transfer.point))
            return await close()
        except GoBack as ours:
            await _go_back(line, ours, line.session.transfer.acknowledged)
        except WentBack:
            pass


async def _flow(line: Line, source: Source, articles: Iterator[bytes]) -> None:
    session, more = line.session, True
    while more:
        pieces, more = await guarded(line, partial(_batch, session, source, articles))
        line.write(pieces)
        await line.drained()
        await guarded(line, partial(source.progress, session.transfer.offset))
        while event := line.take():
            await take(line, event, source.acknowledged)
        while more and _must_wait(session, source.longest):
            await take(line, await line.next("ACK(SYN)", line.timers.answer), source.acknowledged)


def _batch(session: Session, source: Source, articles: Iterator[bytes]) -> tuple[list[bytes], bool]:
    """What can be written in one go, and whether more is to come; DTF.END stands behind the last article."""
    pieces: list[bytes] = []
    size = 0
    while size < BATCH and not _must_wait(session, source.longest):
        data = next(articles, None)
        if data is None:
            return [*pieces, session.send(Fpdu("DTF.END", OK))], False
        if session.transfer.due(len(data)):
            pieces.append(session.send_point())
            source.marked(session.transfer.point)
        pieces.append(session.send_article(data))
        size += len(data)
    if _must_wait(session, source.longest):
        pieces.append(session.flush())
    return pieces, True


def _must_wait(session: Session, longest: int) -> bool:
    return session.transfer.blocked and session.transfer.due(longest)


async def take(line: Line, event: Event, acknowledged: Callable[[SyncPoint], None]) -> None:
    """What may come unasked to a sender: acknowledged points, or the wish to go back or to end."""
    if isinstance(event, Acknowledged):
        await guarded(line, partial(acknowledged, event.point))
    else:
        _yield(line, event)


def _nothing(_: SyncPoint) -> None:
    pass


async def hear(
    line: Line,
    name: str,
    seconds: float | None = None,
    acknowledged: Callable[[SyncPoint], None] = _nothing,
) -> Fpdu:
    """The FPDU ``name``, within ``seconds`` (Tp if not given).

    Late ACK(SYN) may come before it; after an IDT or a RESYN in its place, ``Interrupted`` or ``WentBack``.
    """
    while True:
        event = await line.next(name, seconds or line.timers.answer)
        if isinstance(event, Fpdu) and event.name == name:
            return event
        await take(line, event, acknowledged)


# --- receiving -------------------------------------------------------------------------------------------------------


async def collect(line: Line, receiving: Receiving, limit: int, close: Callable[[], Awaitable[T]]) -> T:
    """Receive articles up to and with DTF.END, then ``close``; ``Interrupted`` after an IDT.

    ``close`` has the file stored and exchanges TRANS.END. ``limit`` is the article length announced, 0 for none:
    a longer article is refused with 2.220.
    """
    while True:
        try:
            await _gather(line, receiving, limit)
            return await close()
        except GoBack as ours:
            await _go_back(line, ours, receiving.position().number)
        except WentBack:
            pass
        await guarded(line, partial(receiving.truncate, line.session.transfer.point))


class _Points:
    """The points of a file that comes, on their way to disk; while it works, what follows them is heard.

    Those that came meanwhile go together. Each is acknowledged, in its order, once it is recorded.
    """

    def __init__(self, line: Line, receiving: Receiving) -> None:
        self._line = line
        self._receiving = receiving
        self._waiting: list[int] = []
        """The numbers of points not yet recorded, as far as we know."""
        self._first = 0
        """How many of them ``_work`` records."""
        self._work: asyncio.Task[None] | None = None

    def add(self, point: SyncPoint) -> None:
        """A point was set."""
        self._receiving.mark(point)
        self._waiting.append(point.number)

    async def next(self) -> Event:
        """The next event of the line; while the window is full the peer waits for us, and we do not wait for it."""
        line, window = self._line, self._line.session.sync.window
        while True:
            if self._work and (self._work.done() or (window and len(self._waiting) >= window)):
                await self._acknowledge()
            if self._waiting and not self._work:
                await self._begin()
            if event := line.take():
                return event
            seconds = line.timers.store if self._work else line.timers.answer
            if event := await line.next_or(self._work, "DTF", seconds):
                return event

    async def rest(self) -> None:
        """No data come now: have every point acknowledged."""
        while self._waiting:
            await self._begin()
            await self._acknowledge()

    async def leave(self) -> None:
        """The data phase is over: what can be recorded is, but is not acknowledged any more."""
        with suppress(Trouble):
            while self._waiting:
                await self._begin()
                await self._done()

    async def _begin(self) -> None:
        if not self._work:
            self._first = len(self._waiting)
            self._work = asyncio.create_task(self._receiving.sync())
            await asyncio.sleep(0)  # it goes as far as it can before more is written

    async def _acknowledge(self) -> None:
        try:
            numbers = await self._done()
        except Trouble as cause:
            await stopped(self._line, cause)
        session = self._line.session
        if session.sync.window:
            # Who has gone back is told nothing of what lay behind.
            stand = [number for number in numbers if number <= session.transfer.point.number]
            self._line.say(*(Fpdu("ACK(SYN)", {20: number}) for number in stand))
        await guarded(self._line, partial(check_age, self._line))

    async def _done(self) -> list[int]:
        """Wait until the points that are being recorded are; their numbers. After a trouble none waits any more."""
        assert self._work is not None
        await asyncio.wait([self._work])
        work, self._work = self._work, None
        recorded, self._waiting = self._waiting[: self._first], self._waiting[self._first :]
        if work.exception():
            self._waiting = []
        work.result()
        return recorded


async def _gather(line: Line, receiving: Receiving, limit: int) -> None:
    points = _Points(line, receiving)
    try:
        await _take_in(line, receiving, points, limit)
    except (GoBack, WentBack):
        await points.rest()
        raise
    finally:
        await points.leave()


async def _take_in(line: Line, receiving: Receiving, points: _Points, limit: int) -> None:
    length = 0
    while True:
        event = await points.next()
        if isinstance(event, Article):
            length += len(event.data)
            if limit and length > limit:
                await interrupt(line, diagnostics.trouble("2.220"), "2.220")
            length = 0 if event.ends else length
            await guarded(line, partial(receiving.write, event.data, event.ends))
        elif isinstance(event, SyncPoint):
            await guarded(line, partial(points.add, event))
        elif isinstance(event, Fpdu) and event.name == "DTF.END":
            if event.diagnostic != SUCCESS:
                await interrupt(line, said(event), event.diagnostic)
            await points.rest()
            return
        else:
            _yield(line, event)


def refusal(cause: Trouble, otherwise: str) -> dict[int, Value]:
    """PI 2 and 29 of a negative ACK; ``otherwise`` is the diagnostic of a trouble that is not PeSIT's."""
    complement = unicodedata.normalize("NFKD", cause.text).encode("ascii", "ignore").decode()[:254]
    return {2: diagnostics.encode(diagnostics.code_of(cause, otherwise)), 29: complement}
