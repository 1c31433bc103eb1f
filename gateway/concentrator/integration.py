"""Integration: what was received is opened, verified, checked, and answered once.

Rules.  One worker.  The plaintext is never at rest: a first pass verifies the signature, a second hands the
content to a child that has nothing.  The outcome, the receipt and the payer's answers are one commit, made
after the files it names are durable; killed at any instant, a fichier is integrated once or still waits.
The key is (sender, SHA-256 of the plaintext, transmission): a double gets the original receipt again, even
if its signer's certificate has been revoked since.  Where only a list, a certificate of ours or a disk stands
in the way, nothing moves and it is tried again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO, Literal

from gateway.concentrator.boxes import Members
from gateway.concentrator.content import check_content
from gateway.concentrator.keys import Keys, Trust
from gateway.concentrator.mailbox import Mailbox
from gateway.concentrator.payer import answers
from gateway.concentrator.renewal import settle_renewal
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Return, Store, Verdict
from gateway.concentrator.witness import Seen, Witness
from gateway.envelope.certificates import Use, holder
from gateway.envelope.seal import Opened
from gateway.envelope.signed import SignedContent, read_signed
from gateway.errors import Refused, Scope, Trouble
from gateway.formats.days import day_of, iso
from gateway.formats.enrolment import RENEWAL
from gateway.formats.findings import Report
from gateway.formats.mandates import emitter_words, mandates_of
from gateway.formats.receipt import Receipt, ReceiptLot
from gateway.formats.returns import ReturnHeader, ReturnKind
from gateway.formats.words import day as day_words
from gateway.formats.words import euros, plural
from gateway.process.child import Writable


@dataclass(frozen=True)
class Examined:
    """What came out of one sealed file: ``content`` where the signature holds, ``original`` for a double,
    ``report`` where all is well."""

    verdict: Literal["integrated", "refused", "unopened"]
    code: str = ""
    text: str = ""
    content: SignedContent | None = None
    original: sqlite3.Row | None = None
    report: Report | None = None


class Integration:
    """The worker; it is the only writer of verdicts and of the directory of returns."""

    def __init__(
        self, settings: ConcentratorSettings, store: Store, members: Members, mailbox: Mailbox, keys: Keys,
        trust: Callable[[], Trust], clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        """``trust`` reads the revocation lists anew at each call."""
        self._settings = settings
        self._store = store
        self._mailbox = mailbox
        self._keys = keys
        self._trust = trust
        self._clock = clock
        self._members = members
        self._witness = Witness(store.connection, members.sign_certificates)

    def work(self) -> bool:
        """Settle the oldest fichier that waits, or say why it waits longer; False if none did."""
        at = self._clock()
        row = self._store.waiting(at.timestamp())
        if row is None:
            return False
        try:
            self._settle(row, at, self._trust())
        except Trouble as trouble:
            self._store.defer(row["id"], trouble, at.timestamp() + self._settings.retry_s)
        return True

    def _settle(self, row: sqlite3.Row, at: datetime, trust: Trust) -> None:
        with (self._settings.received / row["sealed"]).open("rb") as file:
            if row["fichier"].startswith(RENEWAL):
                settle_renewal(self._settings, self._store, self._keys, self._mailbox, file, row, at, trust)
                return
            examined = self._examine(file, row, at, trust)
        seen = None
        if examined.content:
            value = examined.content.signature.checkpoint
            seen = self._witness.look(row["sender"], row["fichier"], value, at, trust)
        seen = seen or Seen(row["sender"])
        if examined.original is not None:
            self._answer_double(row, examined.original, at, trust, seen)
            return
        receipt = _receipt(row, examined, at, seen)
        returns = [self._post(row, "receipt", "", receipt.to_bytes(), at, trust)]
        if examined.report is not None:
            returns += self._payer(row, examined.report, at, trust)
        verdict = _verdict(row, examined, receipt, at)
        self._store.settle(row["id"], verdict, examined.report, returns, lambda open_: seen.record(open_, at))

    def _answer_double(self, row: sqlite3.Row, original: sqlite3.Row, at: datetime, trust: Trust, seen: Seen) -> None:
        receipt = Receipt.from_bytes(original["receipt"])
        # the word is the first one's; what it answers is this sending, or the sender would not know it
        again = replace(receipt, fichier=row["fichier"], seal=row["seal"], original=False, journal_head=seen.head)
        answer = self._post(row, "receipt", "", again.to_bytes(), at, trust)
        self._store.settle_double(row["id"], original["id"], answer, lambda open_: seen.record(open_, at))

    def _examine(self, file: BinaryIO, row: sqlite3.Row, at: datetime, trust: Trust) -> Examined:
        verdict: Literal["refused", "unopened"] = "unopened"
        content = None
        try:
            opened = self._open(file)
            verdict = "refused"
            content = read_signed(opened, None, self._settings.limit)
            original = self._store.original(row["sender"], content.digest.hex(), row["transmission"])
            if original is not None:
                return Examined(original["verdict"], content=content, original=original)
            _check_signer(content, row["fichier"], at, trust)
            report = self._check_content(file, at)
            _check_shown(content, report)
            self._check_mandate(row["sender"], content, report)
        except Refused as trouble:
            if trouble.scope is Scope.BOX:
                raise
            return Examined(verdict, trouble.code, trouble.text, content)
        return Examined("integrated", content=content, report=report)

    def _open(self, file: BinaryIO) -> Opened:
        file.seek(0)
        return self._keys.ring.open(file)

    def _check_content(self, file: BinaryIO, at: datetime) -> Report:
        opened = self._open(file)

        def feed(child: Writable) -> None:
            read_signed(opened, child, self._settings.limit)

        report = check_content(feed, self._settings.profile, day_of(at))
        for finding in report.findings:
            if finding.severity == "blocks":
                where = f"enregistrement {finding.record}, position {finding.position}"
                raise Refused(finding.code, f"{finding.text} ({where})")
        return report

    def _check_mandate(self, sender: str, content: SignedContent, report: Report) -> None:
        """Refused OCT-011 where the signer had no mandate of this sender's for every emitter, when it was signed."""
        if self._settings.mandate_rule == "open":
            return
        declared = self._members.mandates(sender)
        person, day = holder(content.signature.certificate), day_of(content.attributes.at)
        emitters = tuple(dict.fromkeys(lot.emitter for lot in report.lots))
        if not mandates_of(declared, person.identifier, emitters, day):
            what = f"n'avait pas de mandat pour {emitter_words(emitters)} le {day_words(day)}, jour de la signature"
            raise Refused("OCT-011", f"{person.words} {what}, d'après le concentrateur.")

    def _payer(self, row: sqlite3.Row, report: Report, at: datetime, trust: Trust) -> list[Return]:
        said = answers(self._settings.payer, row["fichier"], report, at)
        return [self._post(row, answer.kind, f"_{n}", answer.body, at, trust) for n, answer in enumerate(said, start=1)]

    def _post(self, row: sqlite3.Row, kind: ReturnKind, rank: str, body: bytes, at: datetime, trust: Trust) -> Return:
        delay = 0.0 if kind == "receipt" else self._settings.payer.delay_s
        header = ReturnHeader(kind, f"{kind}_{row['id']:08d}{rank}", row["fichier"], iso(at))
        return self._mailbox.make(row["sender"], header, body, at.timestamp() + delay, trust)


