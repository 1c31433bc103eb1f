"""The journal looked over: every way to touch it, in the book and in its files, is found and named."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from development_pki import Pki
from filed_journal import Filed, remake
from journal_bench import act, rewrite

from gateway.book.inspection import Authority
from gateway.envelope.algorithms import read_certificate
from gateway.envelope.certificates import Use
from gateway.envelope.issuing import authority_of, revocation_list
from gateway.errors import Refused, Scope
from gateway.formats import canonical
from gateway.formats.days import iso
from gateway.journal.chain import EVIDENCE
from gateway.journal.segment import LONGEST_LINE, PROOFS
from gateway.services.keeper.audit import Daily


def test_an_untouched_journal_is_whole(filed: Filed) -> None:
    for alone in (False, True):
        found = filed.inspect(alone=alone)
        assert found.findings == []
        assert found.rows == filed.sizes == found.signed_to, "every row is signed"
        assert (found.checkpoints, found.receipts) == (4, 1)


def each(filed: Filed) -> Iterator[tuple[str, int]]:
    for chain, size in filed.sizes.items():
        for seq in range(1, size + 1):
            yield chain, seq


NESTED = '{"a":' + 20_000 * "[" + 20_000 * "]" + "}"
BOOK: dict[str, Callable[[sqlite3.Connection, str, int], object]] = {
    "change": lambda book, chain, seq: book.execute(
        'UPDATE journal SET text = replace(text, \'"verb":"\', \'"verb":"x\') WHERE chain = ? AND seq = ?', (chain, seq)
    ),
    "change the hash": lambda book, chain, seq: book.execute(
        "UPDATE journal SET hash = zeroblob(32) WHERE chain = ? AND seq = ?", (chain, seq)
    ),
    "remove": lambda book, chain, seq: book.execute("DELETE FROM journal WHERE chain = ? AND seq = ?", (chain, seq)),
    "truncate": lambda book, chain, seq: book.execute("DELETE FROM journal WHERE chain = ? AND seq >= ?", (chain, seq)),
    "swap": lambda book, chain, seq: book.executescript(
        f"UPDATE journal SET seq = -1 WHERE chain = '{chain}' AND seq = {seq};"
        f"UPDATE journal SET seq = {seq} WHERE chain = '{chain}' AND seq = {seq} + 1;"
        f"UPDATE journal SET seq = {seq} + 1 WHERE chain = '{chain}' AND seq = -1;"
    ),
    "list under another fichier": lambda book, chain, seq: book.execute(
        "UPDATE journal SET fichier = fichier || 'x' WHERE chain = ? AND seq = ?", (chain, seq)
    ),
    "no UTF-8": lambda book, chain, seq: book.execute(
        "UPDATE journal SET text = CAST(x'7bff7d' AS TEXT) WHERE chain = ? AND seq = ?", (chain, seq)
    ),
    "no text of ours": lambda book, chain, seq: book.execute(
        "UPDATE journal SET text = ? WHERE chain = ? AND seq = ?", (NESTED, chain, seq)
    ),
    "change and recompute": lambda book, chain, seq: rewrite(book, chain, seq, lambda told: {**told, "verb": "cheat"}),
}


@pytest.mark.parametrize("how", BOOK)
def test_every_row_touched_in_the_book_is_found_and_named(filed: Filed, tmp_path: Path, how: str) -> None:
    for chain, seq in each(filed):
        if how == "swap" and seq == filed.sizes[chain]:
            continue
        copy = filed.copy(tmp_path / f"{chain}-{seq}")
        book = copy.open()
        BOOK[how](book, chain, seq)
        book.close()
        named = [(one.chain, one.seq) for one in copy.inspect().findings]
        assert (chain, seq) in named, (chain, seq, named)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


FILES: dict[str, Callable[[list[bytes], int], list[bytes]]] = {
    "change": lambda lines, at: [*lines[:at], lines[at].replace(b'"verb":"', b'"verb":"x'), *lines[at + 1 :]],
    "change the hash": lambda lines, at: [*lines[:at], b"0" * 64 + lines[at][64:], *lines[at + 1 :]],
    "remove": lambda lines, at: [*lines[:at], *lines[at + 1 :]],
    "insert": lambda lines, at: [*lines[:at], lines[at], *lines[at:]],
    "truncate": lambda lines, at: lines[:at],
    "swap": lambda lines, at: [*lines[:at], *lines[at + 1 : at + 2], lines[at], *lines[at + 2 :]],
    "spoil": lambda lines, at: [*lines[:at], b"nothing\n", *lines[at + 1 :]],
    "nest": lambda lines, at: [*lines[:at], lines[at][:65] + NESTED.encode() + b"\n", *lines[at + 1 :]],
    "lengthen": lambda lines, at: [*lines[:at], lines[at][:-2] + b" " * LONGEST_LINE + b"}\n", *lines[at + 1 :]],
}


@pytest.mark.parametrize("alone", [False, True], ids=["with the book", "the copy alone"])
@pytest.mark.parametrize("how", FILES)
def test_every_row_touched_in_the_segments_is_found_and_named(
    filed: Filed, tmp_path: Path, how: str, alone: bool
) -> None:
    for chain, seq in each(filed):
        if how == "swap" and seq == filed.sizes[chain]:
            continue
        copy = filed.copy(tmp_path / f"{chain}-{seq}")
        path = copy.segment(chain)
        path.write_bytes(b"".join(FILES[how](lines_of(path), seq)))
        named = [(one.chain, one.seq) for one in copy.inspect(alone=alone).findings]
        assert (chain, seq) in named or (how == "insert" and (chain, seq + 1) in named), (chain, seq, named)


def test_every_row_rewritten_in_book_and_segments_alike_is_found(filed: Filed, tmp_path: Path) -> None:
    """All hashes recomputed, the files made again from the book: what is left is box-sign, and it was not had."""
    marks = sorted(row["size"] for row in filed.bench.desk.book.connection.execute(
        "SELECT size FROM proofs WHERE kind = 'checkpoint' AND chain = ?", (EVIDENCE,)
    ))  # fmt: skip
    for chain, seq in each(filed):
        copy = filed.copy(tmp_path / f"{chain}-{seq}")
        book = copy.open()
        rewrite(book, chain, seq, lambda told: {**told, "fichier": "cheat"})
        remake(copy, book)
        book.close()
        for alone in (False, True):
            found = [one for one in copy.inspect(alone=alone).findings if one.chain == chain]
            assert {one.kind for one in found} == {"forged"}, (chain, seq)
            before = max((size for size in marks if size < seq), default=0) if chain == EVIDENCE else 0
            assert {one.seq for one in found} == {before + 1}, "from the last checkpoint that holds"


def test_a_journal_cut_everywhere_is_found_by_what_it_still_names_or_by_the_octs_receipt(
    filed: Filed, tmp_path: Path
) -> None:
    """Rows, segments, checkpoints and receipts behind a place are all gone: the OCT's copy of a receipt remains."""
    receipt = filed.bench.desk.book.connection.execute("SELECT der, size FROM proofs WHERE kind = 'receipt'").fetchone()
    for seq in range(1, receipt["size"]):
        copy = filed.copy(tmp_path / str(seq))
        book = copy.open()
        book.execute("DELETE FROM journal WHERE chain = ? AND seq > ?", (EVIDENCE, seq))
        book.execute("DELETE FROM proofs WHERE chain = ? AND (size > ? OR kind = 'receipt')", (EVIDENCE, seq))
        book.execute("UPDATE proofs SET id = 1")
        remake(copy, book)
        book.close()
        assert copy.inspect().findings == [], "by itself it is a shorter journal"
        for alone in (False, True):
            found = copy.inspect(alone=alone, receipts=(receipt["der"],)).findings
            assert (found[0].kind, found[0].seq) == ("truncated", seq + 1)


