"""The concentrator's disk gets full and is emptied again: it says so, waits, and nothing is lost or doubled."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pytest
import samples
from full_disks import RETURNS, check_once, check_said, inbox, typing
from pin_scan import CODE
from small_disk import SmallDisk, small_disk
from stage import BOX, Stage
from stage_root import stage_root

from gateway.__main__ import LATER, UNAVAILABLE

SIZE = 16 << 20
KB = 1 << 10
REFUSED = {"PES-2.201", "PES-2.219", "PES-3.322"}
"""What a box may be told, by what it was about."""

LITTLE = 8 * KB
"""Bytes, with which no returns can be made."""

SETTLED_S = 6.0
"""How long a full disk is left so, once it was said: the concentrator tries again meanwhile."""


@dataclass
class Full:
    """A practice, its OCT, and the OCT's disk."""

    stage: Stage
    disk: SmallDisk

    def route(self) -> str:
        """What the box says of its line."""
        rows = self.stage.board.conditions()
        return next((str(row["code"]) for row in rows if (row["scope"], row["name"]) == ("route", "oct")), "")

    def log(self) -> str:
        """What the concentrator said."""
        return (self.stage.logs / "concentrator.log").read_text()

    def rows(self, query: str) -> list[sqlite3.Row]:
        """From the OCT's database."""
        with closing(sqlite3.connect(self.stage.oct / "concentrator.db")) as store:
            return store.execute(query).fetchall()


@contextmanager
def at_work(enrolled: bool) -> Iterator[Full]:
    with stage_root() as root, small_disk(root / "disk", SIZE, root / "oct") as disk:
        settings = {"forward": {"sync_kb": 32, "window": 2}}
        with Stage(root, pin=CODE, enrolled=enrolled, settings=settings) as stage:
            stage.prepare()
            stage.start_reader()
            stage.insert_card()
            stage.start("concentrator")
            stage.wait(lambda: (stage.oct / "port").exists(), "the concentrator")
            yield Full(stage, disk)


def _run(full: Full, leaves: tuple[int, ...]) -> None:
    stage, disk = full.stage, full.disk
    stage.start(*BOX)
    stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
    names = [f"f{rank}.{kind}" for rank in range(len(leaves)) for kind in ("b2", "pdf")]
    concentrator, told = stage.processes["concentrator"], set()
    with typing(stage):
        for rank, leave in enumerate(leaves):
            disk.fill(leave)
            stage.hand_over(f"f{rank}.b2", samples.b2(rank + 1))
            stage.hand_over(f"f{rank}.pdf", samples.scanned(300_000 + rank, rank))
            stage.wait(lambda: full.route() in REFUSED or disk.free < LITTLE, "a full disk", 30)
            time.sleep(SETTLED_S)
            told.add(full.route())
            assert concentrator.poll() is None, full.log()
            assert not any(one["verdict"] != "integrated" for one in stage.integrated())
            disk.empty()
            stage.wait(lambda: not full.route(), "the line")
        stage.await_states(dict.fromkeys(names, "INTEGRATED"))
        stage.wait(lambda: len(inbox(stage)) >= RETURNS * len(leaves), "the returns", 20)
    assert stage.processes["concentrator"].pid == concentrator.pid and concentrator.poll() is None
    assert told & REFUSED and told <= {*REFUSED, ""}, told
    check_once(stage, len(names))
    check_said(stage, "OCT-020", 1, "concentrator")
    check_said(stage, "BOX-006", 0)
    assert "OCT-020 Le disque du concentrateur est plein" in full.log()
    _check_store(full)


def _check_store(full: Full) -> None:
    """One alarm; whatever is on the disk has its row, and each return lies there once."""
    (alarm,) = full.rows("SELECT about, code FROM alarms")
    assert alarm[0].startswith("disque ") and alarm[1] == "OCT-020"
    (unsettled,) = full.rows("SELECT count(*) FROM transfers WHERE outcome NOT IN ('integrated')")
    assert unsettled == (0,)
    for folder, query in (("received", "SELECT sealed FROM transfers"), ("returns", "SELECT file FROM mailbox")):
        there = {path.name for path in (full.stage.oct / folder).iterdir()}
        assert {row[0] for row in full.rows(query)} <= there
    assert list((full.stage.oct / "spool").iterdir()) == []


def test_a_full_disk_of_the_oct_is_said_and_waited_for() -> None:
    with at_work(enrolled=False) as full:
        _run(full, (0, 40 * KB, 380 * KB))


@pytest.mark.long
@pytest.mark.timeout(600)  # eleven times the round of above
def test_it_may_get_full_anywhere() -> None:
    with at_work(enrolled=False) as full:
        _run(full, tuple(leave * KB for leave in (0, 8, 24, 40, 60, 330, 345, 360, 380, 400, 420)))


def test_a_box_is_enrolled_once_there_is_room() -> None:
    with at_work(enrolled=True) as full:
        stage = full.stage
        stage.wait(lambda: (stage.oct / "enrolment-port").exists(), "the listener of enrolments")
        stage.await_card()
        code = stage.code()
        full.disk.fill()
        done = stage.enrol(code=code)
        assert (done.returncode, "OCT-020 Le disque du concentrateur est plein" in done.stderr) == (UNAVAILABLE, True)
        done = stage.gateway("concentrator", "code", "CABINET2", "--rpps", "99900000011")
        assert (done.returncode, "OCT-020" in done.stderr) == (LATER, True), done.stderr
        full.disk.empty()
        done = stage.enrol(code=code)
        assert done.returncode == 0, done.stderr
        assert stage.alive("concentrator")
        check_said(stage, "OCT-020", 1, "concentrator")
        stage.wait(lambda: full.rows("SELECT * FROM alarms"), "the alarm", 10)
        assert full.rows("SELECT code FROM alarms") == [("OCT-020",)]
        assert full.rows("SELECT count(*) FROM enrolments") == [(1,)]
