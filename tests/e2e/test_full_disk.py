"""The box's disk gets full at one instant after another and is emptied again: it says so, waits, and loses nothing."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import samples
from pin_scan import CODE
from small_disk import SmallDisk, small_disk
from stage import BOX, Stage
from stage_root import stage_root

from gateway.__main__ import LATER

SIZE = 24 << 20
KB = 1 << 10
RETURNS = 3
"""Of each B2 file: an ARL of each of its two lots, and what is paid."""

ONCE = ("receive", "check", "sign", "seal", "integrate")

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


def _type_pin(stage: Stage, over: threading.Event) -> None:
    while not over.wait(0.1):
        with suppress(OSError, KeyError, ValueError):
            told = stage.pending()
            if told["items"] and told["card"]["state"] == "locked":
                stage.unlock()


@contextmanager
def _typing(stage: Stage) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=_type_pin, args=(stage, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


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
    with _typing(stage):
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
        stage.wait(lambda: len(_inbox(stage)) >= RETURNS * (len(leaves) + 1), "the returns", 20)
    _count(full, len(contents) + 1)


def _inbox(stage: Stage) -> list[bytes]:
    return [path.read_bytes() for path in (stage.paths.practice / "inbox").glob("[!.]*")]


def _count(full: Full, fichiers: int, starts: int = 1) -> None:
    stage = full.stage
    assert Counter(Counter(row["fichier"] for row in stage.integrated()).values()) == {1: fichiers}
    assert [row["name"] for row in stage.board.fichiers() if row["held_since"] or row["transmission"] != 1] == []
    for row in stage.board.fichiers():
        verbs = Counter(json.loads(event["text"])["verb"] for event in stage.board.of_fichier("events", row["id"]))
        assert {verb: verbs[verb] for verb in ONCE} == dict.fromkeys(ONCE, 1), row["name"]
    verified = stage.gateway("journal", "verify")
    assert verified.returncode == 0, verified.stderr
    inbox = _inbox(stage)
    assert len(inbox) == len(set(inbox)), "a return twice"
    left = [path.name for path in (stage.paths.practice / "outbox").rglob("*") if path.is_file()]
    assert left == []
    for name in BOX:
        told = (stage.logs / f"{name}.log").read_text()
        assert "Traceback" not in told and "Error" not in told, told
        assert told.count("BOX-006") <= starts, told
    for door in ("new", "outgoing", "arrived", "counter"):
        assert [path.name for path in stage.paths.door(door).glob(".tmp-*")] == []


def test_a_full_disk_is_said_and_waited_for(full: Full) -> None:
    _run(full, (0, 200 * KB))


@pytest.mark.long
def test_it_may_get_full_anywhere(full: Full) -> None:
    _run(full, tuple(leave * KB for leave in (0, 8, 40, 120, 140, 240, 330, 400, 480)))


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_services_that_start_on_a_full_disk_wait_for_room(full: Full, number: int) -> None:
    stage = full.stage
    with _typing(stage):
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
        stage.wait(lambda: len(_inbox(stage)) >= RETURNS, "the returns", 20)
    _count(full, 1, starts)


def _start_again(stage: Stage) -> int:
    """systemd's part: what could not begin said so in one line, and is started again; whether anything was."""
    over = [name for name in BOX if not stage.alive(name)]
    assert [stage.processes.pop(name).returncode for name in over] == [LATER] * len(over)
    if over:
        stage.start(*over)
    return int(bool(over))