STRAYS = {
    "below 1": ("INSERT INTO journal VALUES ('evidence', 0, 'f', '{}', x'00')", (EVIDENCE, 0)),
    "of no chain": ("INSERT INTO journal VALUES ('rumour', 3, 'f', '{}', x'00')", ("rumour", 3)),
}


@pytest.mark.parametrize(("sql", "named"), STRAYS.values(), ids=STRAYS)
def test_rows_beside_the_chains_are_found(filed: Filed, sql: str, named: tuple[str, int]) -> None:
    """A query by fichier would show them."""
    filed.open().execute(sql)
    assert [(one.chain, one.seq) for one in filed.inspect().findings] == [named]


LISTED = {
    "kind": "UPDATE proofs SET kind = 'rumour' WHERE id = :id",
    "chain": "UPDATE proofs SET chain = iif(chain = 'access', 'evidence', 'access') WHERE id = :id",
    "size": "UPDATE proofs SET size = size + 1 WHERE id = :id",
    "about": "UPDATE proofs SET about = about || 'x' WHERE id = :id",
    "at": "UPDATE proofs SET at = '2020-01-01T00:00:00Z' WHERE id = :id",
    "no UTF-8": "UPDATE proofs SET about = CAST(x'ff' AS TEXT) WHERE id = :id",
}


@pytest.mark.parametrize("sql", LISTED.values(), ids=LISTED)
def test_a_signed_piece_that_is_listed_as_another_is_found(filed: Filed, tmp_path: Path, sql: str) -> None:
    """By kind, chain, size and fichier the book looks for them; what was signed does not lie."""
    for (number,) in filed.bench.desk.book.connection.execute("SELECT id FROM proofs").fetchall():
        copy = filed.copy(tmp_path / str(number))
        copy.open().execute(sql, {"id": number})
        assert any(one.kind == "forged" for one in copy.inspect().findings), number


