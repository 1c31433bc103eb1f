"""How FPDUs lie in a byte stream: prefixed or raw, and the pre-connection before them.

Rules: whole FPDUs come out, however the bytes were cut (F-04); a server finds out by itself which framing
and which pre-connection its peer uses (F-02, F-03), and from CONNECT whether check bytes follow each FPDU (F-95).
Memory is bounded by one entity and one chunk.
It decodes no FPDU but that one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from gateway.pesit import checksum
from gateway.pesit.codec import HEADER, decode
from gateway.pesit.diagnostics import Violation


class Framing(StrEnum):
    """F-01: ``PREFIXED`` puts a two-byte length before each entity, ``RAW`` puts nothing."""

    AUTO = "auto"
    PREFIXED = "prefixed"
    RAW = "raw"


_EBCDIC = "cp500"
_PRECONNECTION = 24
_CONNECT = b"\x40\x20"


@dataclass(frozen=True, slots=True)
class Preconnection:
    """The request of 24 bytes before PeSIT proper (F-10): names trimmed; alphabet and form as they came."""

    protocol: str
    requester: str
    password: str
    ebcdic: bool
    prefixed: bool

    def request(self) -> bytes:
        """The bytes of the request itself, names cut to eight characters."""
        names = f"{self.protocol:<8.8}{self.requester:<8.8}{self.password:<8.8}"
        return self._coded(names)

    def answer(self, *, accepted: bool) -> bytes:
        """ACK0 or NAK0 in the alphabet and the form of the request."""
        return self._coded("ACK0" if accepted else "NAK0")

    def _coded(self, text: str) -> bytes:
        coded = text.encode(_EBCDIC if self.ebcdic else "ascii", "replace")
        return prefix(coded) if self.prefixed else coded


@dataclass(frozen=True, slots=True)
class Reply:
    """ACK0 or NAK0."""

    accepted: bool


_REPLIES = {text.encode(code): Reply(text == "ACK0") for text in ("ACK0", "NAK0") for code in (_EBCDIC, "ascii")}


_OPENINGS = {"PESI".encode(_EBCDIC): True, b"PESI": False}


def prefix(entity: bytes) -> bytes:
    """The entity behind its two-byte length."""
    return len(entity).to_bytes(2, "big") + entity


@dataclass(frozen=True, slots=True)
class Damaged:
    """An FPDU whose check bytes are not those of its content."""


Frame = bytes | Preconnection | Reply | Damaged


class Reader:
    """Takes bytes, gives FPDUs (as bytes), pre-connections and replies to ours, one at a time.

    ``checked``: check bytes follow each FPDU; None when the CONNECT that comes will tell.
    """

    def __init__(self, framing: Framing, *, checked: bool | None = False) -> None:
        self.framing = framing
        self.checked = checked
        self._buffer = bytearray()
        self._frames: deque[Frame] = deque()
        self.reply_due = False
        """Set by who said a pre-connection: a ``Reply`` comes before anything else."""

    @property
    def waiting(self) -> int:
        """The bytes that were fed and not yet looked at."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Put ``data`` behind what is there."""
        self._buffer += data

    def next(self) -> Frame | None:
        """The next one, None while it is incomplete; ``Violation`` where the stream cannot be PeSIT."""
        if not self._frames:
            frames, end = self._find()
            del self._buffer[:end]
            self._frames.extend(frames)
        return self._frames.popleft() if self._frames else None

    def _find(self) -> tuple[Iterable[Frame], int]:
        """What the buffer begins with, and where that ends; (nothing, 0) while it is incomplete."""
        if self.reply_due:
            return self._reply()
        if self.framing is Framing.AUTO:
            return self._detect()
        if len(self._buffer) < 2:
            return (), 0
        length = int.from_bytes(self._buffer[:2], "big")
        start = 2 if self.framing is Framing.PREFIXED else 0
        if length < HEADER:
            raise Violation("3.311", f"Longueur PeSIT de {length} octets : c'est impossible.")
        if len(self._buffer) < start + length:
            return (), 0
        if self.checked is None:
            self.checked = self._announces_checks(self._cut(start, start + length))
        # Of the framings only the prefix counts the check bytes.
        end = start + length + (checksum.LENGTH if self.checked and not start else 0)
        if len(self._buffer) < end:
            return (), 0
        entity = self._cut(start, end)
        if self.checked:
            return (entity[: -checksum.LENGTH] if checksum.sound(entity) else Damaged(),), end
        return (_split(entity) if start else (entity,)), end

    def _announces_checks(self, entity: bytes) -> bool:
        if self.framing is Framing.PREFIXED:
            return len(entity) == int.from_bytes(entity[:2], "big") + checksum.LENGTH
        return decode(entity).number(1) == 1

    def _cut(self, start: int, end: int) -> bytes:
        with memoryview(self._buffer) as view:
            return bytes(view[start:end])

    def _reply(self) -> tuple[Iterable[Reply], int]:
        head = self._cut(0, 6)
        start = 2 if head[:2] == b"\x00\x04" else 0
        if len(head) < start + 4:
            return (), 0
        reply = _REPLIES.get(head[start : start + 4])
        if reply is None:
            raise Violation("3.311", f"La pré-connexion est répondue par {head.hex()}, ni ACK0 ni NAK0.")
        self.reply_due = False
        return (reply,), start + 4

    def _detect(self) -> tuple[Iterable[Frame], int]:
        head = self._cut(0, 6)
        if len(head) < 4:
            return (), 0
        prefixed = head[:2] == b"\x00\x18" and _opens(head[2:])
        if prefixed or head[:4] in _OPENINGS:
            return self._preconnection(prefixed)
        if head[2:4] == _CONNECT:
            self.framing = Framing.RAW
        elif head[:2] == b"\x16\x03":
            raise Violation("3.311", "Le correspondant ouvre TLS sur un port PeSIT en clair.")
        elif len(head) == 6 and head[4:6] == _CONNECT:
            self.framing = Framing.PREFIXED
        elif len(head) == 6:
            raise Violation("3.311", f"La connexion commence par {head.hex()}, qui n'est pas du PeSIT.")
        else:
            return (), 0
        return self._find()

    def _preconnection(self, prefixed: bool) -> tuple[Iterable[Preconnection], int]:
        start = 2 if prefixed else 0
        request = self._cut(start, start + _PRECONNECTION)
        if len(request) < _PRECONNECTION:
            return (), 0
        ebcdic = request[:4] in _OPENINGS and _OPENINGS[request[:4]]
        names = request.decode(_EBCDIC if ebcdic else "latin-1")
        protocol, requester, password = (names[i : i + 8].rstrip(" \0") for i in (0, 8, 16))
        return (Preconnection(protocol, requester, password, ebcdic, prefixed),), start + _PRECONNECTION


def _opens(head: bytes) -> bool:
    return any(opening.startswith(head[:2]) and head[2:4] == opening[2 : len(head)] for opening in _OPENINGS)


def _split(entity: bytes) -> Iterator[bytes]:
    """The FPDUs of one entity (F-86)."""
    at = 0
    while at < len(entity):
        length = int.from_bytes(entity[at : at + 2], "big")
        if length < HEADER or at + length > len(entity):
            raise Violation("3.311", "Une entité PeSIT ne se découpe pas en messages entiers.")
        yield entity[at : at + length]
        at += length
