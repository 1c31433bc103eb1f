"""A reader with its own keys: the code is typed on it and goes to the card without passing through this box.

Duty: read what features a reader declares, and write the order by which it asks for the code (PC/SC part 10,
2.2 and 2.5: FEATURE_VERIFY_PIN_DIRECT and PIN_VERIFY_STRUCTURE).

It deliberately changes and unblocks no code: that is done at a keyboard, by ``gateway card``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from gateway.errors import Deferred, Refused, Scope, Trouble

VERIFY_DIRECT = 0x06
"""Tag of FEATURE_VERIFY_PIN_DIRECT in the answer to CM_IOCTL_GET_FEATURE_REQUEST."""

GET_FEATURES = 3400
"""The function code of that request (SCARD_CTL_CODE)."""

ENTRY_S = 30
"""Seconds that the reader waits for the code."""

_BYTES_ASCII = 0x82
_ENTER_KEY = 0x02
_FRENCH = 0x040C

ANSWERS: Mapping[int, tuple[type[Refused] | type[Deferred], str, str]] = {
    0x6400: (Deferred, "CPS-PAD-TIME", "Aucun code n'a été tapé à temps sur le clavier du lecteur."),
    0x6401: (Deferred, "CPS-PAD-CANCEL", "La saisie du code a été annulée sur le clavier du lecteur."),
    0x6402: (Deferred, "CPS-PAD-MISMATCH", "Les deux saisies sur le clavier du lecteur diffèrent."),
    0x6403: (Refused, "CPS-PIN-FORM", "Le code tapé sur le clavier du lecteur n'a pas la bonne longueur."),
    0x6B80: (Refused, "CPS-PAD", "Le lecteur refuse la saisie du code sur son clavier."),
}
"""What the reader itself answers in place of the card (PC/SC part 10, 2.5.2); any other status word is the card's."""


def features(reply: bytes) -> dict[int, int]:
    """The control code of each feature by its tag: a run of tag, length 4, code (big-endian); the rest is ignored."""
    found = {}
    while len(reply) >= 6 and reply[1] == 4:
        found[reply[0]] = int.from_bytes(reply[2:6], "big")
        reply = reply[6:]
    return found


def verify_order(reference: int, shortest: int, longest: int) -> bytes:
    """PIN_VERIFY_STRUCTURE around VERIFY for code ``reference``: ASCII digits from the left, the Enter key ends it."""
    command = bytes([0x00, 0x20, 0x00, reference, longest]) + b"\xff" * longest
    head = struct.pack(
        "<BBBBBHBBHB3sI",
        ENTRY_S,
        ENTRY_S,
        _BYTES_ASCII,
        longest,  # the block is the digits and nothing else
        0x00,  # the command carries no length of the code apart
        shortest << 8 | longest,
        _ENTER_KEY,
        0x01,
        _FRENCH,
        0x00,
        bytes(3),
        len(command),
    )
    return head + command


def trouble(status: int) -> Trouble | None:
    """What the reader itself means by ``status``; None where the card is speaking."""
    if status not in ANSWERS:
        return None
    kind, code, text = ANSWERS[status]
    return kind(code, text, Scope.CARD)