HEADS = {
    "number": lambda head: {**head, "number": 2},
    "a number beyond all": lambda head: {**head, "number": 2**80},
    "first": lambda head: {**head, "first": 2},
    "a first beyond all": lambda head: {**head, "first": 2**70 + 1, "frontier": ["0" * 64]},
    "none before the first": lambda head: {**head, "before": "0" * 64},
    "another chain": lambda head: {**head, "chain": "rumour"},
    "nothing": lambda head: {},
}


@pytest.mark.parametrize("alone", [False, True], ids=["with the book", "the copy alone"])
@pytest.mark.parametrize("change", HEADS.values(), ids=HEADS)
def test_a_head_that_was_touched_is_found(filed: Filed, tmp_path: Path, change: Any, alone: bool) -> None:
    for chain in (*filed.sizes, PROOFS):
        copy = filed.copy(tmp_path / chain)
        head, *lines = lines_of(copy.segment(chain))
        copy.segment(chain).write_bytes(canonical.encode(change(json.loads(head))) + b"\n" + b"".join(lines))
        assert copy.inspect(alone=alone).findings, chain


def test_what_cannot_be_read_to_its_end_is_said(filed: Filed) -> None:
    filed.open().execute("DROP TABLE proofs")
    with pytest.raises(Refused, match="JRN-042"):
        filed.inspect()


@pytest.mark.parametrize("kind", ["checkpoint", "receipt"])
def test_a_signed_piece_that_is_removed_or_changed_is_found(filed: Filed, tmp_path: Path, kind: str) -> None:
    connection = filed.bench.desk.book.connection
    ids = [row["id"] for row in connection.execute("SELECT id FROM proofs WHERE kind = ?", (kind,))]
    last = connection.execute("SELECT max(id) FROM proofs").fetchone()[0]
    for number in ids:
        for sql in ("DELETE FROM proofs WHERE id = ?", "UPDATE proofs SET der = x'3000' WHERE id = ?"):
            copy = filed.copy(tmp_path / f"{number}-{len(sql)}")
            book = copy.open()
            book.execute(sql, (number,))
            book.close()
            assert copy.inspect().findings or (number == last and sql.startswith("DELETE"))
        copy = filed.copy(tmp_path / f"{number}-file")
        path = copy.segment("proofs")
        lines = lines_of(path)
        path.write_bytes(b"".join([*lines[:number], *lines[number + 1 :]]))
        assert copy.inspect().findings, "the book knows how many are in files"
        assert copy.inspect(alone=True).findings or number == last
        path.write_bytes(
            b"".join([*lines[:number], lines[number].replace(b'"der":"M', b'"der":"N'), *lines[number + 1 :]])
        )
        assert copy.inspect(alone=True).findings


def test_a_signed_piece_that_is_removed_without_a_gap_is_found(filed: Filed, tmp_path: Path) -> None:
    """All numbers made new, in the book and in the files: what comes after it, or the row that names it, tells."""
    bench = filed.bench
    for _ in range(2):
        act(bench)
        bench.now += timedelta(days=1)
        assert Daily(bench.desk).look() is not None
    connection = bench.desk.book.connection
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    last = connection.execute("SELECT max(id) FROM proofs").fetchone()[0]
    for number in range(1, last):
        copy = filed.copy(tmp_path / str(number))
        book = copy.open()
        book.execute("DELETE FROM proofs WHERE id = ?", (number,))
        book.execute("UPDATE proofs SET id = id - 1 WHERE id > ?", (number,))
        remake(copy, book)
        book.close()
        assert copy.inspect().findings and copy.inspect(alone=True).findings, number


def test_another_root_trusts_nothing(filed: Filed, tmp_path: Path, pki: Pki) -> None:
    found = dataclasses.replace(filed, authority=Authority((pki.certificate("oct-sign"),))).inspect()
    assert found.checkpoints == found.receipts == 0 and len(found.findings) >= 5


def test_a_certificate_is_not_good_for_a_day_in_which_it_was_revoked(pki: Pki) -> None:
    noon = datetime.now(UTC).replace(hour=12, minute=0) + timedelta(days=1)
    root = authority_of(pki.root, pki.key("ca/root"))
    boxes = authority_of(pki.certificate("chains/boites"), pki.key("ca/boites"))
    ours = pki.certificate("box-sign")
    revoked = {read_certificate(ours, Scope.BOX).serial_number: noon}
    before = [revocation_list(each, None, {}, noon - timedelta(hours=12), 30) for each in (root, boxes)]
    lists = (*before, revocation_list(boxes, before[1], revoked, noon, 30))
    authority = Authority((pki.root,), tuple(pki.chain), lists)

    def check(by: timedelta) -> None:
        authority.check(ours, (), iso(noon + by), Use.SIGN_JOURNAL)

    check(-timedelta(hours=2))
    with pytest.raises(Refused, match="CMS-036"):
        check(timedelta(hours=2))
    check(-timedelta(hours=1))
    assert not authority.unlisted
