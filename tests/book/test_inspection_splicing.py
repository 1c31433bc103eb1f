"""A journal put together from others, set back, or made by another box: by what each is found, or is not."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from filed_journal import Filed, make_filed, remake
from journal_bench import Oct, act, carried, make_oct, rewrite
from keeper_bench import KeeperBench

from gateway.book.proofs import STORED
from gateway.journal.chain import EVIDENCE
from gateway.journal.segment import PROOFS
from gateway.services.keeper.audit import prepare

AN_HOUR = timedelta(hours=1)
"""What is written at the same second is the very same journal."""


def another_key(bench: KeeperBench) -> None:
    """The box signs its journal by the key of another box of the same authority."""
    pki, key = bench.pki, ec.generate_private_key(ec.SECP256R1())
    old = x509.load_der_x509_certificate(pki.certificate("box-sign"))
    builder = x509.CertificateBuilder(
        old.issuer, old.subject, key.public_key(), x509.random_serial_number(),
        old.not_valid_before_utc, old.not_valid_after_utc,
    )  # fmt: skip
    for one in old.extensions:
        builder = builder.add_extension(one.value, one.critical)
    made = builder.sign(pki.key("ca/boites"), hashes.SHA256()).public_bytes(Encoding.DER)  # type: ignore[arg-type]
    bench.desk.keys = dataclasses.replace(bench.desk.keys, sign_certificate=made, sign=key)


@pytest.fixture
def other(pki: Pki, tmp_path: Path) -> Iterator[Filed]:
    """The journal of another box, with its own name and key."""
    bench = KeeperBench(tmp_path / "other", pki, datetime.now(UTC) + AN_HOUR)
    bench.desk.paths = dataclasses.replace(bench.desk.paths, box_id="box-0002")
    another_key(bench)
    witness = Oct(bench, make_oct(pki, tmp_path / "its-oct"))
    yield make_filed(bench, witness, pki)
    witness.store.close()


def ours(filed: Filed) -> Filed:
    """With the name of the box that it must be of, as its keeper asks."""
    return dataclasses.replace(filed, authority=dataclasses.replace(filed.authority, box="box-0001"))


# ---------------------------------------------------------------- another box's


def test_the_journal_of_another_box_in_the_place_of_ours_is_found(filed: Filed, other: Filed) -> None:
    """It is whole, and under the same root: only that it is not ours is wrong with it."""
    assert ours(filed).inspect().findings == []
    for alone in (False, True):
        assert other.inspect(alone=alone).findings == []
        found = ours(other).inspect(alone=alone).findings
        assert found and all("pas de ce journal" in one.text or "ne continue pas" in one.text for one in found)
    assert (filed.inspect().box, other.inspect().box) == ("box-0001", "box-0002")


def test_a_journal_signed_by_the_key_of_another_box_is_found_by_the_octs_receipt(
    filed: Filed, pki: Pki, tmp_path: Path
) -> None:
    """Under our name by somebody else's box-sign: here nobody knows whose key it is, but it is named."""
    receipt = filed.open().execute("SELECT der FROM proofs WHERE kind = 'receipt'").fetchone()["der"]
    bench = KeeperBench(tmp_path / "forger", pki, datetime.now(UTC) + AN_HOUR)
    another_key(bench)
    witness = Oct(bench, make_oct(pki, tmp_path / "its-oct"))
    made = ours(make_filed(bench, witness, pki))
    witness.store.close()
    found = made.inspect()
    assert found.findings == [] and len(found.signers) == 1
    assert found.signers != filed.inspect().signers, "whom to ask the OCT for"
    assert {one.kind for one in made.inspect(receipts=(receipt,)).findings} <= {"forged", "truncated"}
    assert made.inspect(receipts=(receipt,)).findings


def test_parts_of_two_journals_are_not_one(filed: Filed, other: Filed, tmp_path: Path) -> None:
    for chain in (EVIDENCE, "access", PROOFS):
        copy = filed.copy(tmp_path / chain)
        shutil.copy(other.segment(chain), copy.segment(chain))
        for alone in (False, True):
            assert copy.inspect(alone=alone).findings, chain
    copy = filed.copy(tmp_path / "row")
    row = other.open().execute("SELECT * FROM journal WHERE chain = ? AND seq = 3", (EVIDENCE,)).fetchone()
    copy.open().execute("UPDATE journal SET text = ?, hash = ? WHERE chain = ? AND seq = 3",
                        (row["text"], row["hash"], EVIDENCE))  # fmt: skip
    assert (EVIDENCE, 3) in [(one.chain, one.seq) for one in copy.inspect().findings]
    copy = filed.copy(tmp_path / "piece")
    last = "SELECT * FROM proofs WHERE kind = 'checkpoint' ORDER BY id DESC LIMIT 1"
    piece = other.open().execute(last).fetchone()
    copy.open().execute("UPDATE proofs SET der = ?, digest = ? WHERE kind = 'checkpoint' AND size = ?",
                        (piece["der"], piece["digest"], piece["size"]))  # fmt: skip
    assert copy.inspect().findings


# ---------------------------------------------------------------- set back


