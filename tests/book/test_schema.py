"""Migrations only ever add, and an older program opens a newer book."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from gateway.book.schema import MIGRATIONS, check_integrity, migrate, open_book, transaction
from gateway.errors import Refused


def test_migrations_only_add() -> None:
    for script in MIGRATIONS:
        for statement in filter(None, (part.strip() for part in re.sub(r"--.*", "", script).split(";"))):
            assert re.match(r"CREATE (TABLE|INDEX|UNIQUE INDEX)|ALTER TABLE \w+ ADD COLUMN", statement), statement


def test_each_migration_is_applied_once(tmp_path: Path) -> None:
    first = open_book(tmp_path / "b.db")
    first.execute("INSERT INTO conditions VALUES ('box', 'x', '', '', '', '{}')")
    again = open_book(tmp_path / "b.db")
    assert again.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert again.execute("SELECT count(*) FROM conditions").fetchone()[0] == 1


def test_a_newer_book_still_opens(tmp_path: Path) -> None:
    newer = open_book(tmp_path / "b.db")
    migrate(newer, (*MIGRATIONS, "ALTER TABLE fichiers ADD COLUMN novelty TEXT NOT NULL DEFAULT '';"))
    assert open_book(tmp_path / "b.db").execute("SELECT * FROM fichiers").fetchall() == []


def test_durability_is_set(tmp_path: Path) -> None:
    book = open_book(tmp_path / "b.db")
    assert book.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert book.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_damaged_book_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    book = open_book(path)
    book.executemany("INSERT INTO conditions VALUES ('box', ?, '', '', '', '{}')", ((str(n),) for n in range(2000)))
    book.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8192] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises((Refused, sqlite3.DatabaseError)):
        check_integrity(open_book(path))


def test_a_commit_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    book = open_book(tmp_path / "b.db")
    book.execute("CREATE TABLE of_fichier (id TEXT REFERENCES fichiers (id) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError), transaction(book):
        book.execute("INSERT INTO of_fichier VALUES ('nobody')")
    assert not book.in_transaction
    with transaction(book) as same:
        assert same.execute("SELECT count(*) FROM of_fichier").fetchone()[0] == 0
