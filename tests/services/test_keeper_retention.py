"""What is kept ends on its day, is proven to, goes on after any death, and never on a clock of the box's own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import samples
from chain_check import first_break
from development_pki import Pki
from keeper_bench import KeeperBench
from personal_bench import ask, hear, integrated, later, received

from gateway.book import retention as rows
from gateway.book.backup import aside, copy_book
from gateway.fichier import Verb
from gateway.formats.b2 import check
from gateway.journal.chain import ACCESS
from gateway.services.keeper import retention
from gateway.services.keeper.commands import ADMIN
from gateway.services.keeper.personal import PERSONAL_ADMIN
from gateway.services.keeper.retention import Retention
from gateway.services.keeper.service import take_new

CONTENT = samples.b2(7)


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


def turn(bench: KeeperBench) -> None:
    Retention(bench.desk).turn()


def parts(bench: KeeperBench) -> set[str]:
    return {path.name for path in bench.desk.parts.path.iterdir()}


def roles(bench: KeeperBench, fichier: str) -> dict[str, str]:
    found = bench.desk.book.connection.execute("SELECT role, digest FROM parts WHERE fichier = ?", (fichier,))
    return {row["role"]: row["digest"] for row in found}


def proofs(bench: KeeperBench, kind: str) -> list[dict[str, Any]]:
    facts = (json.loads(row.text) for row in bench.desk.book.journal())
    return [fact for fact in facts if fact["verb"] == "destroy" and fact["class"] == kind]


def count(bench: KeeperBench, table: str) -> int:
    return int(bench.desk.book.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def settle(bench: KeeperBench, state: str = "P") -> None:
    bench.desk.book.connection.execute(
        "UPDATE factures SET amo_state = ?, amc_state = ?, settled = ?", (state, state, bench.now.isoformat())
    )


# -- sealed copies


def test_copies_go_ninety_days_after_sending_and_leave_a_proof(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    held = roles(bench, fichier)
    later(bench, days=90)
    turn(bench)
    assert set(roles(bench, fichier)) == {"received", "signature", "sealed"}
    later(bench, seconds=1)
    turn(bench)
    assert roles(bench, fichier) == {"signature": held["signature"]}
    assert parts(bench) == {held["signature"]}
    (proof,) = proofs(bench, rows.COPIES)
    assert proof["fichier"] == fichier
    assert proof["rule"] == "copies_days = 90"
    assert {part["role"]: part["digest"] for part in proof["parts"]} == {
        role: held[role] for role in ("received", "sealed")
    }
    assert first_break(bench.desk.book.journal()) is None
    assert count(bench, "factures") == 5


def test_the_last_sending_counts(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    later(bench, days=60)
    with bench.desk.commit():
        assert bench.desk.book.move(fichier, Verb.RESEND, {}, transmission=2)
        assert bench.desk.book.move(fichier, Verb.SEAL, {}, seal="2", seals=2)
        assert bench.desk.book.move(fichier, Verb.SEND, {}, sent=bench.desk.book.clock().strftime("%Y-%m-%dT%H:%M:%SZ"))
        assert bench.desk.book.move(fichier, Verb.INTEGRATE, {})
    later(bench, days=60)
    turn(bench)
    assert "received" in roles(bench, fichier)
    later(bench, days=31)
    turn(bench)
    assert "received" not in roles(bench, fichier)


UNDER_WAY: dict[str, tuple[Verb, ...]] = {
    "checked": (), "signed": (Verb.SIGN,), "sealed": (Verb.SIGN, Verb.SEAL), "sent": (Verb.SIGN, Verb.SEAL, Verb.SEND),
}  # fmt: skip


@pytest.mark.parametrize("state", UNDER_WAY)
def test_nothing_of_a_fichier_under_way_is_ever_destroyed(bench: KeeperBench, state: str) -> None:
    fichier = received(bench, CONTENT)
    with bench.desk.commit():
        for verb in UNDER_WAY[state]:
            bench.desk.book.move(fichier, verb, {})
    later(bench, days=20_000)
    turn(bench)
    assert "received" in roles(bench, fichier)
    assert count(bench, "factures") == 5
    assert not [fact for kind in (rows.COPIES, rows.FOLLOW, rows.DIGESTS) for fact in proofs(bench, kind)]


def test_a_refused_one_goes_ninety_days_after_its_refusal(bench: KeeperBench) -> None:
    fichier = received(bench, samples.faulty_b2(3))
    assert bench.row(fichier)["state"] == "REFUSED"
    later(bench, days=91)
    turn(bench)
    assert roles(bench, fichier) == {}


def test_what_was_destroyed_is_neither_shown_nor_resent_and_says_so(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    later(bench, days=91)
    turn(bench)
    for acts, op in ((PERSONAL_ADMIN, "reveal"), (ADMIN, "resend")):
        told = ask(bench, dict(acts), {"op": op, "id": fichier, "lot": 1, "facture": 1, "why": "essai"})
        assert told["code"] == "RVL-003"
        assert "détruites le" in told["text"]
    assert bench.row(fichier)["state"] == "INTEGRATED"


def test_the_same_bytes_are_still_known_and_bring_no_copy_back(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    later(bench, days=91)
    turn(bench)
    before = parts(bench)
    bench.desk.counter.remove(next(name for name in bench.desk.counter.names() if fichier in name))
    assert again(bench) == fichier
    assert bench.row(fichier)["state"] == "INTEGRATED"
    assert [name for name in bench.desk.counter.names() if name.startswith(f"word.{fichier}")]
    later(bench, days=1)
    turn(bench)
    assert parts(bench) == before


def again(bench: KeeperBench) -> str:
    """The practice hands the same bytes over a second time."""
    from gateway.formats.intake import IntakeHeader
    from gateway.services.intake import Deposit

    recipients = [bench.pki.certificate("box-seal")]
    with Deposit(
        bench.desk.new, b"k" * 32, recipients, IntakeHeader("x", "http", "2026-11-01T08:00:00Z", len(CONTENT))
    ) as entry:
        entry.write(CONTENT)
        entry.finish()
        fichier = entry.fichier
    take_new(bench.desk)
    return fichier


# -- killed at any instant


class Killed(BaseException):
    """SIGKILL, as far as Python can tell."""


STEPS = ("give_up_parts", "give_up_return", "intend", "prove", "end_follow", "end_digests")


def die_at(place: int, after: bool, patch: pytest.MonkeyPatch, bench: KeeperBench) -> None:
    """Die before or after the ``place``-th of all steps of a turn: halves of commits, and removals of files."""
    seen = [0]

    def step(act: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*given: Any, **named: Any) -> Any:
            seen[0] += 1
            now = seen[0] == place
            if now and not after:
                raise Killed
            told = act(*given, **named)
            if now:
                raise Killed
            return told

        return stepped

    for name in STEPS:
        patch.setattr(rows, name, step(getattr(rows, name)))
    for owner in (bench.desk.parts, bench.desk.persons):
        patch.setattr(owner, "destroy", step(owner.destroy))
    patch.setattr(Path, "unlink", step(Path.unlink))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_step_it_goes_on_and_proves_each_once(pki: Pki, tmp_path: Path, after: bool) -> None:
    place, died = 0, True
    while died:
        place += 1
        bench = KeeperBench(tmp_path / str(place), pki)
        fichier, (came, _) = integrated(bench, CONTENT), bring(bench, "rsp", True)
        bench.desk.persons.fact(2020, "claire", "", "")
        later(bench, days=91)
        with pytest.MonkeyPatch.context() as patch:
            die_at(place, after, patch, bench)
            try:
                turn(bench)
                died = False
            except Killed:
                pass
        held = set(roles(bench, fichier).values())
        assert held <= parts(bench), "a row names what is gone"
        bench.open()  # the keeper starts again
        turn(bench)
        assert parts(bench) == set(roles(bench, fichier).values())
        assert set(roles(bench, fichier)) == {"signature"}
        assert [fact["fichier"] for fact in proofs(bench, rows.COPIES)] == [fichier]
        assert [fact["part"] for fact in proofs(bench, rows.RETURNS)] == [came]
        assert [fact["year"] for fact in proofs(bench, rows.NAMES)] == [2020]
        assert count(bench, "destroying") == 0
        assert first_break(bench.desk.book.journal()) is None
    assert place > 15


def test_no_proof_while_another_still_has_the_bytes(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    sealed = bench.desk.parts.file(roles(bench, fichier)["sealed"])
    kept = bench.stage.root / "kept"
    kept.hardlink_to(sealed)
    later(bench, days=91)
    turn(bench)
    assert proofs(bench, rows.COPIES) == []
    kept.unlink()
    turn(bench)
    assert len(proofs(bench, rows.COPIES)) == 1


def test_what_we_still_offer_is_taken_back_first(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    bench.desk.outgoing.link(f"{fichier}.1.1", bench.desk.parts.file(roles(bench, fichier)["sealed"]))
    later(bench, days=91)
    turn(bench)
    assert bench.desk.outgoing.names() == []
    assert len(proofs(bench, rows.COPIES)) == 1


# -- the clock


def test_a_clock_that_jumps_ahead_destroys_nothing_and_says_so(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    bench.now += timedelta(days=4000)
    turn(bench)
    assert set(roles(bench, fichier)) == {"received", "signature", "sealed"}
    assert count(bench, "factures") == 5
    assert bench.condition("retention")["code"] == "RET-CLOCK"
    hear(bench)
    turn(bench)
    assert "received" not in roles(bench, fichier)
    assert bench.condition("retention")["code"] == ""


def test_a_practice_that_sends_nothing_keeps_nothing_longer(bench: KeeperBench) -> None:
    """No return comes, but revocation lists do, and an authority signed them; they are heard on the same day."""
    fichier, retention = integrated(bench, CONTENT), Retention(bench.desk)
    bench.now += timedelta(days=91)
    retention.look()
    assert bench.condition("retention")["code"] == "RET-CLOCK"
    with bench.desk.commit():
        bench.desk.book.connection.execute(
            "INSERT INTO lists VALUES ('a', '1', ?, '', '')", (bench.now.strftime("%Y-%m-%dT%H:%M:%SZ"),)
        )
    retention.look()
    assert bench.condition("retention")["code"] == ""
    assert "received" not in roles(bench, fichier)


def test_without_a_word_of_the_oct_nothing_is_destroyed(bench: KeeperBench) -> None:
    fichier = received(bench, samples.faulty_b2(3))
    bench.now += timedelta(days=400)
    turn(bench)
    assert "received" in roles(bench, fichier)


# -- returns


def bring(bench: KeeperBench, kind: str, picked: bool) -> tuple[str, str]:
    """A return as the book has it: the digests of what came and of what the practice gets."""
    came = bench.desk.parts.add_bytes(f"came {kind} {picked}".encode()).digest
    delivery = (
        "" if kind in ("receipt", "unread") else bench.desk.parts.add_bytes(f"for {kind} {picked}".encode()).digest
    )
    at = bench.desk.book.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    with bench.desk.commit():
        bench.desk.book.connection.execute(
            "INSERT INTO returns (id, kind, name, about, at, arrived, delivery, size, picked)"
            " VALUES (?, ?, '', '', ?, ?, ?, 1, ?)", (came, kind, at, at, delivery, at if picked else ""),
        )  # fmt: skip
    return came, delivery


def test_returns_go_after_they_were_picked_up_and_evidence_stays(bench: KeeperBench) -> None:
    taken, waiting = bring(bench, "rsp", True), bring(bench, "rsp", False)
    arl, receipt, unread = bring(bench, "arl", True), bring(bench, "receipt", False), bring(bench, "unread", False)
    later(bench, days=91)
    turn(bench)
    assert parts(bench) == {*waiting, arl[0], receipt[0], unread[0]}
    assert sorted(fact["part"] for fact in proofs(bench, rows.RETURNS)) == sorted((taken[0], arl[0]))
    assert ask(bench, dict(ADMIN), {"op": "redeliver", "since": ""})["returns"] == 1
    later(bench, days=1100)
    turn(bench)
    assert unread[0] not in parts(bench)


def test_a_return_that_comes_again_leaves_nothing_behind(bench: KeeperBench) -> None:
    came, _ = bring(bench, "rsp", True)
    later(bench, days=91)
    turn(bench)
    bench.desk.parts.add_bytes(b"came rsp True")  # as the keeper copies it before it knows it
    assert came in parts(bench)
    turn(bench)
    assert came not in parts(bench)


# -- follow-up, digests, names


@pytest.mark.parametrize(("state", "days", "kept"), [
    ("P", 364, True), ("P", 366, False), ("R", 366, False), ("", 366, True), ("D", 1094, True), ("", 1096, False),
])  # fmt: skip
def test_follow_up_lasts_until_paid_or_given_up(bench: KeeperBench, state: str, days: int, kept: bool) -> None:
    fichier = integrated(bench, CONTENT, "DUPONT Marie.b2")
    settle(bench, state)
    later(bench, days=days)
    turn(bench)
    assert count(bench, "factures") == (5 if kept else 0)
    assert (bench.row(fichier)["name"] == rows.CLOSED) is not kept
    assert bench.row(fichier)["digest"]
    assert len(proofs(bench, rows.FOLLOW)) == (0 if kept else 1)
    (shown,) = bench.stage.board.fichiers()
    assert ("DUPONT" in shown["name"]) is kept
    assert bool(bench.stage.board.factures()) is kept


def test_the_practice_keeps_its_last_word_when_the_follow_up_ends(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    settle(bench)
    later(bench, days=91)
    turn(bench)
    words = [name for name in bench.desk.counter.names() if name.startswith(f"word.{fichier}")]
    later(bench, days=400)
    turn(bench)
    bench.open()
    assert [name for name in bench.desk.counter.names() if name.startswith(f"word.{fichier}")] == words


def test_no_table_keeps_a_fichier_that_is_to_be_forgotten(bench: KeeperBench) -> None:
    """Whatever refers to a fichier has a row of it: the keeper would die of one that is left, day after day."""
    fichier, connection = integrated(bench, CONTENT), bench.desk.book.connection
    tables = [row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    referring = [table for table in tables for key in connection.execute(f"PRAGMA foreign_key_list({table})")
                 if key["table"] == "fichiers"]  # fmt: skip
    with bench.desk.commit():
        connection.execute("INSERT OR REPLACE INTO seal_recipients VALUES (?, 'c')", (fichier,))
        connection.execute("INSERT INTO void_signatures VALUES ('s', ?)", (fichier,))
        connection.execute("INSERT INTO findings VALUES (?, 1, 1, 1, 'X', 'x', 'notes')", (fichier,))
    assert {table for table in referring if count(bench, table) == 0} == set()
    later(bench, days=91)
    turn(bench)
    later(bench, days=3600)
    turn(bench)
    assert {table for table in (*referring, "fichiers") if count(bench, table)} == set()


def test_digests_outlive_everything_but_ten_years(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    settle(bench)
    later(bench, days=3652)
    turn(bench)
    assert bench.row(fichier)["digest"]
    later(bench, days=3)
    turn(bench)
    turn(bench)
    assert bench.desk.book.fichier(fichier) is None
    assert bench.stage.board.fichiers() == []
    assert [fact["fichier"] for fact in proofs(bench, rows.DIGESTS)] == [fichier]
    assert roles(bench, fichier) == {}


def test_names_in_the_access_chain_end_and_the_chain_stays_whole(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT)
    question = {"op": "reveal", "id": fichier, "lot": 1, "facture": 1, "why": "essai"}
    assert ask(bench, PERSONAL_ADMIN, question)["ok"]
    row = json.loads(next(iter(bench.desk.book.journal(chain=ACCESS))).text)
    year = bench.now.year
    bench.now = bench.now.replace(year=year + 1, month=12, day=31, hour=12)
    hear(bench)
    turn(bench)
    assert bench.desk.persons.words(row)["why"] == "essai"
    later(bench, days=1)
    turn(bench)
    assert bench.desk.persons.words(row) == {}
    assert [fact["year"] for fact in proofs(bench, rows.NAMES)] == [year]
    assert first_break(bench.desk.book.journal(chain=ACCESS), ACCESS) is None


def test_it_looks_once_a_day(bench: KeeperBench, monkeypatch: pytest.MonkeyPatch) -> None:
    daily, turns = Retention(bench.desk), []
    monkeypatch.setattr(retention.Retention, "turn", lambda self: turns.append(bench.today))
    for _ in range(3):
        daily.look()
    bench.now += timedelta(days=1)
    daily.look()
    assert len(turns) == 2


def test_nothing_of_what_was_deleted_is_left_in_the_files_of_the_book(bench: KeeperBench) -> None:
    fichier = integrated(bench, CONTENT, "DUPONT Marie.b2")
    patients = {bench.desk.keys.pseudonym_of(one.nir) for lot in check(CONTENT).lots for one in lot.factures}
    settle(bench)
    later(bench, days=500)
    turn(bench)
    turn(bench)
    files = [path.read_bytes() for path in bench.desk.paths.book.glob("book.db*")]
    assert files
    assert bench.row(fichier)["name"] == rows.CLOSED
    for word in (b"DUPONT", *(patient.encode() for patient in patients)):
        assert not any(word in content for content in files), word


def test_a_copy_of_the_book_that_a_killed_backup_left_goes_too(bench: KeeperBench) -> None:
    place = bench.desk.paths.book

    def work() -> None:
        with aside(place) as folder:
            copy_book(place / "book.db", folder / "book.db")
            os.kill(os.getpid(), signal.SIGKILL)

    if not (child := os.fork()):
        work()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (left,) = place.glob(".aside-*/book.db")
    turn(bench)
    assert left.exists(), "it may be at work"
    os.utime(left.parent, (0, 0))
    turn(bench)
    assert {path.name for path in place.iterdir()} <= {"book.db", "book.db-wal", "book.db-shm", "years"}


def test_deleting_without_overwriting_would_be_found(tmp_path: Path) -> None:
    """What the test before looks for does stand in free pages where a database does not overwrite them."""
    with sqlite3.connect(tmp_path / "x.db", isolation_level=None) as loose:
        loose.execute("PRAGMA secure_delete=OFF")
        loose.execute("CREATE TABLE t (a TEXT)")
        loose.executemany("INSERT INTO t VALUES (?)", ((f"DUPONT {n}",) for n in range(1000)))
        loose.execute("DELETE FROM t")
    assert b"DUPONT" in (tmp_path / "x.db").read_bytes()
