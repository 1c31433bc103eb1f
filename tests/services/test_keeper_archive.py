"""What the keeper does for its journal at start and in its turns, and what of it people are told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from development_pki import Pki
from keeper_bench import KeeperBench

from gateway.errors import Deferred, Refused
from gateway.services.keeper import archive
from gateway.services.keeper.archive import Archiving


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


def started(bench: KeeperBench) -> Archiving:
    made = Archiving(bench.desk)
    made.start()
    return made


def act(bench: KeeperBench, count: int = 1) -> None:
    with bench.desk.commit():
        for _ in range(count):
            bench.desk.book.record("", {"verb": "act"})


def segment(bench: KeeperBench) -> Path:
    return bench.desk.paths.journal / "evidence-000001.journal"


def lines(bench: KeeperBench) -> int:
    return segment(bench).read_bytes().count(b"\n") - 1


def look(archiving: Archiving, times: int = 3) -> None:
    for _ in range(times):
        archiving.look()


def test_what_is_new_is_written_now_and_then(bench: KeeperBench, monkeypatch: pytest.MonkeyPatch) -> None:
    archiving = started(bench)
    act(bench, 5)
    look(archiving)
    written = lines(bench)
    assert written >= 5
    act(bench)
    look(archiving)
    assert lines(bench) == written, "not at every turn: each one is an fsync"
    monkeypatch.setattr(archive, "EXPORT_S", 0.0)
    archiving._export_at = 0.0
    look(archiving)
    assert lines(bench) == written + 1


def test_a_repair_is_a_row_of_the_journal(bench: KeeperBench) -> None:
    act(bench, 5)
    look(started(bench))
    whole = segment(bench).read_bytes()
    segment(bench).write_bytes(whole[:-30])
    started(bench)
    assert segment(bench).read_bytes() == whole
    (told,) = bench.told("", "repair")
    assert (told["cause"], told["segment"]) == ("torn", segment(bench).name)
    started(bench)
    assert len(bench.told("", "repair")) == 1 and bench.condition("segments")["code"] == ""


def test_a_file_that_was_altered_is_on_the_page(bench: KeeperBench) -> None:
    act(bench, 5)
    look(started(bench))
    whole = segment(bench).read_bytes()
    segment(bench).write_bytes(b'"verb":"x'.join(whole.rsplit(b'"verb":"', 1)))
    started(bench)
    assert bench.condition("segments")["code"] == "JRN-036"
    segment(bench).write_bytes(whole)
    started(bench)
    assert bench.condition("segments")["code"] == ""


def verified(bench: KeeperBench, archiving: Archiving) -> None:
    told = bench.desk.verification.ask(start=True)
    while told["running"]:
        time.sleep(0.01)
        told = bench.desk.verification.ask(start=False)
    archiving.look()


def test_a_verification_that_finds_something_is_on_the_page(bench: KeeperBench) -> None:
    archiving = started(bench)
    act(bench, 5)
    verified(bench, archiving)
    told = bench.condition("verification")
    assert told["code"] == "" and '"findings": 0' in told["detail"]
    sql = """UPDATE journal SET text = replace(text, '"verb":"', '"verb":"x') WHERE chain = 'evidence' AND seq = 3"""
    bench.desk.book.connection.execute(sql)
    verified(bench, archiving)
    told = bench.condition("verification")
    assert told["code"] == "JRN-001" and "ligne 3 modifiée" in told["text"]


def test_who_asks_for_a_verification_that_a_restart_ended_is_told(bench: KeeperBench) -> None:
    with pytest.raises(Deferred, match="JRN-004"):
        bench.desk.verification.ask(start=False)


def test_a_verification_of_a_broken_book_says_so(bench: KeeperBench) -> None:
    bench.desk.book.connection.execute("DROP TABLE proofs")
    told = bench.desk.verification.ask(start=True)
    with pytest.raises(Refused, match="JRN-042"):
        while told["running"]:
            time.sleep(0.01)
            told = bench.desk.verification.ask(start=False)


def test_a_verification_that_cannot_be_done_says_why(bench: KeeperBench) -> None:
    (bench.desk.paths.trust / "root.pem").unlink()
    told = bench.desk.verification.ask(start=True)
    with pytest.raises(Refused, match="BOX-004"):
        while told["running"]:
            time.sleep(0.01)
            told = bench.desk.verification.ask(start=False)
