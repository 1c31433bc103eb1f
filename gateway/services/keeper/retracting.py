"""SIGNED or SEALED → CHECKED: a signature that the OCT would refuse is withdrawn, so that another can be given.

Rules.  Only what cannot have left the box is withdrawn: a seal is taken out of ``outgoing/`` first, and forward says in
``arrived/`` that it begins before it opens an entry, so that what was not said to have begun by then never will.
Where a transfer may have begun the fichier is held, and the OCT's word still moves it.  A signature that was
withdrawn, or that the OCT refused, is void: the card service may have kept it and never gets it committed again.

Whose card signs next is ``mandates``' affair, and whether its certificate is good that of ``signing``.
"""

from __future__ import annotations

import hashlib
import sqlite3

from gateway.book.signatures import void
from gateway.envelope.certificates import Use
from gateway.envelope.signed import Signature
from gateway.errors import Refused, Scope
from gateway.fichier import State, Verb
from gateway.services.keeper.desk import Desk, entry_name
from gateway.services.keeper.sealing import read_signature

BY = "signature"
"""Who holds what was signed under a certificate that holds no more, and may have left."""

LAPSED = frozenset({"CMS-032", "CMS-036"})
"""Certificate ended, certificate revoked: the signer's own affair, which another signature heals.  Any other refusal
of a path may as well be the box's trust store that is wrong: a person must look."""


def stands(desk: Desk, fichier: str) -> bool:
    """Whether the certificate of a SIGNED fichier's signer still holds; where it does not, the signature is withdrawn.

    Deferred (scope card) where no list tells now.
    """
    try:
        desk.trust.check_practitioner(read_signature(desk, fichier).certificate, Use.SIGN_FICHIER, desk.book.clock())
    except Refused as refusal:
        retract(desk, fichier, refusal)
        return False
    return True


def retract(desk: Desk, fichier: str, refusal: Refused) -> None:
    """Withdraw the signature of a SIGNED or SEALED fichier because its signer's certificate is refused; hold the
    fichier where that cannot be."""
    row = desk.book.fichier(fichier)
    assert row is not None
    if refusal.code not in LAPSED or not _all_here(desk, row):
        reason = f"{refusal.text} Ce fichier a été signé avec lui : le concentrateur le refuserait."
        with desk.commit():
            desk.book.hold(fichier, reason, BY)
        desk.take_back(fichier)
        return
    text = f"{refusal.text} La signature faite avec lui est retirée : une autre signature est nécessaire."
    with desk.commit():
        fact = {"code": refusal.code, "certificate": row["signer"], **drop_signature(desk, fichier)}
        desk.book.move(
            fichier, Verb.RETRACT, fact, reason_code=refusal.code, reason_text=text, reason_scope=Scope.CARD,
        )  # fmt: skip
        if row["held_by"] == BY:
            desk.book.release(fichier, BY)


def _all_here(desk: Desk, row: sqlite3.Row) -> bool:
    """Whether nothing of a fichier can have left under its present signature, nor will: its seal is taken back."""
    if row["state"] == State.SIGNED:
        return True
    entry = entry_name(row["id"], row["transmission"], row["seal"])
    desk.outgoing.withdraw(entry)
    return not row["begun"] and not desk.arrived.has(f"begun.{entry}")


def drop_signature(desk: Desk, fichier: str) -> dict[str, str]:
    """Make the signature of a fichier void, in the transaction of the move; what the journal says of it."""
    return void(desk.book, fichier, name_of(read_signature(desk, fichier)))


def name_of(signature: Signature) -> str:
    """The SHA-256 of a signature's value: each has a time and a challenge of its own, so no two are equal."""
    return hashlib.sha256(signature.signature).hexdigest()
