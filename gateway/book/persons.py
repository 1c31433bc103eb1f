"""All that the book says of one person: of a patient by the pseudonym, of a practitioner by the RPPS number.

Rules.  Rows are given as they stand, under the name of their table; a patient's rows name no other patient.  What
the sealed copies hold is not opened here: the places where they stand are named, and *reveal* shows them one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from gateway.book.mandates import TABLES
from gateway.book.moves import Book
from gateway.journal.chain import ACCESS

Rows = list[dict[str, Any]]

OF_PRACTITIONER = {
    **{table: f"SELECT * FROM {table} WHERE rpps = ?" for table in ("practitioners", "cards", "mandates", "absences")},  # noqa: S608
    "emitters": "SELECT * FROM emitters WHERE rpps = ?",
    "signers": "SELECT certificate, rpps, name, since, until FROM signers WHERE rpps = ?",
    "fichiers": "SELECT f.id, f.received, f.state, f.since, f.lots, f.factures FROM fichiers f"
                " JOIN signers s ON s.certificate = f.signer WHERE s.rpps = ? ORDER BY f.received, f.id",
}  # fmt: skip
"""Table → the rows of it that name a practitioner."""

assert set(TABLES) <= set(OF_PRACTITIONER)


def _rows(book: Book, query: str, *arguments: str) -> Rows:
    return [dict(row) for row in book.connection.execute(query, arguments)]


def of_patient(book: Book, patient: str) -> dict[str, Rows]:
    """Factures with their lot and fichier, what the payers said of them, and where a sealed copy still stands."""
    factures = _rows(
        book,
        "SELECT v.*, l.number AS lot_number, l.destination, l.date AS lot_date, l.arl, l.arl_at, f.state AS state,"
        " f.received, f.sent, f.destroyed FROM factures v JOIN lots l ON l.fichier = v.fichier AND l.rank = v.lot"
        " JOIN fichiers f ON f.id = v.fichier WHERE v.patient = ? ORDER BY f.received, v.fichier, v.lot, v.rank",
        patient,
    )  # fmt: skip
    keys = {(row["fichier"], row["number"]) for row in factures}
    told = [fact for fichier in sorted({key[0] for key in keys}) for fact in _facts(book, fichier)
            if fact["verb"] == "settle" and (fichier, fact["facture"]) in keys]  # fmt: skip
    copies = [{"fichier": row["fichier"], "lot": row["lot"], "facture": row["rank"]}
              for row in factures if not row["destroyed"]]  # fmt: skip
    return {"factures": factures, "settlements": told, "sealed_copies": copies}


def of_practitioner(book: Book, holder: str) -> dict[str, Rows]:
    """What is declared of a practitioner, the certificates that signed, the fichiers signed, the journal's rows."""
    told = {table: _rows(book, query, holder) for table, query in OF_PRACTITIONER.items()}
    journal = (json.loads(row.text) for row in book.journal())
    return {**told, "journal": [fact for fact in journal if _names(fact, holder)]}


def _facts(book: Book, fichier: str) -> Iterator[dict[str, Any]]:
    return (json.loads(row.text) for row in book.journal(fichier))


def _names(fact: object, holder: str) -> bool:
    """Whether a fact of the journal names this holder, at any depth; ``rpps`` is what older rows call it."""
    if isinstance(fact, dict):
        return holder in (fact.get("holder"), fact.get("rpps")) or any(_names(value, holder) for value in fact.values())
    return isinstance(fact, list) and any(_names(value, holder) for value in fact)


def accesses(book: Book, wanted: Callable[[dict[str, Any]], bool]) -> Rows:
    """Rows of the access chain for which ``wanted`` holds, oldest first."""
    return [fact for row in book.journal(chain=ACCESS) if wanted(fact := json.loads(row.text))]
