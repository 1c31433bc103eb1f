"""One PeSIT connection without a line: bytes in, events out; FPDUs in, bytes out.

Theory of operation: ``feed`` takes whatever bytes came, ``next`` says what they mean, one event at a time;
``send`` and ``send_article`` return the bytes to write. Every FPDU, said or heard, first passes the table of
``gateway.pesit.states``; then the session notes what it settles (ids, sync option, entity size, points).
An FPDU counts as heard when ``next`` returns it, not when its bytes came: so the state never runs ahead of
who handles the events, and what was fed and not heard is to the table as if it were still on the line.
Both roles run the same code: a session is a requester or a server only by the state it starts in.

Rules: an illegal FPDU of ours raises ``IllegalTransition``; one of theirs is a ``Violation``, which comes as
the last event, and the session is dead: say ``abort`` and close.
It has no clock, no socket, no file; it decides nothing about files or partners.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from gateway.pesit import codec, diagnostics, states
from gateway.pesit.codec import HEADER, LONGEST, Fpdu
from gateway.pesit.diagnostics import SUCCESS, Violation
from gateway.pesit.fpdus import DATA, FPDUS
from gateway.pesit.framing import Framing, Preconnection, Reader, prefix
from gateway.pesit.states import DISCARDED, REFUSABLE, IllegalTransition, State
from gateway.pesit.transfer import Sync, SyncPoint, Transfer


@dataclass(frozen=True, slots=True)
class Article:
    """An article of the file, or a fragment of one; ``ends``: the article is complete with it."""

    data: bytes
    ends: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The peer has this point and all before it on its disk."""

    point: SyncPoint


Event = Fpdu | Article | SyncPoint | Acknowledged | Preconnection | Violation
"""SYN is heard as the ``SyncPoint`` that it sets, ACK(SYN) as ``Acknowledged``, the rest as it is."""

_FRAGMENTS = {"DTFDA": (True, False), "DTFMA": (False, False), "DTFFA": (False, True)}
"""FPDU to (begins, ends)."""


