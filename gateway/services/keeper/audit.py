"""Checkpoints of the journal: made daily and for each fichier that is sealed, signed by box-sign, kept in the book.

Rules.  A checkpoint is committed with the move that sends it out, so that none is out that the book does not have.
What the OCT countersigns is compared with the journal at once.  That of the access chain is a row of the evidence
chain, which the OCT sees.  Where a checkpoint cannot be made it is said, and nothing waits for it.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509

from gateway.book import exhibits
from gateway.book.proofs import Proofs, Tree
from gateway.envelope.certificates import Use, lists_of
from gateway.envelope.signed import Signature
from gateway.errors import Deferred, Refused, Scope
from gateway.formats.days import iso
from gateway.formats.receipt import Receipt
from gateway.journal.chain import ACCESS, EVIDENCE
from gateway.journal.checkpoint import (
    MOST_STEPS,
    Carried,
    Checkpoint,
    Step,
    pack_carried,
    read_checkpoint,
    sign_checkpoint,
)
from gateway.services.keeper.desk import Desk

ALARMS = {
    "backwards": ("JRN-032", "Le concentrateur dit que le journal de la passerelle a reculé."),
    "inconsistent": ("JRN-033", "Le concentrateur dit que le journal de la passerelle a été réécrit."),
    "short": ("JRN-034", "Le journal est tronqué : le concentrateur en a contresigné {size} lignes, il en a {own}."),
    "rewritten": ("JRN-035", "Le journal a été réécrit avant la ligne {size}, que le concentrateur a contresignée."),
}


@dataclass(frozen=True)
class Prepared:
    """A checkpoint that stands for the journal as it is now; ``kept`` is its row in the book, if it has one."""

    checkpoint: Checkpoint
    signed: bytes
    kept: int | None = None

    def keep(self, desk: Desk, *, carried: bool = False) -> str:
        """Keep it in the transaction of what it belongs to; the SHA-256 that a journal row names it by."""
        proofs, told = Proofs(desk.book.connection), self.checkpoint
        if self.kept is not None:
            if carried:
                proofs.carry(self.kept)
            return hashlib.sha256(self.signed).hexdigest()
        Tree(desk.book.connection, told.chain).grow(told.size)
        root = bytes.fromhex(told.root)
        return proofs.add("checkpoint", told.chain, told.size, root, "", told.at, self.signed, carried)


def prepare(desk: Desk, chain: str) -> Prepared | None:
    """A checkpoint over all rows of a chain, none where it has no rows; Refused (scope box) where rows are missing.

    The last one serves again where nothing was added since.
    """
    tree = Tree(desk.book.connection, chain)
    size = tree.size()
    if not size:
        return None
    last, number, previous = Proofs(desk.book.connection).last_checkpoint(chain), 1, None
    root = tree.root(size)
    if last is not None:
        told, _ = read_checkpoint(last["der"])
        if (told.size, told.root) == (size, root.hex()):
            return Prepared(told, last["der"], last["id"])
        number, previous = told.number + 1, told.digest
    now = desk.book.clock()
    made = Checkpoint(
        desk.paths.box_id, chain, number, size, root.hex(), tree.head(size).hex(), iso(now), previous,
    )  # fmt: skip
    keys = desk.keys
    signed = sign_checkpoint(made, now, keys.sign_certificate, keys.sign, issuers(keys.sign_certificate, desk))
    return Prepared(made, signed)


def issuers(certificate: bytes, desk: Desk) -> list[bytes]:
    """The certificates of the trust directory that stand above one of ours; they travel with its signature."""
    name = x509.load_der_x509_certificate(certificate).issuer
    return [one for one in desk.trust.chain if x509.load_der_x509_certificate(one).subject == name]


# ---------------------------------------------------------------- with a fichier


def prepare_carried(desk: Desk, signature: Signature) -> tuple[Signature, Prepared | None]:
    """The signature of a fichier with the present checkpoint of the evidence chain joined to it."""
    if not desk.settings.journal_to_oct:
        return signature, None
    try:
        prepared = prepare(desk, EVIDENCE)
        if prepared is None:
            return signature, None
        value = pack_carried(Carried(prepared.signed, tuple(_steps(desk, prepared.checkpoint.size))))
    except Refused as refusal:
        desk.condition(Scope.BOX, "journal", refusal.code, refusal.text)
        return signature, None
    return replace(signature, checkpoint=value), prepared


def _steps(desk: Desk, size: int) -> list[Step]:
    """From what the OCT confirmed through all that went out since, each proven to begin the next."""
    proofs, tree = Proofs(desk.book.connection), Tree(desk.book.connection, EVIDENCE)
    confirmed = proofs.confirmed()
    known = [(confirmed, tree.root(confirmed))] if 0 < confirmed < size else []
    known += proofs.carried_between(confirmed, size, MOST_STEPS - 1)
    if not known:
        return []
    nexts = [*(at for at, _ in known[1:]), size]
    return [Step(at, root, tuple(tree.consistency(at, after))) for (at, root), after in zip(known, nexts, strict=True)]


# ---------------------------------------------------------------- daily


class Daily:
    """The checkpoint of each day, as soon as the day has something to sign."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._done = ""

    def look(self) -> Prepared | None:
        """The evidence chain's checkpoint of today if it was made now."""
        today = self._desk.book.clock().date().isoformat()
        if self._done == today:
            return None
        self._done = today
        last = Proofs(self._desk.book.connection).last_checkpoint(EVIDENCE)
        if last is not None and last["at"][:10] == today and not last["carried"]:
            return None
        try:
            return self._make()
        except Refused as refusal:
            self._desk.condition(Scope.BOX, "journal", refusal.code, refusal.text)
            return None

    def _make(self) -> Prepared | None:
        desk = self._desk
        with desk.commit():
            access = prepare(desk, ACCESS)
            if access is not None and access.kept is None:
                told = access.checkpoint
                fact = {"verb": "checkpoint", "of": ACCESS, "size": told.size, "root": told.root}
                desk.book.record("", {**fact, "signed": access.keep(desk)})
            evidence = prepare(desk, EVIDENCE)
            if evidence is None or evidence.kept is not None:
                return None
            _keep_lists(desk, evidence.keep(desk))
        return evidence


