"""The keeper's journal: checkpoints with each fichier and daily, what the OCT countersigns, and every way to tamper."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import io
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from development_pki import Pki
from keeper_bench import KeeperBench

from gateway.book.inspection import Authority, Inspection, inspect
from gateway.book.proofs import Proofs, Tree
from gateway.concentrator.boxes import Members
from gateway.concentrator.keys import load_trust
from gateway.concentrator.witness import Seen, Witness
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import Signature, sign_with_key, signed_size, write_signed
from gateway.formats.receipt import JournalHead, Receipt
from gateway.formats.returns import pack
from gateway.journal.chain import ACCESS, EVIDENCE, START, row_hash
from gateway.journal.checkpoint import read_carried, read_checkpoint
from gateway.services.keeper import returns
from gateway.services.keeper.archive import Archiving
from gateway.services.keeper.audit import Daily, prepare_carried
from tests.concentrator.concentrator_bench import BOX, Bench, make_bench

AT = "2026-11-22T08:00:00Z"


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


@pytest.fixture
def oct_(pki: Pki, tmp_path: Path) -> Bench:
    made = make_bench(pki, tmp_path / "oct")
    partner = dataclasses.replace(made.settings.partners[0], box_sign=pki.directory / "box-sign.pem")
    return made.having(partners=(partner,))


def act(bench: KeeperBench, count: int = 1, chain: str = EVIDENCE) -> None:
    with bench.desk.commit():
        for _ in range(count):
            bench.desk.book.record("", {"verb": "act"}, chain)


def carried(bench: KeeperBench) -> bytes:
    """What goes out with a fichier that is sealed now, and the rows that its sealing makes."""
    signature, prepared = prepare_carried(bench.desk, Signature(b"", b"", b"", ""))
    assert prepared is not None
    with bench.desk.commit():
        bench.desk.book.record("", {"verb": "seal", "signed": prepared.keep(bench.desk, carried=True)})
    return signature.checkpoint


class Oct:
    """The concentrator's witness, and its receipts on their way back."""

    def __init__(self, bench: KeeperBench, made: Bench) -> None:
        self.bench, self.made, self.store = bench, made, made.open()
        self.witness = Witness(self.store.connection, Members(made.settings, self.store).sign_certificates)

    def see(self, value: bytes, fichier: str = "f1") -> Seen:
        seen = self.witness.look(BOX, fichier, value, self.bench.now, load_trust(self.made.settings))
        assert seen is not None
        with self.store.transaction() as connection:
            seen.record(connection, self.bench.now)
        return seen

    def answer(self, head: JournalHead | None, fichier: str = "f1") -> None:
        made = Receipt(fichier, 1, "1", BOX, "integrated", "", "", AT, AT, 0, None, (), True, head)
        self.bring(made.to_bytes())

    def bring(self, body: bytes) -> None:
        pki, bench = self.bench.pki, self.bench
        content = pack("receipt", "receipt_1", "f1", AT, body)
        digest = hashlib.sha256(content).digest()
        made = sign_with_key(digest, bench.now, pki.certificate("oct-sign"), pki.key("oct-sign"))
        out = io.BytesIO()
        sealer = Sealer(out, [pki.certificate("box-seal")], signed_size(len(content), made, pki.chain))
        write_signed(io.BytesIO(content), len(content), sealer, made, pki.chain)
        sealer.close()
        bench.desk.arrived.put(f"return.{hashlib.sha256(out.getvalue()).hexdigest()}", out.getvalue())
        asyncio.run(returns.take_arrived(bench.desk))

    def alarms(self) -> list[str]:
        return [row["code"] for row in self.store.connection.execute("SELECT code FROM alarms ORDER BY code")]


@pytest.fixture
def witness(bench: KeeperBench, oct_: Bench) -> Iterator[Oct]:
    made = Oct(bench, oct_)
    yield made
    made.store.close()


def word(seen: Seen) -> str:
    assert seen.head is not None
    return seen.head.word


# ---------------------------------------------------------------- between box and OCT