class Session:
    """One connection. ``start`` is ``states.REQUESTER`` or ``states.SERVER``; ``own_id`` 1..255."""

    def __init__(self, start: State, framing: Framing, *, own_id: int = 1, bare_abort: bool = False) -> None:
        self.state = start
        self.sync = Sync()
        self.resync = False
        self.access = 0
        self.entity = LONGEST
        self.transfer = Transfer(SyncPoint(), self.sync)
        self._reader = Reader(framing)
        self._events: deque[Event] = deque()
        self._own_id = own_id
        self._peer_id = 0
        self._bare_abort = bare_abort
        self._broken = False
        self._over = False

    # --- said -----------------------------------------------------------------------------------------

    def send(self, fpdu: Fpdu) -> bytes:
        """The bytes that say ``fpdu``; ``IllegalTransition`` where the table has no row for it."""
        if fpdu.name in DATA or (fpdu.name == "RESYN" and not self.resync):
            raise IllegalTransition(self.state, f"!{fpdu.name}")
        self._move(_event("!", fpdu))
        self._note(fpdu)
        own_id = self._own_id if FPDUS[fpdu.name].phase == 0x40 and fpdu.name != "RCONNECT" else 0
        addressed = replace(fpdu, destination=self._peer_id, source=own_id)
        return self._framed(codec.encode(addressed, bare_abort=self._bare_abort))

    def send_point(self) -> bytes:
        """The bytes of the next SYN."""
        return self.send(Fpdu("SYN", {20: self.transfer.point.number + 1}))

    def send_article(self, data: bytes) -> bytes:
        """The bytes of one article: a DTF, or fragments when it is longer than the entity allows (F-81, F-83)."""
        room = self.entity - HEADER
        if len(data) <= room:
            self.state = states.step(self.state, "!DTF")
            self.transfer.add(len(data))
            return self._data("DTF", data)
        pieces = [data[at : at + room] for at in range(0, len(data), room)]
        names = ["DTFDA", *["DTFMA"] * (len(pieces) - 2), "DTFFA"]
        coded = []
        for name, piece in zip(names, pieces, strict=True):
            self.state = states.step(self.state, "!" + name)
            begins, ends = _FRAGMENTS[name]
            self.transfer.add(len(piece), begins=begins, ends=ends)
            coded.append(self._data(name, piece))
        return b"".join(coded)

    def abort(self, diagnostic: str) -> bytes:
        """The bytes of ABORT, b"" when there is nothing (left) to abort: an ABORT is not answered (F-60)."""
        self._broken = True
        if self._over or (self.state, "!ABORT") not in states.TABLE:
            return b""
        return self.send(Fpdu("ABORT", {2: diagnostics.encode(diagnostic)}))

    def _data(self, name: str, data: bytes) -> bytes:
        length = HEADER + len(data)
        header = codec.header(name, length, self._peer_id, 0)
        if self._reader.framing is Framing.PREFIXED:
            return b"".join((length.to_bytes(2, "big"), header, data))
        return header + data

    def _framed(self, frame: bytes) -> bytes:
        return prefix(frame) if self._reader.framing is Framing.PREFIXED else frame

    # --- heard ----------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """The bytes that were fed and not yet heard."""
        return self._reader.waiting

    def feed(self, data: bytes) -> None:
        """Bytes that came from the line."""
        self._reader.feed(data)

    def next(self) -> Event | None:
        """The next event, None when more bytes are needed; after a ``Violation`` nothing comes any more."""
        while not self._events and not self._broken:
            try:
                frame = self._reader.next()
                if frame is None:
                    return None
                self._events.extend([frame] if isinstance(frame, Preconnection) else self._hear(frame))
            except Violation as violation:
                self._broken = True
                return violation
        return self._events.popleft() if self._events else None

    def begin(self, start: SyncPoint) -> None:
        """Open the accounts of a data phase at ``start``, before its first data can be said or heard."""
        self.transfer = Transfer(start, self.sync)

    def _hear(self, frame: bytes) -> list[Event]:
        fpdu = codec.decode(frame)
        event = _event("?", fpdu)
        if (self.state, event) in DISCARDED:
            return []
        if fpdu.name == "RESYN" and not self.resync:
            raise Violation("3.311", "Resynchronisation PeSIT reçue alors qu'elle n'est pas convenue.")
        try:
            self._move(event)
        except IllegalTransition as illegal:
            text = f"Message PeSIT {fpdu.name} reçu dans l'état {illegal.state}, où il n'a pas sa place."
            raise Violation("3.311", text) from None
        if fpdu.name in DATA:
            return self._articles(fpdu)
        if fpdu.name == "SYN":
            return [self.transfer.mark(fpdu.number(20))]
        if fpdu.name == "ACK(SYN)":
            point = self.transfer.acknowledge(fpdu.number(20))
            return [Acknowledged(point)] if point else []
        self._note(fpdu)
        return [fpdu]

    def _articles(self, fpdu: Fpdu) -> list[Event]:
        begins, ends = _FRAGMENTS.get(fpdu.name, (True, True))
        whole = codec.articles(fpdu.body, fpdu.source) if fpdu.name == "DTF" else [fpdu.body]
        for data in whole:
            self.transfer.add(len(data), begins=begins, ends=ends)
        return [Article(data, ends) for data in whole]

    # --- said or heard --------------------------------------------------------------------------------

    def _move(self, event: str) -> None:
        self.state = states.step(self.state, event)
        self._over = self.state in (states.REQUESTER, states.SERVER)

    def _note(self, fpdu: Fpdu) -> None:
        note = _NOTES.get(fpdu.name)
        if note and fpdu.diagnostic == SUCCESS:
            note(self, fpdu)

    def _connect(self, fpdu: Fpdu) -> None:
        self.sync = Sync.of(fpdu)
        self.resync = bool(fpdu.number(23))
        self.access = fpdu.number(22)
        self._peer_id = fpdu.source if fpdu.source != 0 else self._peer_id

    def _aconnect(self, fpdu: Fpdu) -> None:
        self.sync = self.sync.agreed(Sync.of(fpdu))
        self.resync = self.resync and bool(fpdu.number(23))
        self._peer_id = fpdu.source if fpdu.source != 0 else self._peer_id

    def _propose_entity(self, fpdu: Fpdu) -> None:
        self.entity = fpdu.number(25)

    def _agree_entity(self, fpdu: Fpdu) -> None:
        self.entity = min(self.entity, fpdu.number(25))
        if self.entity <= HEADER:
            raise Violation("3.318", f"Taille d'entité PeSIT de {self.entity} octets : trop petite.")

    def _mark(self, fpdu: Fpdu) -> None:
        self.transfer.mark(fpdu.number(20))

    def _acknowledge(self, fpdu: Fpdu) -> None:
        self.transfer.acknowledge(fpdu.number(20))

    def _finish(self, _: Fpdu) -> None:
        self.transfer.finish()


_NOTES = {
    "CONNECT": Session._connect,
    "ACONNECT": Session._aconnect,
    "CREATE": Session._propose_entity,
    "SELECT": Session._propose_entity,
    "ACK(CREATE)": Session._agree_entity,
    "ACK(SELECT)": Session._agree_entity,
    "SYN": Session._mark,
    "ACK(SYN)": Session._acknowledge,
    "DTF.END": Session._finish,
}
"""What an FPDU settles, whoever says it."""


def _event(mark: str, fpdu: Fpdu) -> str:
    refused = fpdu.name in REFUSABLE and fpdu.diagnostic != SUCCESS
    return f"{mark}{fpdu.name}{'-' if refused else ''}"
