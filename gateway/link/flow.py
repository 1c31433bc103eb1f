"""The data phase, for the sender and for the receiver of a file, in either role.

Rules: the sender reads fixed slices and sets a point before the article that would overflow the interval
(F-73); it waits only when the window is full. The receiver has a point on disk, durably recorded, before
it acknowledges it (F-75), and nothing is stated as stored before it is (F-113).
An interruption (IDT, F-110) is answered here and raised as the peer's diagnostic; what follows it, CRF and
DESELECT, is the caller's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import BinaryIO, NoReturn, Protocol

from gateway.errors import Deferred, Refused, Trouble
from gateway.link.line import Line
from gateway.pesit import diagnostics
from gateway.pesit.codec import Fpdu
from gateway.pesit.diagnostics import SUCCESS, Violation
from gateway.pesit.parameters import Value
from gateway.pesit.session import Acknowledged, Article, Event
from gateway.pesit.transfer import SyncPoint

BATCH = 1 << 16
"""Bytes that are written to the transport in one go."""

OK: dict[int, Value] = {2: diagnostics.encode(SUCCESS)}
"""PI 2 of a positive ACK."""


class Receiving(Protocol):
    """Where the data of one incoming file go. May block shortly; a ``Trouble`` that it raises ends the transfer."""

    def position(self) -> SyncPoint:
        """The last point that is on disk, ``SyncPoint()`` for a new file."""

    def truncate(self, point: SyncPoint) -> None:
        """Forget everything behind ``point``."""

    def write(self, data: bytes) -> None:
        """Append to the file."""

    def sync(self, point: SyncPoint) -> None:
        """Force the file to disk up to ``point`` and record it durably; it is acknowledged after that."""

    def end(self, size: int, articles: int) -> None:
        """The file is complete with ``size`` bytes: force and record it durably."""

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """No more data now; ``keep`` the context for a restart."""


class Interrupted(Exception):
    """The data phase was left by IDT; ``cause`` says why, ``keep`` whether a restart may follow."""

    def __init__(self, cause: Trouble, *, keep: bool) -> None:
        super().__init__(cause.text)
        self.cause = cause
        self.keep = keep


_ERROR, _CANCELLED_BY_SERVER, _CANCELLED_BY_REQUESTER = 4, 12, 16
_NO_RESTART = (_CANCELLED_BY_SERVER, _CANCELLED_BY_REQUESTER)


def said(fpdu: Fpdu) -> Trouble:
    """The trouble that the diagnostic of an FPDU stands for."""
    return diagnostics.trouble(fpdu.diagnostic, fpdu.text(29))


async def interrupt(line: Line, cause: Trouble, otherwise: str) -> NoReturn:
    """Leave the data phase for a trouble of ours: IDT and its ACK, then ``Interrupted``."""
    cancelled = _CANCELLED_BY_SERVER if line.session.state.endswith("B") else _CANCELLED_BY_REQUESTER
    code = diagnostics.code_of(cause, otherwise)
    keep = isinstance(cause, Deferred) and not diagnostics.row_of(code).forgotten
    line.say(Fpdu("IDT", {2: diagnostics.encode(code), 19: _ERROR if keep else cancelled}))
    await _idt_settled(line)
    raise Interrupted(cause, keep=keep)


async def _idt_settled(line: Line) -> None:
    """Wait for ACK(IDT), or answer the IDT of a requester, which wins over ours; older events are void."""
    while True:
        event = await line.next("ACK(IDT)", line.timers.answer)
        if not isinstance(event, Fpdu):
            continue
        if event.name == "IDT":
            line.say(Fpdu("ACK(IDT)"))
            return
        if event.name == "ACK(IDT)":
            return


def _take(line: Line, event: Event, acknowledged: Callable[[SyncPoint], None]) -> None:
    """What may come unasked: acknowledged points, or the end of it all."""
    if isinstance(event, Acknowledged):
        acknowledged(event.point)
    elif isinstance(event, Fpdu) and event.name == "IDT":
        line.say(Fpdu("ACK(IDT)"))
        raise Interrupted(said(event), keep=event.number(19, _ERROR) not in _NO_RESTART)
    else:
        raise Violation("3.311", f"{event} est venu hors de son tour.")


def begin_sending(line: Line, start: SyncPoint, article_length: int) -> None:
    """Open the accounts of a sender at ``start``, with the spacing that this connection gives its points."""
    interval = line.session.sync.interval_kb * 1024
    spacing = max(interval // article_length, 1) * article_length if interval else 0
    line.session.begin(replace(start, spacing=spacing))


async def transmit(
    line: Line,
    source: BinaryIO,
    article_length: int,
    acknowledged: Callable[[SyncPoint], None],
    progress: Callable[[int], None],
) -> None:
    """Send ``source``, which stands at the start point of the accounts, up to and with DTF.END.

    ``acknowledged`` is called for the start and for every acknowledged point, ``progress`` with the offset.
    ``Interrupted`` after an IDT.
    """
    session = line.session
    acknowledged(session.transfer.start)
    pieces: list[bytes] = []
    waiting = 0
    while data := source.read(article_length):
        if session.transfer.due(len(data)):
            pieces.append(session.send_point())
        pieces.append(session.send_article(data))
        waiting += len(data)
        if waiting < BATCH and not _must_wait(line, article_length):
            continue
        line.write(pieces)
        pieces, waiting = [], 0
        await line.drained()
        progress(session.transfer.offset)
        while event := line.take():
            _take(line, event, acknowledged)
        while _must_wait(line, article_length):
            _take(line, await line.next("ACK(SYN)", line.timers.answer), acknowledged)
    line.write([*pieces, session.send(Fpdu("DTF.END", OK))])
    progress(session.transfer.offset)


def _must_wait(line: Line, article_length: int) -> bool:
    transfer = line.session.transfer
    return transfer.blocked and transfer.due(article_length)


def _nothing(_: SyncPoint) -> None:
    pass


async def hear(
    line: Line,
    name: str,
    seconds: float | None = None,
    acknowledged: Callable[[SyncPoint], None] = _nothing,
) -> Fpdu:
    """The FPDU ``name``, within ``seconds`` (Tp if not given).

    Late ACK(SYN) may come before it; after an IDT in its place it is answered and ``Interrupted`` is raised.
    """
    while True:
        event = await line.next(name, seconds or line.timers.answer)
        if isinstance(event, Fpdu) and event.name == name:
            return event
        _take(line, event, acknowledged)


async def collect(line: Line, receiving: Receiving, limit: int) -> None:
    """Receive articles up to and with DTF.END; ``Interrupted`` after an IDT.

    ``limit`` is the article length announced, 0 for none: a longer article is refused with 2.220.
    """
    length = 0
    while True:
        event = await line.next("DTF", line.timers.answer)
        if isinstance(event, Article):
            length += len(event.data)
            if limit and length > limit:
                await interrupt(line, diagnostics.trouble("2.220"), "2.220")
            length = 0 if event.ends else length
            await guarded(line, partial(receiving.write, event.data))
        elif isinstance(event, SyncPoint):
            await guarded(line, partial(receiving.sync, event))
            if line.session.sync.window:
                line.say(Fpdu("ACK(SYN)", {20: event.number}))
        elif isinstance(event, Fpdu) and event.name == "DTF.END":
            if event.diagnostic != SUCCESS:
                await interrupt(line, said(event), event.diagnostic)
            return
        elif isinstance(event, Fpdu) and event.name == "IDT":
            line.say(Fpdu("ACK(IDT)"))
            raise Interrupted(said(event), keep=event.number(19, _ERROR) not in _NO_RESTART)
        else:
            raise Violation("3.311", f"{event} est venu au milieu des données.")


async def guarded(line: Line, act: Callable[[], None]) -> None:
    """Do something to the file in the data phase; a trouble that it raises interrupts the transfer."""
    try:
        act()
    except (Refused, Deferred) as cause:
        await interrupt(line, cause, "2.213")


def refusal(cause: Trouble, otherwise: str) -> dict[int, Value]:
    """PI 2 and 29 of a negative ACK; ``otherwise`` is the diagnostic of a trouble that is not PeSIT's."""
    complement = unicodedata.normalize("NFKD", cause.text).encode("ascii", "ignore").decode()[:254]
    return {2: diagnostics.encode(diagnostics.code_of(cause, otherwise)), 29: complement}
