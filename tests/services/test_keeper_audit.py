"""The keeper's journal: checkpoints with each fichier and daily, what the OCT countersigns, and every way to tamper."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from development_pki import Pki
from journal_bench import Oct, act, carried, make_oct, rewrite
from keeper_bench import KeeperBench

from gateway.book.proofs import Proofs, Tree
from gateway.concentrator.keys import load_trust
from gateway.concentrator.witness import Seen
from gateway.envelope.signed import Signature
from gateway.journal.chain import ACCESS, EVIDENCE
from gateway.journal.checkpoint import read_carried, read_checkpoint
from gateway.services.keeper.audit import Daily, prepare_carried
from tests.concentrator.concentrator_bench import BOX, Bench


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


@pytest.fixture
def oct_(pki: Pki, tmp_path: Path) -> Bench:
    return make_oct(pki, tmp_path / "oct")


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
