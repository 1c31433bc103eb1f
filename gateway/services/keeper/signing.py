"""CHECKED → SIGNED: what is to be signed is offered to ``card``; what comes back is verified, then committed.

The keeper never sees a PIN and ``card`` never sees a fichier.  ``card`` keeps its answers until they are
confirmed, so that a keeper that dies between answer and commit gets the same signature again, and at most
one is in force; an answer that became void since is only confirmed, so that the card forgets it.  The proof that
the card was there is verified first and kept with the signature.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import asdict, dataclass
from typing import Any

from gateway.book.signatures import is_void
from gateway.card.client import CardClient
from gateway.card.proof import Item, proof_message
from gateway.envelope import algorithms, certificates
from gateway.envelope.attributes import read_attributes
from gateway.envelope.certificates import Use, holder
from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.fichier import State, Verb
from gateway.formats.mandates import ABSENT, Mandate
from gateway.services.keeper import mandates
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.evidence import keep_signature
from gateway.services.keeper.retracting import name_of
from gateway.services.keeper.sealing import ALGORITHM, pack_signature, signature_of
from gateway.services.keeper.signers import record as record_signer
from gateway.services.keeper.signers import state_ends

WAIT_S = 1.0


async def sign_waiting(desk: Desk, client: CardClient) -> None:
    """Offer all that waits for a signature, learn how the card is, commit what was signed."""
    sure = desk.clock_holds()
    items = mandates.offer(desk, desk.book.waiting(State.CHECKED, time.time())) if sure else []
    mandates.state_missing(desk)
    try:
        offered = await client.offer(items, WAIT_S)
    except Deferred as trouble:
        desk.condition(Scope.CARD, "card", trouble.code, trouble.text, {"pending": len(items)})
        await desk.runtime.pause(WAIT_S)
        return
    _state_card(desk, offered, items)
    if not sure:
        return  # what was signed stays with the card until it can be judged
    _forget_decline(desk, offered["cards"], items)
    state_ends(desk, offered["cards"])
    settled = [answer["fichier"] for answer in offered["signed"] if _settle(desk, answer)]
    if settled:
        await client.confirm(settled)


def _settle(desk: Desk, answer: dict[str, Any]) -> bool:
    """Commit one answer, or say why not; True when the card need not keep it."""
    fichier = answer["fichier"]
    if is_void(desk.book, name_of(signature_of(answer))):
        return True
    try:
        commit_signature(desk, answer)
    except Refused as refusal:
        _decline(desk, answer, refusal)
        return True
    except Deferred as trouble:
        _put_off(desk, fichier, trouble)
    return _is_signed(desk, fichier)


def _state_card(desk: Desk, offered: dict[str, Any], items: list[Item]) -> None:
    """The rungs of the ladder that the card service sees, and whether a card that is needed is there."""
    fitting = mandates.fitting(offered["cards"], items)
    card = fitting or offered["card"]
    told = {key: card.get(key) for key in ("state", "holder", "serial", "tries", "valid_until")}
    told |= {"pending": len(items), "wanted": mandates.wanted(desk.register, items)}
    if items and fitting is None and card["state"] in mandates.PRESENT:
        text = f"La carte de {card['holder']} est dans le lecteur, mais elle ne peut pas signer ces fichiers."
        desk.condition(Scope.CARD, "card", "MND-005", text, told | {"state": "wrong-card"})
        return
    well = card["state"] in ("ready", "signing") or (not items and card["state"] == "locked")
    desk.condition(Scope.CARD, "card", "" if well else card["code"], "" if well else card["text"], told)


def _is_signed(desk: Desk, fichier: str) -> bool:
    row = desk.book.fichier(fichier)
    return row is None or row["state"] != State.CHECKED


def _put_off(desk: Desk, fichier: str, trouble: Trouble) -> None:
    """A signature that cannot be accepted now stops at its scope; the fichier waits, signed by nobody."""
    with desk.commit():
        desk.book.defer(fichier, Deferred(trouble.code, trouble.text, Scope.CARD), time.time() + desk.settings.retry_s)
        desk.book.state_condition(Scope.CARD, "signature", trouble.code, trouble.text)


def _decline(desk: Desk, answer: dict[str, Any], refusal: Refused) -> None:
    """A signature that is never accepted: journaled, said, and the fichier waits for another."""
    certificate = base64.b64decode(answer["certificate"])
    fact = {"verb": "decline", "code": refusal.code, "certificate": hashlib.sha256(certificate).hexdigest()}
    with desk.commit():
        desk.book.record(answer["fichier"], fact)
        if refusal.code == ABSENT:
            mandates.alarm(desk, holder(certificate).identifier, refusal)
    _put_off(desk, answer["fichier"], refusal)


def _forget_decline(desk: Desk, cards: list[dict[str, Any]], items: list[Item]) -> None:
    """What was said of a signature is over with its card, or with what waited for it."""
    code, _ = desk.told(Scope.CARD, "signature")
    if code and (not items or all(card["state"] not in mandates.PRESENT for card in cards)):
        desk.condition(Scope.CARD, "signature", "", "")


def commit_signature(desk: Desk, answer: dict[str, Any]) -> None:
    """Verify one answer of the card in full, store it, and move the fichier."""
    fichier = answer["fichier"]
    row = desk.book.fichier(fichier)
    if row is None or row["state"] != State.CHECKED:
        return
    verified = verify_answer(desk, row, answer)
    packed = pack_signature(answer)
    part = desk.parts.add_bytes(packed)
    certificate = base64.b64decode(answer["certificate"])
    with desk.commit():
        signer = record_signer(desk, certificate)
        desk.book.name_part(fichier, "signature", part)
        fact = {
            "part": part.digest, "certificate": signer, "holder": holder(certificate).identifier,
            "signature": name_of(signature_of(answer)),
            "role": " et ".join(dict.fromkeys(mandate.role for mandate in verified.mandates)),
            "mandates": [asdict(mandate) for mandate in verified.mandates],
            "exhibits": keep_signature(desk, fichier, packed, verified.paths),
        }  # fmt: skip
        desk.book.move(fichier, Verb.SIGN, fact, signer=signer)
        desk.book.state_condition(Scope.CARD, "signature", "", "")


@dataclass(frozen=True)
class Verified:
    """By which mandates a signature was given, and the paths of the card's two certificates."""

    mandates: tuple[Mandate, ...]
    paths: tuple[certificates.Path, ...]


