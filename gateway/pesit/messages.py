"""Messages: one MSG, or MSGDM, MSGMM and MSGFM where the text is too long for one.

Rules: an acknowledgement of a file carries the file's own identity, answered (F-132); a free message has a file
type of its own (F-133). One FPDU holds what PI 91 and the entity allow (F-136).
It sends nothing and knows no connection.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.errors import Refused
from gateway.pesit import codec
from gateway.pesit.codec import HEADER, Fpdu
from gateway.pesit.parameters import PARAMETERS
from gateway.pesit.transfer import Identity

FORWARD, RETURN = 0xFFFF, 0xFFFE
"""PI 11 of a free message."""

LONGEST = 65535
"""Characters of a whole message, said or heard: ours, for memory is bounded."""

_IDENTITY = (3, 4, 11, 12, 13, 16, 51, 61, 62)
_TEXT, _ANSWER = 91, 14
_UNIT = 4
"""Bytes of code and length before a long PI."""


def free(name: str, transfer_id: int, *, back: bool = False) -> Identity:
    """The identity of a message about no file; ``back``: it answers one."""
    return Identity(name, transfer_id, file_type=RETURN if back else FORWARD)


def answering(identity: Identity) -> Identity:
    """The identity under which the receiver of a free message, or of a file, answers it."""
    back = identity.answering()
    return replace(back, file_type=RETURN) if identity.file_type == FORWARD else back


def parts(identity: Identity, text: str, entity: int, *, answer: bool) -> list[Fpdu]:
    """The FPDUs that leave ``text`` about ``identity``; ``answer``: a text is wanted back.

    ``entity`` is the entity size that holds on the connection. ``Refused`` for a text that is too long.
    """
    values = identity.values(*_IDENTITY) | {_ANSWER: int(answer)}
    longest = PARAMETERS[_TEXT].maximum
    room = min(longest, max(0, entity - len(codec.encode(Fpdu("MSG", values))) - _UNIT))
    if len(text) <= room:
        return [Fpdu("MSG", values | ({_TEXT: text} if text else {}))]
    if len(text) > LONGEST:
        raise Refused("PES-VALUE", f"Le message a {len(text)} caractères, {LONGEST} au plus.")
    further = min(longest, max(1, entity - HEADER - _UNIT))
    *middle, end = (text[at : at + further] for at in range(room, len(text), further))
    pieces = [("MSGMM", piece) for piece in middle] + [("MSGFM", end)]
    first = Fpdu("MSGDM", values | {_TEXT: text[:room]})
    return [first, *(Fpdu(name, {_TEXT: piece}) for name, piece in pieces)]
