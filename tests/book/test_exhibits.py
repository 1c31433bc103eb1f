"""Exhibits come out byte for byte, what lists share is kept once, and nothing stays or goes that should not."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from development_pki import Pki
from large_list import LargeList

from gateway.book.backup import copy_book
from gateway.book.exhibits import CERTIFICATE, LIST, SIGNATURE, drop, exhibits, keep
from gateway.book.moves import Book
from gateway.book.schema import MIGRATIONS, migrate
from gateway.envelope import der
from gateway.errors import Refused
from tests.book.conftest import NOW

DAY = timedelta(days=1)


def large(pki: Pki, size: int = 1000, authority: str = "sante", seed: int = 1) -> LargeList:
    return LargeList(pki.certificate(f"chains/{authority}"), pki.key(f"ca/{authority}"), NOW, size, seed)


def days(made: LargeList, count: int) -> Iterator[bytes]:
    """So many daily lists, of which each differs a little from the last one."""
    for day in range(count):
        yield made.signed(NOW + day * DAY)
        made.change(2, 1)


def kept(book: Book, fichier: str, *lists: bytes) -> list[str]:
    with book.transaction():
        return keep(book, fichier, LIST, lists)


def size(book: Book) -> int:
    """Bytes of all that is kept."""
    return int(book.connection.execute("SELECT coalesce(sum(length(content)), 0) FROM exhibits").fetchone()[0])


def counts(book: Book) -> tuple[int, ...]:
    tables = ("exhibits", "exhibits_of", "editions")
    return tuple(book.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def bases(book: Book) -> list[int | None]:
    """Of each list in the order in which they came, the rank of its base."""
    query = "SELECT base.rank FROM editions LEFT JOIN editions AS base ON base.digest = editions.base"
    return [row[0] for row in book.connection.execute(f"{query} ORDER BY editions.rowid")]


# ---------------------------------------------------------------- byte for byte


def test_a_year_of_lists_comes_out_again_and_is_kept_once(book: Book, pki: Pki) -> None:
    lists = list(days(large(pki), 365))
    for day, content in enumerate(lists):
        assert kept(book, f"f{day}", content) == [hashlib.sha256(content).hexdigest()]
    for day, content in enumerate(lists):
        assert exhibits(book, f"f{day}", LIST) == [content]
    assert size(book) < 20 * len(zlib.compress(lists[0])) < 365 * len(zlib.compress(lists[0])) / 10


def test_no_list_is_far_from_a_whole_one(book: Book, pki: Pki) -> None:
    for day, content in enumerate(days(large(pki), 40)):
        kept(book, f"f{day}", content)
    assert bases(book)[:14] == [None, 0, 0, 2, 0, 4, 4, 6, 0, 8, 8, 10, 8, 12]
    assert bases(book) == [None, *(rank & (rank - 1) for rank in range(1, 40))]


def shapes(pki: Pki) -> dict[str, list[bytes]]:
    """Lists of every kind, some days of each."""
    none, one, many = large(pki, 0), large(pki, 1), large(pki, 500)
    entries = list(many.entries.values())
    shuffled = [random.Random(seed).sample(entries, len(entries)) for seed in range(3)]
    empty = large(pki, 500)
    return {
        "no entries": [none.signed(NOW + day * DAY) for day in range(3)],
        "one entry": list(days(one, 3)),
        "other order": [many.of(order, NOW) for order in shuffled],
        "the same entry twice": [many.of(entries * (1 + day), NOW) for day in range(3)],
        "a large entry": [many.of([*entries, der.sequence(der.integer(7), bytes(70_000))], NOW + day * DAY)
                          for day in range(3)],
        "emptied at once": [empty.signed(NOW), empty.of([], NOW + DAY), empty.signed(NOW + 2 * DAY)],
        "no DER at all": [b"junk", b"0" * 5000, many.signed(NOW)[:-9], b"", many.signed(NOW) + b"\n"],
        "another one between": [large(pki, 500).signed(NOW), large(pki, 500, "oct").signed(NOW),
                                large(pki, 500).signed(NOW + DAY), large(pki, 500, "oct", 2).signed(NOW + DAY)],
    }  # fmt: skip


SHAPES = (
    "no entries", "one entry", "other order", "the same entry twice", "a large entry", "emptied at once",
    "no DER at all", "another one between",
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_list_comes_out_as_it_was(book: Book, pki: Pki, shape: str) -> None:
    lists = shapes(pki)[shape]
    names = kept(book, "f1", *lists)
    assert names == [hashlib.sha256(one).hexdigest() for one in lists]
    assert exhibits(book, "f1", LIST) == lists
    kept(book, "f1", *lists)
    assert counts(book)[:2] == (len(set(lists)),) * 2
    with book.transaction():
        drop(book, "f1")
    assert counts(book) == (0, 0, 0)


def test_a_list_that_is_all_others_begins_anew(book: Book, pki: Pki) -> None:
    first, other = large(pki), large(pki, seed=2)
    lists = [*days(first, 3), *days(other, 4)]
    kept(book, "f1", *lists)
    assert bases(book) == [None, 0, 0, None, 0, 0, 2]
    assert exhibits(book, "f1", LIST) == lists


def test_authorities_that_alternate_do_not_disturb_each_other(book: Book, pki: Pki) -> None:
    pairs = list(zip(days(large(pki), 30), days(large(pki, authority="oct"), 30), strict=True))
    for day, pair in enumerate(pairs):
        kept(book, f"f{day}", *pair)
    assert [exhibits(book, f"f{day}", LIST) for day in range(30)] == [list(pair) for pair in pairs]
    assert size(book) < 2 * 8 * len(zlib.compress(pairs[0][0]))


def test_a_hundred_thousand_entries(book: Book, pki: Pki) -> None:
    made = large(pki, 100_000)
    lists = [made.signed(NOW)]
    for day in range(1, 4):
        made.change(150, 100)
        lists.append(made.signed(NOW + day * DAY))
    kept(book, "f1", lists[0])
    whole = size(book)
    kept(book, "f1", *lists[1:])
    assert exhibits(book, "f1", LIST) == lists
    assert size(book) - whole < whole / 50


def test_a_list_that_is_known_is_not_read_again(book: Book, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = days(large(pki), 2)
    kept(book, "f1", first, second)
    for work in ("load_list", "changes", "changed", "zlib"):
        monkeypatch.setattr(f"gateway.book.exhibits.{work}", None)
    kept(book, "f2", first, second)
    assert counts(book) == (2, 4, 2)


def test_other_exhibits_are_kept_whole(book: Book, pki: Pki) -> None:
    first, second = days(large(pki), 2)
    with book.transaction():
        keep(book, "f1", SIGNATURE, [b"{}"])
        keep(book, "f1", CERTIFICATE, [first, second])
    assert exhibits(book, "f1", SIGNATURE) == [b"{}"] and exhibits(book, "f1", CERTIFICATE) == [first, second]
    assert counts(book) == (3, 3, 0)


# ---------------------------------------------------------------- dropping


@pytest.mark.parametrize("seed", range(8))
def test_what_is_dropped_takes_nothing_that_another_needs_and_leaves_nothing(book: Book, pki: Pki, seed: int) -> None:
    """In any order, lists coming in between; what is kept for nobody is only what others rest on."""
    turn, made, left = random.Random(seed), large(pki, 200, seed=seed), dict[str, bytes]()
    for day, content in enumerate(days(made, 40)):
        kept(book, f"f{day}", content)
        left[f"f{day}"] = content
        while turn.random() < 0.45 and left:
            with book.transaction():
                drop(book, gone := turn.choice(list(left)))
            del left[gone]
    assert {fichier: exhibits(book, fichier, LIST) for fichier in left} == {key: [one] for key, one in left.items()}
    needless = book.connection.execute(
        "SELECT count(*) FROM exhibits AS one WHERE digest NOT IN (SELECT digest FROM exhibits_of)"
        " AND digest NOT IN (SELECT base FROM editions WHERE base IS NOT NULL)"
    ).fetchone()[0]
    assert needless == 0
    for fichier in turn.sample(sorted(left), len(left)):
        with book.transaction():
            drop(book, fichier)
    assert counts(book) == (0, 0, 0)


def test_what_two_need_stays_for_the_second(book: Book, pki: Pki) -> None:
    first, second = days(large(pki), 2)
    kept(book, "f1", first)
    kept(book, "f2", first, second)
    with book.transaction():
        drop(book, "f1")
    assert exhibits(book, "f2", LIST) == [first, second] and exhibits(book, "f1", LIST) == []
    with book.transaction():
        drop(book, "nobody")
    assert counts(book) == (2, 2, 2)


def test_the_book_itself_holds_what_others_rest_on(book: Book, pki: Pki) -> None:
    """Even against a program of before, which knows nothing of bases."""
    first, second = days(large(pki), 2)
    name = kept(book, "f1", first)[0]
    kept(book, "f2", second)
    book.connection.execute("DELETE FROM exhibits_of WHERE fichier = 'f1'")
    with pytest.raises(sqlite3.IntegrityError):
        book.connection.execute("DELETE FROM exhibits WHERE digest = ?", (name,))


# ---------------------------------------------------------------- an older book, copies, damage, kills


def test_an_older_book_is_opened_and_read_and_goes_on(tmp_path: Path, pki: Pki) -> None:
    before, after = days(large(pki), 2)
    number = next(number for number, script in enumerate(MIGRATIONS) if "CREATE TABLE editions" in script)
    with closing(sqlite3.connect(tmp_path / "book.db", isolation_level=None)) as old:
        migrate(old, MIGRATIONS[:number])
        for kind, content in (("list", before), ("signature", b"{}"), ("list", b"no list")):
            name = hashlib.sha256(content).hexdigest()
            old.execute("INSERT INTO exhibits VALUES (?, ?, ?)", (name, kind, zlib.compress(content)))
            old.execute("INSERT INTO exhibits_of VALUES ('f1', ?)", (name,))
    book = Book(tmp_path / "book.db", lambda: NOW)
    assert exhibits(book, "f1", LIST) == [before, b"no list"] and exhibits(book, "f1", SIGNATURE) == [b"{}"]
    kept(book, "f2", before, after)
    assert exhibits(book, "f2", LIST) == [before, after] and counts(book) == (4, 5, 1)
    with book.transaction():
        drop(book, "f1")
    assert exhibits(book, "f2", LIST) == [before, after] and counts(book) == (2, 2, 1)


def test_a_copy_of_the_book_has_all_of_it(book: Book, pki: Pki, tmp_path: Path) -> None:
    lists = list(days(large(pki), 20))
    kept(book, "f1", *lists)
    copy_book(tmp_path / "book.db", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as vacuumed:
        vacuumed.execute("VACUUM")
    copy = Book(tmp_path / "copy.db", lambda: NOW)
    assert exhibits(copy, "f1", LIST) == lists
    kept(copy, "f2", next(days(large(pki, seed=2), 1)))
    assert len(exhibits(copy, "f1", LIST)) == 20


@pytest.mark.parametrize("rank", [0, 4, 5])
def test_a_damaged_list_is_said_and_keeps_no_other_out(book: Book, pki: Pki, rank: int) -> None:
    *lists, last = days(large(pki), 7)
    names = kept(book, "f1", *lists)
    book.connection.execute("UPDATE exhibits SET content = ? WHERE digest = ?", (zlib.compress(b"\1"), names[rank]))
    with pytest.raises(Refused, match="BOX-001"):
        exhibits(book, "f1", LIST)
    book.connection.execute("UPDATE exhibits SET content = x'00' WHERE digest = ?", (names[rank],))
    with pytest.raises(Refused, match="BOX-001"):
        exhibits(book, "f1", LIST)
    kept(book, "f2", last)
    assert exhibits(book, "f2", LIST) == [last]


KILLED = """
import os, signal, sys
from pathlib import Path
from gateway.book.exhibits import LIST, drop, keep
from gateway.book.moves import Book
folder, left = Path(sys.argv[1]), int(sys.argv[2])
book = Book(folder / "book.db")
lists = [(folder / name).read_bytes() for name in ("0", "1", "2")]
with book.transaction():
    keep(book, "f1", LIST, lists[:1])
def count(statement):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
book.connection.set_trace_callback(count)
with book.transaction():
    drop(book, "f1")
    keep(book, "f2", LIST, lists[1:])
print(left)
"""


def test_a_kill_between_any_two_statements_leaves_all_or_nothing(pki: Pki, tmp_path: Path) -> None:
    lists, statement, outcomes = list(days(large(pki), 3)), 0, set()
    while True:
        statement += 1
        (folder := tmp_path / str(statement)).mkdir()
        for name, content in enumerate(lists):
            (folder / str(name)).write_bytes(content)
        done = subprocess.run([sys.executable, "-c", KILLED, folder, str(statement)], capture_output=True)
        book = Book(folder / "book.db", lambda: NOW)
        outcomes.add((done.returncode, len(exhibits(book, "f1", LIST)), counts(book)))
        found = exhibits(book, "f1", LIST) + exhibits(book, "f2", LIST)
        assert found in (lists[:1], lists[1:])
        assert book.connection.execute("PRAGMA foreign_key_check").fetchall() == []
        book.close()
        if done.returncode == 0:
            break
    assert statement > 15
    assert outcomes == {(-9, 1, (1, 1, 1)), (0, 0, (2, 2, 2))}
