"""Moves: one transaction each, along the arrows only, a fact seen twice moves nothing."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from chain_check import first_break

from gateway.book.doors import Copied
from gateway.book.moves import DEATHS_BEFORE_HOLD, Book
from gateway.errors import Deferred, Scope
from gateway.fichier import State, Verb
from tests.book.conftest import COLUMNS

WAY = (Verb.CHECK, Verb.SIGN, Verb.SEAL, Verb.SEND, Verb.INTEGRATE)


def state(book: Book, fichier: str = "f1") -> str:
    row = book.fichier(fichier)
    assert row is not None
    return str(row["state"])


def walk(book: Book, *verbs: Verb) -> None:
    for verb in verbs:
        with book.transaction():
            assert book.move("f1", verb, {})


def test_the_whole_way(book: Book) -> None:
    walk(book, *WAY)
    assert state(book) == State.INTEGRATED
    told = [json.loads(row.text)["verb"] for row in book.journal("f1")]
    assert told == ["receive", "check", "sign", "seal", "send", "integrate"]
    assert first_break(book.journal()) is None


def test_received_twice_is_one(book: Book) -> None:
    with book.transaction():
        assert not book.receive("f1", COLUMNS, Copied("bb", 11))
    assert book.part("f1", "received") == Copied("aa", 10)


def test_a_fact_seen_twice_moves_nothing(book: Book) -> None:
    walk(book, Verb.CHECK)
    with book.transaction():
        assert not book.move("f1", Verb.CHECK, {})
        assert not book.move("nobody", Verb.CHECK, {})
    assert len(list(book.journal("f1"))) == 2


def test_a_move_that_fails_leaves_no_trace(book: Book) -> None:
    with pytest.raises(RuntimeError), book.transaction():
        book.move("f1", Verb.CHECK, {})
        book.name_part("f1", "signature", Copied("cc", 1))
        raise RuntimeError
    assert state(book) == State.RECEIVED
    with pytest.raises(KeyError):
        book.part("f1", "signature")
    assert len(list(book.journal())) == 1


def test_what_was_committed_is_there_after_reopening(book: Book, tmp_path: Path) -> None:
    walk(book, Verb.CHECK)
    other = Book(tmp_path / "book.db")
    assert state(other) == State.CHECKED


def test_waiting_leaves_out_held_and_later(book: Book) -> None:
    assert [row["id"] for row in book.waiting(State.RECEIVED, 100.0)] == ["f1"]
    with book.transaction():
        book.defer("f1", Deferred("X-1", "plus tard", Scope.FICHIER), 200.0)
    assert book.waiting(State.RECEIVED, 100.0) == []
    assert len(book.waiting(State.RECEIVED, 200.0)) == 1
    with book.transaction():
        assert book.hold("f1", "à voir", "admin")
        assert not book.hold("f1", "à voir", "admin")
    assert book.waiting(State.RECEIVED, 300.0) == []
    with book.transaction():
        assert book.release("f1", "admin")
        assert not book.release("f1", "admin")
    assert len(book.waiting(State.RECEIVED, 0.0)) == 1


@pytest.mark.parametrize(("scope", "attempts"), [(Scope.FICHIER, 1), (Scope.ROUTE, 0), (Scope.CARD, 0), (Scope.BOX, 0)])
def test_only_its_own_troubles_use_up_attempts(book: Book, scope: Scope, attempts: int) -> None:
    with book.transaction():
        book.defer("f1", Deferred("X-1", "plus tard", scope), 0)
    row = book.fichier("f1")
    assert row is not None
    assert row["attempts"] == attempts


def test_a_held_fichier_is_still_moved_by_facts(book: Book) -> None:
    with book.transaction():
        book.hold("f1", "à voir", "admin")
        assert book.move("f1", Verb.CHECK, {})
    row = book.fichier("f1")
    assert row is not None
    assert (row["state"], row["held_reason"]) == (State.CHECKED, "à voir")


def test_deaths_on_a_claim_hold_at_last(book: Book) -> None:
    for death in range(1, DEATHS_BEFORE_HOLD + 1):
        with book.transaction():
            book.claim("f1", "boot-a")
        with book.transaction():
            assert book.settle_claims("boot-a") == ["f1"]
        row = book.fichier("f1")
        assert row is not None
        assert bool(row["held_since"]) == (death == DEATHS_BEFORE_HOLD)


def test_a_reboot_is_not_a_death(book: Book) -> None:
    with book.transaction():
        book.claim("f1", "boot-a")
        assert book.settle_claims("boot-b") == []
    with book.transaction():
        assert book.settle_claims("boot-a") == []


def test_a_move_forgives_deaths(book: Book) -> None:
    with book.transaction():
        book.claim("f1", "boot-a")
        book.settle_claims("boot-a")
        book.claim("f1", "boot-a")
        book.move("f1", Verb.CHECK, {})
    row = book.fichier("f1")
    assert row is not None
    assert (row["deaths"], row["claim_state"]) == (0, "")


def test_conditions_keep_their_since_until_the_code_changes(book: Book) -> None:
    with book.transaction():
        assert book.state_condition(Scope.CARD, "card", "CPS-1", "absente")
        assert not book.state_condition(Scope.CARD, "card", "CPS-1", "toujours absente")
        assert book.state_condition(Scope.CARD, "card", "", "")
    told = [json.loads(row.text) for row in book.journal() if json.loads(row.text)["verb"] == "condition"]
    assert [row["code"] for row in told] == ["CPS-1", ""]


def test_a_full_disk_leaves_the_book_as_it_was(book: Book) -> None:
    """SQLite ends the transaction itself where it finds no room."""
    pages = book.connection.execute("PRAGMA page_count").fetchone()[0]
    book.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"), book.transaction():
        book.move("f1", Verb.CHECK, {"text": "x" * 100_000})
    assert state(book) == State.RECEIVED
    book.connection.execute("PRAGMA max_page_count = 1000000")
    walk(book, *WAY)
    assert state(book) == State.INTEGRATED
