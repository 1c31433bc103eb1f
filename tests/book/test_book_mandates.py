"""The tables in the book follow what is declared; each change is one row of the journal, without a name."""

from __future__ import annotations

import json
from dataclasses import replace

from gateway.book.mandates import Signer, declare, emitters_of, learn, read_register, signers
from gateway.book.moves import Book
from gateway.formats.mandates import Absence, Card, Emitter, Mandate, Practitioner, Register

CLAIRE, PAUL = "99900000011", "99900000029"
FULL = Register(
    (Practitioner(CLAIRE, "Claire ESSAI"), Practitioner(PAUL, "Paul EXEMPLE", since="2026-01-01")),
    (Emitter("991038431", CLAIRE),),
    (Card("a" * 64, CLAIRE, until="2027-01-01"),),
    (Mandate(CLAIRE, "991038431", "titulaire"), Mandate(PAUL, "991038431", "remplaçant", since="2026-08-01")),
    (Absence(CLAIRE, since="2026-08-01", until="2026-08-31"),),
)


def told(book: Book) -> list[dict[str, object]]:
    rows = [json.loads(row.text) for row in book.journal()]
    return [row for row in rows if row["verb"] in ("declare", "withdraw")]


def test_what_is_declared_is_what_is_read(book: Book) -> None:
    with book.transaction():
        declare(book, FULL)
    found = read_register(book)
    assert {name: set(rows) for name, rows in vars(found).items()} == {
        name: set(rows) for name, rows in vars(FULL).items()
    }
    assert len(told(book)) == 7


def test_only_changes_are_journaled_and_nobody_is_named(book: Book) -> None:
    for register in (FULL, FULL, replace(FULL, mandates=FULL.mandates[:1], absences=())):
        with book.transaction():
            declare(book, register)
    last = [(row["verb"], row["table"], row["row"]) for row in told(book)[7:]]
    ended = {"holder": PAUL, "emitter": "991038431", "role": "remplaçant", "since": "2026-08-01", "until": ""}
    away = {"holder": CLAIRE, "since": "2026-08-01", "until": "2026-08-31"}
    assert last == [("withdraw", "mandates", ended), ("withdraw", "absences", away)]
    assert "ESSAI" not in json.dumps(told(book))


def test_the_emitters_of_a_fichier(book: Book) -> None:
    assert emitters_of(book, "f1") == ()
    lots = [("f1", rank, number) for rank, number in enumerate(("991038449", "991038431", "991038449"), start=1)]
    book.connection.executemany("INSERT INTO lots VALUES (?, ?, ?, '', '', '', 0, 0, 0, '', '', '', '')", lots)
    assert emitters_of(book, "f1") == ("991038431", "991038449")


def test_a_signer_is_kept_once_and_the_one_that_ends_last_comes_last(book: Book) -> None:
    old = Signer("a" * 64, CLAIRE, "CLAIRE ESSAI", "2024-01-01", "2027-01-01", b"old")
    new = replace(old, certificate="b" * 64, since="2026-06-01", until="2029-06-01", der=b"new")
    with book.transaction():
        for signer in (new, old, new):
            learn(book, signer)
    assert signers(book) == [old, new]