def _keep_lists(desk: Desk, checkpoint: str) -> None:
    """The revocation lists of a checkpoint's day, for who verifies it years later; none where they cannot tell."""
    with suppress(Refused, Deferred):
        path = desk.trust.check(desk.keys.sign_certificate, (), desk.book.clock(), Use.SIGN_JOURNAL)
        exhibits.keep(desk.book, checkpoint, exhibits.LIST, lists_of(path.certificates, desk.trust.crls()))


# ---------------------------------------------------------------- countersigned


def take_receipt(desk: Desk, receipt: Receipt, signed: bytes | None) -> dict[str, Any]:
    """Keep the OCT's signed receipt as it came, unless it is not given, and compare what it countersigns with the
    journal, in the transaction of the return; what the journal row of the return says of it."""
    head, proofs = receipt.journal_head, Proofs(desk.book.connection)
    size, root = 0, b""
    if head is not None:
        wrong = _wrong(desk, receipt)
        if wrong is None:
            size, root = head.size, bytes.fromhex(head.root)
        _state(desk, *((ALARMS[wrong][0], _words(desk, wrong, head.size)) if wrong else ("", "")))
    if signed is None:
        return {}
    at = iso(desk.book.clock())
    return {"signed": proofs.add("receipt", EVIDENCE, size, root, receipt.fichier, at, signed)}


def _wrong(desk: Desk, receipt: Receipt) -> str | None:
    """What is wrong with our journal by a receipt: a key of ``ALARMS``, or None."""
    head = receipt.journal_head
    if head is None or not head.good:
        return None if head is None else head.word
    tree = Tree(desk.book.connection, EVIDENCE)
    if head.size > tree.size():
        return "short"
    try:
        return None if tree.root(head.size).hex() == head.root else "rewritten"
    except Refused:
        return "rewritten"


def _words(desk: Desk, wrong: str, size: int) -> str:
    return ALARMS[wrong][1].format(size=size, own=Tree(desk.book.connection, EVIDENCE).size())


def _state(desk: Desk, code: str, text: str) -> None:
    """The rung of the ladder; a good receipt only ends what a receipt began."""
    told, _ = desk.told(Scope.BOX, "journal")
    if code or told in {each for each, _ in ALARMS.values()}:
        desk.book.state_condition(Scope.BOX, "journal", code, text)