def _check_signer(content: SignedContent, fichier: str, at: datetime, trust: Trust) -> None:
    """The signer may sign fichiers, and signed this one."""
    trust.check(content.signature.certificate, content.chain, at, Use.SIGN_FICHIER)
    context = content.attributes.context
    if context is None:
        raise Refused("OCT-002", "La signature ne dit pas quel fichier elle signe (contexte de signature absent).")
    if context.fichier != fichier:
        raise Refused("OCT-003", f"La signature est celle du fichier {context.fichier}, annoncé comme {fichier}.")


def _check_shown(content: SignedContent, report: Report) -> None:
    """Refused OCT-012 where what was shown to the signer is not what the fichier holds."""
    context = content.attributes.context
    found = (report.facture_count, report.spent_cents)
    if context is not None and (context.count, context.total) != found:
        signed = f"{plural(context.count, 'facture')} pour {euros(context.total)}"
        held = f"{plural(found[0], 'facture')} pour {euros(found[1])}"
        raise Refused("OCT-012", f"La signature porte sur {signed}, le fichier contient {held}.")


def _receipt(row: sqlite3.Row, examined: Examined, at: datetime, seen: Seen) -> Receipt:
    lots = examined.report.lots if examined.report else ()
    return Receipt(
        fichier=row["fichier"],
        transmission=row["transmission"],
        seal=row["seal"],
        sender=row["sender"],
        verdict=examined.verdict,
        code=examined.code,
        text=examined.text,
        received_at=row["received"],
        integrated_at=iso(at) if examined.verdict == "integrated" else None,
        size=examined.content.size if examined.content else 0,
        digest=examined.content.digest.hex() if examined.content else None,
        lots=tuple(ReceiptLot(lot.emitter, lot.destination, lot.number, lot.date, len(lot.factures)) for lot in lots),
        original=True,
        journal_head=seen.head,
    )


def _verdict(row: sqlite3.Row, examined: Examined, receipt: Receipt, at: datetime) -> Verdict:
    return Verdict(
        sender=row["sender"],
        digest=receipt.digest,
        fichier=row["fichier"],
        transmission=row["transmission"],
        verdict=receipt.verdict,
        code=receipt.code,
        text=receipt.text,
        kind=examined.report.kind if examined.report else "",
        size=receipt.size,
        receipt=receipt.to_bytes(),
        at=iso(at),
    )
