"""The certificates of those who sign here: said before they end, and what becomes of what they signed.

Rules.  Whoever's newest certificate ends within ``STEPS`` days is told, card in the reader or not.  A signature whose
certificate is revoked or has ended before the OCT took it is withdrawn (``retracting``): the OCT would refuse it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from cryptography import x509

from gateway.book.mandates import Signer, learn, signers
from gateway.envelope.certificates import Use, holder
from gateway.errors import Deferred, Refused, Scope
from gateway.fichier import State
from gateway.formats.days import day_of
from gateway.formats.words import day as day_words
from gateway.formats.words import plural
from gateway.services.keeper import mandates
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.retracting import BY, retract

STEPS = (7, 14, 30, 60, 90)
"""Days before the end of a certificate at which it is said anew."""


class Review:
    """What has to be looked at again at start, and when the day, the register, the lists or the signers change."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen: object = None

    def look(self) -> None:
        """Nothing, or all of it."""
        desk = self._desk
        count = desk.book.connection.execute("SELECT count(*) FROM signers").fetchone()[0]
        seen = (mandates.today(desk), desk.register, count, _back(desk), desk.trust.lists.marks())
        if seen != self._seen:
            mandates.release(desk)
            mandates.end_alarm(desk)
            _retract_lapsed(desk)
            self._seen = seen


def record(desk: Desk, certificate: bytes) -> str:
    """Keep who signed (DER), in the transaction of the move; the SHA-256 that names the certificate."""
    loaded, person = x509.load_der_x509_certificate(certificate), holder(certificate)
    name = hashlib.sha256(certificate).hexdigest()
    since, until = map(day_of, (loaded.not_valid_before_utc, loaded.not_valid_after_utc))
    learn(desk.book, Signer(name, person.identifier, person.name, since, until, certificate))
    return name


def _back(desk: Desk) -> int:
    """How many fichiers held for their signature are the box's alone again: the OCT could not open their seal."""
    query = "SELECT count(*) FROM fichiers WHERE state = ? AND held_by = ?"
    return int(desk.book.connection.execute(query, (State.SIGNED, BY)).fetchone()[0])


def _retract_lapsed(desk: Desk) -> None:
    """Withdraw what was signed under a certificate that no longer holds, and say whose newest one is revoked."""
    refused: dict[str, Refused] = {}
    newest: dict[str, str] = {}
    for signer in signers(desk.book):
        newest[signer.holder] = signer.certificate
        try:
            desk.trust.check_practitioner(signer.der, Use.SIGN_FICHIER, desk.book.clock())
        except Refused as refusal:
            if refusal.scope is Scope.CARD:  # a list that cannot be read says nothing of a signer
                refused[signer.certificate] = refusal
        except Deferred:
            continue  # no list tells now: what was good stays good until one says otherwise
    for certificate, why in refused.items():
        for fichier in _signed_by(desk, certificate):
            retract(desk, fichier, why)
    found = [refused[name] for who, name in newest.items() if name in refused and _signs_here(desk, who)]
    revoked = next((each for each in found if each.code == "CMS-036"), None)
    desk.condition(Scope.CARD, "revocation", revoked.code if revoked else "", revoked.text if revoked else "")


def _signed_by(desk: Desk, certificate: str) -> list[str]:
    """Fichiers of which the box has a signature under a certificate, and of which the OCT has said nothing."""
    rows = desk.book.connection.execute(
        "SELECT id FROM fichiers WHERE signer = ? AND state IN (?, ?)", (certificate, State.SIGNED, State.SEALED)
    )
    return [row["id"] for row in rows.fetchall()]


def _signs_here(desk: Desk, who: str) -> bool:
    return desk.settings.mandate_rule == "open" or bool(desk.register.mandates_of(who, (), mandates.today(desk)))


def state_ends(desk: Desk, cards: Iterable[dict[str, Any]]) -> None:
    """The rung of the ladder: whose certificate ends first, the cards that lie there included."""
    ends = {each.holder: (each.until, each.name) for each in signers(desk.book)}
    ends |= {card["identifier"]: (_last_day(card), card["holder"]) for card in cards if card["identifier"]}
    until, name = min((end for who, end in ends.items() if _signs_here(desk, who)), default=("9999-12-31", ""))
    said = f"Le certificat de la carte de {name}"
    state_end(desk, Scope.CARD, "certificate", "MND-CERT", until, said)


def _last_day(card: dict[str, Any]) -> str:
    return day_of(datetime.fromisoformat(card["valid_until"]))


def state_end(
    desk: Desk, scope: Scope, name: str, code: str, until: str, said: str, after: str = "", over: str = ""
) -> None:
    """State the condition ``name`` of a certificate that ends on the day ``until``: well, near its end by one of
    ``STEPS``, or past it.  ``said`` begins the sentence, ``after`` ends it while there is time, ``over`` then."""
    left = (date.fromisoformat(until) - date.fromisoformat(mandates.today(desk))).days
    step = next((days for days in STEPS if left <= days), None)
    if step is None:
        desk.condition(scope, name, "", "")
    elif left < 0:
        desk.condition(scope, name, f"{code}-0", f"{said} a expiré le {day_words(until)}{over}.")
    else:
        text = f"{said} expire le {day_words(until)}, dans {plural(left, 'jour')}{after}."
        desk.condition(scope, name, f"{code}-{step}", text)