def set_back(bench: KeeperBench, kept: Filed) -> None:
    """The box begins again with the book and the segments that somebody put back."""
    paths = bench.desk.paths
    bench.desk.board.close()
    bench.desk.book.close()
    for left in paths.book.glob("book.db*"):
        left.unlink()
    shutil.copy(kept.book, paths.book / "book.db")
    shutil.rmtree(paths.journal)
    shutil.copytree(kept.directory, paths.journal)
    del bench.desk
    bench.open()


@pytest.mark.parametrize(
    ("more", "alarm", "word"),
    [(1, "OCT-013", "JRN-032"), (40, "OCT-014", "JRN-033")],
    ids=["and stays short", "and grows beyond"],
)
def test_a_box_that_was_set_back_is_found_by_the_oct(
    filed: Filed, witness: Oct, tmp_path: Path, more: int, alarm: str, word: str
) -> None:
    """Book and segments of yesterday together are a whole journal; who saw today's is elsewhere."""
    bench, kept = filed.bench, filed.copy(tmp_path / "yesterday")
    act(bench, 20)
    seen = witness.see(carried(bench))
    witness.answer(seen.head)
    receipt = bench.desk.book.connection.execute("SELECT der FROM proofs ORDER BY id DESC LIMIT 1").fetchone()["der"]
    set_back(bench, kept)
    assert ours(filed).inspect().findings == [], "by itself it is a shorter journal"
    found = ours(filed).inspect(receipts=(receipt,)).findings
    assert {one.kind for one in found} == {"truncated"}
    act(bench, more)
    again = witness.see(carried(bench))
    assert witness.alarms() == [alarm] and again.head is not None and seen.head is not None
    assert (again.head.size, again.head.root) == (seen.head.size, seen.head.root), "what was good is countersigned"
    witness.answer(again.head)
    assert bench.condition("journal")["code"] == word


def test_the_book_alone_set_back_is_found_here(filed: Filed, tmp_path: Path) -> None:
    """Or the segments alone: each is the other's witness."""
    kept = filed.copy(tmp_path / "yesterday")
    act(filed.bench, 9)
    point = prepare(filed.bench.desk, EVIDENCE)
    assert point is not None
    with filed.bench.desk.commit():
        point.keep(filed.bench.desk)
    connection = filed.bench.desk.book.connection
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    remade = filed.copy(tmp_path / "today")
    book = remade.open()
    remake(remade, book)
    book.close()
    assert remade.inspect().findings == []
    for mixed in (
        dataclasses.replace(remade, book=kept.book), dataclasses.replace(remade, directory=kept.directory)
    ):  # fmt: skip
        assert {one.kind for one in mixed.inspect().findings} & {"missing", "truncated", "forged"}


def test_an_older_checkpoint_brought_again_takes_nothing_back(filed: Filed, witness: Oct) -> None:
    """It is known, no alarm; and what is countersigned stays the last."""
    bench = filed.bench
    act(bench, 3)
    old = carried(bench)
    witness.see(old)
    act(bench, 3)
    last = witness.see(carried(bench)).head
    again = witness.see(old, "f2").head
    assert last is not None and again is not None
    assert (again.word, again.size, again.root) == ("known", last.size, last.root) and witness.alarms() == []


# ---------------------------------------------------------------- behind what is asked


def test_rows_rewritten_below_trees_that_were_kept_are_found_on_both_sides(filed: Filed, witness: Oct) -> None:
    """New checkpoints are made from kept subtrees, which still are the true ones; but all rows after it are others."""
    bench = filed.bench
    act(bench, 3 << STORED)
    witness.see(carried(bench))
    connection = bench.desk.book.connection
    nodes = connection.execute("SELECT * FROM journal_nodes").fetchall()
    assert nodes
    rewrite(connection, EVIDENCE, 20, lambda told: {**told, "verb": "cheat"})
    connection.executemany("INSERT INTO journal_nodes VALUES (?, ?, ?, ?)", [tuple(row) for row in nodes])
    act(bench, 2)
    witness.see(carried(bench))
    assert witness.alarms() == ["OCT-014"]
    assert any(one.kind == "forged" for one in filed.inspect().findings)


def hidden(book: sqlite3.Connection) -> None:
    """The index by fichier knows the first row alone."""
    book.execute("PRAGMA writable_schema = 1")
    made = book.execute("SELECT sql FROM sqlite_master WHERE name = 'journal_fichier'").fetchone()["sql"]
    book.execute("DROP INDEX journal_fichier")
    book.execute(f"{made} WHERE seq < 2")
    book.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'journal_fichier'", (made,))


def test_rows_that_are_there_but_not_found_by_their_fichier_are_told(filed: Filed, tmp_path: Path) -> None:
    """Each row is in its place and holds; only who asks for a fichier is not shown them."""
    copy = filed.copy(tmp_path / "copy")
    book = copy.open()
    hidden(book)
    book.close()
    book = copy.open()
    (key,) = book.execute("SELECT fichier FROM journal NOT INDEXED WHERE fichier <> '' LIMIT 1").fetchone()
    assert book.execute("SELECT count(*) FROM journal WHERE fichier = ?", (key,)).fetchone()[0] == 0
    found = copy.inspect().findings
    assert found and {(one.kind, one.where) for one in found} == {("different", "livre")}
