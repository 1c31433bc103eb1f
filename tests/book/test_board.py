"""The board shows what the book says, survives losing its file, and never holds the writer."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.book.board import SCHEMA, Board, BoardReader
from gateway.book.moves import Book
from gateway.errors import Scope
from gateway.fichier import Verb


def test_shows_each_change(book: Book, tmp_path: Path) -> None:
    board, reader = Board(tmp_path / "board.db"), BoardReader(tmp_path / "board.db")
    board.rebuild(book)
    assert [row["state"] for row in reader.fichiers()] == ["RECEIVED"]
    with book.transaction():
        book.move("f1", Verb.CHECK, {})
        book.state_condition(Scope.CARD, "card", "CPS-1", "absente")
    board.show(book)
    assert reader.counts() == {"CHECKED": 1, "held": 0}
    assert [row["code"] for row in reader.conditions()] == ["CPS-1"]
    assert len(reader.of_fichier("events", "f1")) == 2
    assert reader.fichier("f")[0]["id"] == "f1"


def test_no_board_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        BoardReader(tmp_path / "none.db").fichiers()
    (tmp_path / "none.db").write_bytes(b"")
    with pytest.raises(FileNotFoundError):
        BoardReader(tmp_path / "none.db").fichiers()


def test_a_reader_in_mid_transaction_does_not_stop_the_writer(book: Book, tmp_path: Path) -> None:
    board = Board(tmp_path / "board.db")
    board.rebuild(book)
    holder = sqlite3.connect(tmp_path / "board.db")
    holder.execute("BEGIN")
    holder.execute("SELECT * FROM fichiers").fetchall()
    with book.transaction():
        book.move("f1", Verb.CHECK, {})
    board.show(book)
    assert BoardReader(tmp_path / "board.db").counts()["CHECKED"] == 1


def test_a_writer_that_holds_it_makes_a_new_one(book: Book, tmp_path: Path) -> None:
    board = Board(tmp_path / "board.db")
    board.rebuild(book)
    stranger = sqlite3.connect(tmp_path / "board.db", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with book.transaction():
        book.move("f1", Verb.CHECK, {})
    board.show(book)
    assert BoardReader(tmp_path / "board.db").counts()["CHECKED"] == 1


def test_no_nir_has_a_column() -> None:
    assert "nir" not in SCHEMA.lower()


def test_that_the_clock_holds_is_said_each_minute_and_of_a_new_board_anew(book: Book, tmp_path: Path) -> None:
    board, reader = Board(tmp_path / "board.db"), BoardReader(tmp_path / "board.db")
    board.vouch(1000.0)  # there is none to say it on
    board.rebuild(book)
    assert not reader.vouched(1000.0, 600.0)
    for at, said in ((1000.0, 1000.0), (1059.0, 1000.0), (1060.0, 1060.0), (100.0, 100.0)):
        board.vouch(at)
        assert reader.vouched(said, 0.0)
    assert reader.vouched(700.0, 600.0) and not reader.vouched(701.0, 600.0)
    board.rebuild(book)
    assert not reader.vouched(100.0, 600.0)
    board.vouch(101.0)
    assert reader.vouched(101.0, 0.0)