def test_each_fichier_carries_a_head_that_follows(bench: KeeperBench, witness: Oct) -> None:
    act(bench, 5)
    first = witness.see(carried(bench))
    assert (word(first), first.head and first.head.size) == (
        "first",
        Tree(bench.desk.book.connection, EVIDENCE).size() - 1,
    )
    witness.answer(first.head)
    assert Proofs(bench.desk.book.connection).confirmed() == first.head.size  # type: ignore[union-attr]
    for _ in range(5):
        act(bench, 3)
        seen = witness.see(carried(bench))
        assert word(seen) == "consistent"
    assert witness.alarms() == [] and bench.condition("journal")["code"] == ""
    told, _ = read_checkpoint(read_carried(carried(bench)).signed)
    assert (told.box, told.chain, told.number) == (bench.desk.paths.box_id, EVIDENCE, 7)


def test_fichiers_may_overtake_one_another(bench: KeeperBench, witness: Oct) -> None:
    act(bench, 5)
    values = [carried(bench) for _ in range(6)]
    words = [word(witness.see(values[n])) for n in (0, 3, 1, 2, 5, 4, 0)]
    assert words == ["first", "consistent", "known", "known", "consistent", "known", "known"]
    assert witness.alarms() == []


def test_a_queue_that_waited_long_is_consistent(bench: KeeperBench, witness: Oct) -> None:
    act(bench, 5)
    witness.answer(witness.see(carried(bench)).head)
    values = [carried(bench) for _ in range(50)]
    assert {word(witness.see(value)) for value in values} == {"consistent"}


def test_a_journal_that_was_cut_is_an_alarm_on_both_sides(bench: KeeperBench, witness: Oct) -> None:
    act(bench, 9)
    seen = witness.see(carried(bench))
    assert seen.head is not None
    connection = bench.desk.book.connection
    connection.execute("DELETE FROM journal WHERE chain = ? AND seq > 4", (EVIDENCE,))
    connection.execute("DELETE FROM proofs")
    again = witness.see(carried(bench))
    assert again.head is not None
    assert (again.head.word, again.head.size) == ("backwards", seen.head.size), "the last good one is countersigned"
    assert witness.alarms() == ["OCT-013"]
    witness.answer(again.head)
    assert bench.condition("journal")["code"] == "JRN-032"
    witness.answer(seen.head, "f2")  # an older, good receipt: it is longer than the journal
    assert bench.condition("journal")["code"] == "JRN-034"
    assert Proofs(connection).confirmed() == 0


def test_a_journal_that_was_rewritten_is_an_alarm_on_both_sides(bench: KeeperBench, witness: Oct) -> None:
    act(bench, 9)
    seen = witness.see(carried(bench))
    rewrite(bench.desk.book.connection, EVIDENCE, 3, lambda told: {**told, "verb": "cheat"})
    act(bench, 3)
    again = witness.see(carried(bench))
    assert word(again) == "inconsistent" and witness.alarms() == ["OCT-014"]
    witness.answer(seen.head)
    assert bench.condition("journal")["code"] == "JRN-035"


def test_what_a_stranger_signed_is_not_believed(bench: KeeperBench, witness: Oct, pki: Pki) -> None:
    act(bench)
    good = carried(bench)
    keys = bench.desk.keys
    bench.desk.keys = dataclasses.replace(keys, sign_certificate=pki.certificate("oct-sign"), sign=pki.key("oct-sign"))
    act(bench)
    for value in (carried(bench), b"\x30\x00", good[:-1]):
        seen = witness.see(value, fichier=hashlib.sha256(value).hexdigest())
        assert seen.head is None and seen.alarm is not None
    assert witness.alarms() == ["OCT-015"] * 3
    assert word(witness.see(good)) == "first"


def test_without_a_certificate_of_the_box_nothing_is_said(bench: KeeperBench, oct_: Bench) -> None:
    partner = dataclasses.replace(oct_.settings.partners[0], box_sign=Path())
    mute = Oct(bench, oct_.having(partners=(partner,)))
    act(bench)
    assert mute.witness.look(BOX, "f1", carried(bench), bench.now, load_trust(oct_.settings)) is None
    mute.answer(None)
    assert len(list(Proofs(bench.desk.book.connection).each())) == 2, "the signed receipt is kept all the same"


def test_an_oct_that_wants_none_gets_none(bench: KeeperBench) -> None:
    bench.open(journal_to_oct=False)
    act(bench)
    signature = Signature(b"", b"", b"", "")
    assert prepare_carried(bench.desk, signature) == (signature, None)
    assert Daily(bench.desk).look() is not None, "the day's is made all the same"


