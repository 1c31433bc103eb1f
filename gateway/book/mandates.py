"""Who may sign, as the book keeps it, and whose card has signed.

Rules.  The tables say what is declared now; each row that comes or goes is one row of the journal, without a name.
A signer is a certificate under which a signature was committed, so that its end and its revocation are noticed
while its card is away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from gateway.book.moves import Book
from gateway.formats.mandates import Absence, Card, Dated, Emitter, Mandate, Practitioner, Register

TABLES: Mapping[str, type[Dated]] = {
    "practitioners": Practitioner,
    "emitters": Emitter,
    "cards": Card,
    "mandates": Mandate,
    "absences": Absence,
}
"""Table of the book and field of ``Register`` → its rows."""


def _column(name: str) -> str:
    """The column of a field: that of a holder is called as it was when an RPPS was the only identifier."""
    return "rpps" if name == "holder" else name


def declare(book: Book, register: Register) -> None:
    """Make the tables say what ``register`` says, in the caller's transaction; each change is journaled."""
    for table in TABLES:
        held, declared = set(_rows(book, table)), set(getattr(register, table))
        for row in sorted(held - declared, key=repr):
            columns = asdict(row)
            where = " AND ".join(f"{_column(name)} = :{name}" for name in columns)
            book.connection.execute(f"DELETE FROM {table} WHERE {where}", columns)  # noqa: S608
            _record(book, "withdraw", table, row)
        for row in sorted(declared - held, key=repr):
            columns = asdict(row)
            names, marks = ", ".join(map(_column, columns)), ", ".join(f":{name}" for name in columns)
            book.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", columns)  # noqa: S608
            _record(book, "declare", table, row)


def _record(book: Book, verb: str, table: str, row: Dated) -> None:
    told = {name: value for name, value in asdict(row).items() if name != "name"}
    book.record("", {"verb": verb, "table": table, "row": told})


def _rows(book: Book, table: str) -> tuple[Dated, ...]:
    kind = TABLES[table]
    names = [one.name for one in fields(kind)]
    columns = ", ".join(f"{_column(name)} AS {name}" for name in names)
    rows = book.connection.execute(f"SELECT {columns} FROM {table} ORDER BY rowid")  # noqa: S608
    return tuple(kind(**{name: row[name] for name in names}) for row in rows)


def read_register(book: Book) -> Register:
    """What is declared now."""
    return Register(**{table: _rows(book, table) for table in TABLES})  # type: ignore[arg-type]


def emitters_of(book: Book, fichier: str) -> tuple[str, ...]:
    """The emitter numbers of a fichier's lots, in order; () for documents."""
    rows = book.connection.execute("SELECT DISTINCT emitter FROM lots WHERE fichier = ? ORDER BY 1", (fichier,))
    return tuple(row["emitter"] for row in rows)


# -- who has signed


@dataclass(frozen=True)
class Signer:
    """A signature certificate: its SHA-256 (hexadecimal), whose it is, its days, its DER."""

    certificate: str
    holder: str
    name: str
    since: str
    until: str
    der: bytes


def learn(book: Book, signer: Signer) -> None:
    """Keep a signer, in the transaction of the move that its signature makes."""
    book.connection.execute(
        "INSERT OR IGNORE INTO signers (certificate, rpps, name, since, until, der)"
        " VALUES (:certificate, :holder, :name, :since, :until, :der)", asdict(signer),
    )  # fmt: skip


def signers(book: Book) -> list[Signer]:
    """Everybody who has signed, the certificate that ends last at the end."""
    columns = "certificate, rpps AS holder, name, since, until, der"
    rows: list[sqlite3.Row] = book.connection.execute(
        f"SELECT {columns} FROM signers ORDER BY until, rowid"  # noqa: S608
    ).fetchall()
    return [Signer(**dict(row)) for row in rows]