def verify_answer(desk: Desk, row: Any, answer: dict[str, Any]) -> Verified:
    """The card was there (its own challenge-response), it signed these bytes, its holder might: by these mandates."""
    now = desk.book.clock()
    proof = answer["authentication"]
    certificate = base64.b64decode(proof["certificate"])
    present = desk.trust.check_practitioner(certificate, Use.AUTHENTICATE, now)
    message = proof_message(desk.paths.box_id, base64.b64decode(proof["challenge"]), bytes.fromhex(proof["root"]))
    algorithms.check(ALGORITHM, certificate, base64.b64decode(proof["signature"]), message)

    signature = signature_of(answer)
    signer = desk.trust.check_practitioner(signature.certificate, Use.SIGN_FICHIER, now)
    algorithms.check(signature.algorithm, signature.certificate, signature.signature, signature.attributes)
    attributes = read_attributes(signature.attributes)
    context = attributes.context
    if attributes.digest.hex() != row["digest"] or context is None or context.fichier != row["id"]:
        raise Refused("SIG-001", "La carte a signé autre chose que ce fichier.", Scope.CARD)
    if (context.count, context.total) != (row["factures"], row["total"]):
        raise Refused("SIG-002", "La carte a signé d'autres totaux que ceux de ce fichier.", Scope.CARD)
    if holder(certificate).identifier != holder(signature.certificate).identifier:
        raise Refused("SIG-003", "La carte présente et la signature n'ont pas le même titulaire.", Scope.CARD)
    held = mandates.check_signer(desk, row["id"], signature.certificate, attributes.at)
    return Verified(held, (signer, present))
