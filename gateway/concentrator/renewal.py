"""Renewal at the OCT: a request that a box in force signed with box-sign, carried like a fichier, answered by a return.

Rules.  Only the box-sign certificate of that very partner counts, of its last enrolment and unrevoked.  The same
request is answered by the same certificates.  What is refused leaves an alarm: the box goes on warning its people.
The new certificates are kept beside the old ones; returns go on being sealed to the old one until the box is seen to
use the new.
"""

from __future__ import annotations

import io
import sqlite3
from datetime import datetime
from typing import BinaryIO

from gateway.concentrator.boxes import Boxes, add_certificate
from gateway.concentrator.enrolment import issue_all, read_requests
from gateway.concentrator.keys import Keys, Trust, load_authority
from gateway.concentrator.mailbox import Mailbox
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Return, Store
from gateway.envelope.box_keys import BY_NAME, KEYS, PRACTICE
from gateway.envelope.certificates import Use
from gateway.envelope.issuing import Asked, asked_before
from gateway.envelope.signed import read_signed
from gateway.errors import Refused, Scope
from gateway.formats.days import iso
from gateway.formats.enrolment import (
    REQUEST_LIMIT,
    Named,
    RenewalAnswer,
    RenewalRequest,
    fingerprint,
    to_base64,
)
from gateway.formats.returns import ReturnHeader


def settle_renewal(
    settings: ConcentratorSettings, store: Store, keys: Keys, mailbox: Mailbox, file: BinaryIO, row: sqlite3.Row,
    at: datetime, trust: Trust,
) -> None:  # fmt: skip
    """Answer one sealed request and be done with its transfer; Deferred (nothing moves) where a list is missing."""
    boxes, sender = Boxes(store), row["sender"]
    load_authority(settings)  # one that cannot be read is our trouble, not the request's

    def answer(body: bytes) -> Return:
        header = ReturnHeader("keys", f"keys_{row['id']:08d}", "", iso(at))
        return mailbox.make(sender, header, body, at.timestamp(), trust)

    try:
        content = _read(boxes, keys, file, sender, at, trust)
        known = boxes.renewed(fingerprint(content))
        made = () if known else _issue(settings, boxes, RenewalRequest.from_bytes(content), sender, at, trust)
    except Refused as refusal:
        store.alarm(f"{sender} {row['fichier']}", refusal.code, f"Renouvellement refusé : {refusal.text}", iso(at))
        store.settle_apart(row["id"], "refused", (), lambda connection: None)
        return
    request, last = fingerprint(content), boxes.last(sender)
    assert last is not None
    body = known or RenewalAnswer(request, tuple(Named(name, to_base64(der)) for name, der in made)).to_bytes()

    def write(connection: sqlite3.Connection) -> None:
        if known:
            return
        connection.execute("INSERT INTO renewals VALUES (?, ?, ?, ?)", (request, sender, iso(at), body))
        for name, der in made:
            add_certificate(connection, last["request"], sender, request, name, der, "")

    store.settle_apart(row["id"], "renewed", [answer(body)], write)


def _read(boxes: Boxes, keys: Keys, file: BinaryIO, sender: str, at: datetime, trust: Trust) -> bytes:
    """The request, signed by the box that sends it; Refused ENR-014 by another."""
    file.seek(0)
    out = io.BytesIO()
    content = read_signed(keys.ring.open(file), out, REQUEST_LIMIT)
    signer = content.signature.certificate
    own = [bytes(row["der"]) for row in boxes.certificates(sender, "box-sign")]
    if signer not in own or boxes.excluded(sender):
        raise Refused("ENR-014", f"La demande n'est pas signée par le boîtier en vigueur de {sender}.", Scope.ROUTE)
    trust.check(signer, content.chain, at, Use.SIGN_JOURNAL)
    return out.getvalue()


def _issue(
    settings: ConcentratorSettings, boxes: Boxes, request: RenewalRequest, sender: str, at: datetime, trust: Trust
) -> tuple[tuple[str, bytes], ...]:
    """(name, DER) for each new key, and for the key that the practice keeps; Refused ENR-009, ENR-014, ENR-020 …"""
    bundle, last = request.bundle, boxes.last(sender)
    if last is None or (bundle.partner, bundle.box) != (sender, last["box"]):
        raise Refused("ENR-014", f"La demande parle d'un autre boîtier que celui de {sender}.", Scope.ROUTE)
    kept = {row.name for row in KEYS if row.owner == PRACTICE}
    if not set(request.again) <= kept or not {one.name for one in bundle.keys} <= BY_NAME.keys() - kept:
        raise Refused("ENR-009", "La demande porte sur d'autres clés que celles d'un boîtier.", Scope.ROUTE)
    asked = read_requests(bundle, {one.name for one in bundle.keys})
    asked |= {name: _again(boxes, sender, name) for name in request.again}
    return issue_all(settings, asked, bundle, at, trust)


def _again(boxes: Boxes, sender: str, name: str) -> Asked:
    rows = boxes.certificates(sender, name)
    if not rows:
        raise Refused("ENR-009", f"{sender} n'a pas de certificat {name} à refaire.", Scope.ROUTE)
    return asked_before(bytes(rows[0]["der"]))
