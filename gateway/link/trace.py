"""What passed on one connection, written down for people: each FPDU with its parameters and its bytes.

Rules: it reads the stream by itself, so that what is written is what was on the line. A password is never
written, neither in words nor in hexadecimal: where the place of PI 5 cannot be told, the whole content is left
out. Of the data of a file only the first bytes are shown. It changes nothing and answers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TextIO

from gateway.pesit import codec, diagnostics
from gateway.pesit.codec import HEADER, Fpdu
from gateway.pesit.diagnostics import Violation
from gateway.pesit.fpdus import BY_CODE, DATA
from gateway.pesit.framing import Damaged, Frame, Framing, Preconnection, Reader
from gateway.pesit.parameters import PARAMETERS, Value

MASK = "***"
SHOWN = 32
"""Bytes of data that are shown, and bytes in a row of hexadecimal."""

_PASSWORD = 5
_CONNECTING = 0x40
_WORDS = {">": "envoyé", "<": "reçu"}


class Trace:
    """The observer (``link.line.Observer``) of one connection."""

    def __init__(self, out: TextIO, now: Callable[[], datetime], requester: str, label: str = "") -> None:
        """``requester`` is the way of what the requester says: ">" when that is us, "<" when we are the server."""
        self._out = out
        self._now = now
        self._requester = requester
        self._label = label
        self._up = Reader(Framing.AUTO, checked=None)
        self._down = Reader(Framing.AUTO)
        self._lost: set[str] = set()

    def __call__(self, way: str, data: bytes) -> None:
        """Bytes that passed."""
        if way in self._lost:
            return
        reader = self._up if way == self._requester else self._down
        reader.feed(data)
        try:
            while (frame := reader.next()) is not None:
                self._write(way, frame)
                self._follow(frame)
        except Violation as violation:
            self._lost.add(way)
            self._head(way, f"illisible à partir d'ici : {violation.text}")
        self._out.flush()

    def _follow(self, frame: Frame) -> None:
        """What the requester says first tells how the server's bytes are to be read."""
        if isinstance(frame, Preconnection):
            self._down.reply_due = True
        elif self._down.framing is Framing.AUTO and self._up.framing is not Framing.AUTO:
            self._down.framing, self._down.checked = self._up.framing, bool(self._up.checked)

    def _head(self, way: str, text: str) -> None:
        self._out.write(f"{self._now():%H:%M:%S.%f} {self._label}{way} {_WORDS[way]} {text}\n")

    def _write(self, way: str, frame: Frame) -> None:
        if isinstance(frame, bytes):
            for number, line in enumerate(_lines(frame)):
                if number == 0:
                    self._head(way, line)
                else:
                    self._out.write(f"    {line}\n")
        elif isinstance(frame, Preconnection):
            alphabet = "EBCDIC" if frame.ebcdic else "ASCII"
            self._head(way, f"pré-connexion {frame.protocol} {frame.requester} {MASK} ({alphabet})")
        elif isinstance(frame, Damaged):
            self._head(way, "message dont le CRC est faux")
        else:
            self._head(way, "ACK0" if frame.accepted else "NAK0")


def _lines(frame: bytes) -> Iterator[str]:
    """One FPDU: its name, its parameters, its bytes."""
    layout = BY_CODE.get((frame[2], frame[3]))
    name = layout.name if layout else f"type inconnu {frame[2]:02x}{frame[3]:02x}"
    yield f"{name} ({len(frame)} octets, destination {frame[4]}, source {frame[5]})"
    try:
        fpdu = codec.decode(frame)
    except Violation as violation:
        yield f"! {violation.text}"
    else:
        yield from _said(fpdu)
    yield from _dump(frame, data=name in DATA)


def _said(fpdu: Fpdu) -> Iterator[str]:
    for code, value in sorted(fpdu.values.items()):
        yield f"PI {code:<3}{PARAMETERS[code].name:<26}{MASK if code == _PASSWORD else _words(code, value)}"
    for note in fpdu.notes:
        yield f"! {note}"


def _words(code: int, value: Value) -> str:
    if not isinstance(value, bytes):
        return repr(value)
    if code == 2:
        found = diagnostics.decode(value)
        return f"{found} {'succès' if found == diagnostics.SUCCESS else diagnostics.row_of(found).french}"
    if code == 7:
        return f"{int.from_bytes(value[:2], 'big')} Ko, fenêtre {value[2]}"
    return value.hex()


def _dump(frame: bytes, *, data: bool) -> Iterator[str]:
    """The bytes, those of a password starred; of data the first only."""
    shown = frame[: HEADER + SHOWN] if data else frame
    coded = [f"{byte:02x}" for byte in shown]
    for place in _secret(frame):
        coded[place] = "**"
    for at in range(0, len(coded), SHOWN):
        yield " ".join(coded[at : at + SHOWN])
    if len(shown) < len(frame):
        yield f"... {len(frame) - len(shown)} octets de plus"


def _secret(frame: bytes) -> list[int]:
    """The places of the password in an FPDU; all of the content where it is not known to be well formed."""
    places: list[int] = []
    at = HEADER
    while frame[2] == _CONNECTING and at < len(frame):
        code, length, start = frame[at], *_length(frame, at + 1)
        if start + length > len(frame):
            return list(range(HEADER, len(frame)))
        at = start + length
        places += range(start, at) if code == _PASSWORD else ()
    return places


def _length(frame: bytes, at: int) -> tuple[int, int]:
    """A length indicator, and where the value begins; a length that cannot be when it is cut off."""
    if at >= len(frame):
        return len(frame), at
    if frame[at] != 0xFF:
        return frame[at], at + 1
    return int.from_bytes(frame[at + 1 : at + 3], "big"), at + 3
