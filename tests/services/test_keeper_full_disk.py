"""What the keeper says of a full disk, and what it does again once there is room."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from development_pki import Pki
from keeper_bench import KeeperBench

from gateway.book.moves import DEATHS_BEFORE_HOLD
from gateway.disk import DiskFull
from gateway.errors import Scope
from gateway.services.keeper.commands import _answer
from gateway.services.keeper.desk import ROOM


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


def free(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=room))


def on_board(bench: KeeperBench) -> str:
    rows = bench.stage.board.conditions()
    return next((row["code"] for row in rows if (row["scope"], row["name"]) == (Scope.BOX, "disk")), "")


def test_the_board_says_it_before_the_book_can(bench: KeeperBench, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = bench.desk
    free(monkeypatch, 1 << 40)
    desk.look_after_box()
    desk.say_full(DiskFull())
    assert (on_board(bench), bench.condition("disk")["code"]) == ("BOX-006", "")
    desk.start_again()
    assert (on_board(bench), bench.condition("disk")["code"]) == ("BOX-006", "BOX-006"), "no turn has shown yet"
    desk.look_after_box()
    assert (on_board(bench), bench.condition("disk")["code"]) == ("", "")


def test_nothing_begins_again_before_there_is_room(bench: KeeperBench, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, ROOM - 1)
    bench.desk.say_full(DiskFull())
    with pytest.raises(DiskFull):
        bench.desk.start_again()
    assert bench.desk.full is not None
    bench.desk.look_after_box()
    assert bench.condition("disk")["code"] == "BOX-006"


def test_what_a_full_disk_interrupts_never_counts_as_a_death(bench: KeeperBench) -> None:
    key = bench.checked("f1")
    for _ in range(DEATHS_BEFORE_HOLD + 1):
        with bench.desk.book.transaction():
            bench.desk.book.claim(key, bench.desk.boot)
        bench.desk.say_full(DiskFull())
        bench.desk.start_again()
    row = bench.row(key)
    assert (row["deaths"], row["held_since"], row["claim_state"]) == (0, "", "")


def test_what_was_committed_and_not_offered_is_offered_then(bench: KeeperBench) -> None:
    key = bench.sealed("f1")
    (entry,) = bench.desk.outgoing.names()
    bench.desk.outgoing.remove(entry)  # as if its link had found no room
    bench.desk.say_full(DiskFull())
    bench.desk.start_again()
    assert bench.desk.outgoing.names() == [entry]
    assert entry.startswith(key)


async def _fail(desk: object, ask: object) -> dict[str, object]:
    with Path("/dev/full").open("wb") as out:
        out.write(b"x")
    return {}


async def ask(bench: KeeperBench) -> dict[str, object]:
    return await _answer(bench.desk, {"fail": _fail}, b'{"op": "fail"}', "root")


def test_who_asks_for_something_reads_it_in_french(bench: KeeperBench) -> None:
    told = asyncio.run(ask(bench))
    assert (told["ok"], told["code"]) == (False, "BOX-006")
    assert bench.desk.full is not None, "and the main loop looks whether something is undone"
