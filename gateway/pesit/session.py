"""One PeSIT connection without a line: bytes in, events out; FPDUs in, bytes out.

Theory of operation: ``feed`` takes whatever bytes came, ``next`` says what they mean, one event at a time;
``send`` and ``send_article`` return the bytes to write; what may share an entity with more is held back until
``flush``, a point or the end. Every FPDU, said or heard, first passes the table of ``gateway.pesit.states``;
then the session notes what it settles (ids, sync option, entity size, compression, points).
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
from gateway.pesit.codec import LONGEST, Fpdu
from gateway.pesit.compression import Compression, Compressor, Expander
from gateway.pesit.diagnostics import SUCCESS, Violation
from gateway.pesit.fpdus import DATA, FPDUS
from gateway.pesit.framing import Damaged, Framing, Preconnection, Reader, Reply
from gateway.pesit.packing import CONSERVATIVE, Packer, Sending, entity_of, smallest
from gateway.pesit.states import DISCARDED, REFUSABLE, IllegalTransition, State
from gateway.pesit.transfer import Sync, SyncPoint, Transfer


@dataclass(frozen=True, slots=True)
class Article:
    """An article of the file, or a fragment of one, expanded; ``ends``: the article is complete with it."""

    data: bytes
    ends: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The peer has this point and all before it on its disk."""

    point: SyncPoint


Event = Fpdu | Article | SyncPoint | Acknowledged | Preconnection | Reply | Damaged | Violation
"""SYN is heard as the ``SyncPoint`` that it sets, ACK(SYN) as ``Acknowledged``, the rest as it is.

``Damaged`` comes only where RESYN 1.100 may answer it, else it is a ``Violation`` with 3.310 (F-95).
"""

_AMONG_ARTICLES = ("SYN", "DTF.END")
"""What may share an entity with articles (F-86)."""

_FRAGMENTS = {"DTFDA": (True, False), "DTFMA": (False, False), "DTFFA": (False, True)}
"""FPDU to (begins, ends)."""


