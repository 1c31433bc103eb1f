"""Of each fichier at most one signature is in force."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.book.doors import Copied
from gateway.book.moves import Book
from gateway.book.signatures import is_void, void
from gateway.fichier import Verb

COLUMNS = {"name": "a", "channel": "folder", "received": "2026-11-23T08:00:00Z", "size": 1, "digest": ""}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    made = Book(tmp_path / "book.db")
    with made.transaction():
        made.receive("f1", COLUMNS, Copied("aa", 1))
        made.move("f1", Verb.CHECK, {})
        for role in ("signature", "sealed"):
            made.name_part("f1", role, Copied(role, 1))
        made.move("f1", Verb.SIGN, {}, signer="certificate")
    return made


def test_what_is_void_leaves_the_fichier_and_stays_known(book: Book) -> None:
    assert not is_void(book, "s1")
    with book.transaction():
        assert void(book, "f1", "s1") == {"signature": "s1", "part": "signature"}
    assert (is_void(book, "s1"), is_void(book, "s2")) == (True, False)
    assert book.named_parts() == {"aa"}
    row = book.fichier("f1")
    assert row is not None and row["signer"] == ""


def test_it_is_void_with_the_move_or_not_at_all(book: Book) -> None:
    with pytest.raises(ZeroDivisionError), book.transaction():
        void(book, "f1", "s1")
        raise ZeroDivisionError
    assert not is_void(book, "s1")
    assert book.named_parts() == {"aa", "signature", "sealed"}


def test_a_fichier_without_a_signature_has_none_to_lose(book: Book) -> None:
    with book.transaction():
        void(book, "f1", "s1")
    with pytest.raises(KeyError), book.transaction():
        void(book, "f1", "s2")


def test_a_void_signature_is_of_a_fichier_of_the_book(book: Book) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        book.connection.execute("INSERT INTO void_signatures VALUES ('s', 'nobody')")


def test_a_seal_begins_to_leave_once_and_only_the_present_one(book: Book) -> None:
    def told() -> list[str]:
        return [row.text for row in book.journal("f1") if '"verb":"begin"' in row.text]

    with book.transaction():
        book.begin("f1", "1")
        book.move("f1", Verb.SEAL, {}, seal="1", seals=1, begun=0)
        book.begin("f1", "2")
        book.begin("nobody", "1")
    assert told() == []
    for _ in range(2):
        with book.transaction():
            book.begin("f1", "1")
    assert len(told()) == 1
