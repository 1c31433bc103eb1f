"""Who may sign, changed while the keeper runs: proposed, shown, proven by the card of a titulaire, taken.

Rules.  A proposal gets a challenge that serves once, within ten minutes, for these tables instead of those in force,
on this box.  The keeper itself verifies the proof: nobody's word stands for a card.  Who it was and both digests are
journaled first, then the file is replaced, then the book follows; killed in between, the next start takes what
the file says, so that one of the two states holds, whole.  Challenges are memory: a restart forgets them.

It deliberately knows no PIN: the command has the card give its proof.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.book.mandates import declare
from gateway.card.proof import change_message
from gateway.config import read_section
from gateway.envelope import algorithms
from gateway.envelope.certificates import Use, holder
from gateway.errors import Refused, Scope
from gateway.formats.days import iso
from gateway.formats.mandate_changes import able, differences, digest, titulaires, unable_words
from gateway.formats.mandates import Register
from gateway.services.keeper.asking import Act, Ask
from gateway.services.keeper.declared import plain, store
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.mandates import today
from gateway.services.keeper.sealing import ALGORITHM

LIFE = timedelta(minutes=10)
"""How long a challenge may be answered."""

_MOST = 16
"""Proposals remembered; the oldest is forgotten first."""


@dataclass(frozen=True)
class Proposal:
    """What a challenge stands for: the digest of what was declared then, and what shall be."""

    before: bytes
    after: Register
    until: datetime


class Declarations:
    """Proposals that await their proof."""

    def __init__(self) -> None:
        self._proposals: dict[str, Proposal] = {}

    def acts(self) -> dict[str, Act]:
        """What the command line may ask: what is ``declared``, then ``propose``, then ``prove``."""
        return {"declared": self.declared, "propose": self.propose, "prove": self.prove}

    def declared(self, desk: Desk, ask: Ask) -> dict[str, Any]:
        """The five tables in force, in their order."""
        return {"tables": plain(desk.register)}

    def propose(self, desk: Desk, ask: Ask) -> dict[str, Any]:
        """{"tables": those of the five that change, whole} → the challenge, and the change in words."""
        after = _changed(desk.register, ask.get("tables"))
        changes = differences(desk.register, after)
        if not changes:
            raise Refused("MND-015", "Ces tables sont déjà celles qui sont en vigueur : rien à changer.")
        day = today(desk)
        if why := unable_words(desk.register, after, day):
            raise Refused("MND-014", why)
        challenge = os.urandom(32).hex()
        proposal = Proposal(digest(desk.register), after, desk.book.clock() + LIFE)
        while len(self._proposals) >= _MOST:
            del self._proposals[next(iter(self._proposals))]
        self._proposals[challenge] = proposal
        return {
            "challenge": challenge, "box": desk.paths.box_id, "until": iso(proposal.until),
            "before": proposal.before.hex(), "after": digest(after).hex(), "changes": changes,
            "provers": [desk.register.name(one) for one in able(desk.register, after, day)],
            "last": not titulaires(after, day),
        }  # fmt: skip

    def prove(self, desk: Desk, ask: Ask) -> dict[str, Any]:
        """{"challenge", "certificate", "signature"} (the last two base64) → the change is in force."""
        challenge, certificate, signature = (
            str(ask.get("challenge")),
            _bytes(ask, "certificate"),
            _bytes(ask, "signature"),
        )
        proposal = self._take(challenge, desk)
        who = _check_proof(desk, proposal, bytes.fromhex(challenge), certificate, signature)
        fact = {
            "verb": "authorise", "holder": who, "certificate": hashlib.sha256(certificate).hexdigest(),
            "challenge": challenge, "signature": signature.hex(),
            "before": proposal.before.hex(), "after": digest(proposal.after).hex(),
        }  # fmt: skip
        with desk.commit():
            desk.book.record("", fact)
        store(desk.paths.settings, proposal.after)
        with desk.commit():
            declare(desk.book, proposal.after)
        by, desk.register = desk.register.name(who), proposal.after
        return {"holder": who, "name": by, "after": fact["after"]}

    def _take(self, challenge: str, desk: Desk) -> Proposal:
        """The proposal of a challenge, which serves no second time."""
        proposal = self._proposals.pop(challenge, None)
        if proposal is None:
            text = "Ce défi est inconnu : il a déjà servi, ou la passerelle a redémarré. Recommencez."
            raise Refused("MND-010", text)
        if desk.book.clock() >= proposal.until:
            raise Refused("MND-011", "Ce défi date de plus de dix minutes : recommencez.")
        if digest(desk.register) != proposal.before:
            raise Refused(
                "MND-012", "Les mandats ont changé depuis l'affichage : relisez le changement et recommencez."
            )
        return proposal


def _changed(present: Register, tables: object) -> Register:
    """The register with ``tables`` in place of its own; Refused (scope box) as a configuration file would be."""
    if not isinstance(tables, dict):
        raise Refused("CFG-004", "[keeper] doit être une section.", Scope.BOX)
    return read_section(Register, plain(present) | tables, "[keeper]")


def _check_proof(desk: Desk, proposal: Proposal, challenge: bytes, certificate: bytes, signature: bytes) -> str:
    """Whose card proves the change; Refused where it does not, or may not."""
    desk.trust.check_practitioner(certificate, Use.AUTHENTICATE, desk.book.clock())
    message = change_message(desk.paths.box_id, challenge, proposal.before, digest(proposal.after))
    try:
        algorithms.check(ALGORITHM, certificate, signature, message)
    except Refused:
        text = "La preuve de la carte n'est pas celle de ce changement, sur cette passerelle : rien n'a changé."
        raise Refused("MND-013", text, Scope.CARD) from None
    found = holder(certificate)
    allowed = able(desk.register, proposal.after, today(desk))
    if found.identifier not in allowed:
        needed = " ou ".join(desk.register.name(one) for one in allowed)
        text = f"La carte de {found.words} ne peut pas faire ce changement : il faut celle de {needed or 'personne'}."
        raise Refused("MND-014", text, Scope.CARD)
    return found.identifier


def _bytes(ask: Ask, name: str) -> bytes:
    try:
        return b64decode(str(ask.get(name)), validate=True)
    except ValueError:
        raise Refused("MND-017", f"La demande n'a pas de « {name} » lisible.") from None