class Session:
    """One connection. ``start`` is ``states.REQUESTER`` or ``states.SERVER``; ``own_id`` 1..255.

    ``sending`` is how articles lie in entities. ``crc``: a requester puts check bytes behind each FPDU; it says PI 1
    in CONNECT itself. A server does as its requester.
    """

    def __init__(
        self,
        start: State,
        framing: Framing,
        *,
        own_id: int = 1,
        bare_abort: bool = False,
        sending: Sending = CONSERVATIVE,
        crc: bool = False,
    ) -> None:
        self.state = start
        self.compression = Compression.NONE
        self.sync = Sync()
        self.resync = False
        self.access = 0
        self.entity = LONGEST
        self.transfer = Transfer(SyncPoint(), self.sync)
        self._reader = Reader(framing, checked=None if start == states.SERVER else crc)
        self._events: deque[Event] = deque()
        self._own_id = own_id
        self._peer_id = 0
        self._bare_abort = bare_abort
        self._sending = sending
        self._proposed = Compression.NONE
        self._broken = False
        self._over = False
        self._afresh()

    # --- said -----------------------------------------------------------------------------------------

    def send(self, fpdu: Fpdu) -> bytes:
        """The bytes that say ``fpdu``; ``IllegalTransition`` where the table has no row for it."""
        if fpdu.name in DATA or (fpdu.name == "RESYN" and not self.resync):
            raise IllegalTransition(self.state, f"!{fpdu.name}")
        own_id = self._own_id if FPDUS[fpdu.name].phase == 0x40 and fpdu.name != "RCONNECT" else 0
        addressed = replace(fpdu, destination=self._peer_id, source=own_id)
        frame = codec.encode(addressed, bare_abort=self._bare_abort)
        self._move(_event("!", fpdu))
        self._note(fpdu)
        if fpdu.name in _AMONG_ARTICLES:
            return self._packer.end(frame)
        return entity_of(frame, prefixed=self._prefixed, checked=self.crc)

    def preconnect(self, request: Preconnection) -> bytes:
        """The bytes of the pre-connection, before CONNECT; a ``Reply`` is the first event then."""
        self._reader.reply_due = True
        return request.request()

    def send_point(self) -> bytes:
        """The bytes of the next SYN."""
        return self.send(Fpdu("SYN", {20: self.transfer.point.number + 1}))

    def send_article(self, data: bytes) -> bytes:
        """Take one whole article; the bytes that may go, which need not hold all of it (``gateway.pesit.packing``).

        ValueError for an empty one: a DTF never is, who cuts the file gives a blank instead (F-87).
        """
        if not data:
            raise ValueError("an article is never empty")
        self.state = states.step(self.state, "!DTF")
        carried = self._compressor.article(data) if self.compression else data
        self.transfer.add(len(data), spared=len(data) - len(carried))
        return self._packer.article(carried)

    def flush(self) -> bytes:
        """The bytes of the articles that are still held back: say them before waiting for the peer."""
        return self._packer.flush()

    def abort(self, diagnostic: str) -> bytes:
        """The bytes of ABORT, b"" when there is nothing (left) to abort: an ABORT is not answered (F-60)."""
        self._broken = True
        if self._over or (self.state, "!ABORT") not in states.TABLE:
            return b""
        return self.send(Fpdu("ABORT", {2: diagnostics.encode(diagnostic)}))

    @property
    def crc(self) -> bool:
        """Whether check bytes follow each FPDU, both ways."""
        return bool(self._reader.checked)

    @property
    def smallest_entity(self) -> int:
        """The least PI 25 with which a file can be carried here."""
        return smallest(checked=self.crc)

    @property
    def _prefixed(self) -> bool:
        return self._reader.framing is Framing.PREFIXED

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
                if isinstance(frame, bytes):
                    self._events.extend(self._hear(frame))
                elif not isinstance(frame, Damaged) or self._repairable():
                    self._events.append(frame)
            except Violation as violation:
                self._broken = True
                return violation
        return self._events.popleft() if self._events else None

    def begin(self, start: SyncPoint) -> None:
        """Open the accounts of a data phase at ``start``, before its first data can be said or heard."""
        self.transfer = Transfer(start, self.sync, compressed=bool(self.compression))
        self._afresh()

    def _afresh(self) -> None:
        """Forget what was packed and what compression refers to: data go on from a point."""
        self._packer = Packer(self._sending, self.entity, self._peer_id, prefixed=self._prefixed, checked=self.crc)
        self._compressor, self._expander = Compressor(self.compression), Expander(self.compression)

    def _repairable(self) -> bool:
        """Whether damage now is for RESYN to repair; not so what is on its way to one who waits to go back."""
        if any((self.state, event) in DISCARDED for event in ("?DTF", "?ACK(SYN)")):
            return False
        if self.resync and (self.state, "!RESYN") in states.TABLE:
            return True
        raise Violation("3.310", "Un message PeSIT est arrivé endommagé : ses octets de contrôle sont faux.")

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
            self._expander.forget()
            return [self.transfer.mark(fpdu.number(20))]
        if fpdu.name == "ACK(SYN)":
            point = self.transfer.acknowledge(fpdu.number(20))
            return [Acknowledged(point)] if point else []
        self._note(fpdu)
        return [fpdu]

    def _articles(self, fpdu: Fpdu) -> list[Event]:
        begins, ends = _FRAGMENTS.get(fpdu.name, (True, True))
        whole = codec.articles(fpdu.body, fpdu.source) if fpdu.name == "DTF" else [fpdu.body]
        found: list[Event] = []
        for carried in whole:
            data = self._expander.feed(carried, ends=ends) if self.compression else carried
            self.transfer.add(len(data), spared=len(data) - len(carried), begins=begins, ends=ends)
            found.append(Article(data, ends))
        return found

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
        if self.entity < self.smallest_entity:
            text = f"Entité PeSIT (PI 25) de {self.entity} octets : il en faut {self.smallest_entity} au moins."
            raise Violation("3.318", text)

    def _propose_compression(self, fpdu: Fpdu) -> None:
        self._proposed = Compression.of(fpdu.values.get(21))

    def _agree_compression(self, fpdu: Fpdu) -> None:
        self.compression = Compression.of(fpdu.values.get(21))
        if self.compression & ~self._proposed:
            raise Violation("3.315", f"Compression {self.compression.name} répondue sans avoir été proposée.")

    def _mark(self, fpdu: Fpdu) -> None:
        self.transfer.mark(fpdu.number(20))
        self._compressor.forget()

    def _acknowledge(self, fpdu: Fpdu) -> None:
        self.transfer.acknowledge(fpdu.number(20))

    def _rewind(self, fpdu: Fpdu) -> None:
        self.transfer.rewind(fpdu.number(18))
        self._afresh()

    def _finish(self, _: Fpdu) -> None:
        self.transfer.finish()


_NOTES = {
    "CONNECT": Session._connect,
    "ACONNECT": Session._aconnect,
    "CREATE": Session._propose_entity,
    "SELECT": Session._propose_entity,
    "ACK(CREATE)": Session._agree_entity,
    "ACK(SELECT)": Session._agree_entity,
    "ORF": Session._propose_compression,
    "ACK(ORF)": Session._agree_compression,
    "SYN": Session._mark,
    "ACK(SYN)": Session._acknowledge,
    "ACK(RESYN)": Session._rewind,
    "DTF.END": Session._finish,
}
"""What an FPDU settles, whoever says it."""


def _event(mark: str, fpdu: Fpdu) -> str:
    refused = fpdu.name in REFUSABLE and fpdu.diagnostic != SUCCESS
    return f"{mark}{fpdu.name}{'-' if refused else ''}"
