"""Commands and answers as text, for support: never a code.

Rules: of a command that carries a code (VERIFY, CHANGE, UNBLOCK, in any class) only the header is written, and
nothing of what follows.  It deliberately writes nowhere: the caller gives a place.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.card.apdu import Transmit

CODES = frozenset({0x20, 0x21, 0x24, 0x25, 0x2C, 0x2D})
"""Instructions whose data is a code (ISO 7816-4 §11.5)."""


def line(tpdu: bytes, answer: bytes) -> str:
    """One exchange: ``> command`` ``< answer`` in hexadecimal."""
    sent = f"{tpdu[:4].hex(' ')} …" if tpdu[1:2] and tpdu[1] in CODES else tpdu.hex(" ")
    return f"> {sent}  < {answer.hex(' ')}".upper()


def traced(transmit: Transmit, write: Callable[[str], object]) -> Transmit:
    """``transmit``, with a line written for each exchange that was answered."""

    def wrapped(tpdu: bytes) -> bytes:
        answer = transmit(tpdu)
        write(line(tpdu, answer))
        return answer

    return wrapped
