"""RECEIVED → CHECKED or REFUSED: the content is read by a child without keys, files or network.

The keeper opens the received part and pipes the plaintext to the child; back comes one JSON report.  A child
that dies or says nothing readable is a finding about the fichier, not a trouble of the box: the content
made it so, and it will again.
"""

from __future__ import annotations

import asyncio
import hashlib

from gateway.book.parts import Parts
from gateway.errors import Refused
from gateway.fichier import Verb
from gateway.follow.lots import register
from gateway.formats.findings import Finding, Report
from gateway.formats.headed import Headed
from gateway.formats.intake import IntakeHeader, read_intake
from gateway.process.child import Writable, read_in_child
from gateway.services.keeper import mandates
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.keys import Keys

BLOCK = 1 << 18


def open_content(parts: Parts, keys: Keys, digest: str) -> tuple[IntakeHeader, Headed]:
    """Open a received part: its header, and the content to be read; its tag was checked before."""
    return read_intake(keys.open(parts.open(digest)))


async def check(desk: Desk, fichier: str) -> None:
    """Check one fichier and move it."""
    _, content = open_content(desk.parts, desk.keys, desk.book.part(fichier, "received").digest)
    today = mandates.today(desk)
    report, digest = await asyncio.to_thread(_report, content, desk.settings.profile, today)
    with desk.commit():
        register(desk.book, fichier, report, desk.keys.pseudonym_of)
        found: dict[str, str | int] = {
            "kind": report.kind, "digest": digest, "lots": len(report.lots), "factures": report.facture_count,
            "total": report.spent_cents, "emitter": report.lots[0].emitter if report.lots else "",
        }  # fmt: skip
        blocking = next((finding for finding in report.findings if finding.severity == "blocks"), None)
        if blocking is None:
            desk.book.move(fichier, Verb.CHECK, {"digest": digest, "kind": report.kind}, **found)
        else:
            fact = {"digest": digest, "kind": report.kind, "code": blocking.code, "by": "keeper"}
            desk.book.move(
                fichier, Verb.REFUSE, fact, **found,
                reason_code=blocking.code, reason_text=blocking.text, reason_scope="fichier",
            )  # fmt: skip


def _report(content: Headed, profile: str, today: str) -> tuple[Report, str]:
    """The child's report on the content, and the SHA-256 of what was piped to it."""
    digest = hashlib.sha256()

    def feed(child: Writable) -> None:
        while block := content.read(BLOCK):
            digest.update(block)
            child.write(block)

    told = read_in_child(feed, "--profile", profile, "--today", today)
    try:
        return Report.from_json(told), digest.hexdigest()
    except Refused:
        text = "Le contrôle de ce fichier s'est interrompu : son contenu n'est pas lisible."
        return Report("unknown", (Finding(1, 1, "FMT-010", text, "blocks"),)), digest.hexdigest()
