"""The trees of the book agree with the definition at every size, whatever of them is kept; rows are selected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.book.moves import Book
from gateway.book.proofs import Proofs, Tree, Wanted, read_rows, select
from gateway.errors import Refused
from gateway.journal.chain import ACCESS, EVIDENCE
from gateway.journal.merkle import Frontier, extends, includes, leaf_hash

COUNT = 2100
SIZES = (1, 2, 3, 255, 256, 257, 511, 512, 513, 768, 1023, 1024, 1025, 2048, COUNT)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    made = Book(tmp_path_factory.mktemp("proofs") / "book.db")
    with made.transaction():
        for number in range(COUNT):
            made.record(f"f{number % 7}", {"verb": "act" if number % 2 else "look"})
        made.record("", {"verb": "look"}, ACCESS)
    return made


def naive(book: Book, size: int) -> Frontier:
    frontier = Frontier()
    for row in read_rows(book.connection, EVIDENCE):
        if row.seq <= size:
            frontier.add(row.hash)
    return frontier


@pytest.mark.parametrize("grown", [0, 300, 512, COUNT])
def test_roots_peaks_and_proofs_at_any_size(book: Book, grown: int) -> None:
    tree = Tree(book.connection, EVIDENCE)
    book.connection.execute("DELETE FROM journal_nodes")
    for size in (200, grown):
        tree.grow(min(size, grown))
    kept = book.connection.execute("SELECT count(*) FROM journal_nodes").fetchone()[0]
    assert (kept > 0) == (grown >= 256)
    for size in SIZES:
        expected = naive(book, size)
        assert (tree.root(size), tree.peaks(size)) == (expected.root(), expected.peaks)
        assert extends(size, expected.root(), COUNT, tree.root(COUNT), tree.consistency(size, COUNT))
        path = tree.inclusion(size, COUNT)
        assert includes(leaf_hash(tree.head(size)), size - 1, COUNT, path, tree.root(COUNT))
    assert tree.size() == COUNT and Tree(book.connection, ACCESS).size() == 1


def test_a_missing_row_is_refused_by_name(book: Book) -> None:
    with book.transaction():
        book.connection.execute("UPDATE journal SET chain = 'x' WHERE chain = ? AND seq = 700", (EVIDENCE,))
    try:
        book.connection.execute("DELETE FROM journal_nodes")
        with pytest.raises(Refused, match="JRN-030"):
            Tree(book.connection, EVIDENCE).root(COUNT)
    finally:
        book.connection.execute("UPDATE journal SET chain = ? WHERE chain = 'x'", (EVIDENCE,))


def test_what_went_out_since_the_oct_confirmed(book: Book) -> None:
    proofs = Proofs(book.connection)
    assert (proofs.confirmed(), proofs.last_checkpoint(EVIDENCE)) == (0, None)
    for size, carried in ((10, True), (20, False), (30, True), (40, True), (50, True)):
        proofs.add("checkpoint", EVIDENCE, size, bytes([size]), "", "2026", bytes([size]), carried)
    proofs.add("receipt", EVIDENCE, 10, b"r", "f1", "2026", b"receipt")
    proofs.add("receipt", EVIDENCE, 0, b"", "f2", "2026", b"without a head")
    assert proofs.confirmed() == 10
    assert [size for size, _ in proofs.carried_between(10, 50, 9)] == [30, 40]
    assert [size for size, _ in proofs.carried_between(10, 50, 1)] == [40], "the newest, where there are too many"
    last = proofs.last_checkpoint(EVIDENCE)
    assert last is not None and last["size"] == 50
    assert [row["kind"] for row in proofs.each(4)] == ["checkpoint", "receipt", "receipt"]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted(), COUNT),
        (Wanted(verb="act"), COUNT // 2),
        (Wanted(fichier="f3"), 300),
        (Wanted(fichier="f3", verb="look"), 150),
        (Wanted(since="2099"), 0),
        (Wanted(until="2099"), COUNT),
        (Wanted(until="2020-01-01"), 0),
    ],
)
def test_rows_are_selected_a_page_at_a_time(book: Book, wanted: Wanted, count: int) -> None:
    found, after = [], 0
    while True:
        page, after = select(book.connection, EVIDENCE, wanted, after, 100)
        found += page
        if not after:
            break
    assert len(found) == count
    assert [row.seq for row in found] == sorted(json.loads(row.text)["seq"] for row in found)


def test_a_day_as_until_includes_that_day() -> None:
    row = next(iter([_row("2026-11-22T23:59:59Z")]))
    assert Wanted(since="2026-11-22", until="2026-11-22").has(row)
    assert not Wanted(until="2026-11-21").has(row) and not Wanted(since="2026-11-23").has(row)


def _row(at: str):  # type: ignore[no-untyped-def]
    from gateway.journal.chain import Row, row_text

    return Row(1, EVIDENCE, row_text(1, EVIDENCE, at, {"verb": "x", "fichier": ""}), b"")


def test_the_book_is_a_file(book: Book, tmp_path: Path) -> None:
    assert book.connection.execute("PRAGMA foreign_key_check").fetchall() == []
