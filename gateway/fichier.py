"""The life of a fichier: its states and the only arrows between them.

Rule 1: everything that decides which move is legal lives in this file.
Rule 2: this file does not know who moves, when, or where a fichier is kept.

``held`` is a column of the book, not a state; waiting is not a state either (``not_before`` and a reason).
Lots and factures live on in ``gateway.follow`` after INTEGRATED.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a fichier stands; the value is what the book and the journal store."""

    RECEIVED = "RECEIVED"
    CHECKED = "CHECKED"
    SIGNED = "SIGNED"
    SEALED = "SEALED"
    SENT = "SENT"
    INTEGRATED = "INTEGRATED"
    REFUSED = "REFUSED"


class Verb(StrEnum):
    """The act that moves a fichier; one verb for one act, the same word everywhere."""

    RECEIVE = "receive"
    CHECK = "check"
    SIGN = "sign"
    RETRACT = "retract"
    SEAL = "seal"
    UNSEAL = "unseal"
    SEND = "send"
    INTEGRATE = "integrate"
    REFUSE = "refuse"
    RESEND = "resend"


@dataclass(frozen=True)
class Arrow:
    """One legal move: from ``source`` (None: not yet in the book) by ``verb`` to ``target``."""

    source: State | None
    verb: Verb
    target: State
    why: str


ARROWS = (
    Arrow(None, Verb.RECEIVE, State.RECEIVED, "taken from the door new/"),
    Arrow(State.RECEIVED, Verb.CHECK, State.CHECKED, "structure and content are sound"),
    Arrow(State.RECEIVED, Verb.REFUSE, State.REFUSED, "a finding blocks"),
    Arrow(State.CHECKED, Verb.SIGN, State.SIGNED, "the card signed it"),
    Arrow(State.SIGNED, Verb.RETRACT, State.CHECKED, "the signer's certificate holds no more: another must sign"),
    Arrow(State.SIGNED, Verb.SEAL, State.SEALED, "sealed to the OCT, offered in outgoing/"),
    Arrow(State.SEALED, Verb.UNSEAL, State.SIGNED, "the OCT's certificate changed, or the seal cannot be opened"),
    Arrow(State.SEALED, Verb.RETRACT, State.CHECKED, "the same, and nothing of it can have left the box"),
    Arrow(State.SEALED, Verb.SEND, State.SENT, "the OCT stored all of it"),
    Arrow(State.SEALED, Verb.INTEGRATE, State.INTEGRATED, "the receipt came before the fact of sending"),
    Arrow(State.SEALED, Verb.REFUSE, State.REFUSED, "the refusal came before the fact of sending"),
    Arrow(State.SENT, Verb.INTEGRATE, State.INTEGRATED, "the OCT's receipt says taken"),
    Arrow(State.SENT, Verb.REFUSE, State.REFUSED, "the OCT's receipt says refused"),
    Arrow(State.SENT, Verb.UNSEAL, State.SIGNED, "the OCT could not open this seal"),
    Arrow(State.SENT, Verb.RESEND, State.SIGNED, "a person asked, transmission + 1"),
    Arrow(State.INTEGRATED, Verb.RESEND, State.SIGNED, "a person asked, transmission + 1"),
    Arrow(State.REFUSED, Verb.RESEND, State.RECEIVED, "a person asked, checked afresh"),
)

_TARGETS = {(arrow.source, arrow.verb): arrow.target for arrow in ARROWS}

FINAL = frozenset({State.INTEGRATED, State.REFUSED})
"""States in which the box owes the fichier no further work."""


def target(source: State | None, verb: Verb) -> State:
    """The state that ``verb`` leads to from ``source``; LookupError where no arrow stands."""
    try:
        return _TARGETS[source, verb]
    except KeyError:
        raise LookupError(f"no arrow {verb} from {source}") from None


def may(source: State | None, verb: Verb) -> bool:
    """Whether ``verb`` is a legal move from ``source``."""
    return (source, verb) in _TARGETS
