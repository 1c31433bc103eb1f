"""What goes out is concluded once its fact is through the door; what comes in is there before anybody is told."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.config import Paths
from gateway.pesit.transfer import Identity, SyncPoint
from gateway.process.runtime import Runtime
from gateway.services.forward.dock import Dock
from gateway.services.forward.settings import ForwardSettings

ENTRY = "f1.1.1"


@pytest.fixture
def dock(tmp_path: Path) -> Dock:
    paths = Paths(state=tmp_path, runtime=tmp_path / "run")
    for name in ("outgoing", "arrived"):
        paths.door(name).mkdir(parents=True)
    return Dock(Runtime("forward"), paths, ForwardSettings(pull_s=1e6, pull_soon_s=0.0))


def test_what_went_by_another_channel_is_concluded_like_the_rest(dock: Dock) -> None:
    dock.outgoing.put(ENTRY, b"sealed")
    dock.transfers.finish_write(ENTRY, json.dumps({"channel": "sftp"}))
    dock.conclude(ENTRY)
    assert dock.outgoing.names() == []
    assert json.loads(dock.arrived.read(f"sent.{ENTRY}", 100)) == {"channel": "sftp"}


def test_what_pesit_began_and_another_channel_ended_keeps_its_identity(dock: Dock) -> None:
    begun = dock.transfers.begin_write(ENTRY, Identity("FICHIERS"))
    dock.transfers.acknowledge(ENTRY, SyncPoint(3, 300, 3))
    dock.transfers.finish_write(ENTRY, "{}")
    known = dock.transfers.write(ENTRY)
    assert known is not None
    assert (known.identity, known.point.number, known.done) == (begun.identity, 3, "{}")


def test_a_return_is_there_only_when_it_is_whole(dock: Dock) -> None:
    with dock.arriving() as arriving:
        arriving.write(b"half")
    assert list(dock.arrived.path.iterdir()) == []
    with dock.arriving() as arriving:
        arriving.write(b"wh")
        arriving.write(b"ole")
        arriving.finish()
    (name,) = dock.arrived.names()
    assert dock.arrived.read(name, 10) == b"whole"


def test_returns_are_looked_for_at_once_after_a_send(dock: Dock) -> None:
    assert dock.pull_due(float("-inf"))
    just_now = time.monotonic()
    assert not dock.pull_due(just_now)
    dock.outgoing.put(ENTRY, b"sealed")
    dock.transfers.finish_write(ENTRY, "{}")
    dock.conclude(ENTRY)
    assert dock.pull_due(just_now)


def test_forward_carries_the_reserves_library_only_when_it_is_used() -> None:
    look = "import sys, gateway.services.forward.service; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look]).returncode == 0


def test_that_a_sending_begins_is_said_before_the_entry_is_opened(dock: Dock) -> None:
    with pytest.raises(FileNotFoundError):
        dock.begin(ENTRY)
    assert dock.arrived.names() == [f"begun.{ENTRY}"]
    dock.outgoing.put(ENTRY, b"sealed")
    for _ in range(2):
        with dock.begin(ENTRY) as source:
            assert source.read() == b"sealed"
    assert dock.arrived.names() == [f"begun.{ENTRY}"]


def test_what_the_keeper_withdrew_unbegun_is_never_opened(dock: Dock) -> None:
    """The two sides race: whoever opened the entry had said so before it was gone."""
    opened, together = [], threading.Barrier(2)

    def forward(name: str) -> None:
        together.wait()
        with suppress(FileNotFoundError), dock.begin(name):
            opened.append(name)

    unbegun = []
    for number in range(200):
        name = f"{'f' * 32}.1.{number}"
        dock.outgoing.put(name, b"sealed")
        thread = threading.Thread(target=forward, args=(name,))
        thread.start()
        together.wait()
        dock.outgoing.withdraw(name)
        if not dock.arrived.has(f"begun.{name}"):
            unbegun.append(name)
        thread.join()
    assert set(opened).isdisjoint(unbegun)
