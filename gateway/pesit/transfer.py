"""What is transferred and how far it is: identity, synchronisation points, counts.

Rules: the identity is repeated unchanged by a restart (F-102). A point stands between two articles, points
count 1, 2, 3 ... and an acknowledged point acknowledges all before it (F-70 to F-76). Counts run from the
start of the file, restarts included (F-108).
It moves no state and reads no file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.pesit.codec import Fpdu
from gateway.pesit.compression import longest
from gateway.pesit.diagnostics import Violation
from gateway.pesit.parameters import Value

BINARY = 2
VARIABLE = 0x80
ALL_ATTRIBUTES = 0xE0
LAST_POINT = 999_999
POINTS_KEPT = 256
"""Points that may be gone back to; fewer than that are ever outstanding (F-54)."""
MOST_RESYNCS = 16
"""Times that one transfer may go back before it is given up with 3.320."""


@dataclass(frozen=True)
class Identity:
    """All by which both ends know a transfer again (F-102), and what else describes the file.

    ``requester`` and ``server`` are PI 3 and 4 as CREATE or SELECT has them, "" when it has none; those of
    CONNECT belong to the connection. ``entity`` is PI 25 as proposed. ``reserved_kb`` is PI 42.
    """

    file_name: str
    transfer_id: int = 0
    file_type: int = 0
    requester: str = ""
    server: str = ""
    created: str = ""
    initial_sender: str = ""
    final_receiver: str = ""
    label: str = ""
    free_text: str = ""
    article_length: int = 16384
    article_format: int = VARIABLE
    entity: int = 65535
    reserved_kb: int = 0
    data_code: int = BINARY
    priority: int = 1

    def values(self, *codes: int) -> dict[int, Value]:
        """The parameters ``codes`` of this identity, empty strings left out."""
        found = ((code, getattr(self, _FIELDS[code])) for code in codes)
        return {code: value for code, value in found if value != ""}

    def answering(self) -> Identity:
        """The identity of a message about this file from its receiver: 3/4 and 61/62 change places (F-132)."""
        return replace(
            self,
            requester=self.server,
            server=self.requester,
            initial_sender=self.final_receiver,
            final_receiver=self.initial_sender,
        )


_FIELDS = {
    3: "requester",
    4: "server",
    11: "file_type",
    12: "file_name",
    13: "transfer_id",
    16: "data_code",
    17: "priority",
    25: "entity",
    31: "article_format",
    32: "article_length",
    37: "label",
    42: "reserved_kb",
    51: "created",
    61: "initial_sender",
    62: "final_receiver",
    99: "free_text",
}

_CREATE = (3, 4, 11, 12, 13, 16, 17, 25, 31, 32, 37, 42, 51, 61, 62, 99)
_SELECT = (3, 4, 11, 12, 13, 17, 25, 61, 62, 99)
_FOUND = (3, 4, 11, 12, 13, 16, 25, 31, 32, 37, 42, 51, 99)

_ABSENT = {11: 0, 13: 0, 16: 0, 17: 1, 25: 0, 31: 0, 32: 0, 42: 0}
"""What an absent number means on input."""


def create(identity: Identity, *, restart: bool) -> Fpdu:
    """CREATE of a file; with PI 15 when it restarts."""
    return Fpdu("CREATE", identity.values(*_CREATE) | ({15: 1} if restart else {}))


def select(identity: Identity, *, restart: bool) -> Fpdu:
    """SELECT of a file, all attributes asked."""
    values = identity.values(*_SELECT) | {14: ALL_ATTRIBUTES}
    return Fpdu("SELECT", values | ({15: 1} if restart else {}))


def found(identity: Identity, entity: int) -> Fpdu:
    """The positive ACK(SELECT) for the file of ``identity``; ``entity`` is the answer to PI 25."""
    return Fpdu("ACK(SELECT)", {2: b"\0\0\0"} | identity.values(*_FOUND) | {25: entity})


def identity_of(fpdu: Fpdu) -> Identity:
    """The identity that a CREATE, SELECT, ACK(SELECT) or MSG carries."""
    values = {
        name: fpdu.number(code, _ABSENT[code]) if code in _ABSENT else fpdu.text(code) for code, name in _FIELDS.items()
    }
    return Identity(**values)  # type: ignore[arg-type]


@dataclass(frozen=True)
class SyncPoint:
    """A synchronisation point: its number (0 = start of file), and what lies before it.

    ``offset`` is in bytes of the file, ``articles`` in articles. ``spacing``: the bytes from this point to the
    next and so on, as its sender laid them; with it, points that were never acknowledged to us are found.
    ``spared``: the bytes before it that compression saved, None where there was none or nobody knows.
    """

    number: int = 0
    offset: int = 0
    articles: int = 0
    spacing: int = 0
    spared: int | None = None

    def later(self, number: int, article_length: int) -> SyncPoint | None:
        """The point ``number`` of the same file, or None where it cannot be computed."""
        if number == self.number:
            return self
        if number == 0:
            return SyncPoint(0, 0, 0, self.spacing)
        if number < self.number or not self.spacing:
            return None
        further = (number - self.number) * self.spacing
        return SyncPoint(number, self.offset + further, self.articles + further // article_length, self.spacing)


@dataclass(frozen=True)
class Sync:
    """PI 7: interval in KB (0 none, 65535 undefined) and window (0: points are not acknowledged)."""

    interval_kb: int = 0
    window: int = 0

    @classmethod
    def of(cls, fpdu: Fpdu) -> Sync:
        """The option that a CONNECT or ACONNECT carries; none when it carries none."""
        value = fpdu.values.get(7)
        return cls(int.from_bytes(value[:2], "big"), value[2]) if isinstance(value, bytes) else cls()

    def coded(self) -> bytes:
        """The three bytes of PI 7."""
        return self.interval_kb.to_bytes(2, "big") + bytes([self.window])

    def agreed(self, other: Sync) -> Sync:
        """What two ends that want this and ``other`` have: the smaller of each, none if either wants none."""
        if not self.interval_kb or not other.interval_kb:
            return Sync()
        return Sync(min(self.interval_kb, other.interval_kb), min(self.window, other.window))

    def spacing(self, article_length: int, *, compressed: bool) -> int:
        """The bytes of a file between two points, all its articles being of one length (``Transfer.due``)."""
        most = longest(article_length) if compressed else article_length
        return max(self.interval_kb * 1024 // most, 1) * article_length if self.interval_kb else 0


class Transfer:
    """The accounts of one data phase, the same for the sender and the receiver.

    The interval between two points counts what is on the line, but where articles are ``compressed`` each is
    taken for as long as it can be at most: so points lie where the file alone puts them, and a restart finds
    them again without compressing anything.
    """

    def __init__(self, start: SyncPoint, sync: Sync, *, compressed: bool = False) -> None:
        self.start = start
        self.sync = sync
        self.compressed = compressed
        self.offset = start.offset
        self.articles = start.articles
        self.acknowledged = start.number
        self.point = start
        self.resyncs = 0
        self._points = {start.number: start}
        self._open = False
        self._since = 0
        """Since the last point, as its interval counts."""
        self._spared = start.spared or 0
        # A start that was computed, or kept without its count: the count of the whole is not to be had any more.
        self._whole = not compressed or start.number == 0 or start.spared is not None

    def add(self, size: int, *, spared: int = 0, begins: bool = True, ends: bool = True) -> None:
        """Account for an article or a fragment of one; ``Violation`` for fragments out of order (F-83).

        ``size`` is in bytes of the file, of which ``spared`` were not on the line.
        """
        if begins == self._open:
            raise Violation("3.311", "Les fragments d'un article PeSIT ne se suivent pas.")
        self._open = not ends
        self.offset += size
        self.articles += ends
        self._spared += spared
        self._since += longest(size) if self.compressed else size

    def due(self, size: int) -> bool:
        """Whether a point must stand before a next article of ``size`` bytes (F-71, F-73)."""
        if not self.sync.interval_kb or not self._since:
            return False
        most = longest(size) if self.compressed else size
        return self._since + most > self.sync.interval_kb * 1024

    @property
    def blocked(self) -> bool:
        """Whether the window is full: no more data until an ACK(SYN) comes (F-74)."""
        return bool(self.sync.window) and self.point.number - self.acknowledged >= self.sync.window

    def mark(self, number: int) -> SyncPoint:
        """Set the point ``number`` here; ``Violation`` when it is not the next one, or inside an article."""
        if not self.sync.interval_kb or self._open or number != self.point.number + 1 or number > LAST_POINT:
            raise Violation("3.311", f"Point de synchronisation {number} reçu après le {self.point.number}.")
        spared = self._spared if self._whole and (self.compressed or self._spared) else None
        self.point = SyncPoint(number, self.offset, self.articles, self.start.spacing, spared)
        self._since = 0
        self._points[number] = self.point
        self._points.pop(number - POINTS_KEPT, None)
        return self.point

    def acknowledge(self, number: int) -> SyncPoint | None:
        """Take the acknowledgement of point ``number``; None for one that says nothing new (F-55, F-74)."""
        if number > self.point.number:
            raise Violation("3.311", f"Point {number} acquitté alors que le dernier est le {self.point.number}.")
        if number <= self.acknowledged:
            return None
        self.acknowledged = number
        return self._points.get(number)

    def known(self, number: int) -> SyncPoint | None:
        """The point ``number`` of this phase, None when it was never set or is long past; 0 is always known."""
        return SyncPoint(0, 0, 0, self.start.spacing) if number == 0 else self._points.get(number)

    def rewind(self, number: int) -> SyncPoint:
        """Go back to point ``number``: the next one is that + 1 (F-109).

        ``Violation``: 3.311 where nobody set that point, 3.320 when it happens too often.
        """
        point = self.known(number)
        if point is None or number > self.point.number:
            raise Violation("3.311", f"Retour demandé au point {number}, que ce transfert ne connaît pas.")
        self.resyncs += 1
        if self.resyncs > MOST_RESYNCS:
            raise Violation("3.320", f"Le transfert est revenu en arrière plus de {MOST_RESYNCS} fois.")
        self._points = {known: at for known, at in self._points.items() if known <= number} | {number: point}
        self.point, self.offset, self.articles, self._open = point, point.offset, point.articles, False
        self._since, self._spared = 0, point.spared or 0
        self.acknowledged = min(self.acknowledged, number)
        return point

    def finish(self) -> None:
        """No more data; ``Violation`` when the last article never ended."""
        if self._open:
            raise Violation("3.311", "Le dernier article PeSIT n'est pas terminé.")

    @property
    def counts(self) -> dict[int, Value]:
        """PI 27 and 28, from the start of the file; bytes as they were on the line, left out if not known."""
        bytes_: dict[int, Value] = {27: self.offset - self._spared} if self._whole else {}
        return bytes_ | {28: self.articles}

    def matches(self, fpdu: Fpdu, *, articles: bool = True) -> bool:
        """Whether the counts of a TRANS.END or its ACK are ours; after a restart those of this phase will do.

        Without ``articles`` only bytes are compared: some servers count entities (F-112).
        """
        carried, before = self.offset - self._spared, self.start.offset - (self.start.spared or 0)
        whole = (carried, self.articles)
        part = (carried - before, self.articles - self.start.articles)
        told = (fpdu.number(27, -1) if self._whole else -1, fpdu.number(28, -1) if articles else -1)
        return any(all(said in (-1, own) for said, own in zip(told, counts, strict=True)) for counts in (whole, part))
