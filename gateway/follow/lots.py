"""Lots: what a fichier was found to hold, and the payers' ARL on each.

Written in the transaction of the move or return that tells of it.  A later, contrary ARL is recorded in the
journal and does not overwrite the first negative one: the practice must see it.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.book.moves import Book
from gateway.formats.arl import Arl
from gateway.formats.findings import Report
from gateway.formats.masking import without_nir


def register(book: Book, fichier: str, report: Report, pseudonym: Callable[[str], str]) -> None:
    """Record findings, lots and factures of a checked fichier; a check done again replaces them."""
    for table in ("findings", "factures", "lots"):
        book.connection.execute(f"DELETE FROM {table} WHERE fichier = ?", (fichier,))  # noqa: S608
    book.connection.executemany(
        "INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (fichier, rank, found.record, found.position, found.code, found.text, found.severity)
            for rank, found in enumerate(report.findings, start=1)
        ),
    )
    for rank, lot in enumerate(report.lots, start=1):
        book.connection.execute(
            "INSERT INTO lots (fichier, rank, emitter, destination, number, date, factures, amo, amc)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (fichier, rank, lot.emitter, lot.destination, lot.number, lot.date, len(lot.factures),
             lot.amo_cents, lot.amc_cents),
        )  # fmt: skip
        book.connection.executemany(
            "INSERT INTO factures (fichier, lot, rank, emitter, number, patient, care_date, spent, amo, amc)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (fichier, rank, place, lot.emitter, one.number, pseudonym(one.nir), one.care_date, one.spent_cents,
                 one.amo_cents, one.amc_cents)
                for place, one in enumerate(lot.factures, start=1)
            ),
        )  # fmt: skip


def acknowledge(book: Book, arl: Arl) -> bool:
    """Record a payer's ARL on its lot; False when the book knows no such lot."""
    lot = arl.lot
    row = book.connection.execute(
        "SELECT fichier, rank, arl FROM lots WHERE fichier = ? AND emitter = ? AND number = ? AND destination = ?",
        (arl.fichier, lot.emitter, lot.number, lot.destination),
    ).fetchone()
    if row is None:
        return False
    book.record(
        row["fichier"],
        {"verb": "acknowledge", "lot": lot.number, "destination": lot.destination, "verdict": arl.verdict,
         "code": arl.code},
    )  # fmt: skip
    if row["arl"] != "negative":
        book.connection.execute(
            "UPDATE lots SET arl = ?, arl_code = ?, arl_text = ?, arl_at = ? WHERE fichier = ? AND rank = ?",
            (arl.verdict, arl.code, without_nir(arl.text), arl.at, row["fichier"], row["rank"]),
        )
    return True
