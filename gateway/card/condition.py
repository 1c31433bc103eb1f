"""How a card is, for a person: a state that the page and the keeper know, a stable code, one sentence.

It deliberately holds nothing that only the code would open.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.card.apdu import PIN_BLOCKED
from gateway.card.failures import ABSENT, ACCESS, BUSY, COPY, MUTE, NO_READER, NO_SERVICE, REMOVED, UPDATE
from gateway.card.guard import HUNG
from gateway.errors import Refused, Trouble

STATES = {
    NO_SERVICE: "no-service",
    ACCESS: "no-service",
    NO_READER: "no-reader",
    ABSENT: "absent",
    REMOVED: "absent",
    BUSY: "busy",
    MUTE: "foreign",
    UPDATE: "unfinished",
    PIN_BLOCKED: "blocked",
}
"""The card's state by the code of what went wrong; any other Refused is "foreign", any other Deferred "trouble"."""

STOPS = {COPY: "foreign", HUNG: "trouble"}
"""What bars a card that lies in the reader from any code: until it is taken out, or answers again."""

RANKS = (
    "signing", "ready", "locked", "left", "reading", "blocked", "busy", "unfinished", "trouble", "foreign", "absent",
    "no-reader", "no-service",
)  # fmt: skip
"""Of several cards the first by this order is the one that is spoken of where only one can be."""


@dataclass(frozen=True)
class Condition:
    """State, code and sentence, and what may be known of the card without its code; ``serial`` its last four digits,
    ``valid_until`` a moment (ISO 8601, UTC), ``identifier`` as mandates name the holder, ``pad`` whether the code is
    typed on the reader."""

    state: str
    code: str
    text: str
    holder: str | None = None
    serial: str | None = None
    tries: int | None = None
    valid_until: str | None = None
    identifier: str | None = None
    pad: bool = False


def condition_of(trouble: Trouble) -> Condition:
    """The condition that ``trouble`` puts the card in."""
    state = STATES.get(trouble.code, "foreign" if isinstance(trouble, Refused) else "trouble")
    return Condition(state, trouble.code, trouble.text)
