"""The box's disk gets full at one instant after another and is emptied again: it says so, waits, and loses nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import samples
from full_disks import RETURNS, check_once, check_said, inbox, typing
from pin_scan import CODE
from small_disk import SmallDisk, small_disk
from stage import BOX, Stage
from stage_root import stage_root

from gateway.__main__ import LATER

SIZE = 24 << 20
KB = 1 << 10
SETTLED_S = 1.0
"""How long a full disk is left so, once it was said."""


@dataclass
class Full:
    """A practice, and the disk of its box."""

    stage: Stage
    disk: SmallDisk

    def hand_over(self, name: str, content: bytes, leave: int) -> None:
        """A file that the practice still could write; from then on only ``leave`` bytes are free."""
        aside = self.stage.paths.practice / "outbox" / f"{name}.tmp"
        aside.write_bytes(content)
        self.disk.fill(leave)
        aside.rename(aside.with_name(name))

    def await_word(self) -> None:
        """The page says that the disk is full, and what to do."""
        self.stage.wait(lambda: "disque" in self.stage.ask("/api/v1/status")["sentence"], "the page", 20)
        told = self.stage.ask("/api/v1/status")
        assert "plein" in told["sentence"] and "Prévenez" in told["sentence"], told
        assert told["level"] == "fault"

    def pids(self) -> dict[str, int]:
        """The services that run."""
        return {name: self.stage.processes[name].pid for name in BOX if self.stage.alive(name)}


@pytest.fixture
def full() -> Iterator[Full]:
    with stage_root() as root, small_disk(root / "disk", SIZE, root / "var", root / "srv") as disk:
        settings = {"keeper": {"free_min": 2 << 20}, "forward": {"sync_kb": 32, "window": 2}}
        with Stage(root, pin=CODE, settings=settings) as stage:
            stage.prepare()
            stage.start_reader()
            stage.insert_card()
            stage.start()
            stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
            yield Full(stage, disk)


def _deposit_by_http(full: Full, content: bytes) -> int:
    url = f"http://127.0.0.1:{full.stage.ports['intake']}/api/v1/fichiers?name=http.b2"
    try:
        with urlopen(Request(url, content, method="POST"), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as refused:
        assert "plein" in refused.read().decode()
        return refused.code


def _run(full: Full, leaves: tuple[int, ...]) -> None:
    stage, before = full.stage, full.pids()
    contents = {f"f{rank}.pdf": samples.scanned(100_000 + rank, rank) for rank in range(len(leaves))}
    contents |= {f"f{rank}.b2": samples.b2(rank + 1) for rank in range(len(leaves))}
    with typing(stage):
        for rank, leave in enumerate(leaves):
            full.hand_over(f"f{rank}.b2", contents[f"f{rank}.b2"], 1 << 30)
            full.hand_over(f"f{rank}.pdf", contents[f"f{rank}.pdf"], leave)
            full.await_word()
            time.sleep(SETTLED_S)
            if not leave:
                assert _deposit_by_http(full, samples.b2(99)) == 503
            full.disk.empty()
            stage.wait(lambda: "disque" not in stage.ask("/api/v1/status")["sentence"], "the end of it")
        assert full.pids() == before, "a service died"
        stage.await_states(dict.fromkeys(contents, "INTEGRATED"))
        assert _deposit_by_http(full, samples.b2(99)) == 201
        stage.await_states({"http.b2": "INTEGRATED"})
        stage.wait(lambda: len(inbox(stage)) >= RETURNS * (len(leaves) + 1), "the returns", 20)
    check_once(stage, len(contents) + 1)
    check_said(stage, "BOX-006", 1)


def test_a_full_disk_is_said_and_waited_for(full: Full) -> None:
    _run(full, (0, 200 * KB))


@pytest.mark.long
def test_it_may_get_full_anywhere(full: Full) -> None:
    _run(full, tuple(leave * KB for leave in (0, 8, 40, 120, 140, 240, 330, 400, 480)))


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_services_that_start_on_a_full_disk_wait_for_room(full: Full, number: int) -> None:
    stage = full.stage
    with typing(stage):
        full.hand_over("a.b2", samples.b2(1), 0)
        full.await_word()
        for name in BOX:
            stage.end(name, number)
        stage.start(*BOX)
        stage.wait(lambda: "BOX-006" in (stage.logs / "intake.log").read_text(), "the journal")
        time.sleep(3)
        starts = 2 + _start_again(stage)
        full.disk.empty()
        starts += _start_again(stage)
        stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
        stage.await_states({"a.b2": "INTEGRATED"})
        stage.wait(lambda: len(inbox(stage)) >= RETURNS, "the returns", 20)
    check_once(stage, 1)
    check_said(stage, "BOX-006", starts)


def _start_again(stage: Stage) -> int:
    """systemd's part: what could not begin said so in one line, and is started again; whether anything was."""
    over = [name for name in BOX if not stage.alive(name)]
    assert [stage.processes.pop(name).returncode for name in over] == [LATER] * len(over)
    if over:
        stage.start(*over)
    return int(bool(over))
