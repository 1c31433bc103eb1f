"""What may be asked about persons: *reveal*, who saw what, and all that the box knows of one of them.

Each answer is journaled in the access chain, and that row is committed, before it is given.  The page may ask for
reveals only; the rest is for a person on this machine.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from gateway.book import persons
from gateway.book.retention import figures
from gateway.errors import Refused
from gateway.formats.holder import IDENTIFIER
from gateway.formats.keys import nir_key
from gateway.services.keeper.asking import Act, Answer, Ask, fichier_of, why_of
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.reveal import EXPORT, check_limit, record_access, reveal, seen, shown_lately

MOST_RANK = 1_000_000


async def _reveal(who: str, desk: Desk, ask: Ask) -> Answer:
    """``who`` is the field of the ask that names the account."""
    lot, facture = _rank(ask, "lot"), _rank(ask, "facture")
    return await reveal(desk, fichier_of(desk, ask), lot, facture, str(ask.get(who, "")), why_of(ask))


def _rank(ask: Ask, name: str) -> int:
    value = ask.get(name)
    if type(value) is not int or not 0 < value <= MOST_RANK:
        raise Refused("CMD-010", "Il faut le rang du lot et celui de la facture, en chiffres.")
    return value


def _seen(desk: Desk, ask: Ask) -> Answer:
    seen(desk, str(ask["peer"]), why_of(ask))
    return {}


def _pseudonym(desk: Desk, nir: str) -> str:
    """The book's pseudonym of a NIR of 13 characters or of 15 with its key."""
    compact = "".join(nir.split()).upper()
    key = nir_key(compact[:13])
    if key is None or compact[13:] not in ("", f"{key:02d}"):
        raise Refused("PRS-001", "Ce NIR n'en est pas un : 13 caractères, ou 15 avec une clé juste.")
    return desk.keys.pseudonym_of(f"{compact[:13]}{key:02d}")


def _export(desk: Desk, ask: Ask) -> Answer:
    """All that the book says of a patient (``nir``) or of a practitioner (``holder``)."""
    holder, account, why = str(ask.get("holder", "")), str(ask["peer"]), why_of(ask)
    if holder and not re.fullmatch(IDENTIFIER, holder):
        raise Refused("PRS-002", "Ce n'est pas l'identifiant d'un porteur de carte (docs/mandats.md).")
    patient = "" if holder else _pseudonym(desk, str(ask.get("nir", "")))
    check_limit(desk, account)
    with desk.commit():
        record_access(desk, EXPORT, account, why, patient, of="practitioner" if holder else "patient")
    told = persons.of_practitioner(desk.book, holder) if holder else persons.of_patient(desk.book, patient)
    if patient:
        told["accesses"] = _accesses(desk, patient=patient)
        for row in told["accesses"]:
            row["said"].pop("account", None)  # of who looked the practice answers, not this file
    return {"person": holder or patient, "of": "practitioner" if holder else "patient", "rows": told}


def _accesses(desk: Desk, **person: str) -> list[dict[str, Any]]:
    """Rows of the access chain, all or of one ``account`` or ``patient``; with who and why while their key lives."""

    def wanted(fact: dict[str, Any]) -> bool:
        names = {kind: desk.persons.name(int(fact["at"][:4]), kind, who) for kind, who in person.items()}
        return all(name and fact.get(kind) == name for kind, name in names.items())

    rows = persons.accesses(desk.book, wanted)
    return [{**row, "said": desk.persons.words(row)} for row in rows]


def _list_accesses(desk: Desk, ask: Ask) -> Answer:
    """Who saw what since a day; itself an access."""
    account, since = str(ask.get("account", "")), str(ask.get("since", ""))
    with desk.commit():
        record_access(desk, "list accesses", str(ask["peer"]), why_of(ask))
    rows = _accesses(desk, account=account) if account else _accesses(desk)
    return {"rows": [row for row in rows if row["at"] >= since]}


def _figures(desk: Desk, ask: Ask) -> Answer:
    """What is kept and for how long; numbers only."""
    settings = desk.settings.retention
    return {
        "kept": figures(desk.book), "settings": vars(settings), "years": desk.persons.years(),
        "reveals": {"lately": shown_lately(desk), **vars(desk.settings.reveal)},
    }  # fmt: skip


PERSONAL_ADMIN: dict[str, Act] = {
    "reveal": partial(_reveal, "peer"), "alarm seen": _seen, "export": _export, "accesses": _list_accesses,
    "figures": _figures,
}  # fmt: skip
PERSONAL_STATUS: dict[str, Act] = {"reveal": partial(_reveal, "account")}
