"""*Reveal*: the clear fields of one facture, for an account that says why.

Rule 1: the row of the access chain is committed before the sealed part is opened, so that nothing is ever shown
that the journal does not tell; a reveal that failed is told too.
Rule 2: the content is read by the child; what it answers must name the facture that the book has at that place.
Rule 3: at most ``limit`` an hour for the whole box, whoever asks: the page's word on who asks is not proven; an export
of all that is known of a person counts as one.  From ``alarm`` on it is a condition of the box, which stands until a
person on this machine has said that it was seen.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, timedelta
from typing import Any

from gateway.errors import Refused, Scope
from gateway.formats.b2_revealed import NOTHING, Revealed
from gateway.formats.days import iso
from gateway.formats.headed import Headed
from gateway.formats.words import plural
from gateway.journal.chain import ACCESS
from gateway.process.child import Writable, read_in_child
from gateway.services.keeper.checking import BLOCK, open_content
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.retention import check_copies

VERB, EXPORT = "reveal", "export"
CONDITION = "reveal"
ALARM, LIMIT = "RVL-ALARM", "RVL-LIMIT"
"""Codes of the condition: many were shown; no more are."""

MOST_WHY, MOST_ACCOUNT = 500, 64


def record_access(desk: Desk, verb: str, account: str, why: str, patient: str = "", **fact: object) -> None:
    """One row of the access chain, in the caller's transaction; ``patient`` is the book's pseudonym."""
    year = desk.book.clock().astimezone(UTC).year
    desk.book.record("", {**fact, "verb": verb, **desk.persons.fact(year, account, patient, why)}, ACCESS)


def shown_lately(desk: Desk) -> int:
    """Factures shown in clear and persons exported within the last hour, from the journal."""
    since, count = iso(desk.book.clock() - timedelta(hours=1)), 0
    for row in desk.book.connection.execute("SELECT text FROM journal WHERE chain = ? ORDER BY seq DESC", (ACCESS,)):
        fact = json.loads(row["text"])
        if fact["at"] < since:
            break
        count += fact["verb"] in (VERB, EXPORT)
    return count


async def reveal(desk: Desk, fichier: str, lot: int, facture: int, account: str, why: str) -> dict[str, Any]:
    """The facture's fields; Refused without an account or a reason, beyond the limit, and where there is no copy."""
    if not 0 < len(account) <= MOST_ACCOUNT or not account.isprintable() or len(why) > MOST_WHY:
        raise Refused("RVL-001", f"Il faut dire qui demande et pourquoi ({MOST_WHY} caractères au plus).")
    digest = _received(desk, fichier)
    row = _facture(desk, fichier, lot, facture)
    check_limit(desk, account)
    with desk.commit():
        record_access(desk, VERB, account, why, row["patient"], about=fichier, lot=lot, facture=facture)
    _, content = open_content(desk.parts, desk.keys, digest)  # here, so that no turn destroys it meanwhile
    found = await asyncio.to_thread(_read, content, lot, facture)
    if found == NOTHING or (found.number, desk.keys.pseudonym_of(found.nir)) != (row["number"], row["patient"]):
        raise Refused("RVL-005", "La copie scellée ne montre pas cette facture à cette place.")
    return {
        "id": fichier, "lot": lot, "facture": facture, "number": found.number, "complements": found.complements,
        "zones": [vars(zone) for zone in found.zones],
    }  # fmt: skip


def _facture(desk: Desk, fichier: str, lot: int, facture: int) -> Any:
    row = desk.book.connection.execute(
        "SELECT number, patient FROM factures WHERE fichier = ? AND lot = ? AND rank = ?", (fichier, lot, facture)
    ).fetchone()
    if row is None:
        text = f"Le livre n'a pas de facture {facture} dans le lot {lot} de ce fichier."
        raise Refused("RVL-002", text)
    return row


def _received(desk: Desk, fichier: str) -> str:
    row = desk.book.fichier(fichier)
    assert row is not None
    check_copies(row)
    return desk.book.part(fichier, "received").digest


def check_limit(desk: Desk, account: str) -> None:
    """Raise the alarm at its number; Refused RVL-004 at the limit.  Either is said before anything is shown."""
    settings, count = desk.settings.reveal, shown_lately(desk)
    if count >= settings.limit:
        text = f"{plural(count, 'consultation')} en clair en une heure : la limite est atteinte."
        desk.condition(Scope.BOX, CONDITION, LIMIT, text)
        raise Refused("RVL-004", f"{text} Réessayez dans une heure.", Scope.BOX)
    if count + 1 >= settings.alarm and desk.told(Scope.BOX, CONDITION)[0] != LIMIT:
        text = f"Au moins {settings.alarm} consultations en clair en une heure, la dernière pour « {account} »."
        desk.condition(Scope.BOX, CONDITION, ALARM, text)


def seen(desk: Desk, account: str, why: str) -> None:
    """A person on this machine has seen the alarm; who and why is journaled with it."""
    with desk.commit():
        record_access(desk, "alarm seen", account, why)
        desk.book.state_condition(Scope.BOX, CONDITION, "", "")


def _read(content: Headed, lot: int, facture: int) -> Revealed:
    """The child's reading of one facture; the rest of the content ends with it."""

    def feed(child: Writable) -> None:
        while block := content.read(BLOCK):
            child.write(block)

    told = read_in_child(feed, "--as", "facture", "--lot", str(lot), "--facture", str(facture))
    try:
        return Revealed.from_json(told)
    except Refused:
        return NOTHING
