"""What is transferred and how far it is: identity, synchronisation points, counts.

Rules: the identity is repeated unchanged by a restart (F-102). A point stands between two articles, points
count 1, 2, 3 ... and an acknowledged point acknowledges all before it (F-70 to F-76). Counts run from the
start of the file, restarts included (F-108).
It moves no state and reads no file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.pesit.codec import Fpdu
from gateway.pesit.diagnostics import Violation
from gateway.pesit.parameters import Value

BINARY = 2
VARIABLE = 0x80
ALL_ATTRIBUTES = 0xE0
LAST_POINT = 999_999


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
_MESSAGE = (3, 4, 11, 12, 13, 16, 51, 61, 62)

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


def message(identity: Identity, text: str) -> Fpdu:
    """MSG about the file of ``identity``, no answering text asked."""
    return Fpdu("MSG", identity.values(*_MESSAGE) | {14: 0} | ({91: text} if text else {}))


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
    """

    number: int = 0
    offset: int = 0
    articles: int = 0
    spacing: int = 0

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


class Transfer:
    """The accounts of one data phase, the same for the sender and the receiver."""

    def __init__(self, start: SyncPoint, sync: Sync) -> None:
        self.start = start
        self.sync = sync
        self.offset = start.offset
        self.articles = start.articles
        self.acknowledged = start.number
        self.point = start
        self._unacknowledged: dict[int, SyncPoint] = {}
        self._open = False

    def add(self, size: int, *, begins: bool = True, ends: bool = True) -> None:
        """Account for an article or a fragment of one; ``Violation`` for fragments out of order (F-83)."""
        if begins == self._open:
            raise Violation("3.311", "Les fragments d'un article PeSIT ne se suivent pas.")
        self._open = not ends
        self.offset += size
        self.articles += ends

    def due(self, size: int) -> bool:
        """Whether a point must stand before a next article of ``size`` bytes (F-71, F-73)."""
        since = self.offset - self.point.offset
        return bool(self.sync.interval_kb and since and since + size > self.sync.interval_kb * 1024)

    @property
    def blocked(self) -> bool:
        """Whether the window is full: no more data until an ACK(SYN) comes (F-74)."""
        return bool(self.sync.window) and self.point.number - self.acknowledged >= self.sync.window

    def mark(self, number: int) -> SyncPoint:
        """Set the point ``number`` here; ``Violation`` when it is not the next one, or inside an article."""
        if not self.sync.interval_kb or self._open or number != self.point.number + 1 or number > LAST_POINT:
            raise Violation("3.311", f"Point de synchronisation {number} reçu après le {self.point.number}.")
        self.point = SyncPoint(number, self.offset, self.articles, self.start.spacing)
        if self.sync.window:
            self._unacknowledged[number] = self.point
        return self.point

    def acknowledge(self, number: int) -> SyncPoint | None:
        """Take the acknowledgement of point ``number``; None for one that says nothing new (F-55, F-74)."""
        if number > self.point.number:
            raise Violation("3.311", f"Point {number} acquitté alors que le dernier est le {self.point.number}.")
        if number <= self.acknowledged:
            return None
        point = self._unacknowledged.get(number)
        for passed in range(self.acknowledged + 1, number + 1):
            self._unacknowledged.pop(passed, None)
        self.acknowledged = number
        return point

    def finish(self) -> None:
        """No more data; ``Violation`` when the last article never ended."""
        if self._open:
            raise Violation("3.311", "Le dernier article PeSIT n'est pas terminé.")

    @property
    def counts(self) -> dict[int, Value]:
        """PI 27 and 28, from the start of the file."""
        return {27: self.offset, 28: self.articles}

    def matches(self, fpdu: Fpdu, *, articles: bool = True) -> bool:
        """Whether the counts of a TRANS.END or its ACK are ours; after a restart those of this phase will do.

        Without ``articles`` only bytes are compared: some servers count entities (F-112).
        """
        whole = (self.offset, self.articles)
        part = (self.offset - self.start.offset, self.articles - self.start.articles)
        told = (fpdu.number(27, -1), fpdu.number(28, -1) if articles else -1)
        return any(all(said in (-1, own) for said, own in zip(told, counts, strict=True)) for counts in (whole, part))
