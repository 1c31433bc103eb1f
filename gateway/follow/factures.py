"""Factures: what the payers' returns (NOEMIE) say of each, part by part.

Matched on emitter, number and, where the return tells it, the lot: never on the file, because returns and
sent lots have no one-to-one relation (requirement 311).  Amounts are integer cents.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gateway.book.moves import Book
from gateway.formats.masking import without_nir
from gateway.formats.noemie_values import Part, Return, ReturnedFacture


@dataclass(frozen=True)
class Settled:
    """How many factures of a return were found in the book, and how many were not."""

    matched: int
    unknown: int


def settle(book: Book, told: Return, at: str) -> Settled:
    """Record a return on the factures it speaks of; ``at`` is when it arrived (ISO UTC)."""
    matched = unknown = 0
    for facture in told.factures:
        row = _find(book, told.dest_no[-9:], facture)
        if row is None:
            unknown += 1
            continue
        matched += 1
        _settle_one(book, row, facture, at)
    return Settled(matched, unknown)


def _find(book: Book, emitter: str, facture: ReturnedFacture) -> sqlite3.Row | None:
    """The newest facture of that number; the lot number narrows where the return has one."""
    row: sqlite3.Row | None = book.connection.execute(
        "SELECT v.* FROM factures v JOIN lots l ON l.fichier = v.fichier AND l.rank = v.lot"
        " JOIN fichiers f ON f.id = v.fichier WHERE v.emitter = ? AND v.number = ? AND (? = '' OR l.number = ?)"
        " AND f.state <> 'REFUSED' ORDER BY f.received DESC LIMIT 1",
        (emitter, facture.number, facture.lot_number, facture.lot_number),
    ).fetchone()
    return row


def _settle_one(book: Book, row: sqlite3.Row, facture: ReturnedFacture, at: str) -> None:
    amo, amc = _part(facture.amo, row, "amo"), _part(facture.amc, row, "amc")
    rejects, words = facture.rejects, " / ".join(reject.label for reject in facture.rejects)
    book.connection.execute(
        "UPDATE factures SET amo_state = ?, amo_paid = ?, amc_state = ?, amc_paid = ?, reject_code = ?,"
        " reject_text = ?, settled = ? WHERE fichier = ? AND lot = ? AND rank = ?",
        (*amo, *amc, rejects[0].code if rejects else "", without_nir(words), at,
         row["fichier"], row["lot"], row["rank"]),
    )  # fmt: skip
    book.record(
        row["fichier"],
        {"verb": "settle", "facture": facture.number, "amo": list(amo), "amc": list(amc),
         "rejects": [reject.code for reject in rejects]},
    )  # fmt: skip


def _part(part: Part | None, row: sqlite3.Row, name: str) -> tuple[str, int]:
    """State and paid cents of a part; a return silent about it leaves it as it was."""
    if part is None or not part.state.strip():
        return row[f"{name}_state"], row[f"{name}_paid"]
    return part.state, part.paid_cents
