"""CHECKED → SIGNED: what is to be signed is offered to ``card``; what comes back is verified, then committed.

The keeper never sees a PIN and ``card`` never sees a fichier.  ``card`` keeps its answers until they are
confirmed, so that a keeper that dies between answer and commit gets the same signature again, and at most
one is ever committed.  The proof that the card was there is verified first and kept with the signature.
"""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

from gateway.card.client import CardClient
from gateway.card.proof import Item, proof_message
from gateway.envelope import algorithms
from gateway.envelope.attributes import read_attributes
from gateway.envelope.certificates import Use, holder
from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.fichier import State, Verb
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.sealing import ALGORITHM, pack_signature, signature_of

WAIT_S = 1.0


async def sign_waiting(desk: Desk, client: CardClient) -> None:
    """Offer all that waits for a signature, learn how the card is, commit what was signed."""
    rows = desk.book.waiting(State.CHECKED, time.time())
    items = [
        Item(row["id"], bytes.fromhex(row["digest"]), row["factures"], row["total"], row["lots"], row["emitter"], None)
        for row in rows
    ]
    try:
        offered = await client.offer(items, WAIT_S)
    except Deferred as trouble:
        desk.condition(Scope.CARD, "card", trouble.code, trouble.text, {"pending": len(items)})
        await desk.runtime.pause(WAIT_S)
        return
    _state_card(desk, offered, len(items))
    for answer in offered["signed"]:
        try:
            commit_signature(desk, answer)
        except (Refused, Deferred) as trouble:
            _put_off(desk, answer["fichier"], trouble)
    done = [answer["fichier"] for answer in offered["signed"] if _is_signed(desk, answer["fichier"])]
    if done:
        await client.confirm(done)


def _state_card(desk: Desk, offered: dict[str, Any], pending: int) -> None:
    card = offered["card"]
    detail = {key: card.get(key) for key in ("state", "holder", "serial", "tries", "valid_until")} | {
        "pending": pending
    }
    well = card["state"] in ("ready", "signing") or (pending == 0 and card["state"] == "locked")
    desk.condition(Scope.CARD, "card", "" if well else card["code"], "" if well else card["text"], detail)


def _is_signed(desk: Desk, fichier: str) -> bool:
    row = desk.book.fichier(fichier)
    return row is None or row["state"] != State.CHECKED


def _put_off(desk: Desk, fichier: str, trouble: Trouble) -> None:
    """A signature that cannot be accepted stops at its scope; the fichier waits, signed by nobody."""
    with desk.commit():
        desk.book.defer(fichier, Deferred(trouble.code, trouble.text, Scope.CARD), time.time() + desk.settings.retry_s)
        desk.book.state_condition(Scope.CARD, "card", trouble.code, trouble.text)


def commit_signature(desk: Desk, answer: dict[str, Any]) -> None:
    """Verify one answer of the card in full, store it, and move the fichier."""
    fichier = answer["fichier"]
    row = desk.book.fichier(fichier)
    if row is None or row["state"] != State.CHECKED:
        return
    verify_answer(desk, row, answer)
    part = desk.parts.add_bytes(pack_signature(answer))
    signer = base64.b64decode(answer["certificate"])
    with desk.commit():
        desk.book.name_part(fichier, "signature", part)
        fact = {"part": part.digest, "certificate": hashlib.sha256(signer).hexdigest(), "rpps": holder(signer).rpps}
        desk.book.move(fichier, Verb.SIGN, fact)


def verify_answer(desk: Desk, row: Any, answer: dict[str, Any]) -> None:
    """The card was there (its own challenge-response), it signed these bytes, and its holder may."""
    now = desk.book.clock()
    proof = answer["authentication"]
    certificate = base64.b64decode(proof["certificate"])
    desk.trust.check_practitioner(certificate, Use.AUTHENTICATE, now)
    message = proof_message(desk.paths.box_id, base64.b64decode(proof["challenge"]), bytes.fromhex(proof["root"]))
    algorithms.check(ALGORITHM, certificate, base64.b64decode(proof["signature"]), message)

    signature = signature_of(answer)
    desk.trust.check_practitioner(signature.certificate, Use.SIGN_FICHIER, now)
    algorithms.check(signature.algorithm, signature.certificate, signature.signature, signature.attributes)
    attributes = read_attributes(signature.attributes)
    context = attributes.context
    if attributes.digest.hex() != row["digest"] or context is None or context.fichier != row["id"]:
        raise Refused("SIG-001", "La carte a signé autre chose que ce fichier.", Scope.CARD)
    if (context.count, context.total) != (row["factures"], row["total"]):
        raise Refused("SIG-002", "La carte a signé d'autres totaux que ceux de ce fichier.", Scope.CARD)
    if holder(certificate).rpps != holder(signature.certificate).rpps:
        raise Refused("SIG-003", "La carte présente et la signature n'ont pas le même titulaire.", Scope.CARD)