def test_rows_that_are_missing_hold_no_fichier_back(bench: KeeperBench) -> None:
    act(bench, 9)
    bench.desk.book.connection.execute("DELETE FROM journal WHERE chain = ? AND seq = 4", (EVIDENCE,))
    signature, prepared = prepare_carried(bench.desk, Signature(b"", b"", b"", ""))
    assert (signature.checkpoint, prepared) == (b"", None)
    assert bench.condition("journal")["code"] == "JRN-030"


# ---------------------------------------------------------------- daily


def test_a_checkpoint_a_day_of_both_chains(bench: KeeperBench) -> None:
    act(bench, 3)
    act(bench, 2, ACCESS)
    daily = Daily(bench.desk)
    assert daily.look() is not None and daily.look() is None
    assert Daily(bench.desk).look() is None, "not again after a restart"
    bench.now += timedelta(days=1)
    assert daily.look() is None, "nothing new to sign"
    act(bench)
    bench.now += timedelta(days=1)
    assert daily.look() is not None
    connection = bench.desk.book.connection
    kept = connection.execute("SELECT chain, size FROM proofs ORDER BY id").fetchall()
    access, first, second = ((row["chain"], row["size"]) for row in kept)
    assert access == (ACCESS, 2) and second[1] == first[1] + 1
    row = bench.told("", "checkpoint")[0]
    assert (row["of"], row["size"]) == (ACCESS, 2), (
        "the evidence chain, which the OCT sees, vouches for the access chain"
    )
    assert row["root"] == Tree(connection, ACCESS).root(2).hex()


# ---------------------------------------------------------------- tampering


def rewrite(connection: sqlite3.Connection, chain: str, at: int, change: Callable[[dict[str, object]], object]) -> None:
    """Change row ``at`` and make all hashes from there on new, as whoever has the book but not box-sign can."""
    rows = connection.execute("SELECT seq, text FROM journal WHERE chain = ? ORDER BY seq", (chain,)).fetchall()
    previous = START
    for row in rows:
        text = row["text"]
        if row["seq"] == at:
            told = json.loads(text)
            text = json.dumps(change(told), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = row_hash(previous, text)
        connection.execute(
            "UPDATE journal SET text = ?, hash = ? WHERE chain = ? AND seq = ?", (text, previous, chain, row["seq"])
        )
    connection.execute("DELETE FROM journal_nodes")


@dataclasses.dataclass
class Filed:
    """A real journal, in the book and in segments, with every row under a checkpoint."""

    book: Path
    directory: Path
    authority: Authority
    bench: KeeperBench
    sizes: dict[str, int]

    def inspect(self, *, alone: bool = False, receipts: tuple[bytes, ...] = ()) -> Inspection:
        authority = dataclasses.replace(self.authority)
        book = None if alone else self.book
        return inspect(self.directory, authority, self.bench.now, book, receipts)

    def copy(self, folder: Path) -> Filed:
        shutil.copytree(self.directory, folder / "journal")
        shutil.copy(self.book, folder / "book.db")
        return dataclasses.replace(self, book=folder / "book.db", directory=folder / "journal")

    def open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.book, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection

    def segment(self, chain: str) -> Path:
        return self.directory / f"{chain}-000001.journal"


@pytest.fixture
def filed(bench: KeeperBench, witness: Oct, pki: Pki) -> Filed:
    archiving = Archiving(bench.desk)
    archiving.start()
    key = bench.checked("a", "991038431")
    act(bench, 3, ACCESS)
    witness.answer(witness.see(carried(bench)).head, key)
    act(bench, 2)
    carried(bench)
    bench.now += timedelta(days=1)
    archiving.look()
    while archiving._archive.append():
        pass
    connection = bench.desk.book.connection
    sizes = {chain: Tree(connection, chain).size() for chain in (EVIDENCE, ACCESS)}
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    paths = bench.desk.paths
    authority = Authority((pki.root,), tuple(pki.chain))
    return Filed(paths.book / "book.db", paths.journal, authority, bench, sizes)


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


def remake(copy: Filed, book: sqlite3.Connection) -> None:
    from gateway.book.segments import Archive

    shutil.rmtree(copy.directory)
    copy.directory.mkdir()
    book.execute("DELETE FROM segments")
    archive = Archive(copy.directory, "box-0001", book)
    while archive.append():
        pass


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
